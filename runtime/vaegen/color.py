"""Colors as people write them, and which of them can be drawn."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt
from PIL import ImageColor

from vaegen.errors import RequestError, quoted, setting

RGB = tuple[int, int, int]
# Python can go through these, but that gives no row of colors or digits.
NO_SEQUENCE = (str, bytes, bytearray, memoryview, AbstractSet, Mapping)

DARKEST = 32  # of 255; below it a stroke can hardly be told from the black background
DARKEST_DRAWN = 64  # of 255; least brightest channel of a color that is drawn, the range that figures are quoted for
OPAQUE = 255  # the alpha that says nothing
RAINBOW = "rainbow"  # no color, but those of a text's digits
MATCHES = 3  # close matches named for an unknown color


def parse_color(color: str | Sequence[int] | npt.NDArray[np.integer]) -> RGB:
    """Read one requested color.

    Args:
        color: Text that `PIL.ImageColor.getrgb` reads: a CSS name, "#rgb", "#rrggbb", "rgb()", "hsl()" or "hsv()",
            or one of these with an alpha channel that is opaque; "rrggbb", "rgb(255 128 0)" or "255,128,0"; or three
            integers from 0 to 255.

    Returns:
        Red, green and blue, 0 to 255.

    Raises:
        RequestError: The text names no color (close matches are named), the color is translucent, its numbers are not
            integers from 0 to 255, or none of them reaches DARKEST.
    """
    values = _parse_text(color) if isinstance(color, str) else _parse_numbers(color)
    if len(values) == 4 and isinstance(color, str) and values[3] == OPAQUE:
        values = values[:3]
    if len(values) == 4:
        raise RequestError(f"color {quoted(color)} has an alpha channel; leave it out, the background stays black")
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise RequestError(f"color {quoted(color)} is not usable; red, green and blue are integers from 0 to 255")
    if max(values) < DARKEST:
        raise RequestError(
            f"color {quoted(color)} is too dark on the black background: its brightest channel is {max(values)}; "
            f"choose a color whose brightest channel is at least {DARKEST} of 255"
        )
    red, green, blue = values
    return red, green, blue


def _parse_text(text: str) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(_spelled(text.strip()))
    except ValueError:
        pass
    import difflib  # 1 ms that only mistakes cost

    if text.strip().lower() == RAINBOW:
        raise RequestError(f"color {quoted(text)} is for {setting('text')}, by itself; name a color")
    matches = difflib.get_close_matches(text.strip().lower().replace(" ", ""), ImageColor.colormap, MATCHES)
    hint = f"did you mean {', '.join(matches)}?" if matches else "use a CSS name, #rrggbb, rgb() or hsl()"
    raise RequestError(f"unknown color {quoted(text)}; {hint}")


def _spelled(text: str) -> str:
    """Return a color that people write in another way as Pillow reads it."""
    if re.fullmatch("[0-9a-fA-F]{6}", text):
        return f"#{text}"
    if re.fullmatch("[0-9]{1,3}( *, *[0-9]{1,3}){2}", text):
        return f"rgb({text})"
    spaced = re.fullmatch(r"([a-zA-Z]+)\( *([^ ,()]+) +([^ ,()]+) +([^ ,()]+) *\)", text)  # as in CSS since 2018
    return "{}({},{},{})".format(*spaced.groups()) if spaced else text


def _parse_numbers(numbers: Sequence[int] | npt.NDArray[np.integer]) -> tuple[int, ...]:
    try:
        values = () if isinstance(numbers, NO_SEQUENCE) else tuple(numbers)
    except TypeError:
        values = ()
    if not values or not all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in values):
        raise RequestError(f"color {quoted(numbers)} is not usable; give a name or three integers from 0 to 255")
    return tuple(int(value) for value in values)
