"""Image files as the pixels that any viewer shows.

An image file may come from anywhere, so `vaegen.headers` looks at it first, and Pillow gets nothing but the picture, of
a size that was checked; whatever it raises becomes one ImageError.
"""

import functools
import importlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaegen.errors import ImageError, first_line
from vaegen.files import read_open
from vaegen.headers import Stripped, strip
from vaegen.limits import MAX_PIXELS
from vaegen.profiles import to_srgb

if TYPE_CHECKING:
    from PIL import ImageFile

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi"),
    *(".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
)
MAX_FILE = 2**29  # bytes: 100 megapixels of RGB, not compressed, are 300 MB
BAND = 2**20  # pixels that are rounded at a time
REDUCED = 8  # times the size that a picture is scaled to, a JPEG decoder leaves at least; at 4 and 2 it shows

Picture = npt.NDArray[np.uint8]


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a file, but no more of it than shows that it is larger than MAX_FILE.

    Raises:
        ImageError: It is not a plain file.
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
        return read_open(handle, MAX_FILE + 1)
    finally:
        os.close(handle)


def decode(data: bytes, side: int, max_pixels: int = MAX_PIXELS, *, margin: int = REDUCED) -> Image.Image:
    """Decode the bytes of an image file: its first frame, turned as its EXIF orientation says.

    What Pillow raises is for `image_errors`, in which this is called.

    Args:
        data: The file.
        side: Pixels that the longer side will be scaled to. Of a JPEG more than 2 * `margin` times as large, only as
            much is decoded as that takes, and what is returned is of this size already.
        max_pixels: Pixels that the picture may have.
        margin: How many times `side` a JPEG decoder leaves at least.

    Returns:
        A picture of 8 bits a channel in any mode of Pillow's, for `to_rgb`.

    Raises:
        ImageError: They are more than MAX_FILE, of no known format, damaged, of more than `max_pixels` pixels, or made
            to take more time or memory than a picture needs.
    """
    from PIL import ImageOps  # 1 ms that only reading costs

    if len(data) > MAX_FILE:
        raise ImageError(f"larger than {MAX_FILE // 2**20} MiB")
    file = strip(data, max_pixels)
    opened = _open(file)
    if file.profile:
        opened.info["icc_profile"] = file.profile
    raw_mode = _raw_mode(opened)
    if opened.mode.startswith("I"):
        image = _load_gray(opened, 4095 if raw_mode == "I;12" else 65535)
    elif file.form in ("Png", "Tiff") and _has_16_bits(opened, raw_mode):
        image = _load_rounded(opened, raw_mode, file)
    else:
        image = _load(opened, side, margin)
    if file.inverted:
        image = ImageOps.invert(image)
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _open(file: Stripped) -> "ImageFile.ImageFile":
    """Read the headers of a file.

    `Image.open` would look for the format again, and warn of sizes that `strip` has checked.
    """
    image = _plugin(file.form)(io.BytesIO(file.data))
    if file.form == "Tiff":  # it would warn as it makes room for the pixels, which lie as they are before turning
        image.im = Image.new(image.mode, (image.tag_v2[256], image.tag_v2[257])).im
    opened: ImageFile.ImageFile = image
    return opened


@functools.cache
def _plugin(form: str) -> Any:
    """Return Pillow's class for a format."""
    return getattr(importlib.import_module(f"PIL.{form}ImagePlugin"), f"{form}ImageFile")


def _raw_mode(image: "ImageFile.ImageFile") -> str:
    """Return how the pixels lie in the file, as Pillow names it; WebP decides that later."""
    arguments = image.tile[0].args if image.tile else ""
    name = arguments[0] if isinstance(arguments, tuple) else arguments
    return name if isinstance(name, str) else ""


@contextmanager
def image_errors() -> Iterator[None]:
    """Turn what Pillow raises into one kind of error.

    Raises:
        ImageError: Something was raised.
    """
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("not enough memory for its pixels") from error
    # Pillow's decoders raise nearly anything on a damaged file.
    except Exception as error:
        raise ImageError(f"damaged or unsupported ({first_line(error)})") from error


def _load(image: "ImageFile.ImageFile", side: int, margin: int) -> Image.Image:
    """Decode the pixels; those of a large JPEG at 1/2, 1/4 or 1/8 of its size, in less time and memory.

    Its decoder then takes no more than the mean of each block of pixels from the file, which is the antialiasing
    that scaling would do (libjpeg's scaled inverse DCT, Pillow's `draft`).
    """
    size = image.size
    width, height = fitted(size, side)
    draft = image.draft(None, (margin * width, margin * height))
    box = image.tile[0].extents if image.tile else None
    image.load()
    if draft is not None and image.size != size:
        # The last row and column can stand for fewer pixels than the others, which the box knows.
        return to_rgb(image).resize((width, height), Image.Resampling.BILINEAR, draft[1])
    if image.format == "GIF" and box not in (None, (0, 0, *size)):  # around the first frame there is nothing
        canvas = Image.new("RGB", size)
        canvas.paste(to_rgb(image.crop(box)), box)
        return canvas
    if image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        return image.convert("RGB")  # its fourth byte was never filled, as 32-bit files often have it
    return image


def _bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield boxes of some rows, as little of a picture as is worth a call."""
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _has_16_bits(image: "ImageFile.ImageFile", raw_mode: str) -> bool:
    """Return whether colors have 16 bits; of separate planes Pillow names the color alone."""
    return "16" in raw_mode or (raw_mode in tuple("RGBACMYK") and 16 in getattr(image, "tag_v2", {}).get(258, ()))


def _load_gray(image: "ImageFile.ImageFile", white: int) -> Image.Image:
    """Decode gray values from 0 to `white`, which Pillow keeps, as 8 bits."""
    image.load()
    transparent = image.info.pop("transparency", None)
    rounded = Image.new("L", image.size)
    rounded.info = image.info
    for box in _bands(image):
        values = np.asarray(image.crop(box)).astype(np.int32)
        levels = ((510 * values + white) // (2 * white)).astype(np.uint8)
        levels[values == transparent] = 0
        rounded.paste(Image.fromarray(levels), box)
    return rounded


def _load_rounded(image: "ImageFile.ImageFile", raw_mode: str, file: Stripped) -> Image.Image:
    """Decode colors of 16 bits, of which Pillow keeps the upper 8, as 8 that are rounded.

    They are decoded twice, with the order of bytes turned around the second time, so that these are the lower 8.
    """
    other = _open(file)
    if raw_mode == "LA;16B":  # which has no other order; as four channels of 8 bits all is there at once
        _set_raw_mode(image, "RGBA")
        _set_raw_mode(other, "RGBA")
    else:
        last = raw_mode[-1] if ";" in raw_mode else "L" if file.data[:2] == b"II" else "B"
        big = last == "B" or (last == "N" and sys.byteorder == "big")
        _set_raw_mode(image, f";16{'B' if big else 'L'}")
        _set_raw_mode(other, f";16{'L' if big else 'B'}")
    image.load()
    other.load()
    transparent = image.info.pop("transparency", None)
    for box in _bands(image):
        upper, lower = (np.asarray(part.crop(box)).astype(np.int32) for part in (image, other))
        if raw_mode == "LA;16B":
            upper, lower = upper[..., [0, 0, 0, 2]], upper[..., [1, 1, 1, 3]]
        values = 256 * upper + lower
        levels = ((values + 128) // 257).astype(np.uint8)
        if transparent is not None:
            levels[(values == transparent).all(-1)] = 0
        image.paste(Image.frombytes(image.mode, (levels.shape[1], levels.shape[0]), levels.tobytes()), box)
    return image


def _set_raw_mode(image: "ImageFile.ImageFile", raw_mode: str) -> None:
    """Say how the pixels lie in the file; after ";" for each color alone, where they lie in planes."""
    for place, tile in enumerate(image.tile):
        arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        name = arguments[0].partition(";")[0] + raw_mode if raw_mode.startswith(";") else raw_mode
        image.tile[place] = tile._replace(args=(name, *arguments[1:]))


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the width and height of a picture whose longer side is scaled to `side`."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB, from the color profile in its `info` to sRGB, on black."""
    profile = image.info.get("icc_profile")
    if image.mode == "RGB" and not image.has_transparency_data and not profile:
        return image
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow itself would cut everything above 255 down to 255.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"gray values from {values.min()} to {values.max()}; 0 to 65535 can be read")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageError("floating-point pixels have no agreed range; save it with 8 or 16 bits a channel")
    if image.has_transparency_data:
        gray = image.mode in ("1", "L", "LA", "La")
        image = image.convert("RGBA")
        if profile:
            colors = _converted(image.getchannel("R") if gray else image.convert("RGB"), profile)
            colors.putalpha(image.getchannel("A"))
            image = colors
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("RGB")
    return _converted(image, profile) if profile else image.convert("RGB")


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture to RGB, and to sRGB where its profile can be used."""
    if image.mode not in ("L", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    image = to_srgb(image, profile).convert("RGB")
    image.info.pop("icc_profile", None)
    return image
