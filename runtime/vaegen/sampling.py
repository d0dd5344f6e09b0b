"""Answering "a red 3": draw, look at what came out, and redraw what is not what was asked for."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaegen.color import DARKEST_DRAWN, RGB, color_error, stroke_color
from vaegen.graphs import Graphs, slices
from vaegen.noise import Indices, uniform
from vaegen.request import Request
from vaegen.spec import CHANNELS, DIGITS, SIDE

_log = logging.getLogger("vaegen")

# What verification accepts. A judge that is less sure looks at a digit that other readers take for another: below this
# probability, one sample in seven; above it, one in a thousand (docs/trials.md).
JUDGE_CONFIDENCE = 0.8
# CIEDE2000 between the measured and the requested color; 1 to 2 is just noticeable. Real digits in their very paint
# measure up to 3: a thin stroke has fewer than 40 bright pixels.
COLOR_TOLERANCE = 3.0
COLOR_REACH = 5.0  # CIEDE2000; an image further off, after all its tries, shows another color than the one asked for

_SUBJECT_STREAM = 2**64 - 1  # the last attempt number there is; redraws count from 0 and never get there


@dataclass(frozen=True, eq=False)
class Draw:
    """Sampled images and what is known of them. Row i of every array belongs to image i.

    The last five are None where nothing was checked, that is with tries=1.
    """

    images: npt.NDArray[np.uint8]
    """(n, 28, 28, 3)."""
    digits: npt.NDArray[np.int64]
    """(n,), as asked for."""
    colors: npt.NDArray[np.uint8]
    """(n, 3), as asked for."""
    latents: npt.NDArray[np.float32]
    """(n, L), what the images were decoded from."""
    tries_used: npt.NDArray[np.int64]
    """(n,), draws made for each image, from 1 on."""
    judged: npt.NDArray[np.int64] | None = None
    """(n,), the digit that the judge sees."""
    confidence: npt.NDArray[np.float32] | None = None
    """(n,), the judge's probability of the digit that was asked for."""
    measured: npt.NDArray[np.float64] | None = None
    """(n, 3), the color of the stroke, 0 to 255 (see `vaegen.color.stroke_color`)."""
    color_error: npt.NDArray[np.float64] | None = None
    """(n,), CIEDE2000 between the measured and the requested color."""
    accepted: npt.NDArray[np.bool_] | None = None
    """(n,), whether the confidence is at least JUDGE_CONFIDENCE and the color within COLOR_TOLERANCE."""

    @property
    def reached(self) -> npt.NDArray[np.bool_] | None:
        """Whether the color is within COLOR_REACH, bool (n,); where not, the image is as near as the model got."""
        return None if self.color_error is None else self.color_error <= COLOR_REACH

    def __len__(self) -> int:
        return len(self.images)


def random_subjects(n: int, seed: int, start: int) -> tuple[list[int], list[RGB]]:
    """Draw a digit and a color for each of n items, as a function of the seed and the item alone.

    Digits are uniform over 0 to 9. Colors are uniform over the cube 256^3 less its dark corner DARKEST_DRAWN^3: the
    brightest channel m has the distribution function (m^3 - DARKEST_DRAWN^3) / (256^3 - DARKEST_DRAWN^3), inverted
    here; each channel is as often the brightest, and the other two are uniform below it.

    Args:
        n: Items.
        seed: 0 to 2**64 - 1.
        start: The first item.

    Returns:
        n digits, and n colors, 0 to 255 each channel.
    """
    noise = uniform(seed, _SUBJECT_STREAM, range(start, start + n), 5).tolist()  # (n, 5) in (0, 1)
    return [int(DIGITS * row[0]) for row in noise], [_color(*row[1:]) for row in noise]


def _color(which: float, height: float, first: float, second: float) -> RGB:
    brightest = (DARKEST_DRAWN**3 + height * (256**3 - DARKEST_DRAWN**3)) ** (1 / 3)
    channels = [int(brightest * first), int(brightest * second)]
    channels.insert(int(3 * which), min(int(brightest), 255))
    red, green, blue = channels
    return red, green, blue


def sample(graphs: Graphs, request: Request) -> npt.NDArray[np.uint8]:
    """Return the images of `draw` alone; nothing else of its result takes memory."""
    images = np.empty((len(request.digits), SIDE, SIDE, CHANNELS), np.uint8)
    _answer(graphs, request, images, None)
    return images


def draw(graphs: Graphs, request: Request) -> Draw:
    """Answer a request.

    Attempt t draws with the noise of (seed, t, item). An image is accepted when the judge gives the digit a
    probability of at least JUDGE_CONFIDENCE and the stroke's color is within COLOR_TOLERANCE; only what is not accepted
    is drawn again. What never is keeps its best candidate: the surest reading first (sure, right, wrong), then the
    smallest color error, then the earliest.
    """
    n = len(request.digits)
    images = np.empty((n, SIDE, SIDE, CHANNELS), np.uint8)
    latents = np.empty((n, graphs.latent.size), np.float32)
    tries_used, found = _answer(graphs, request, images, latents)
    return Draw(
        images,
        request.digits,
        request.colors,
        latents,
        tries_used,
        *((found.judged, found.confidence, found.measured, found.color_error, found.accepted) if found else ()),
    )


def _answer(
    graphs: Graphs,
    request: Request,
    images: npt.NDArray[np.uint8],
    latents: npt.NDArray[np.float32] | None,
) -> tuple[npt.NDArray[np.int64], "_Look | None"]:
    """Write the image of each item in its place, and its latent where wanted; return the draws made and what was seen.

    Nothing is seen with tries=1. Beside all these no more than a batch of candidates is in memory.
    """
    n = len(images)
    found = _nothing(n)
    tries_used = np.zeros(n, np.int64)
    for attempt in range(request.tries):
        pending = np.flatnonzero(~found.accepted)
        if not len(pending):
            break
        if attempt:
            _log.debug("attempt %d: redraw %d of %d images", attempt, len(pending), n)
        for batch in slices(len(pending)):
            rows: slice | npt.NDArray[np.int64] = batch  # all, in the first attempt
            items: Indices = range(request.start, request.start + n)[batch]
            if attempt:
                rows = pending[batch]
                items = rows + request.start
            digits, colors = request.digits[rows], request.colors[rows]
            new_latents = graphs.prior(digits, colors, request.temperature, request.seed, attempt, items)
            new_images = graphs.decode(new_latents)
            if request.tries > 1:
                new = _look(graphs, new_images, digits, colors)
                if attempt:
                    reading, was = new.reading, found.reading[rows]
                    better = (reading > was) | ((reading == was) & (new.color_error < found.color_error[rows]))
                    rows, new = pending[batch][better], _Look(*(values[better] for values in new))
                    new_latents, new_images = new_latents[better], new_images[better]
                for name in _Look._fields:
                    getattr(found, name)[rows] = getattr(new, name)
            images[rows] = new_images
            if latents is not None:
                latents[rows] = new_latents
        tries_used[pending] += 1
    return tries_used, found if request.tries > 1 else None


class _Look(NamedTuple):
    """What a viewer of n images sees."""

    judged: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    reading: npt.NDArray[np.int64]
    """(n,), 2 where the judge is sure of the digit asked for, 1 where it sees it, 0 where it sees another."""
    measured: npt.NDArray[np.float64]
    color_error: npt.NDArray[np.float64]
    accepted: npt.NDArray[np.bool_]


def _nothing(n: int) -> _Look:
    """Return places for what is seen of n images, none of which is accepted."""
    return _Look(
        judged=np.empty(n, np.int64),
        confidence=np.empty(n, np.float32),
        reading=np.empty(n, np.int64),
        measured=np.empty((n, 3)),
        color_error=np.empty(n),
        accepted=np.zeros(n, np.bool_),
    )


def _look(
    graphs: Graphs, images: npt.NDArray[np.uint8], digits: npt.NDArray[np.int64], colors: npt.NDArray[np.uint8]
) -> _Look:
    measured = stroke_color(images)
    error = color_error(measured, colors)
    probabilities = graphs.judge(images)
    judged = probabilities.argmax(1)
    confidence = probabilities[np.arange(len(digits)), digits]
    sure = confidence >= JUDGE_CONFIDENCE
    reading = np.where(sure, 2, judged == digits)
    return _Look(judged, confidence, reading, measured, error, sure & (error <= COLOR_TOLERANCE))
