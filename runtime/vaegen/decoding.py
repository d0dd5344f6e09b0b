"""Image files as the pixels that any viewer shows.

An image file may come from anywhere, so `vaegen.headers` looks at it first, and Pillow gets nothing but the picture, of
a size that was checked; whatever it raises becomes one ImageError.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from vaegen.errors import ImageError, first_line
from vaegen.files import read_open
from vaegen.headers import strip, unknown

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MAX_PIXELS = 2**26  # 67 million, 8192 x 8192: cameras of 50 megapixels, and A4 at 600 dpi, which is 35; decoded, 268 MB
MAX_FILE = 128 * 2**20  # bytes: A4 at 600 dpi, not compressed, is 104 MB
REDUCED = 8  # times the size that a picture is scaled to, a JPEG decoder leaves at least; at 4 and 2 it shows

Picture = npt.NDArray[np.uint8]


def read_bytes(path: str | os.PathLike[str]) -> bytes:
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


def decode(data: bytes, side: int) -> Image.Image:
    """Decode the bytes of an image file: its first frame, turned as its EXIF orientation says, in any mode of Pillow's.

    Args:
        data: The file.
        side: Pixels that the longer side will be scaled to. Of a JPEG more than 2 * REDUCED times as large, only as
            much is decoded as that takes to come within 3 of 255, and what is returned is of this size already.

    Raises:
        ImageError: They are of no known format, damaged, of more than MAX_PIXELS pixels, or made to take more time or
            memory than a picture needs.
    """
    from PIL import ImageOps  # 1 ms that only reading costs

    with image_errors():
        form, data = strip(data, MAX_PIXELS)
        with Image.open(io.BytesIO(data), formats=(form,)) as image:
            loaded = _load(image, side)
            ImageOps.exif_transpose(loaded, in_place=True)
            return loaded


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
    except UnidentifiedImageError as error:
        raise unknown() from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than the {MAX_PIXELS} pixels that are read") from error
    except MemoryError as error:
        raise ImageError("not enough memory for its pixels") from error
    # Pillow's decoders raise nearly anything on a damaged file.
    except Exception as error:
        raise ImageError(f"damaged or unsupported ({first_line(error)})") from error


def _load(image: Image.Image, side: int) -> Image.Image:
    """Decode the pixels; those of a large JPEG at 1/2, 1/4 or 1/8 of its size, in less time and memory.

    Its decoder then takes no more than the mean of each block of pixels from the file, which is the antialiasing
    that scaling would do (libjpeg's scaled inverse DCT, Pillow's `draft`).
    """
    size = image.size
    width, height = fitted(size, side)
    draft = image.draft(None, (REDUCED * width, REDUCED * height))
    image.load()
    if draft is None or image.size == size:
        return image
    # The last row and column can stand for fewer pixels than the others, which the box knows.
    return to_rgb(image).resize((width, height), Image.Resampling.BILINEAR, draft[1])


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the width and height of a picture whose longer side is scaled to `side`."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def to_rgb(image: Image.Image) -> Image.Image:
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
