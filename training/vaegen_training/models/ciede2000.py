"""CIEDE2000, the difference between two colors that a person sees, in operators that every ONNX runtime has.

ONNX has no arctangent of two numbers. An operator of onnxruntime takes as long for 128 numbers as for one, 2
microseconds. So both colors of a pair go through the formulas side by side, and sums of
several terms are matrix products. A pair is a row of 6: red, red, green, green, blue, blue; or L*, L*, a*, a*, b*, b*.
"""

import math

import torch
from torch import Tensor


def lab(pairs: Tensor) -> Tensor:
    """Turn pairs of sRGB colors in [0, 1] into CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15), float32 (n, 6)."""
    linear = torch.where(pairs > 0.04045, ((pairs + 0.055) / 1.055) ** 2.4, pairs / 12.92)
    white = linear @ pairs.new_tensor(_XYZ_OVER_WHITE)  # X, Y, Z
    f = torch.where(white > (6 / 29) ** 3, white.clamp_min(1e-6) ** (1 / 3), white * ((29 / 6) ** 2 / 3) + 4 / 29)
    return torch.addmm(pairs.new_tensor([-16.0, -16, 0, 0, 0, 0]), f, pairs.new_tensor(_LAB))


def ciede2000(pairs: Tensor) -> Tensor:
    """Return the CIEDE2000 difference of pairs of CIE L*a*b* colors (n, 6), all weights 1: float32 (n,).

    Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula", whose equation numbers these are. In float32 it
    is within 1e-3 of theirs. Hues are unit vectors: the mean hue is the sum's direction, its multiples polynomials.
    """
    lightness, a, b = pairs.split(2, dim=1)
    b_square = b * b
    chroma = (a * a + b_square).sqrt().sum(1, keepdim=True) / 2
    a = a * (1.5 - 0.5 * _saturated(chroma))  # (4), (5)
    # A gray's chroma, 1e-4 by rounding, is made 0: its square root would be the difference in hue to a vivid color.
    length = (a * a + b_square).sqrt().clamp_min(_GRAY)
    c = length - _GRAY  # (6)
    columns = torch.cat([lightness, c, a / length, b / length], dim=1)
    columns = torch.addmm(pairs.new_tensor(_OFFSETS), columns, pairs.new_tensor(_SUMS))
    l_mean, delta_l, c_mean, s_c, delta_c, c_1, c_2, total, across = columns.split([1] * 7 + [2, 2], dim=1)
    # The way from the first hue to the second: its sense, and 2 sin(delta_h / 2), its length.
    sense = (total * across).sum(1, keepdim=True).sign()
    way = (across * across).sum(1, keepdim=True)
    delta_h = sense * (way * c_1 * c_2).sqrt()  # (11)
    # The mean hue (14): the sum's direction, or, where that is short, square to the way.
    mean = torch.where(way > 2, sense * across, total)
    mean = mean / (mean * mean).sum(1, keepdim=True).sqrt().clamp_min(1e-9)
    x, _ = mean.split(1, dim=1)
    powers = torch.cat([mean, mean * x], dim=1)
    powers = torch.cat([powers, powers * (x * x)], dim=1)
    columns = torch.addmm(pairs.new_tensor(_HUE_OFFSETS), powers, pairs.new_tensor(_HUE))
    t, chord = columns.split(1, dim=1)  # 0.015 T, and the square of the chord from 275 degrees to the mean hue
    # Where the angle's square, by its series, is off, beyond 75 degrees, the exponential is below 2e-4.
    angle = chord * (1 + chord * (1 / 12 + chord * (1 / 90 + chord * (1 / 560 + chord / 3150))))
    turn = math.radians(60) * torch.exp(-angle / math.radians(25) ** 2)  # (16), twice
    bend = turn * turn
    rotation = _saturated(c_mean) * turn * (1 - bend * (1 / 6 - bend * (1 / 120 - bend / 5040)))  # its sine
    square = l_mean * l_mean
    l_term = delta_l / (1 + 0.015 * square / (20 + square).sqrt())  # (18)
    c_term = delta_c / s_c  # (19)
    h_term = delta_h / (1 + c_mean * t)  # (20)
    square = l_term * l_term + c_term * c_term + h_term * (h_term - 2 * rotation * c_term)  # (21), (22)
    difference: Tensor = square.clamp_min(0).sqrt().reshape(-1)
    return difference


def _for_pairs(matrix: list[list[float]]) -> list[list[float]]:
    """Return what multiplies each color of a pair by a matrix (3, 3) from the right."""
    table: list[list[float]] = torch.kron(torch.tensor(matrix, dtype=torch.float64), torch.eye(2)).tolist()
    return table


# sRGB (IEC 61966-2-1) to CIE XYZ, divided by the white point D65, so that white becomes (1, 1, 1).
_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_XYZ_OVER_WHITE = _for_pairs([[row[channel] / sum(row) for row in _XYZ] for channel in range(3)])
_LAB = _for_pairs([[0.0, 500, 0], [116, -500, 200], [0, 0, -200]])
_GRAY = 2e-4  # chroma

# From L, C, cos h and sin h of both colors to: mean L - 50, delta L, mean C, S_C (19), delta C, C of the first, of the
# second, the sum of both hues, and the way from one to the other turned by a quarter to the right.
_SUMS = [
    [0.5, -1, 0.0, 0.0000, 0, 0, 0, 0, 0, 0, 0],
    [0.5, 1, 0.0, 0.0000, 0, 0, 0, 0, 0, 0, 0],
    [0.0, 0, 0.5, 0.0225, -1, 1, 0, 0, 0, 0, 0],
    [0.0, 0, 0.5, 0.0225, 1, 0, 1, 0, 0, 0, 0],
    [0.0, 0, 0.0, 0.0000, 0, 0, 0, 1, 0, 0, 1],
    [0.0, 0, 0.0, 0.0000, 0, 0, 0, 1, 0, 0, -1],
    [0.0, 0, 0.0, 0.0000, 0, 0, 0, 0, 1, -1, 0],
    [0.0, 0, 0.0, 0.0000, 0, 0, 0, 0, 1, 1, 0],
]
# Between exactly opposite hues the mean is the one with the lesser cosine, for the angles run from 0 to 360 degrees.
_OFFSETS = [-50, 0, 0, 1, 0, 0, 0, -1e-9, 0, 0, 0]


def _hue_columns() -> tuple[list[list[float]], list[float]]:
    """Return how T (15), and 2 - 2 cos(h - 275), come of c, s, c^2, s c, c^3, s c^2, c^4 and s c^3."""

    def turned(degrees: float) -> tuple[float, float]:
        return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    (c_30, s_30), (c_6, s_6), (c_63, s_63), (c_275, s_275) = map(turned, (30, 6, 63, 275))
    t = [
        -0.17 * c_30 - 0.32 * 3 * c_6,  # cos(h - 30), and cos(3 h + 6) by cos 3h = 4 c^3 - 3 c
        -0.17 * s_30 + 0.32 * s_6,  # and sin 3h = 4 s c^2 - s
        0.24 * 2 + 0.20 * 8 * c_63,  # cos 2h = 2 c^2 - 1, and cos(4 h - 63) by cos 4h = 8 c^4 - 8 c^2 + 1
        0.20 * 4 * s_63,  # and sin 4h = 8 s c^3 - 4 s c
        0.32 * 4 * c_6,
        -0.32 * 4 * s_6,
        -0.20 * 8 * c_63,
        -0.20 * 8 * s_63,
    ]
    chord = [-2 * c_275, -2 * s_275, 0, 0, 0, 0, 0, 0]
    return [[0.015 * one, two] for one, two in zip(t, chord, strict=True)], [0.015 * (1 - 0.24 - 0.20 * c_63), 2.0]


_HUE, _HUE_OFFSETS = _hue_columns()


def _saturated(chroma: Tensor) -> Tensor:
    """Return sqrt(C^7 / (C^7 + 25^7))."""
    return ((chroma / 25) ** -7 + 1) ** -0.5
