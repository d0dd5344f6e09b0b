"""How far the color of a stroke is from the one asked for, as a person sees it: the reference of the judge's graph."""

import numpy as np
import numpy.typing as npt

STROKE_PIXELS = 40  # brightest pixels whose mean counts as the color of the stroke; thin ones have about 50

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

# sRGB (IEC 61966-2-1) to CIE XYZ, divided by the white point D65, so that white becomes (1, 1, 1).
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_XYZ_OVER_WHITE = _XYZ / _XYZ.sum(1, keepdims=True)


def stroke_color(images: Images) -> Floats:
    """Measure the color of each image's stroke: the mean of its STROKE_PIXELS brightest pixels.

    A pixel is as bright as its largest channel. All that are as bright as the last of them count too, so that nothing
    depends on the order of pixels; black ones never count, so that a stroke of fewer pixels measures darker.

    Args:
        images: uint8 (n, 28, 28, 3), black background.

    Returns:
        float64 (n, 3), 0 to 255.
    """
    pixels = images.reshape(len(images), images.shape[1] * images.shape[2], 3)
    brightness = pixels.max(2)
    least = np.partition(brightness, -STROKE_PIXELS, axis=1)[:, -STROKE_PIXELS, None]  # (n, 1)
    counted = (brightness >= least) & (brightness > 0)
    total = np.einsum("npc,np->nc", pixels, counted, dtype=np.float64)
    measured: Floats = total / np.maximum(counted.sum(1, keepdims=True), STROKE_PIXELS)
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
