import re

import numpy as np
import pytest
from vaegen.encoding import sheet
from vaegen_cli.sheets import preview


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")  # room for two images of 28


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("n", "shown"), [(1, 1), (2, 2), (5, 2)])
def test_preview_has_two_pixels_a_character_and_as_many_images_as_fit(n: int, shown: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28, 3), np.uint8)
    strip = np.concatenate(images[:shown], axis=1)
    lines = preview(images).splitlines()
    assert len(lines) == 14
    for row, line in enumerate(lines):
        runs = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m(\u2580+)", line)
        cells = [[int(value) for value in run[:6]] for run in runs for _ in run[6]]
        assert cells == np.concatenate([strip[2 * row], strip[2 * row + 1]], axis=1).tolist()


def test_sheet_of_cells_with_five_images_each() -> None:
    images = np.arange(2 * 3 * 5, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)  # (30, 1, 1, 3), numbered
    assert sheet(images, 2, 3)[..., 0].tolist() == [
        [0, 1, 2, 5, 6, 7, 10, 11, 12],
        [3, 4, 0, 8, 9, 0, 13, 14, 0],
        [15, 16, 17, 20, 21, 22, 25, 26, 27],
        [18, 19, 0, 23, 24, 0, 28, 29, 0],
    ]
