"""Pictures as the models see them: any image a person has becomes uint8 (28, 28, 3)."""

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image

from vaegen.decoding import Picture, decode, fitted, image_errors, read_bytes, to_rgb
from vaegen.errors import ImageError, RequestError, shown
from vaegen.limits import MAX_PIXELS, check_max_pixels
from vaegen.spec import CHANNELS, SIDE

BAND = 2**20  # pixels that are converted at a time

Invert = Literal["never", "auto", "always"]
INVERT: tuple[Invert, ...] = get_args(Invert)
LIGHT = 128  # of 255: an edge whose median lightness reaches this is paper, for "auto"


def read_image(path: str | os.PathLike[str], *, invert: Invert = "never", max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file as the models see it.

    PNG, JPEG, BMP, GIF, WebP and TIFF, told apart by content; the first frame of several. The picture is turned
    as its EXIF orientation says, converted from its color profile to sRGB, laid on black where it is transparent, and
    fitted to 28x28 as `fit` does; but of a JPEG more than 2 * REDUCED times as large, only as much is decoded as `fit`
    needs to come within 3 of 255 for photographs (docs/folders.md has the figures of line art).

    Args:
        path: The file.
        invert: Whether a picture that is dark on light has its lightness turned around; "auto" decides for each
            picture, see `fit`.
        max_pixels: Pixels that it may have, 1 or more. Above the default of 2**28, it may also take memory and time in
            proportion.

    Returns:
        uint8 (28, 28, 3).

    Raises:
        RequestError: `invert` is none of its choices, or `max_pixels` no such number.
        ImageError: The file is missing, unreadable, of no known format, damaged, larger than MAX_FILE, of more than
            `max_pixels` pixels, or made to take more time or memory than a picture needs.
    """
    check_invert(invert)
    check_max_pixels(max_pixels)
    try:
        return decode_image(read_bytes(path), invert=invert, max_pixels=max_pixels)
    except OSError as error:
        raise ImageError(f"cannot read '{shown(Path(path))}': {error.strerror or error}") from error
    except (ImageError, ValueError) as error:  # a null byte in the name is a ValueError
        raise ImageError(f"cannot read '{shown(Path(path))}': {error}") from error


def decode_image(data: bytes, *, invert: Invert = "never", max_pixels: int = MAX_PIXELS) -> Picture:
    """Read the bytes of an image file as `read_image` does.

    Raises:
        ImageError: They are of no known format, damaged, of more than `max_pixels` pixels, or made to take more time or
            memory than a picture needs.
    """
    with image_errors():
        return _fit_upright(decode(data, SIDE, max_pixels), invert)


def check_invert(invert: str) -> None:
    """Check that `invert` is one of its choices.

    Raises:
        RequestError: It is something else.
    """
    if invert not in INVERT:
        raise RequestError(f"invert {invert!r} is not known; choose from {', '.join(INVERT)}")


def _scaled(image: Image.Image) -> Image.Image:
    """Scale a picture and convert it to RGB on black, a band of rows at a time to save memory.

    Pillow scales the width first and each row for itself, so that bands make no difference.
    """
    width, height = fitted(image.size, SIDE)
    rows = max(1, BAND // image.width)
    if rows < image.height:
        narrow = Image.new("RGB", (width, image.height))
        for top in range(0, image.height, rows):
            band = to_rgb(image.crop((0, top, image.width, min(top + rows, image.height))))
            narrow.paste(band.resize((width, band.height), Image.Resampling.BILINEAR), (0, top))
        image = narrow
    return to_rgb(image).resize((width, height), Image.Resampling.BILINEAR)


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
    pixels: Picture = np.array(to_rgb(image) if image.size == (SIDE, SIDE) else _scaled(image))
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
