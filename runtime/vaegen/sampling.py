"""Answering "a red 3": draw, have the judge look at what came out, and redraw what is not what was asked for."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vaegen.color import DARKEST_DRAWN, RGB
from vaegen.errors import RequestError, setting
from vaegen.graphs import BATCH, VERDICT, Graphs, slices
from vaegen.noise import MAX_SEED, Indices, uniform
from vaegen.request import (
    MAX_START,
    MAX_TRIES,
    Color,
    Digit,
    Numbers,
    Request,
    check_integer,
    check_temperature,
    entries_of,
    parse_style,
    parse_subjects,
)
from vaegen.session import ROWS, Array
from vaegen.spec import CHANNELS, DIGITS, SIDE, STYLE_SHARES, ModelSpec, Style

_log = logging.getLogger("vaegen")

TRIES = 8  # default; of a model that is right in 9 of 10 draws, one image in a hundred million stays wrong
COLOR_REACH = 5.0  # CIEDE2000; an image further off, after all its tries, shows another color than the one asked for

# The last attempt numbers there are; redraws count from 0 and never get there.
_SUBJECT_STREAM = 2**64 - 1
_HAND_STREAM = 2**64 - 2
_AHEAD = 8 * BATCH  # images whose noise is drawn at a time, which is cheaper than batch by batch
# Of four uniforms of the prior's noise three are the hand's, where there is one; the others let images differ.
_OWN = 4


@dataclass(frozen=True, eq=False)
class Draw:
    """Sampled images and what is known of them. Row i of every array belongs to image i.

    The last seven are None where nothing was checked, that is with tries=1.
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
    """(n,), the digit that the judge reads."""
    confidence: npt.NDArray[np.float32] | None = None
    """(n,), the judge's probability of the digit that was asked for."""
    measured: npt.NDArray[np.float32] | None = None
    """(n, 3), the color of the stroke, 0 to 255: the mean of its 40 brightest pixels."""
    color_error: npt.NDArray[np.float32] | None = None
    """(n,), CIEDE2000 between the measured and the requested color."""
    realism: npt.NDArray[np.float32] | None = None
    """(n,), the critic's score, a logit: higher is more like real handwriting of that digit."""
    accepted: npt.NDArray[np.bool_] | None = None
    """(n,), whether confidence, color and realism reach the thresholds of `ModelSpec.thresholds`."""
    rank: npt.NDArray[np.float32] | None = None
    """(n,), by which the best of several draws is kept: higher is better, and above 10 accepted."""

    @property
    def reached(self) -> npt.NDArray[np.bool_] | None:
        """Whether the color is within COLOR_REACH, bool (n,); where not, the image is as near as the model got."""
        return None if self.color_error is None else self.color_error <= COLOR_REACH

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: npt.NDArray[np.int64]) -> "Draw":
        """Return some of the images, in the order given, with what is known of them."""
        return replace(self, **{name: part[rows] for name, part in vars(self).items() if part is not None})


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


def ask(
    model: ModelSpec,
    subjects: tuple[Digit, Color, int | None],
    *,
    seed: int,
    start: int,
    temperature: float | None,
    tries: int | None,
    best: int | None,
    slant: Numbers | None,
    thickness: Numbers | None,
    hand: int | None,
) -> Request:
    """Return the request that a call of `Model.sample` makes.

    Args:
        model: Which gives what is left open.
        subjects: Digit, color and count.
        seed: 0 to 2**64 - 1.
        start: The first item.
        temperature: Of the prior; None for the model's.
        tries: Draws an image may take; None for TRIES.
        best: Draws of which each image is the best; None for the first that is accepted.
        slant: Degrees, as `Model.sample` takes it.
        thickness: Pixels, likewise.
        hand: Likewise.

    Raises:
        RequestError: Something does not exist, or the model knows no style; or there are both tries and best.
    """
    if model.style is None and any(part is not None for part in (slant, thickness, hand)):
        raise RequestError(f"the model {model.name!r} knows no slant, thickness or hand; leave them out")
    if model.style is not None and hand is not None:
        hand = check_integer("hand", hand, 0, MAX_SEED)
        its_slant, its_thickness = style_of_hand(model.style, hand)
        slant, thickness = its_slant if slant is None else slant, its_thickness if thickness is None else thickness
    slants, thicknesses = (None if part is None else entries_of(part) for part in (slant, thickness))
    digits, colors = parse_subjects(*subjects, longest=max(len(slants or ()), len(thicknesses or ())))
    temperature = model.prior_temperature if temperature is None else check_temperature(temperature)
    if tries is not None and best is not None:
        raise RequestError(f"{setting('tries')} and {setting('best')} exclude each other; choose one")
    name, draws = ("tries", TRIES if tries is None else tries) if best is None else ("best", best)
    return Request(
        digits,
        colors,
        style=parse_style(slants, thicknesses, len(digits)),
        seed=check_integer("seed", seed, 0, MAX_SEED),
        hand=hand,
        start=check_integer("start", start, 0, MAX_START),
        temperature=np.array(temperature, np.float32),
        tries=check_integer(name, draws, 1, MAX_TRIES),
        best=best is not None,
    )


def sample(graphs: Graphs, request: Request) -> npt.NDArray[np.uint8]:
    """Return the images of `draw` alone; nothing else of its result takes memory."""
    n = len(request.digits)
    images = np.empty((n, SIDE, SIDE, CHANNELS), np.uint8)
    needed = ("accepted", "rank") if request.tries > 1 or request.best else ()
    _answer(graphs, request, images, None, dict(zip(needed, graphs.places("judge", needed, n), strict=True)))
    return images


def draw(graphs: Graphs, request: Request) -> Draw:
    """Answer a request.

    Attempt t draws with the noise of (seed, t, item). The judge's graph says whether an image is accepted; only what is
    not is drawn again, or, where the best is asked for, all is. An image is the candidate of the highest rank, and of
    these the earliest: ranks of what is accepted are above all others.
    """
    n = len(request.digits)
    images = np.empty((n, SIDE, SIDE, CHANNELS), np.uint8)
    latents = np.empty((n, graphs.latent.size), np.float32)
    if request.tries == 1 and not request.best:
        return Draw(images, request.digits, request.colors, latents, _answer(graphs, request, images, latents, {}))
    found = dict(zip(VERDICT, graphs.places("judge", VERDICT, n), strict=True))
    tries_used = _answer(graphs, request, images, latents, found)
    return verified(Draw(images, request.digits, request.colors, latents, tries_used), found)


def verified(draw: Draw, found: Mapping[str, Array]) -> Draw:
    """Return a draw with what the judge found: VERDICT by name."""
    return replace(
        draw,
        judged=found["read"],
        confidence=found["probability"],
        measured=found["color"] * np.float32(255),
        color_error=found["color_error"],
        realism=found["realism"],
        accepted=found["accepted"],
        rank=found["rank"],
    )


def style_of_hand(style: Style, hand: int) -> tuple[float, float]:
    """Return slant and thickness of a hand: drawn from those of the training digits.

    Uniforms 0 and 4 of item 0 of the hand's seed, which no image takes, go through the quantiles, joined by straight
    lines.

    Args:
        style: The quantiles.
        hand: 0 to 2**64 - 1.
    """
    noise = uniform(hand, _HAND_STREAM, range(1), _OWN + 1)[0]
    slant, thickness = np.interp(noise[0], STYLE_SHARES, style.slant), np.interp(noise[_OWN], STYLE_SHARES, style[1])
    return float(slant), float(thickness)


def _answer(
    graphs: Graphs,
    request: Request,
    images: npt.NDArray[np.uint8],
    latents: npt.NDArray[np.float32] | None,
    found: dict[str, Array],
) -> npt.NDArray[np.int64]:
    """Write each image in its place, its latent where wanted, and what the judge says; return the draws made, (n,).

    Beside all these no more than a batch of candidates is in memory.

    Args:
        graphs: Of the model.
        request: What is asked for.
        images: uint8 (n, 28, 28, 3), overwritten.
        latents: float32 (n, L), overwritten.
        found: Places for outputs of the judge, (n, ...) each, among them "accepted" and "rank"; overwritten. Empty
            where nothing is to be checked.
    """
    n, wanted = len(images), tuple(found)
    tries_used = np.ones(n, np.int64)
    pending, attempt = np.arange(n), 0
    while len(pending) and attempt < request.tries:
        # A batch of one or two images has rows to spare (see ROWS): they go to the attempts that may follow.
        attempts = range(attempt, min(attempt + max(1, ROWS // len(pending)), request.tries))
        for block in slices(len(pending), _AHEAD):
            asked = _asked(graphs, request, pending[block], attempts)
            for batch in slices(len(asked["digit"])):
                part = {name: each[batch] if each.ndim else each for name, each in asked.items()}
                pixels, codes, said = graphs.answer(part, wanted)
                for turn in attempts:
                    rows = pending[block][batch]
                    first = (turn - attempt) * len(rows)
                    at: slice | npt.NDArray[np.int64] = slice(first, first + len(rows))
                    if turn:
                        still = ~found["accepted"][rows] | request.best
                        if not still.any():
                            break
                        tries_used[rows] += still
                        better = np.flatnonzero(still & (said[wanted.index("rank")][at] > found["rank"][rows]))
                        rows, at = rows[better], first + better
                    images[rows] = pixels[at]
                    if latents is not None:
                        latents[rows] = codes[at]
                    for place, values in zip(found.values(), said, strict=True):
                        place[rows] = values[at]
        attempt = attempts.stop
        if not request.best:
            pending = np.flatnonzero(~found["accepted"]) if found else pending[:0]
        _log.debug("attempt %d: %d of %d images are drawn again", attempt, len(pending), n)
    return tries_used


def _asked(graphs: Graphs, request: Request, rows: npt.NDArray[np.int64], attempts: range) -> dict[str, Array]:
    """Return the inputs of the prior for some rows, ascending: all of them for one attempt, then for the next."""
    items: Indices = rows + request.start
    if items[-1] - items[0] < len(items):
        items = range(int(items[0]), int(items[-1]) + 1)
    noise = graphs.noise("prior", request.seed, attempts, items)
    if request.hand is not None:
        hand = graphs.noise("prior", request.hand, _HAND_STREAM, range(1))
        noise = np.where(np.arange(noise.shape[1]) % _OWN, hand, noise)
    rows = np.concatenate([rows] * len(attempts))
    return {
        "digit": request.digits[rows],
        "rgb": request.colors[rows] / np.float32(255),
        "style": request.style[rows],
        "uniform": noise,
        "temperature": request.temperature,
    }
