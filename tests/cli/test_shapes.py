"""Smooth strokes, drawings and labels, as the command line writes them."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image

Run = Callable[..., Any]


def pixels(path: str | Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_size_of_a_sample(sample: Run) -> None:
    for size in ((), ("--size", 120)):
        assert sample("--digit", "3,8", "--color", "red,teal", "--grid", *size, "-o", f"{len(size)}.png").code == 0
    small, large = pixels("0.png"), pixels("2.png")
    assert large.shape == (240, 240, 3)
    assert np.array_equal(large[120:, :120], vaegen.enlarge(small[28:, :28], 120))
    sample("--digit", 3, "--color", "red", "--count", 2, "--size", 40, "-o", "two.npy")
    assert np.load("two.npy").shape == (2, 40, 40, 3)


def test_size_of_what_is_decoded_and_remade(run: Run, tiny: Path) -> None:
    decoded = run("decode", "--model", tiny, "--latent", "0:2;1,4", "--size", 100, "-o", "in/a.png")
    assert (decoded.code, pixels("in/a.png").shape) == (0, (100, 100, 3))
    for size in ((), ("--size", 100)):
        assert run("reconstruct", "--model", tiny, "in/a.png", f"one-{len(size)}.png", *size).code == 0
        assert run("reconstruct", "--model", tiny, "in", f"out-{len(size)}", *size).code == 0
    large = vaegen.enlarge(pixels("one-0.png"), 100)
    assert np.array_equal(pixels("one-2.png"), large)
    assert np.array_equal(pixels("out-2/a.png"), large)


def test_drawings(run: Run, sample: Run, tiny: Path) -> None:
    assert sample("--digit", 3, "--color", "red", "--format", "svg", "--size", 280).paths == ["red-3.svg"]
    root = ET.parse("red-3.svg").getroot()
    assert [root.get(name) for name in ("viewBox", "width", "height")] == ["0 0 28 28", "280", "280"]
    facts = json.loads(str(root[0].text))
    assert (facts["vaegen:digit"], facts["vaegen:size"]) == ("3", "280")

    sample("--digit", "3,8", "--color", "red", "--grid", "--labels", "-o", "sheet.svg")
    text = Path("sheet.svg").read_text()
    assert text.count("<path") == 2
    assert [word.text for word in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")] == ["3", "8", "red"]

    sample("--digit", 3, "--color", "red")
    assert run("decode", "--model", tiny, "--latent", "0:2;1,4", "--format", "svg").paths == ["latent.svg"]
    assert run("reconstruct", "--model", tiny, "red-3.png", "again.svg").code == 0
    assert run("reconstruct", "--model", tiny, ".", "out", "--format", "svg").code == 0
    assert Path("again.svg").read_bytes() == Path("out/red-3.svg").read_bytes()


def test_labels_stand_beside_the_sheet(run: Run, sample: Run, tiny: Path) -> None:
    call = ("--digit", "3,8", "--color", "red,hsl(180,100%,25%)", "--grid", "--scale", 2)
    sample(*call, "-o", "plain.png")
    assert sample(*call, "--labels", "-o", "labelled.png").code == 0
    plain, labelled = pixels("plain.png"), pixels("labelled.png")
    with Image.open("labelled.png") as image:
        left, top = map(int, image.info["vaegen:labels"].split("x"))
    assert labelled.shape == (plain.shape[0] + top, plain.shape[1] + left, 3)
    assert np.array_equal(labelled[top:, left:], plain)
    assert run("verify", "--model", tiny, "labelled.png").code == 0
    assert sample("--like", "labelled.png", "--scale", 1, "-o", "like.png").code == 0
    assert pixels("like.png").shape[1] > 56
    letters = labelled[..., 0] > 100
    assert letters[top : top + 56, :left].any()
    assert letters[top + 56 :, :left].any()
    assert letters[:top, left : left + 56].any()
    assert letters[:top, left + 56 :].any()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--scale", 2, "--size", 56), ("--scale", "--size")),
        (("--scale", 2, "--format", "svg"), ("SVG", "--size")),
        (("--size", 27), ("27", "28")),
        (("--size", 4097), ("4096",)),
        (("--labels",), ("--grid",)),
        (("--count", 1000, "--size", 4096, "--grid"), ("1000 images", "--size")),
        (("--count", 2, "-o", "two.svg"), ("2 images", "--grid")),
    ],
)
def test_what_does_not_go_together(sample: Run, here: Path, arguments: tuple[object, ...], parts: tuple[str]) -> None:
    result = sample("--digit", 3, "--color", "red", *arguments)
    assert (result.code, result.out) == (2, "")
    assert all(part in result.err for part in parts), result.err
    assert not list(here.iterdir())
