"""The verifier: what decides whether an image is what was asked for; `judge.onnx` holds all of it.

Sampling looks at every image, so it must be cheap: a fully connected network in place of the judge's convolutions, and
formulas in plain arithmetic, which any ONNX runtime has, in place of sorting and angles.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import DIGITS, SIDE, Thresholds

from vaegen_training.models.latents import one_hot_of

AREA = SIDE * SIDE  # 784 pixels
ROW = 8  # units that look at each row of 28 pixels
WIDE = 128  # units of both hidden layers
STROKE_PIXELS = 40  # brightest pixels whose mean counts as the color of the stroke; thin ones have about 50
PROBABILITY = 0.8
"""Least probability of the digit asked for. A judge that is less sure looks at a digit that other readers take for
another: below this probability, one sample in seven; above it, one in a thousand (docs/trials.md)."""
COLOR_ERROR = 3.0
"""Most CIEDE2000 between the stroke and the color asked for; 1 to 2 is just noticeable. Real digits in their very paint
measure up to 3: a thin stroke has fewer than 40 bright pixels."""


class Verifier(nn.Module):
    """Reads the digit, measures the color, scores the realism, and accepts or ranks an image by them.

    The network learns from the judge and the critic: 8 units of each row, 224-128-128, then 10 logits and 10 scores.
    """

    least_realism: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(SIDE, ROW), nn.ReLU())
        self.whole = nn.Sequential(
            nn.Linear(SIDE * ROW, WIDE), nn.ReLU(), nn.Linear(WIDE, WIDE), nn.ReLU(), nn.Linear(WIDE, 2 * DIGITS)
        )
        self.register_buffer("least_realism", torch.zeros(()))

    @property
    def thresholds(self) -> Thresholds:
        """What an image must reach to be accepted; the least realism is a buffer, set after training."""
        return Thresholds(PROBABILITY, COLOR_ERROR, float(self.least_realism))

    def network(self, gray: Tensor) -> tuple[Tensor, Tensor]:
        """Turn gray digits (n, 784), brightest pixel 1, into logits (n, 10), and scores of each as that digit (n, 10).

        A score is a logit too: the higher, the more like real handwriting.
        """
        rows = self.rows(gray.reshape(-1, SIDE)).reshape(-1, SIDE * ROW)  # convolutions would take twice the time
        logits, scores = self.whole(rows).chunk(2, dim=1)
        return logits, scores

    def forward(self, image: Tensor, digit: Tensor, rgb: Tensor) -> tuple[Tensor, ...]:
        """Look at images, as they are once rounded to 8 bits.

        Args:
            image: float32 (n, 3, 28, 28) in [0, 1].
            digit: int64 (n,), as asked for.
            rgb: float32 (n, 3) in [0, 1], the color asked for.

        Returns:
            probabilities: float32 (n, 10), of each digit.
            probability: float32 (n,), of the digit asked for.
            read: int64 (n,), the most probable digit.
            color: float32 (n, 3) in [0, 1], the stroke's.
            color_error: float32 (n,), CIEDE2000 to `rgb`.
            realism: float32 (n,), the score as the digit asked for.
            accepted: bool (n,), whether all three reach their thresholds.
            rank: float32 (n,), higher is better: what is accepted first, then the surest reading (sure, right, wrong),
                then the most real, every unit of color beyond its threshold taken off.
        """
        levels = (image.flatten(2) * 255).round()  # (n, 3, 784), whole numbers from 0 to 255
        brightness = levels.amax(dim=1)  # (n, 784)
        peak = brightness.amax(dim=1, keepdim=True)
        logits, scores = self.network(brightness / peak.clamp_min(1))
        probabilities = F.softmax(logits, dim=1)
        asked = one_hot_of(digit, DIGITS)
        probability, realism = (probabilities * asked).sum(1), (scores * asked).sum(1)
        read = logits.argmax(dim=1)
        color = stroke_color(levels, brightness) / 255
        difference = ciede2000(lab(torch.stack([color, rgb], dim=2).flatten(1)))
        sure = probability >= PROBABILITY
        accepted = sure & (difference <= COLOR_ERROR) & (realism >= self.least_realism)
        merit = realism - (difference - COLOR_ERROR).clamp_min(0)
        tier = torch.where(sure, 6.0, torch.where(read == digit, 3.0, 0.0))
        rank = torch.where(accepted, 10 + tier, tier) + merit / (1 + merit.abs())
        return probabilities, probability, read, color, difference, realism, accepted, rank


def stroke_color(levels: Tensor, brightness: Tensor) -> Tensor:
    """Return the mean over all pixels, not black, that are at least as bright as the 40th brightest, float32 (n, 3).

    Where fewer than 40 are not black, the sum is still divided by 40.

    Args:
        levels: float32 (n, 3, 784), whole numbers from 0 to 255.
        brightness: float32 (n, 784), the largest channel of each pixel.
    """
    # The 40th brightest is the highest level that 40 pixels reach. Its eight bits are found one after the other, from
    # the highest; that takes two thirds of the time of TopK.
    level: float | Tensor = 0.0
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        higher = level + bit
        count = (brightness >= higher).float().sum(1, keepdim=True)
        level = torch.where(count >= STROKE_PIXELS, higher, level)
    stroke = (brightness >= level.clamp_min(1)).float()  # (n, 784)
    return (levels @ stroke[:, :, None])[:, :, 0] / stroke.sum(1, keepdim=True).clamp_min(STROKE_PIXELS)


# An operator of onnxruntime takes 2 microseconds for 128 numbers as for one. So both colors of a pair go through the
# formulas side by side, and sums of several terms are matrix products. A pair is (n, 6): red, red, green, green, ...


def lab(pairs: Tensor) -> Tensor:
    """Turn pairs of sRGB colors in [0, 1] into CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15), float32 (n, 6)."""
    linear = torch.where(pairs <= 0.04045, pairs / 12.92, ((pairs + 0.055) / 1.055) ** 2.4)
    white = linear @ pairs.new_tensor(_XYZ_OVER_WHITE)  # X, Y, Z
    f = torch.where(white > (6 / 29) ** 3, white.clamp_min(1e-6) ** (1 / 3), white * ((29 / 6) ** 2 / 3) + 4 / 29)
    return torch.addmm(pairs.new_tensor([-16.0, -16, 0, 0, 0, 0]), f, pairs.new_tensor(_LAB))


def ciede2000(pairs: Tensor) -> Tensor:
    """Return the CIEDE2000 difference of pairs of CIE L*a*b* colors (n, 6), all weights 1: float32 (n,).

    Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula", whose equation numbers these are. A hue is kept
    as a unit vector (cos h, sin h): the mean hue is then the sum's direction, and multiples of it are polynomials.
    """
    l, a, b = pairs.split(2, dim=1)
    b_square = b * b
    chroma = (a * a + b_square).sqrt().mean(1, keepdim=True)
    a = a * (1.5 - 0.5 * _saturated(chroma))  # (4), (5)
    # A gray's chroma, 1e-4 by rounding, is made 0: its square root would be the difference in hue to a vivid color.
    length = (a * a + b_square).sqrt().clamp_min(_GRAY)
    c = length - _GRAY  # (6)
    cos, sin = a / length, b / length
    columns = torch.addmm(l.new_tensor(_OFFSETS), torch.cat([l, c, cos, sin], dim=1), l.new_tensor(_SUMS))
    l_mean, delta_l, c_mean, s_c, delta_c, total, across = columns.split([1, 1, 1, 1, 1, 2, 2], dim=1)
    # The way from the first hue to the second: its sense, and 2 sin(delta_h / 2), its length.
    sense = (total * across).sum(1, keepdim=True).sign()
    way = across.norm(dim=1, keepdim=True)
    delta_h = sense * way * c.prod(1, keepdim=True).sqrt()  # (11)
    # The mean hue (14): the sum's direction, or, where that is short, square to the way.
    mean = torch.where(way > math.sqrt(2), sense * across, total)
    mean = mean / mean.norm(dim=1, keepdim=True).clamp_min(1e-9)
    x = mean[:, :1]
    powers = torch.cat([mean, mean * x], dim=1)
    powers = torch.cat([powers, powers * (x * x)], dim=1)
    columns = torch.addmm(l.new_tensor(_HUE_OFFSETS), powers, l.new_tensor(_HUE))
    t, near, aside = columns.split(1, dim=1)  # 0.015 T, 1 + cos and sin of the angle from 275 degrees
    # That angle is twice the half one. Where it is not Sharma's, beyond 85 degrees, the exponential is below 1e-5.
    half = torch.atan(aside / near.clamp_min(1e-6))
    rotation = _saturated(c_mean) * torch.sin(
        math.radians(60) * torch.exp(half * half * -((2 / math.radians(25)) ** 2))
    )
    lightness = l_mean * l_mean
    l_term = delta_l / (1 + 0.015 * lightness / (20 + lightness).sqrt())  # (18)
    c_term = delta_c / s_c  # (19)
    h_term = delta_h / (1 + c_mean * t)  # (20)
    square = l_term * l_term + c_term * c_term + h_term * (h_term - 2 * rotation * c_term)  # (21), (22)
    return square.clamp_min(0).sqrt()[:, 0]


def _for_pairs(matrix: list[list[float]]) -> list[list[float]]:
    """Return what multiplies each color of a pair by a matrix (3, 3) from the right."""
    table: list[list[float]] = torch.kron(torch.tensor(matrix, dtype=torch.float64), torch.eye(2)).tolist()
    return table


# sRGB (IEC 61966-2-1) to CIE XYZ, divided by the white point D65, so that white becomes (1, 1, 1).
_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_XYZ_OVER_WHITE = _for_pairs([[row[channel] / sum(row) for row in _XYZ] for channel in range(3)])
_LAB = _for_pairs([[0.0, 500, 0], [116, -500, 200], [0, 0, -200]])
_GRAY = 2e-4  # chroma

# From L, C, cos h and sin h of both colors to: mean L - 50, delta L, mean C, S_C (19), delta C, the sum of both hues,
# and the way from one to the other turned by a quarter to the right.
_SUMS = [
    [0.5, -1, 0.0, 0.0000, 0, 0, 0, 0, 0],
    [0.5, 1, 0.0, 0.0000, 0, 0, 0, 0, 0],
    [0.0, 0, 0.5, 0.0225, -1, 0, 0, 0, 0],
    [0.0, 0, 0.5, 0.0225, 1, 0, 0, 0, 0],
    [0.0, 0, 0.0, 0.0000, 0, 1, 0, 0, 1],
    [0.0, 0, 0.0, 0.0000, 0, 1, 0, 0, -1],
    [0.0, 0, 0.0, 0.0000, 0, 0, 1, -1, 0],
    [0.0, 0, 0.0, 0.0000, 0, 0, 1, 1, 0],
]
# Between exactly opposite hues the mean is the one with the lesser cosine, for the angles run from 0 to 360 degrees.
_OFFSETS = [-50, 0, 0, 1, 0, -1e-9, 0, 0, 0]


def _hue_columns() -> tuple[list[list[float]], list[float]]:
    """Return how T (15), and cos and sin of h - 275 degrees, come of c, s, c^2, s c, c^3, s c^2, c^4, s c^3."""

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
    rows = [[0.015 * each, 0.0, 0.0] for each in t]
    rows[0][1:], rows[1][1:] = [c_275, -s_275], [s_275, c_275]
    return rows, [0.015 * (1 - 0.24 - 0.20 * c_63), 1.0, 0.0]


_HUE, _HUE_OFFSETS = _hue_columns()


def _saturated(chroma: Tensor) -> Tensor:
    """Return sqrt(C^7 / (C^7 + 25^7))."""
    return ((chroma / 25) ** -7 + 1).rsqrt()
