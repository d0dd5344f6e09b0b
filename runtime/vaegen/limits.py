"""What decoding one picture may take, and the errors of files that ask for more or are damaged.

Pixels alone say little: of a JPEG file no more is decoded than is needed, of a WebP file there are five copies.
"""

import sys

from vaegen.errors import ImageError, setting, spelling
from vaegen.spec import SIDE

MAX_PIXELS = 2**28  # 268 million: A4 at 1200 dpi, in black and white, is 139; the largest cameras have 200
MOST_PIXELS = sys.maxsize  # that a caller may ask for
MAX_SIZE = 4096  # pixels of a side that an image is enlarged to, smoothly
MAX_PARTS = 2**16  # chunks, segments, blocks, strips or tiles of a file
# For each pixel that may be read: 805 MB in all for MAX_PIXELS, which 200 megapixels of RGB take in Pillow, and 2 to 3
# times what progressive JPEG files of 100 megapixels take in passes over components.
MEMORY, PASSES = 3, 8


def reach(most: int) -> int:
    """Return the pixels in proportion to which a file may take memory and time, if `most` pixels may be read.

    Fewer pixels than the default cost less in any case; what each of them takes need not be cut as well.
    """
    return max(most, MAX_PIXELS)


def check_size(width: int, height: int, most: int, per_pixel: float, more: int = 0) -> None:
    """Check the size of a picture, and the memory that a decoder takes: bytes for each pixel, and some more.

    Raises:
        ImageError: It has more than `most` pixels, or takes too much memory.
    """
    if width * height > most:
        raise ImageError(f"{width} x {height} pixels are more than the {most} that are read; {_more(width * height)}")
    per_pixel += 4 if width < 2 * SIDE else 0  # it is scaled in two steps, and the first hardly makes this one smaller
    if (size := int(width * height * per_pixel) + more) > (budget := MEMORY * reach(most)):
        megabytes = f"{size // 10**6} MB, more than the {budget // 10**6} for one file"
        raise ImageError(f"decoding it takes {megabytes}; {_more(-(-size // MEMORY))}")


def _more(pixels: int) -> str:
    if spelling.get() == "query":  # the limit is the server's own
        return "send a smaller one"
    return f"if the file can be trusted, raise {setting('max_pixels')} to {pixels}"


def damaged(reason: str) -> ImageError:
    """Return what says that a file is damaged, or of a kind that is not read."""
    return ImageError(f"damaged or unsupported ({reason})")


def too_long(reason: str) -> ImageError:
    """Return what says that decoding a file takes too long."""
    return ImageError(f"decoding it takes too long ({reason})")


def too_many() -> ImageError:
    """Return what says that a file has more parts than any picture needs."""
    return too_long(f"more than {MAX_PARTS} chunks, segments, blocks, strips or tiles")
