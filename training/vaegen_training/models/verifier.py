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

    The network learns from the judge and the critic (784-128-128, then 10 logits of the digit and 10 scores).
    """

    least_realism: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(AREA, WIDE), nn.ReLU(), nn.Linear(WIDE, WIDE), nn.ReLU())
        self.heads = nn.Linear(WIDE, 2 * DIGITS)
        self.register_buffer("least_realism", torch.zeros(()))

    @property
    def thresholds(self) -> Thresholds:
        """What an image must reach to be accepted; the least realism is a buffer, set after training."""
        return Thresholds(PROBABILITY, COLOR_ERROR, float(self.least_realism))

    def network(self, gray: Tensor) -> tuple[Tensor, Tensor]:
        """Turn gray digits (n, 784), brightest pixel 1, into logits (n, 10), and scores of each as that digit (n, 10).

        A score is a logit too: the higher, the more like real handwriting.
        """
        logits, scores = self.heads(self.trunk(gray)).chunk(2, dim=1)
        return logits, scores

    def forward(self, image: Tensor, digit: Tensor, rgb: Tensor) -> tuple[Tensor, ...]:
        """Look at images, as they are once rounded to 8 bits.

        Args:
            image: float32 (n, 3, 28, 28) in [0, 1]; cut off there.
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
        levels = (image.flatten(2) * 255).round().clamp(0, 255)  # (n, 3, 784), whole numbers
        brightness = levels.amax(dim=1)  # (n, 784)
        peak = brightness.amax(dim=1, keepdim=True)
        logits, scores = self.network(brightness / peak.clamp_min(1))
        probabilities = F.softmax(logits, dim=1)
        asked = one_hot_of(digit, DIGITS)
        probability, realism = (probabilities * asked).sum(1), (scores * asked).sum(1)
        read = logits.argmax(dim=1)
        color = stroke_color(levels, brightness) / 255
        difference = ciede2000(lab(color), lab(rgb))
        sure = probability >= PROBABILITY
        accepted = sure & (difference <= COLOR_ERROR) & (realism >= self.least_realism)
        merit = realism - (difference - COLOR_ERROR).clamp_min(0)
        tier = torch.where(sure, 2.0, (read == digit).float())
        rank = 10 * accepted.float() + 3 * tier + merit / (1 + merit.abs())
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
    level = torch.zeros_like(brightness[:, :1])
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        reached = (brightness >= level + bit).float().sum(1, keepdim=True) >= STROKE_PIXELS
        level = level + bit * reached.float()
    stroke = (brightness >= level.clamp_min(1)).float()[:, :, None]  # (n, 784, 1)
    return (levels @ stroke)[:, :, 0] / stroke.sum(1).clamp_min(STROKE_PIXELS)


def lab(rgb: Tensor) -> Tensor:
    """Turn sRGB colors (n, 3) in [0, 1] into CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15), float32 (n, 3)."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    # X, Y and Z over those of white. Taken from green's, they are exactly equal in a gray, whose hue is then nobody's:
    # chroma 1e-4 from rounding would put 0.03 on its difference to a vivid color.
    green = linear[:, 1:2]
    white = green + (linear - green) @ rgb.new_tensor(_RGB_TO_WHITE)
    f = torch.where(white > (6 / 29) ** 3, white.clamp_min(1e-6) ** (1 / 3), white * ((29 / 6) ** 2 / 3) + 4 / 29)
    x, y, z = f.split(1, dim=1)
    return torch.cat([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def ciede2000(first: Tensor, second: Tensor) -> Tensor:
    """Return the CIEDE2000 difference of CIE L*a*b* colors (n, 3), all weights 1, float32 (n,).

    Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula", whose equation numbers these are. A hue is kept
    as a unit vector (cos h, sin h): the mean hue is then the sum's direction, and multiples of it are polynomials.
    """
    l_1, a_1, b_1 = first.split(1, dim=1)
    l_2, a_2, b_2 = second.split(1, dim=1)
    chroma = ((a_1 * a_1 + b_1 * b_1).sqrt() + (a_2 * a_2 + b_2 * b_2).sqrt()) / 2
    stretch = 1.5 - 0.5 * _seventh(chroma)  # 1 + G (4)
    a_1, a_2 = a_1 * stretch, a_2 * stretch  # (5)
    c_1, c_2 = (a_1 * a_1 + b_1 * b_1).sqrt(), (a_2 * a_2 + b_2 * b_2).sqrt()  # (6)
    # A gray has no hue: zeros.
    u_1, v_1 = a_1 / c_1.clamp_min(1e-9), b_1 / c_1.clamp_min(1e-9)
    u_2, v_2 = a_2 / c_2.clamp_min(1e-9), b_2 / c_2.clamp_min(1e-9)
    # The sense of the way from the first hue to the second; between opposite ones, whichever leads by 180 degrees.
    turn = torch.where(a_1 * b_2 - a_2 * b_1 > 1e-9 * (b_2 - b_1), 1.0, -1.0)
    u, v = u_2 - u_1, v_2 - v_1
    delta_h = turn * (c_1 * c_2 * (u * u + v * v)).sqrt()  # (11), 2 sin(h / 2) being the length of the way
    # The mean hue (14): the sum's direction, or, where that has no length to speak of, square to the way.
    obtuse = u_1 * u_2 + v_1 * v_2 < 0
    cos, sin = torch.where(obtuse, turn * v, u_1 + u_2), torch.where(obtuse, -turn * u, v_1 + v_2)
    length = (cos * cos + sin * sin).sqrt().clamp_min(1e-9)
    cos, sin = cos / length, sin / length
    l_mean, c_mean = (l_1 + l_2) / 2, (c_1 + c_2) / 2  # (12), (13)
    cos_2, sin_2 = 2 * cos * cos - 1, 2 * sin * cos
    cos_3, sin_3 = cos_2 * cos - sin_2 * sin, sin_2 * cos + cos_2 * sin
    cos_4, sin_4 = 2 * cos_2 * cos_2 - 1, 2 * sin_2 * cos_2
    t = (
        1
        - 0.17 * (cos * _cos(30) + sin * _sin(30))
        + 0.24 * cos_2
        + 0.32 * (cos_3 * _cos(6) - sin_3 * _sin(6))
        - 0.20 * (cos_4 * _cos(63) + sin_4 * _sin(63))
    )  # (15)
    # The angle from 275 degrees, over 25, as twice that of the half angle. Sharma's own is less than 0 from -85 degrees
    # on, where the exponential is below 1e-5.
    along, across = cos * _cos(275) + sin * _sin(275), sin * _cos(275) - cos * _sin(275)
    apart = torch.atan(across / (1 + along).clamp_min(1e-6)) * (2 / math.radians(25))
    rotation = 2 * _seventh(c_mean) * torch.sin(math.radians(60) * torch.exp(-apart * apart))  # -(16) * -(17) * (21)
    lightness = (l_mean - 50) * (l_mean - 50)
    l_term = (l_2 - l_1) / (1 + 0.015 * lightness / (20 + lightness).sqrt())  # (18)
    c_term = (c_2 - c_1) / (1 + 0.045 * c_mean)  # (19)
    h_term = delta_h / (1 + 0.015 * c_mean * t)  # (20)
    square = l_term * l_term + c_term * c_term + h_term * h_term - rotation * c_term * h_term  # (22)
    return square.clamp_min(0).sqrt()[:, 0]


# sRGB (IEC 61966-2-1) to CIE XYZ, divided by the white point D65, so that white becomes (1, 1, 1); a column for each.
_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_RGB_TO_WHITE = [[row[channel] / sum(row) for row in _XYZ] for channel in range(3)]


def _seventh(chroma: Tensor) -> Tensor:
    """Return sqrt(C^7 / (C^7 + 25^7))."""
    ratio = chroma / 25
    square = ratio * ratio
    seventh = square * square * square * ratio
    return (seventh / (seventh + 1)).sqrt()


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def _sin(degrees: float) -> float:
    return math.sin(math.radians(degrees))
