"""How close the color of an image is to the one asked for, how even it is, and how colors spread."""

import numpy as np
import numpy.typing as npt
from vaegen.color import color_error, lab, stroke_color

from vaegen_training.evaluate import statistics
from vaegen_training.evaluate.statistics import Counts, Figure

STROKE = 0.5  # of the brightest pixel; a darker pixel is the soft edge of a stroke
LEAST_CHROMA = 20.0  # C*ab; below it a color is near gray, and its hue says little
HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")  # sixths of the hue circle
GRAY = len(HUES)
LEAST_SATURATION = 0.2  # below it a stroke is gray and has no hue
CHUNK = 500  # images at a time

Images = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def hue_errors(images: Images, colors: npt.NDArray[np.uint8]) -> Floats:
    """Return the angle between the hues of the measured and the requested color, in CIE L*a*b*.

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
    """Return how much the color varies within each stroke: 0 where every pixel is a shade of one color.

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
    """Return colors (..., 3) at full brightness: the largest channel becomes 255."""
    full: Floats = rgb * (255 / np.maximum(rgb.max(-1, keepdims=True), 1))
    return full


def saturation(images: Images) -> Floats:
    """Return the HSV saturation of stroke colors, (max - min) / max: 0 for grays, 1 at most, 2/3 on average for paint.

    Args:
        images: uint8 (n, 28, 28, 3).

    Returns:
        float64 (n,).
    """
    rgb = stroke_color(images)
    found: Floats = (rgb.max(1) - rgb.min(1)) / np.maximum(rgb.max(1), 1)
    return found


def color_kept(images: Images, colors: npt.NDArray[np.uint8], seed: int) -> Figure:
    """Return the share of the paint's variance in hue and chroma that the strokes keep: R^2 over a* and b*.

    1 - sum |found - paint|^2 / sum |paint - mean paint|^2 in the a*b* plane of CIE L*a*b*. 1 is every hue in full, 0
    is the same color for all, below 0 is worse than that.

    Args:
        images: uint8 (n, 28, 28, 3).
        colors: uint8 (n, 3), the paint.
        seed: Of the bootstrap.
    """
    paint, found = lab(colors)[:, 1:], lab(stroke_color(images))[:, 1:]
    lost = ((found - paint) ** 2).sum(1)

    def statistic(counts: Counts) -> Floats:
        kept: Floats = 1 - counts @ lost / len(paint) / _variance(paint, counts)
        return kept

    return statistics.bootstrap(statistic, len(paint), seed)


def color_spread(images: Images, seed: int) -> Figure:
    """Return the root mean square distance of stroke colors from their mean in CIE L*a*b*.

    Args:
        images: uint8 (n, 28, 28, 3).
        seed: Of the bootstrap.
    """
    found = lab(stroke_color(images))
    return statistics.bootstrap(lambda counts: np.sqrt(np.maximum(_variance(found, counts), 0)), len(found), seed)


def _variance(points: Floats, counts: Counts) -> Floats:
    """Return the total variance (b,) of points (n, D), each as often as a row of `counts` (b, n) says."""
    n = len(points)
    total: Floats = counts @ (points**2).sum(1) / n - ((counts @ points / n) ** 2).sum(1)
    return total


def hue_class(images: Images) -> Integers:
    """Return the place in HUES of each stroke's hue, int64 (n,); GRAY below LEAST_SATURATION."""
    red, green, blue = stroke_color(images).T
    # The angle of a color around the gray axis; red is 0, green a third of a turn.
    turn = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * np.pi)
    sixth = np.floor(turn * len(HUES) + 0.5).astype(np.int64) % len(HUES)
    return np.where(saturation(images) < LEAST_SATURATION, GRAY, sixth)
