"""The verifier: what decides whether an image is what was asked for; `judge.onnx` holds all of it.

Sampling looks at every image, so it must be cheap: a fully connected network in place of the judge's convolutions, and
formulas in plain arithmetic, which any ONNX runtime has, in place of sorting and angles.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import DIGITS, SIDE, Thresholds

from vaegen_training.models.ciede2000 import ciede2000, lab
from vaegen_training.models.latents import one_hot_of

AREA = SIDE * SIDE  # 784 pixels
ROW = 16  # units that look at each row of 28 pixels
WIDE = 128  # units of both hidden layers
STROKE_PIXELS = 40  # brightest pixels whose mean counts as the color of the stroke; thin ones have about 50
PROBABILITY = 0.9
"""Least probability of the digit asked for. A judge that is less sure looks at a digit that other readers take for
another: below this probability, one sample in 14; above it, one in 1,500 (docs/trials.md)."""
COLOR_ERROR = 3.0
"""Most CIEDE2000 between the stroke and the color asked for; 1 to 2 is just noticeable. Real digits in their very paint
measure up to 3: a thin stroke has fewer than 40 bright pixels."""
REALISM = 0.0
"""Least realism: the critic gives less to 4 in 100 of a model's own samples of each digit."""
INK = 0.4  # of the peak: what is at least so bright is ink where pieces are counted


class Verifier(nn.Module):
    """Reads the digit, measures the color, scores the realism, and accepts or ranks an image by them.

    The network learns from the judge and the critic: 16 units of each row, 448-128-128, then 10 logits and 10 scores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(SIDE, ROW), nn.ReLU())
        self.whole = nn.Sequential(
            nn.Linear(SIDE * ROW, WIDE), nn.ReLU(), nn.Linear(WIDE, WIDE), nn.ReLU(), nn.Linear(WIDE, 2 * DIGITS)
        )

    @property
    def thresholds(self) -> Thresholds:
        """What an image must reach to be accepted."""
        return Thresholds(PROBABILITY, COLOR_ERROR, REALISM)

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
            realism: float32 (n,), the score as the digit asked for; at most -1 where the stroke is in pieces, which
                the critic does not see.
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
        torn = in_pieces(brightness >= INK * peak)
        realism = torch.where(torn, realism.clamp_max(REALISM - 1), realism)
        read = logits.argmax(dim=1)
        color = stroke_color(levels, brightness) / 255
        difference = ciede2000(lab(torch.stack([color, rgb], dim=2).flatten(1)))
        sure = probability >= PROBABILITY
        margins = torch.minimum(probability - PROBABILITY, COLOR_ERROR - difference)
        accepted = torch.minimum(margins, realism - REALISM) >= 0
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
    level = brightness.new_tensor(0.0)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        higher = level + bit
        count = (brightness >= higher).float().sum(1, keepdim=True)
        level = torch.where(count >= STROKE_PIXELS, higher, level)
    stroke = (brightness >= level.clamp_min(1)).float()  # (n, 784)
    return (levels @ stroke[:, :, None]).flatten(1) / stroke.sum(1, keepdim=True).clamp_min(STROKE_PIXELS)


def in_pieces(ink: Tensor) -> Tensor:
    """Return which images are seen to be in several pieces, bool (n,): nearly all that are, and none that is not.

    A row or column without ink between others proves it, and so does an Euler number above 1: pieces less holes, where
    pixels that share a corner are one piece (Gray 1971, "Local properties of binary images in two dimensions"). It is
    the corners, less the sides, plus the pixels: the runs down the columns of all pairs side by side, less those of the
    pixels, for each run has one corner, or one side, more than it is long. The other graphs use the same operators.

    Args:
        ink: bool (n, 784). A piece that touches an edge may go unseen.
    """
    pixels = ink.float()
    euler_number = _runs(pixels[:, 1:] + pixels[:, :-1] > 0) - _runs(ink)
    rows_and_columns = torch.cat([pixels.reshape(-1, SIDE, SIDE).amax(side) for side in (1, 2)], dim=1)
    starts = (rows_and_columns[:, 1:] - rows_and_columns[:, :-1]).clamp_min(0).sum(1)
    return torch.where(starts > 2, starts, euler_number) > 1


def _runs(ink: Tensor) -> Tensor:
    same = (ink[:, SIDE:] == ink[:, :-SIDE]).float()
    return (same.shape[1] - same.sum(1)) / 2  # a run begins and ends
