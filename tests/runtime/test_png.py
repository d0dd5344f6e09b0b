"""PNG files of vaegen's own making are what every reader of PNG takes them for."""

import io

import numpy as np
import pytest
from PIL import Image
from vaegen import RequestError, png


@pytest.mark.parametrize("shape", [(28, 28, 3), (1, 1, 3), (3, 500, 3), (300, 2, 3)])
def test_pillow_reads_the_same_pixels(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    with Image.open(io.BytesIO(png.encode(pixels, {})), formats=("PNG",)) as image:
        image.verify()  # the checksums
    with Image.open(io.BytesIO(png.encode(pixels, {})), formats=("PNG",)) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.array(image), pixels)


def test_texts_of_any_language() -> None:
    texts = {"vaegen:color": "red", "note": "grün", "name": "\u4e2d\u6587", "empty": "", "k" * 79: "x" * 5000}
    data = png.encode(np.zeros((28, 28, 3), np.uint8), texts)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info == texts
    assert b"tEXtnote\0gr\xfcn" in data
    assert b"iTXtname\0\0\0\0\0" + texts["name"].encode() in data


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("", "x"), ("k" * 80, "x"), ("\u4e2d", "x"), ("k", "a\0b"), ("a\0b", "x"), ("k", "\udcff")],
)
def test_texts_that_no_reader_would_find_again(keyword: str, value: str) -> None:
    with pytest.raises(RequestError, match="cannot carry"):
        png.encode(np.zeros((28, 28, 3), np.uint8), {keyword: value})


def test_a_result_takes_no_more_room_than_pillow_would_need() -> None:
    digit = np.zeros((28, 28, 3), np.uint8)
    digit[5:23, 11:17] = (200, 30, 90)
    stream = io.BytesIO()
    Image.fromarray(digit).save(stream, "PNG")
    assert len(png.encode(digit, {})) <= len(stream.getvalue())
