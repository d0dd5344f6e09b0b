"""Pictures as the models see them: any image a person has becomes uint8 (28, 28, 3)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaegen.decoding import MAX_FILE, Picture, decode, fitted, image_errors, read_bytes, to_rgb
from vaegen.errors import ImageError, RequestError, shown
from vaegen.intake import WORK, is_light_on_black, stroke_on_black, working_side
from vaegen.limits import MAX_PIXELS, MOST_PIXELS
from vaegen.request import check_integer
from vaegen.spec import CHANNELS, SIDE

ROUGH = 32  # of 255: what half of the neighbors differ by at least in noise
PLAIN = 6  # of 255: what differs less is of one color
SHEET = 200  # of 255: the brightest channel of a sheet without shade, at least
VISIBLE = 64  # of 255: what is darker on black may be ink on nothing
# Mean absolute error: fewer than 0.5% of colored test digits reach it with any shipped model, and all rectangles, noise
# and inverted digits do. Letters do not: the models know strokes, and remake those of letters well.
UNLIKE = 0.04
BAND = 2**20  # pixels that are converted at a time

Intake = Literal["auto", "as-is"]
INTAKE: tuple[Intake, ...] = get_args(Intake)

Kind = Literal["as-is", "ink", "unknown"]
"""What was made of a picture: nothing, because it is light on black or was to be read as it is; a light stroke on
black of its ink or chalk; or nothing, because it is neither."""

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO


class Read(NamedTuple):
    """A picture that was read."""

    pixels: Picture
    """uint8 (28, 28, 3)."""
    kind: Kind


def read_image(source: Source, *, intake: Intake = "auto", max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file as the models see it, a light stroke on black.

    PNG, JPEG, BMP, GIF, WebP and TIFF, told apart by content; the first frame of several. The picture is turned
    as its EXIF orientation says, converted from its color profile to sRGB, laid on black where it is transparent, and
    fitted to 28x28 as `fit` does; but of a JPEG more than 2 * REDUCED times as large, only as much is decoded as `fit`
    needs to come within 3 of 255 for photographs (docs/use.md has the figures of line art).

    A photograph or a scan of a digit becomes a light stroke on black in its ink's hue, see `vaegen.intake`. What is
    light on black already passes unchanged, and so does what is neither paper nor a board.

    Args:
        source: The file: its path, its bytes, or a binary file that is open for reading.
        intake: "auto" decides for each picture; with "as-is" all pass unchanged.
        max_pixels: Pixels that it may have, 1 or more. Above the default of 2**28, it may also take memory and time in
            proportion.

    Returns:
        uint8 (28, 28, 3).

    Raises:
        RequestError: `intake` is none of its choices, or `max_pixels` no such number.
        ImageError: The file is missing, unreadable, of no known format, damaged, larger than MAX_FILE, of more than
            `max_pixels` pixels, or made to take more time or memory than a picture needs; or it shows paper or a board
            with no ink, or with several digits.
    """
    return read_picture(source, intake=intake, max_pixels=max_pixels).pixels


def read_picture(source: Source, *, intake: Intake = "auto", max_pixels: int = MAX_PIXELS) -> Read:
    """Read an image as `read_image` does, and tell what was made of it; raises the same."""
    check_intake(intake)
    check_integer("max_pixels", max_pixels, 1, MOST_PIXELS)
    with _named(source):
        return take_in(_content(source), intake=intake, max_pixels=max_pixels)


def look_at(source: Source, side: int, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Return an image as people see it, uint8 (side, side, 3), fitted on black; raises ImageError as `read_image`."""
    with _named(source), image_errors():
        return _fit_upright(decode(_content(source), side, max_pixels), side)


def errors(before: Picture, after: Picture) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the mean squared and the mean absolute error of each reconstruction, float32 (n,), pixels from 0 to 1.

    Args:
        before: uint8 (n, 28, 28, 3), as the model saw them.
        after: The same, as it remade them.
    """
    difference = (after.astype(np.float32) - before) / 255
    return np.square(difference).mean((1, 2, 3)), np.abs(difference).mean((1, 2, 3))


def looks_unlike(kind: Kind | None, mae: float | None) -> bool:
    """Return whether a picture looks unlike a digit on black, by its kind or its reconstruction's mean absolute error.

    The error is that of all pixels, from 0 to 1.
    """
    return kind == "unknown" or (mae is not None and mae > UNLIKE)


def _content(source: Source) -> bytes:
    """Return the bytes of a file, or as many as show that it is larger than MAX_FILE."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return read_bytes(source)
    data = source.read(MAX_FILE + 1)
    if not isinstance(data, bytes):
        raise RequestError("the file to read an image from is open as text; open it with mode 'rb'")
    return data


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Name the file in what is raised."""
    name = f"'{shown(Path(source))}'" if isinstance(source, str | os.PathLike) else "the image"
    try:
        yield
    except OSError as error:
        raise ImageError(f"cannot read {name}: {error.strerror or error}") from error
    except RequestError:
        raise
    except (ImageError, ValueError) as error:  # a null byte in the name is a ValueError
        raise ImageError(f"cannot read {name}: {error}") from error


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read the bytes of an image file as they are, fitted to 28x28.

    Raises:
        ImageError: They are of no known format, damaged, of more than `max_pixels` pixels, or made to take more time or
            memory than a picture needs.
    """
    with image_errors():
        return _fit_upright(decode(data, SIDE, max_pixels))


def take_in(data: bytes, *, intake: Intake, max_pixels: int) -> Read:
    """Read the bytes of an image file as `read_picture` does; raises ImageError."""
    with image_errors():
        image = decode(data, SIDE, max_pixels)
        pixels = _fit_upright(image)
        if intake == "as-is":
            return Read(pixels, "as-is")
        if is_light_on_black(_uncovered(pixels, image.size)):
            # Black ink on nothing is black on black.
            if pixels.max() >= VISIBLE or not image.has_transparency_data:
                return Read(pixels, "as-is")
            image = image.convert("RGBA")
            if image.getchannel("A").getbbox() is None:
                return Read(pixels, "as-is")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        elif max(image.size) == SIDE:  # perhaps of a JPEG that was reduced
            image = decode(data, WORK, max_pixels, margin=1)
        if _is_no_sheet(pixels, image.size):
            return Read(pixels, "unknown")
        image = _scaled(image, working_side(image.size))
    drawn = stroke_on_black(image)
    return Read(pixels, "unknown") if drawn is None else Read(drawn, "ink")


def _uncovered(pixels: Picture, size: tuple[int, int]) -> Picture:
    """Return what a picture of a size covers of the 28x28 that it was fitted to, without the black around it."""
    width, height = fitted(size, SIDE)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    return pixels[top : top + height, left : left + width]


def _is_no_sheet(pixels: Picture, size: tuple[int, int]) -> bool:
    """Return whether a picture is all of one color, and that not of a blank sheet, or rough everywhere."""
    pixels = _uncovered(pixels, size)
    gray = pixels.mean(2)
    if min(gray.shape) > 1 and np.median(abs(np.diff(gray))) > ROUGH:
        return True
    low, high = pixels.min((0, 1)).astype(int), pixels.max((0, 1)).astype(int)
    is_sheet = max(size) > SIDE and high.max() >= SHEET and low.min() >= 0.8 * high.max()
    return bool((high - low).max() <= PLAIN) and not is_sheet


def check_intake(intake: str) -> None:
    """Check that `intake` is one of its choices.

    Raises:
        RequestError: It is something else.
    """
    if intake not in INTAKE:
        raise RequestError(f"intake {intake!r} is not known; choose from {', '.join(INTAKE)}")


def _scaled(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Scale a picture's longer side and convert it to RGB on black, a band of rows at a time to save memory.

    Pillow scales the width first and each row for itself, so that bands make no difference.
    """
    width, height = fitted(image.size, side)
    rows = max(1, BAND // image.width)
    if rows < image.height:
        narrow = Image.new("RGB", (width, image.height))
        for top in range(0, image.height, rows):
            band = to_rgb(image.crop((0, top, image.width, min(top + rows, image.height))))
            narrow.paste(band.resize((width, band.height), Image.Resampling.BILINEAR), (0, top))
        image = narrow
    return to_rgb(image).resize((width, height), Image.Resampling.BILINEAR)


def fit(image: Image.Image) -> Picture:
    """Fit a picture to 28x28.

    It is turned upright, laid on black and converted to RGB; of 16-bit pictures the upper byte is kept, rounded.
    Then it is scaled, larger or smaller, until its longer side is 28 pixels, with its aspect kept and antialiased
    (Pillow's bilinear filter, whose support grows with the reduction), and centred on black. A picture of 28x28
    keeps its pixels.

    Args:
        image: A loaded image of any of Pillow's modes except floating point.

    Returns:
        uint8 (28, 28, 3).

    Raises:
        ImageError: The mode has no agreed range.
    """
    from PIL import ImageOps  # 1 ms that only this costs

    return _fit_upright(ImageOps.exif_transpose(image))


def _fit_upright(image: Image.Image, side: int = SIDE) -> Picture:
    """Do all of `fit` but the turning, to another size perhaps."""
    pixels: Picture = np.array(to_rgb(image) if image.size == (side, side) else _scaled(image, side))
    height, width, _ = pixels.shape
    if (height, width) == (side, side):
        return pixels
    canvas = np.zeros((side, side, CHANNELS), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas
