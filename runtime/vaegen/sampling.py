"""Answering "a red 3": draw, look at what came out, and redraw what is not what was asked for."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaegen.color import color_error, stroke_color
from vaegen.graphs import Graphs
from vaegen.request import Request

_log = logging.getLogger("vaegen")

COLOR_TOLERANCE = 2.0  # CIEDE2000 between the measured and the requested color; 1 to 2 is just noticeable
COLOR_REACH = 5.0  # CIEDE2000; an image further off, after all its tries, shows another color than the one asked for


@dataclass(frozen=True, eq=False)
class Draw:
    """Sampled images and what is known of them. Row i of every array belongs to image i.

    The last four are None where nothing was checked, that is with tries=1.
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
    measured: npt.NDArray[np.float64] | None = None
    """(n, 3), the color of the stroke, 0 to 255 (see `vaegen.color.stroke_color`)."""
    color_error: npt.NDArray[np.float64] | None = None
    """(n,), CIEDE2000 between the measured and the requested color."""
    accepted: npt.NDArray[np.bool_] | None = None
    """(n,), whether the digit is right and the color within COLOR_TOLERANCE."""

    @property
    def reached(self) -> npt.NDArray[np.bool_] | None:
        """Whether the color is within COLOR_REACH, bool (n,); where not, the image is as near as the model got."""
        return None if self.color_error is None else self.color_error <= COLOR_REACH

    def __len__(self) -> int:
        return len(self.images)


def draw(graphs: Graphs, request: Request) -> Draw:
    """Answer a request.

    Attempt t draws with the noise of (seed, t, item). An image is accepted when the judge sees the right digit and
    the stroke's color is within COLOR_TOLERANCE; only what is not accepted is drawn again. What never is keeps its
    best candidate: right digit first, then the smallest color error, then the earliest.
    """
    n = len(request.digits)
    items = range(request.start, request.start + n)
    latents = graphs.prior(request.digits, request.colors, request.temperature, request.seed, 0, items)
    images = graphs.decode(latents)
    tries_used = np.ones(n, np.int64)
    if request.tries == 1:
        return Draw(images, request.digits, request.colors, latents, tries_used)

    judged, measured, error = _look(graphs, images, request.colors)
    accepted = (judged == request.digits) & (error <= COLOR_TOLERANCE)
    for attempt in range(1, request.tries):
        pending = np.flatnonzero(~accepted)
        if not len(pending):
            break
        digits, colors = request.digits[pending], request.colors[pending]
        new_latents = graphs.prior(digits, colors, request.temperature, request.seed, attempt, pending + request.start)
        new_images = graphs.decode(new_latents)
        new_judged, new_measured, new_error = _look(graphs, new_images, colors)
        right, was_right = new_judged == digits, judged[pending] == digits
        better = (right & ~was_right) | ((right == was_right) & (new_error < error[pending]))
        kept = pending[better]
        latents[kept], images[kept] = new_latents[better], new_images[better]
        judged[kept], measured[kept], error[kept] = new_judged[better], new_measured[better], new_error[better]
        tries_used[pending] = attempt + 1
        accepted[pending] = right & (new_error <= COLOR_TOLERANCE)
        _log.debug("attempt %d: redrew %d of %d images", attempt, len(pending), n)
    return Draw(images, request.digits, request.colors, latents, tries_used, judged, measured, error, accepted)


def _look(
    graphs: Graphs, images: npt.NDArray[np.uint8], colors: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give the digit seen, the color measured and its error, as a viewer of the images would find them."""
    measured = stroke_color(images)
    return graphs.judge(images).argmax(1), measured, color_error(measured, colors)
