"""Pictures in files: any image a person has becomes uint8 (28, 28, 3), and results become image files.

An image file may come from anywhere, so `vaegen.headers` looks at it first, and Pillow gets nothing but the picture, of
a size that was checked; whatever it raises becomes one ImageError that names the file.

PNG files are written with zlib alone. For a picture of 28x28 Pillow's writer takes longer than a model takes to make it
(185 us of a folder's 360 us a file, against 45 here) and needs a fifth more bytes: it filters rows, which helps
photographs and spoils the long runs of black around a digit.
"""

import io
import os
import stat
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from vaegen.errors import ImageError, RequestError, first_line, shown
from vaegen.files import read_open
from vaegen.headers import strip, unknown
from vaegen.spec import CHANNELS, SIDE

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MAX_PIXELS = 2**26  # 67 million, 8192 x 8192: cameras of 50 megapixels, and A4 at 600 dpi, which is 35; decoded, 268 MB
MAX_FILE = 128 * 2**20  # bytes: A4 at 600 dpi, not compressed, is 104 MB
BAND = 2**20  # pixels that are converted at a time
REDUCED = 8  # times the size that a picture is scaled to, a JPEG decoder leaves at least; at 4 and 2 it shows

Picture = npt.NDArray[np.uint8]

Invert = Literal["never", "auto", "always"]
INVERT: tuple[Invert, ...] = get_args(Invert)
LIGHT = 128  # of 255: an edge whose median lightness reaches this is paper, for "auto"

Written = Literal["png", "jpg", "bmp", "webp", "tif"]
WRITTEN: dict[Written, dict[str, Any]] = {
    "png": {},
    "jpg": {"quality": 95, "subsampling": 0},
    "bmp": {},
    "webp": {"lossless": True},
    "tif": {},
}
"""The formats that results can be written in, which are their suffixes too, and Pillow's settings for them."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_LEVEL = 6  # of zlib: 3 is faster by 10 us a picture, and a third larger on enlarged ones
PNG_KEYWORD = 79  # bytes at most


def read_image(path: str | os.PathLike[str], *, invert: Invert = "never") -> Picture:
    """Read an image file as the models see it.

    PNG, JPEG, BMP, GIF, WebP and TIFF, told apart by content; the first frame of several. The picture is turned
    as its EXIF orientation says, laid on black where it is transparent, converted to RGB, and fitted to 28x28 as
    `fit` does; but of a JPEG more than 2 * REDUCED times as large, only as much is decoded as `fit` needs to come
    within 3 of 255.

    Args:
        path: The file.
        invert: Whether a picture that is dark on light has its lightness turned around; "auto" decides for each
            picture, see `fit`.

    Returns:
        uint8 (28, 28, 3).

    Raises:
        RequestError: `invert` is none of its choices.
        ImageError: The file is missing, unreadable, of no known format, damaged, larger than MAX_FILE, of more than
            MAX_PIXELS pixels, or made to take more time or memory than a picture needs.
    """
    check_invert(invert)
    try:
        return decode_image(_read(path), invert=invert)
    except OSError as error:
        raise ImageError(f"cannot read '{shown(Path(path))}': {error.strerror or error}") from error
    except (ImageError, ValueError) as error:  # a null byte in the name is a ValueError
        raise ImageError(f"cannot read '{shown(Path(path))}': {error}") from error


def _read(path: str | os.PathLike[str]) -> bytes:
    """Read a file.

    Raises:
        ImageError: It is not a plain file, or larger than MAX_FILE.
        OSError: It is missing or closed.
    """
    # Asked first, because opening a named pipe would wait for a writer.
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not a plain file")
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = read_open(handle, MAX_FILE + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_FILE:
        raise ImageError(f"larger than {MAX_FILE // 2**20} MiB")
    return data


def decode_image(data: bytes, *, invert: Invert = "never") -> Picture:
    """Read the bytes of an image file as `read_image` does.

    Raises:
        ImageError: They are of no known format, damaged, of more than MAX_PIXELS pixels, or made to take more time or
            memory than a picture needs.
    """
    from PIL import ImageOps  # 1 ms that only reading costs

    try:
        form, data = strip(data, MAX_PIXELS)
        with Image.open(io.BytesIO(data), formats=(form,)) as image:
            loaded = _load(image)
            ImageOps.exif_transpose(loaded, in_place=True)
            return _fit_upright(loaded, invert)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise unknown() from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than the {MAX_PIXELS} pixels that are read") from error
    except MemoryError as error:
        raise ImageError("not enough memory for its pixels") from error
    # Pillow's decoders raise nearly anything on a damaged file.
    except Exception as error:
        raise ImageError(f"damaged or unsupported ({first_line(error)})") from error


def check_invert(invert: str) -> None:
    """Check that `invert` is one of its choices.

    Raises:
        RequestError: It is something else.
    """
    if invert not in INVERT:
        raise RequestError(f"invert {invert!r} is not known; choose from {', '.join(INVERT)}")


def _load(image: Image.Image) -> Image.Image:
    """Decode the pixels; those of a large JPEG at 1/2, 1/4 or 1/8 of its size, in less time and memory.

    Its decoder then takes no more than the mean of each block of pixels from the file, which is the antialiasing
    that `fit` would do (libjpeg's scaled inverse DCT, Pillow's `draft`).
    """
    size = image.size
    width, height = _fitted(size)
    draft = image.draft(None, (REDUCED * width, REDUCED * height))
    image.load()
    if draft is None or image.size == size:
        return image
    # The last row and column can stand for fewer pixels than the others, which the box knows.
    return _to_rgb(image).resize((width, height), Image.Resampling.BILINEAR, draft[1])


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height that a picture is scaled to."""
    scale = SIDE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _scaled(image: Image.Image) -> Image.Image:
    """Scale a picture and convert it to RGB on black, a band of rows at a time to save memory.

    Pillow scales the width first and each row for itself, so that bands make no difference.
    """
    width, height = _fitted(image.size)
    rows = max(1, BAND // image.width)
    if rows < image.height:
        narrow = Image.new("RGB", (width, image.height))
        for top in range(0, image.height, rows):
            band = _to_rgb(image.crop((0, top, image.width, min(top + rows, image.height))))
            narrow.paste(band.resize((width, band.height), Image.Resampling.BILINEAR), (0, top))
        image = narrow
    return _to_rgb(image).resize((width, height), Image.Resampling.BILINEAR)


def fit(image: Image.Image, invert: Invert = "never") -> Picture:
    """Fit a picture to 28x28.

    It is turned upright, laid on black and converted to RGB; of 16-bit pictures the upper byte is kept, rounded.
    Then it is scaled, larger or smaller, until its longer side is 28 pixels, with its aspect kept and antialiased
    (Pillow's bilinear filter, whose support grows with the reduction), and centred on black. A picture of 28x28
    keeps its pixels, unless it is inverted.

    The models know light strokes on black. A scan, dark on light, is made so by inverting its lightness before it
    is centred: each channel c becomes c + 255 - max - min, with the largest and smallest channel of its pixel. That
    is 1 - L in the HSL color space with hue kept: white becomes black, and a red stroke stays red.

    Args:
        image: A loaded image of any of Pillow's modes except floating point.
        invert: "never"; "always"; or "auto", which inverts a picture where the pixels along its edges have a median
            lightness (max + min) / 2 of 128 or more.

    Returns:
        uint8 (28, 28, 3).

    Raises:
        ImageError: The mode has no agreed range.
    """
    from PIL import ImageOps  # as above

    return _fit_upright(ImageOps.exif_transpose(image), invert)


def _fit_upright(image: Image.Image, invert: Invert) -> Picture:
    """Do all of `fit` but the turning."""
    pixels: Picture = np.array(_to_rgb(image) if image.size == (SIDE, SIDE) else _scaled(image))
    if invert == "always" or (invert == "auto" and _is_dark_on_light(pixels)):
        pixels = _invert_lightness(pixels)
    height, width, _ = pixels.shape
    if (height, width) == (SIDE, SIDE):
        return pixels
    canvas = np.zeros((SIDE, SIDE, CHANNELS), np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def _is_dark_on_light(pixels: Picture) -> bool:
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int64)
    return bool(np.median(edges.max(1) + edges.min(1)) >= 2 * LIGHT)


def _invert_lightness(pixels: Picture) -> Picture:
    """Turn L of the HSL color space into 1 - L; the results need no clipping to 0 to 255."""
    values = pixels.astype(np.int16)
    inverted: Picture = (values + (255 - values.max(2, keepdims=True) - values.min(2, keepdims=True))).astype(np.uint8)
    return inverted


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB on black."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow itself would cut everything above 255 down to 255.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"gray values from {values.min()} to {values.max()}; 0 to 65535 can be read")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageError("floating-point pixels have no agreed range; save it with 8 or 16 bits a channel")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("RGB")


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


def encode_image(image: Picture, form: Written) -> bytes:
    """Return an image as the bytes of a file.

    Args:
        image: uint8 (height, width, 3), RGB.
        form: One of `WRITTEN`; all but "jpg" keep every pixel.

    Raises:
        RequestError: The image has another type or shape.
    """
    if form == "png":
        return encode_png(image)
    _check_picture(image)
    stream = io.BytesIO()
    # Told the format by the name, Pillow loads one writer; told by the argument, it loads five.
    stream.name = f"image.{form}"
    Image.fromarray(np.ascontiguousarray(image)).save(stream, **WRITTEN[form])
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
