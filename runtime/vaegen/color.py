"""Colors: reading a request, measuring the stroke of an image, and the difference that a person sees."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt
from PIL import ImageColor

from vaegen.errors import RequestError, quoted

RGB = tuple[int, int, int]
# Python can go through these, but that gives no row of colors or digits.
NO_SEQUENCE = (str, bytes, bytearray, memoryview, AbstractSet, Mapping)

DARKEST = 32  # of 255; below it a stroke can hardly be told from the black background
DARKEST_DRAWN = 64  # of 255; least brightest channel of a color that is drawn, the range that figures are quoted for
OPAQUE = 255  # the alpha that says nothing
STROKE_PIXELS = 40  # brightest pixels whose mean counts as the color of the stroke; thin ones have about 50
MATCHES = 3  # close matches named for an unknown color

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

# sRGB (IEC 61966-2-1) to CIE XYZ, divided by the white point D65, so that white becomes (1, 1, 1).
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_XYZ_OVER_WHITE = _XYZ / _XYZ.sum(1, keepdims=True)


def parse_color(color: str | Sequence[int] | npt.NDArray[np.integer]) -> RGB:
    """Read one requested color.

    Args:
        color: Text that `PIL.ImageColor.getrgb` reads: a CSS name, "#rgb", "#rrggbb", "rgb()", "hsl()" or "hsv()",
            or one of these with an alpha channel that is opaque; or three integers from 0 to 255.

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
        return ImageColor.getrgb(text.strip())
    except ValueError:
        pass
    import difflib  # 1 ms that only mistakes cost

    matches = difflib.get_close_matches(text.strip().lower().replace(" ", ""), ImageColor.colormap, MATCHES)
    hint = f"did you mean {', '.join(matches)}?" if matches else "use a CSS name, #rrggbb, rgb() or hsl()"
    raise RequestError(f"unknown color {quoted(text)}; {hint}")


def _parse_numbers(numbers: Sequence[int] | npt.NDArray[np.integer]) -> tuple[int, ...]:
    try:
        values = () if isinstance(numbers, NO_SEQUENCE) else tuple(numbers)
    except TypeError:
        values = ()
    if not values or not all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in values):
        raise RequestError(f"color {quoted(numbers)} is not usable; give a name or three integers from 0 to 255")
    return tuple(int(value) for value in values)


def stroke_color(images: Images) -> Floats:
    """Measure the color of each image's stroke: the mean of its STROKE_PIXELS brightest pixels.

    A pixel is as bright as its largest channel; of equally bright ones the first in reading order counts.

    Args:
        images: uint8 (n, 28, 28, 3), black background.

    Returns:
        float64 (n, 3), 0 to 255.
    """
    count = images.shape[1] * images.shape[2]  # 784
    pixels = images.reshape(len(images), count, 3)
    brightness = np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
    # Brightness and place in one number. All differ then, and NumPy's partition, which takes 25 times as long
    # on the many equal zeros of the background, stays fast.
    keys = (brightness.astype(np.uint32) << np.uint32(16)) | np.arange(count - 1, -1, -1, dtype=np.uint32)
    brightest = np.partition(keys, -STROKE_PIXELS, axis=1)[:, -STROKE_PIXELS:]
    places = count - 1 - (brightest & np.uint32(0xFFFF)).astype(np.intp)  # (n, STROKE_PIXELS)
    chosen: Images = pixels[np.arange(len(pixels))[:, None], places]  # (n, STROKE_PIXELS, 3)
    measured: Floats = chosen.sum(1, dtype=np.uint32) / STROKE_PIXELS
    return measured


def color_error(rgb: npt.ArrayLike, other: npt.ArrayLike) -> Floats:
    """Return the CIEDE2000 difference of sRGB colors: 1 to 2 is just noticeable.

    Args:
        rgb: (..., 3), 0 to 255.
        other: (..., 3), 0 to 255.

    Returns:
        float64 (...), 0 or more.
    """
    return ciede2000(lab(rgb), lab(other))


def lab(rgb: npt.ArrayLike) -> Floats:
    """Convert sRGB colors to CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15).

    Args:
        rgb: (..., 3), 0 to 255.

    Returns:
        float64 (..., 3): L* in 0 to 100, a* and b*.
    """
    value = np.asarray(rgb, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ_OVER_WHITE.T
    delta = 6 / 29
    f = np.where(xyz > delta**3, np.cbrt(xyz), xyz / (3 * delta**2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(lab_1: npt.ArrayLike, lab_2: npt.ArrayLike) -> Floats:
    """Return the CIEDE2000 color difference, with all weights 1.

    Formula, names and test pairs: Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula: implementation
    notes, supplementary test data, and mathematical observations", Color Research & Application 30(1), 2005.
    The equation numbers below are theirs.

    Args:
        lab_1: (..., 3), CIE L*a*b*.
        lab_2: (..., 3), CIE L*a*b*.

    Returns:
        float64 (...), 0 or more, symmetric.
    """
    l_1, a_1, b_1 = np.moveaxis(np.asarray(lab_1, np.float64), -1, 0)
    l_2, a_2, b_2 = np.moveaxis(np.asarray(lab_2, np.float64), -1, 0)

    # Step 1: chroma and hue, with a* stretched where colors are nearly gray (2 to 7).
    c_mean_7 = ((np.hypot(a_1, b_1) + np.hypot(a_2, b_2)) / 2) ** 7
    stretch = 1 + (1 - np.sqrt(c_mean_7 / (c_mean_7 + 25.0**7))) / 2
    c_1, c_2 = np.hypot(stretch * a_1, b_1), np.hypot(stretch * a_2, b_2)
    h_1 = np.degrees(np.arctan2(b_1, stretch * a_1)) % 360
    h_2 = np.degrees(np.arctan2(b_2, stretch * a_2)) % 360

    # Step 2: differences (8 to 11); the hue turns the short way round; c_1 * c_2 is 0 for a gray.
    turn = h_2 - h_1
    turn = turn - 360 * (turn > 180) + 360 * (turn < -180)
    delta_l, delta_c = l_2 - l_1, c_2 - c_1
    delta_h = 2 * np.sqrt(c_1 * c_2) * np.sin(np.radians(turn) / 2)

    # Step 3: weights at the mean color (12 to 21); the mean hue too goes the short way round.
    l_mean, c_mean = (l_1 + l_2) / 2, (c_1 + c_2) / 2
    far = np.abs(h_1 - h_2) > 180
    h_mean = (h_1 + h_2 + np.where(far, np.where(h_1 + h_2 < 360, 360, -360), 0)) / 2
    h_mean = np.where(c_1 * c_2 == 0, h_1 + h_2, h_mean)
    t = (
        1
        - 0.17 * np.cos(np.radians(h_mean - 30))
        + 0.24 * np.cos(np.radians(2 * h_mean))
        + 0.32 * np.cos(np.radians(3 * h_mean + 6))
        - 0.20 * np.cos(np.radians(4 * h_mean - 63))
    )
    lightness = (l_mean - 50) ** 2
    s_l = 1 + 0.015 * lightness / np.sqrt(20 + lightness)
    s_c = 1 + 0.045 * c_mean
    s_h = 1 + 0.015 * c_mean * t
    rotation = 30 * np.exp(-(((h_mean - 275) / 25) ** 2))
    r_t = -2 * np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7)) * np.sin(np.radians(2 * rotation))
    l_term, c_term, h_term = delta_l / s_l, delta_c / s_c, delta_h / s_h
    difference: Floats = np.sqrt(l_term**2 + c_term**2 + h_term**2 + r_t * c_term * h_term)
    return difference
