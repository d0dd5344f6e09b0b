"""Results as image files, and as numbers in JSON.

PNG files are written with zlib alone. For a picture of 28x28 Pillow's writer takes longer than a model takes to make it
(185 us of a folder's 360 us a file, against 45 here) and needs a fifth more bytes: it filters rows, which helps
photographs and spoils the long runs of black around a digit.
"""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaegen.decoding import Picture
from vaegen.errors import RequestError
from vaegen.spec import CHANNELS
from vaegen.subjects import text_chunks

Written = Literal["png", "jpg", "bmp", "webp", "tif", "svg"]
Animated = Literal["png", "gif", "webp"]
WRITTEN: dict[Written, dict[str, Any]] = {
    "png": {},
    "jpg": {"quality": 95, "subsampling": 0},
    "bmp": {},
    "webp": {"lossless": True},
    "tif": {},
    "svg": {},
}
"""The formats that results can be written in, which are their suffixes too, and settings for Pillow, which writes all
but png and svg."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_LEVEL = 6  # of zlib: 3 is faster by 10 us a picture, and a third larger on enlarged ones
PNG_KEYWORD = 79  # bytes at most


def encode_png(image: Picture, text: Mapping[str, str] | None = None) -> bytes:
    """Return an image as the bytes of a PNG file (W3C, Portable Network Graphics, third edition).

    Args:
        image: uint8 (height, width, 3), RGB.
        text: Text chunks to carry, keyword to value: tEXt where both are Latin-1, else iTXt.

    Raises:
        RequestError: The image has another type or shape, a keyword is not 1 to 79 characters of Latin-1, or a text
            holds a null character.
    """
    _check_picture(image)
    height, width, channels = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with the number of its filter, 0 for none
    rows[:, 1:] = image.reshape(height, width * channels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB, not interlaced
    chunks = [_png_chunk(b"IHDR", header)]
    chunks += [_text_chunk(keyword, value) for keyword, value in (text or {}).items()]
    chunks += [_png_chunk(b"IDAT", zlib.compress(rows.data, PNG_LEVEL)), _png_chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(chunks)


def encode_result(picture: Picture, scale: int, facts: Mapping[str, Any]) -> bytes:
    """Return a picture as a PNG file, enlarged, with what is known of it as text chunks named vaegen:..."""
    return encode_png(enlarged(picture, scale), text_chunks(facts))


def enlarged(pictures: Picture, scale: int) -> Picture:
    """Return pictures uint8 (..., height, width, 3) in which each pixel became a square of `scale` pixels a side."""
    return pictures.repeat(scale, axis=-3).repeat(scale, axis=-2)


def sheet(images: Picture, rows: int, columns: int) -> Picture:
    """Lay images out on one sheet without gaps.

    Args:
        images: uint8 (rows * columns * count, height, width, 3): row by row, the `count` images of a cell in
            sequence. A cell holds them as a block as nearly square as possible, filled up with black.
        rows: Cells from top to bottom.
        columns: Cells from left to right.

    Returns:
        uint8 (sheet height, sheet width, 3).
    """
    n, height, width, channels = images.shape
    count = n // (rows * columns)
    across = int(np.ceil(np.sqrt(count)))
    down = -(-count // across)
    cells = images.reshape(rows, columns, count, height, width, channels)
    full = np.zeros((rows, columns, down * across, height, width, channels), np.uint8)
    full[:, :, :count] = cells
    blocks = full.reshape(rows, columns, down, across, height, width, channels)
    # rows, down and height make the height of the sheet; columns, across and width its width
    return blocks.transpose(0, 2, 4, 1, 3, 5, 6).reshape(rows * down * height, columns * across * width, channels)


def encode_image(image: Picture, form: Written, size: int | None = None) -> bytes:
    """Return a result as the bytes of a file.

    Args:
        image: uint8 (28, 28, 3), RGB.
        form: One of `WRITTEN`; all but "jpg" and "svg" keep every pixel.
        size: Pixels of a side that it is enlarged to, with smooth strokes; None leaves it as it is.

    Raises:
        RequestError: The image has another type or shape.
    """
    if form == "svg":
        from vaegen.outline import svg_sheet

        return svg_sheet(image, {}, size).encode()
    if size is not None:
        from vaegen.enlarging import enlarge

        image = enlarge(image, size)
    if form == "png":
        return encode_png(image)
    _check_picture(image)
    stream = io.BytesIO()
    # Told the format by the name, Pillow loads one writer; told by the argument, it loads five.
    stream.name = f"image.{form}"
    Image.fromarray(np.ascontiguousarray(image)).save(stream, **WRITTEN[form])
    return stream.getvalue()


def encode_animation(
    frames: Picture, form: Animated, durations: Sequence[int], text: Mapping[str, str] | None = None
) -> bytes:
    """Return frames as the bytes of a file that plays them over and over.

    Args:
        frames: uint8 (n, height, width, 3), RGB.
        form: "png" and "webp" keep every pixel. "gif" has 256 colors a frame, without dithering: of a digit in any size
            the pixels come out within 3 of 255, and black as black.
        durations: Of each frame, in milliseconds; of a GIF in steps of 10.
        text: Text chunks of a PNG, keyword to value.

    Raises:
        RequestError: The frames have another type or shape.
    """
    from PIL.PngImagePlugin import PngInfo  # slow to load, and only animations need it

    _check_picture(frames[0])
    first, *others = map(Image.fromarray, frames)
    settings: dict[str, Any] = {"lossless": True} if form == "webp" else {}
    if form == "png":
        settings["pnginfo"] = info = PngInfo()
        for keyword, value in (text or {}).items():
            info.add_text(keyword, value)
    stream = io.BytesIO()
    stream.name = f"image.{form}"
    first.save(stream, save_all=True, append_images=others, duration=list(durations), loop=0, **settings)
    return stream.getvalue()


def _check_picture(image: Picture) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != CHANNELS:
        raise RequestError(f"an image is {image.dtype} {image.shape}; it must be uint8 (height, width, {CHANNELS})")


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _text_chunk(keyword: str, value: str) -> bytes:
    try:
        name = keyword.encode("latin-1")
        content = value.encode("utf-8")
    except UnicodeEncodeError:
        name = content = b"\0"
    if not 1 <= len(name) <= PNG_KEYWORD or b"\0" in name + content:
        raise RequestError(f"a PNG file cannot carry the text {keyword!r}: {value!r}")
    try:
        return _png_chunk(b"tEXt", name + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _png_chunk(b"iTXt", name + b"\0\0\0\0\0" + content)  # not compressed, and in no language that is named


def to_lists(array: npt.NDArray[np.float32]) -> list[Any]:
    """Return an array as lists, of the shortest decimal numbers that bring its float32 back."""
    if array.ndim > 1:
        return [to_lists(row) for row in array]
    return [float(str(number)) for number in array]
