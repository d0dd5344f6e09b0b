"""Photographs and scans become light strokes on black; what is light on black already keeps its bytes."""

import colorsys
import contextlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vaegen import ImageError, Model, RequestError, load, read_image
from vaegen.images import decode_image, read_picture

from tests.photographs.render import PENS, Scene, photograph, read_digits, simulate

DIGITS, LABELS = read_digits()
EIGHT, FIVE = LABELS.index(8), LABELS.index(5)

PLAIN = Scene(size=(400, 300), share=0.5, noise=2)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def painted(row: int, rgb: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray((DIGITS[row][..., None] / 255 * np.array(rgb)).astype(np.uint8))


@pytest.fixture(scope="module")
def judge() -> Model:
    """A shipped model, whose judge reads well."""
    return load("continuous")


def read_as(model: Model, data: bytes) -> int:
    return int(model.judge(read_image(data)[None])[0].argmax())


def test_most_photographs_are_read_as_their_digit(judge: Model) -> None:
    right = 0
    for one in simulate(40, 5, longest=500):
        with contextlib.suppress(ImageError):
            right += read_as(judge, one.data) == one.digit
    assert right >= 37


@pytest.mark.parametrize(
    "changes",
    [
        {"paper": "cream", "light": "hard shadow", "pen": "blue"},
        {"rule": "squared", "pen": "black", "turn": 3.0},
        {"rule": "ruled in pen color", "pen": "green"},
        {"paper": "kraft", "pen": "purple", "cast": "warm"},
        {"paper": "whiteboard", "pen": "red", "width": 0.15, "light": "gradient"},
        {"paper": "green board", "pen": "chalk", "light": "vignette"},
        {"paper": "black board", "pen": "chalk", "cast": "warm"},
        {"table": True, "pen": "pencil", "share": 0.3},
        {"form": "transparent", "pen": "black"},
        {"form": "scan", "pen": "black"},
        {"form": "gray", "size": (28, 28), "share": 0.7, "width": 0.0, "blur": 0.0},
        {"size": (1600, 1200), "share": 0.1, "pen": "blue", "quality": 60},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_ink_becomes_a_light_stroke_in_its_hue(judge: Model, changes: dict[str, Any]) -> None:
    scene = PLAIN._replace(**changes)
    rows = [LABELS.index(digit) for digit in (2, 3, 7)]
    files = [photograph(DIGITS[row], scene, row) for row in rows]
    assert sum(read_as(judge, data) == LABELS[row] for data, row in zip(files, rows, strict=True)) >= 2
    pixels = read_image(files[0])
    assert pixels.dtype == np.uint8
    assert pixels[[0, -1]].max() == pixels[:, [0, -1]].max() == 0
    assert pixels.max() == 255
    bright = pixels[pixels.max(2) >= 128]  # (n, 3), the stroke
    hue, saturation, _ = colorsys.rgb_to_hsv(*(bright.mean(0) / 255))
    if scene.pen in ("black", "pencil", "chalk"):
        assert saturation == 0
    elif scene.form != "gray":
        true = colorsys.rgb_to_hsv(*(channel / 255 for channel in PENS[scene.pen or "black"]))[0]
        assert abs((hue - true + 0.5) % 1 - 0.5) * 360 <= 20


def test_the_digit_is_centred_by_its_mass_as_in_mnist() -> None:
    for row in range(0, 40, 7):
        gray = read_image(photograph(DIGITS[row], PLAIN, row)).max(2).astype(float)
        rows, columns = np.nonzero(gray.max(1))[0], np.nonzero(gray.max(0))[0]
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        places = np.arange(28) + 0.5
        assert abs((gray.sum(1) @ places, gray.sum(0) @ places) / gray.sum() - 14).max() <= 0.75 + 1e-9


@pytest.mark.parametrize("rgb", [(255, 255, 255), (200, 40, 20), (0, 0, 64), (64, 0, 80)])
@pytest.mark.parametrize("scale", [1, 3, 20])
@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("JPEG", {"quality": 60})])
def test_light_on_black_keeps_its_bytes(
    rgb: tuple[int, int, int], scale: int, form: str, options: dict[str, object]
) -> None:
    for row in range(0, 200, 40):
        data = saved(painted(row, rgb).resize((28 * scale, 28 * scale)), form, **options)
        found = read_picture(data)
        assert found.kind == "as-is"
        np.testing.assert_array_equal(found.pixels, decode_image(data))


def test_pictures_that_models_make_keep_their_bytes(model: Model) -> None:
    for image in model.sample(digit=list(range(10)), color="teal"):
        np.testing.assert_array_equal(read_image(saved(Image.fromarray(image))), image)
    assert not read_image(saved(Image.new("RGB", (300, 200)))).any()


def test_what_is_neither_is_read_as_it_is() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28, 3)).astype(np.uint8))
    for image in (noise, Image.new("RGB", (600, 400), (200, 40, 20)), Image.new("L", (28, 28), 170)):
        data = saved(image)
        found = read_picture(data)
        assert found.kind == "unknown"
        np.testing.assert_array_equal(found.pixels, read_image(data, intake="as-is"))


@pytest.mark.parametrize("scene", [PLAIN, PLAIN._replace(paper="cream", light="gradient", rule="ruled")])
def test_a_blank_sheet_is_refused(scene: Scene) -> None:
    data = photograph(DIGITS[0], scene._replace(pen=None), 0)
    with pytest.raises(ImageError, match="no ink found; intake='as-is'"):
        read_image(data)
    assert read_image(data, intake="as-is").any()


def joined(rows: list[int], gap: int) -> bytes:
    sheet = np.full((80, 40 + sum(28 + gap for _ in rows) * 2, 3), 245, np.uint8)
    for place, row in enumerate(rows):
        digit = np.asarray(Image.fromarray(DIGITS[row]).resize((56, 56)))[..., None] / 255
        part = sheet[12:68, 20 + place * (56 + 2 * gap) :][:, :56]
        part[:] = (part * (1 - digit)).astype(np.uint8)
    return saved(Image.fromarray(sheet))


def test_several_digits_are_refused_and_one_in_pieces_is_not(judge: Model) -> None:
    for count in (2, 3):
        with pytest.raises(ImageError, match=f"{count} separate digits found; crop to one"):
            read_image(joined([EIGHT] * count, 4))
    assert read_as(judge, joined([EIGHT], 4)) == 8
    pieces = DIGITS[FIVE].copy()
    pieces[9:11] = 0  # the bar of the 5 is apart
    paper = 255 - np.asarray(Image.fromarray(pieces).resize((280, 280), Image.Resampling.BICUBIC))
    light = read_image(saved(Image.fromarray(paper))).any((1, 2))
    assert (np.diff(light.astype(int)) == 1).sum() == 2  # both are there, one above the other


def test_ink_on_nothing_is_ink() -> None:
    ink = Image.new("RGBA", (28, 28), (20, 20, 20, 0))
    ink.putalpha(Image.fromarray(DIGITS[EIGHT]))
    assert read_image(saved(ink)).max() == 255
    assert read_image(saved(ink), intake="as-is").max() <= 20
    assert not read_image(saved(Image.new("RGBA", (28, 28), (255, 255, 255, 0)))).any()


def test_paths_bytes_and_files_are_read_alike(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("one") / "a.jpg"
    path.write_bytes(photograph(DIGITS[3], PLAIN, 0))
    expected = read_image(path)
    for source in (str(path), path.read_bytes(), memoryview(path.read_bytes())):
        np.testing.assert_array_equal(read_image(source), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_image(file), expected)
    with path.open(encoding="latin-1") as text, pytest.raises(RequestError, match="mode 'rb'"):
        read_image(text)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="cannot read the image: "):
        read_image(b"nothing")
    with pytest.raises(RequestError, match="intake 'paper' is not known; choose from auto, as-is"):
        read_image(path, intake="paper")  # type: ignore[arg-type]
