"""How near the color of an image is to the one asked for, and how even it is."""

import numpy as np
import numpy.typing as npt
from vaegen.color import color_error, lab, stroke_color

STROKE = 0.5  # of the brightest pixel: what is at least so bright is stroke, not its soft edge
LEAST_CHROMA = 20.0  # C*ab; below it a color is near gray, and its hue says little
CHUNK = 500  # images looked at in one go

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def errors(images: Images, colors: npt.NDArray[np.uint8]) -> Floats:
    """Give the CIEDE2000 difference between the measured stroke color and the one asked for.

    The measured color is the mean of the 40 brightest pixels (`vaegen.color.stroke_color`).

    Args:
        images: uint8 (n, 28, 28, 3).
        colors: uint8 (n, 3), as asked for.

    Returns:
        float64 (n,).
    """
    return color_error(stroke_color(images), colors)


def hue_errors(images: Images, colors: npt.NDArray[np.uint8]) -> Floats:
    """Give the angle between the hues of the measured and the requested color, in CIE L*a*b*.

    Args:
        images: uint8 (n, 28, 28, 3).
        colors: uint8 (n, 3), as asked for.

    Returns:
        float64 (m,), degrees from 0 to 180, of the m images whose request has a chroma of LEAST_CHROMA or more.
    """
    wanted = lab(colors)
    vivid = np.hypot(wanted[:, 1], wanted[:, 2]) >= LEAST_CHROMA
    found = lab(stroke_color(images[vivid]))
    turn = np.arctan2(found[:, 2], found[:, 1]) - np.arctan2(wanted[vivid, 2], wanted[vivid, 1])
    degrees: Floats = np.abs((np.degrees(turn) + 180) % 360 - 180)
    return degrees


def bleeding(images: Images) -> Floats:
    """Give how much the color varies within each stroke: 0 where every pixel is a shade of one color.

    Each pixel of the stroke, brought to full brightness, is compared with the stroke's mean color, brought to full
    brightness too; the mean of the CIEDE2000 differences counts.

    Args:
        images: uint8 (n, 28, 28, 3).

    Returns:
        float64 (n,).
    """
    parts = [_bleeding(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    return np.concatenate(parts)


def _bleeding(images: Images) -> Floats:
    n = len(images)
    brightness = images.max(3)  # (n, 28, 28)
    stroke = brightness >= np.maximum(STROKE * brightness.max((1, 2), keepdims=True), 1)
    owner = np.nonzero(stroke)[0]  # (p,), the image that each stroke pixel belongs to
    pixels = images[stroke].astype(np.float64)  # (p, 3)
    sums: Floats = np.stack([np.bincount(owner, pixels[:, channel], n) for channel in range(3)], axis=1)
    differences = color_error(_full(pixels), _full(sums)[owner])
    mean: Floats = np.bincount(owner, differences, n) / np.maximum(np.bincount(owner, minlength=n), 1)
    return mean


def _full(rgb: Floats) -> Floats:
    """Bring colors (..., 3) to full brightness: the largest channel becomes 255."""
    full: Floats = rgb * (255 / np.maximum(rgb.max(-1, keepdims=True), 1))
    return full
