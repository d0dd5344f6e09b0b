"""Images at other sizes, and as drawings."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import vaegen
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from vaegen.enlarging import enlarge_sheet

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def digits() -> Pixels:
    """Digits of the three models in three colors, and pictures of two colors, of many, and of one."""
    colors = ["red", "#20c0a0", "#406080"]
    drawn = []
    for name in vaegen.models():
        with vaegen.load(name) as model:
            drawn.append(model.sample(digit=list(range(10)), color=[colors[at % 3] for at in range(10)], seed=4))
    mask = drawn[0].max(3, keepdims=True) / np.float32(255)
    on_blue = (np.array([230, 200, 40]) * mask + np.array([20, 60, 160]) * (1 - mask)).round().astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 3), np.uint8)
    return np.concatenate([*drawn, on_blue[:3], 255 - drawn[2][:3], noise, np.full((1, 28, 28, 3), 90, np.uint8)])


def small(large: Pixels) -> NDArray[np.int16]:
    return np.asarray(Image.fromarray(large).resize((28, 28), Image.Resampling.BOX), np.int16)


@pytest.mark.parametrize("size", [28, 29, 42, 56, 100, 280, 500])
def test_an_enlarged_image_scaled_down_is_the_image(digits: Pixels, size: int) -> None:
    chosen = digits if size == 280 else digits[::5]
    large = vaegen.enlarge(chosen, size)
    assert large.shape == (len(chosen), size, size, 3)
    assert large.dtype == np.uint8
    for image, its in zip(chosen, large, strict=True):
        assert np.abs(small(its) - image).max() <= 2
    assert np.array_equal(vaegen.enlarge(chosen[1], size), large[1])


def test_edges_of_an_enlarged_digit_are_narrow(digits: Pixels) -> None:
    """Of all pixels few are between stroke and ground: no more than an edge of two pixels around it has."""
    for image in digits[:30]:
        mask = vaegen.enlarge(image, 280).max(2) / image.max()
        inside = np.pad(mask > 0.5, 1)
        around = (inside[1:, 1:] != inside[:-1, 1:]).sum() + (inside[1:, 1:] != inside[1:, :-1]).sum()
        assert ((mask > 0.25) & (mask < 0.75)).sum() < 0.8 * around


def test_faint_gray_becomes_no_speck() -> None:
    image = np.zeros((28, 28, 3), np.uint8)
    image[5:20, 10:14] = 200
    image[22, 22] = 14
    corner = vaegen.enlarge(image, 280)[210:, 210:, 0].astype(int)
    assert 10 < corner.max() < 60  # spread, and not a dot as bright as the stroke
    assert np.abs(np.diff(corner)).max() < 8  # nor one with an edge


def test_a_sheet_is_enlarged_cell_by_cell(digits: Pixels) -> None:
    sheet = np.concatenate([np.concatenate(digits[:2], 1), np.concatenate(digits[2:4], 1)])
    large = enlarge_sheet(sheet, 56)
    assert np.array_equal(large[56:, :56], vaegen.enlarge(digits[2], 56))


@pytest.mark.parametrize("size", [27, 4097, 28.5, True, "280"])
def test_a_size_that_does_not_exist(size: object) -> None:
    with pytest.raises(vaegen.RequestError, match="size"):
        vaegen.enlarge(np.zeros((28, 28, 3), np.uint8), size)  # type: ignore[arg-type]


def flattened(path: str) -> list[list[tuple[float, float]]]:
    """Return the polygons of a path that vaegen writes, with eight points to a curve."""
    polygons = []
    share = np.linspace(0, 1, 9)[1:, None]
    for start, curves in re.findall(r"M([^c]+)c([^z]+)z", path):
        number = r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
        at = np.array([float(word) for word in re.findall(number, start)])
        points: list[tuple[float, float]] = [(at[0], at[1])]
        for one, two, end in np.array([float(word) for word in re.findall(number, curves)]).reshape(-1, 3, 2) + 0:
            curve = 3 * share * (1 - share) ** 2 * one + 3 * share**2 * (1 - share) * two + share**3 * end + at
            points += [(x, y) for x, y in curve.tolist()]
            at = at + end
        polygons.append(points)
    return polygons


def drawn(path: str, scale: int = 8) -> NDArray[np.bool_]:
    """Draw a path, filled by the rule evenodd, with some pixels for each of the view box."""
    filled = np.zeros((28 * scale, 28 * scale), np.bool_)
    for polygon in flattened(path):
        image = Image.new("1", filled.shape)
        ImageDraw.Draw(image).polygon([(x * scale, y * scale) for x, y in polygon], fill=1)
        filled ^= np.asarray(image)
    return filled


def test_a_drawing_is_the_image(digits: Pixels) -> None:
    for image in digits[:33]:
        text = vaegen.svg(image, {"vaegen:color": '<&">'})
        assert len(text.encode()) < 4096
        root = ET.fromstring(text)
        assert root.get("viewBox") == "0 0 28 28"
        metadata, ground, path = root
        assert path.get("fill-rule") == "evenodd"  # as `drawn` has it
        assert metadata.text == '{"vaegen:color": "<&\\">"}'
        colors = [np.array(list(bytes.fromhex(str(part.get("fill"))[1:])), np.float32) for part in (ground, path)]
        cover = drawn(str(path.get("d"))).reshape(28, 8, 28, 8).mean((1, 3))[..., None]
        assert np.abs(colors[0] + cover * (colors[1] - colors[0]) - image).mean() < 5


@pytest.mark.parametrize(
    ("rings", "holes"),
    [([(60, 50, 220, 230)], 1), ([(100, 40, 190, 130), (90, 120, 200, 240)], 2), ([(-60, 60, 100, 220)], 0)],
)
def test_holes_of_a_drawing_are_open(rings: list[tuple[int, int, int, int]], holes: int) -> None:
    """As in a 0 and an 8; a ring that the border cuts has none."""
    large = Image.new("L", (280, 280))
    for ring in rings:
        ImageDraw.Draw(large).ellipse(ring, outline=255, width=24)
    image = np.asarray(large.resize((28, 28), Image.Resampling.BOX))[..., None].repeat(3, 2)
    path = str(ET.fromstring(vaegen.svg(image))[1].get("d"))
    assert path.count("M") == path.count("z") == 1 + holes
    cover = drawn(path)
    for left, top, right, bottom in rings:
        middle = cover[(top + bottom) * 2 // 5, max(left + right, 0) * 2 // 5]
        assert not middle
    assert np.abs(cover.reshape(28, 8, 28, 8).mean((1, 3)) * 255 - image[..., 0]).max() < 64


def test_an_image_without_strokes_is_its_ground() -> None:
    root = ET.fromstring(vaegen.svg(np.full((28, 28, 3), 90, np.uint8)))
    assert [part.get("fill") for part in root] == ["#5a5a5a"]
