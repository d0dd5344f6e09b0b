"""Moves through the latent space: from one digit and color to another, along a path on which digits stay legible."""

import colorsys
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vaegen import request
from vaegen.color import parse_color
from vaegen.errors import RequestError, setting
from vaegen.graphs import Floats, Graphs
from vaegen.latent import COLOR, DIGIT, typical
from vaegen.model import Model
from vaegen.request import Digit, check_integer, parse_subjects
from vaegen.sampling import Draw, random_subjects, verified
from vaegen.spec import ModelSpec
from vaegen.subjects import Color, Subject, read_colors

FRAMES = (2, 240)
DRAWN = 16  # draws of each end
PAIRED = 8  # of them, the best, between which the clearest way is looked for
LOOKS = 11  # at each of these 64 ways

# As the explorer's page has them (web/page/moves.js), so that both show the same ways.
_SHARP = 2  # Gumbel-Softmax at the temperature 0.5, as in training, raises shares to this power
_SPREAD = 0.7  # how far apart the codes of a blend change over, in logarithms of shares
_GRAY = 1e-6  # saturation; a gray has no hue, and takes that of the other end

Shares = npt.NDArray[np.float64]  # (n,), of the whole way


def walk(
    model: Model,
    digit: Digit,
    color: request.Color,
    frames: int = 24,
    *,
    seed: int = 0,
    start: int = 0,
    temperature: float | None = None,
    tries: int | None = None,
    best: int | None = None,
    slant: float | None = None,
    thickness: float | None = None,
    hand: int | None = None,
) -> Draw:
    """Make the images on the way from one digit and color to another through the latent space.

    Of the best PAIRED of DRAWN draws of each end, the two are taken between which most images are clear digits. On the
    way coordinates change along a straight line, and codes change over one after the other: half of many codes is
    no handwriting. Colors go along hue (the shorter way around), saturation and value.

    Args:
        model: The model.
        digit: Both digits, 0 to 9; or one.
        color: Both colors, as `Model.sample` takes them; or one.
        frames: Images in all, both ends included, 2 to 240.
        seed: 0 to 2**64 - 1.
        start: The ends are drawn from items start to start + 2 * DRAWN - 1 of the seed.
        temperature: As in `Model.sample`, like all that follows. With tries=1 nothing is checked, and the first two
            draws are taken.
        tries: Of each draw.
        best: Of each draw.
        slant: Degrees.
        thickness: Pixels.
        hand: Of both ends. None for any.

    Returns:
        A row for each frame. `digits` holds the one of the two that the judge finds more probable there, `colors` the
        color of that place on the way, and the judge's part refers to these two. `tries_used` is 1 between the ends.

    Raises:
        RequestError: A digit, a color or a number that does not exist, or a style of a model that knows none.
        BundleError: A graph cannot be used.
    """
    frames = check_integer("frames", frames, *FRAMES)
    digits, colors = parse_subjects(digit, color, 2)
    graphs = model._graphs
    draws = 1 if tries == 1 else DRAWN
    drawn = model.draw(
        np.tile(digits, draws),
        np.tile(colors, (draws, 1)),
        seed=seed,
        start=start,
        temperature=temperature,
        tries=tries,
        best=best,
        slant=slant,
        thickness=thickness,
        hand=hand,
    )
    shares = np.arange(frames) / (frames - 1)
    ends = [0, 1] if draws == 1 else _clearest(graphs, model.spec, drawn, shares)
    latents = _between(graphs, model.spec, drawn.latents[ends][None], colors, shares)
    images = graphs.decode(latents)
    passed = np.rint(_colors(colors, shares) * 255).astype(np.uint8)
    tries_used = np.ones(frames, np.int64)
    tries_used[[0, -1]] = drawn.tries_used[ends]
    if draws == 1:
        return Draw(images, digits[(shares > 0.5).astype(int)], passed, latents, tries_used)
    nearer = _nearer(graphs, images, digits)
    return verified(Draw(images, nearer, passed, latents, tries_used), graphs.verdict(images, nearer, passed))


def read_ends(texts: Sequence[str], color_texts: Sequence[str], seed: int, start: int) -> list[Subject]:
    """Read both ends as people write them: "3", "3:red" or "3:hsl(30,100%,50%)".

    Args:
        texts: Of both.
        color_texts: For an end without a color of its own: one, or one for each end. Where there is none,
            it is drawn from the seed.
        seed: 0 to 2**64 - 1.
        start: The item of the first end.

    Raises:
        RequestError: One is something else, or there are colors that no end has.
    """
    matches = [re.fullmatch(r"\s*([0-9])\s*(?::(.*))?", text, flags=re.ASCII | re.DOTALL) for text in texts]
    for text, match in zip(texts, matches, strict=True):
        if match is None:
            raise RequestError(f"{text!r} is no end of a walk; write a digit, such as 3, or 3:red for one in a color")
    colors = read_colors(color_texts)
    if len(colors) > 2:
        raise RequestError(f"a walk has 2 ends, and there are {len(colors)} colors; give one, or one for each end")
    own = [match[2] for match in matches if match]
    if colors and None not in own:
        raise RequestError(f"both ends of the walk have a color of their own; leave out {setting('color')}")
    drawn = random_subjects(2, seed, start)[1]
    colors = colors * (2 // len(colors)) if colors else [*map(Color.of, drawn)]
    typed = [
        each if text is None else Color(text.strip(), parse_color(text)) for each, text in zip(colors, own, strict=True)
    ]
    return [Subject(int(match[1]), color, 0) for match, color in zip(matches, typed, strict=True) if match]


def clear(draw: Draw, model: ModelSpec) -> npt.NDArray[np.bool_]:
    """Return whether each image, whatever its color, is a clear digit of those asked for: it reads well and looks real.

    Args:
        draw: Checked ones.
        model: What is accepted.
    """
    return _clear(draw.confidence, draw.realism, model)


def _clear(probability: Any, realism: Any, model: ModelSpec) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (probability >= model.thresholds.probability) & (realism >= model.thresholds.realism)
    return found


def _nearer(graphs: Graphs, images: npt.NDArray[np.uint8], digits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the one of two digits that the judge finds more probable in each image, (n,)."""
    nearer: npt.NDArray[np.int64] = digits[graphs.judge(images)[:, digits].argmax(1)]
    return nearer


def _clearest(graphs: Graphs, model: ModelSpec, drawn: Draw, shares: Shares) -> list[int]:
    """Return the rows of the two draws, of the best, between which most images are clear, and then most real.

    Args:
        graphs: Of the model.
        model: What it is.
        drawn: Draws of both ends in turn, the first end's first.
        shares: Of the frames, some of which are looked at.
    """
    looks = shares[1:-1][:: -(-(len(shares) - 2) // LOOKS) or 1]
    if not len(looks):
        return [0, 1]
    ranks = np.zeros(len(drawn)) if drawn.rank is None else drawn.rank
    rows = [2 * np.argsort(-ranks[end::2], kind="stable")[:PAIRED] + end for end in (0, 1)]
    pairs = np.stack(np.meshgrid(*rows, indexing="ij"), -1).reshape(-1, 2)
    colors = drawn.colors[:2]
    images = graphs.decode(_between(graphs, model, drawn.latents[pairs], colors, looks))
    passed = np.tile(np.rint(_colors(colors, looks) * 255).astype(np.uint8), (len(pairs), 1))
    found = graphs.verdict(images, _nearer(graphs, images, drawn.digits[:2]), passed)
    unclear = ~_clear(found["probability"], found["realism"], model)
    keys = (part.reshape(len(pairs), -1).sum(1) for part in (-found["realism"], unclear))
    best: list[int] = pairs[np.lexsort(tuple(keys))[0]].tolist()
    return best


def _between(graphs: Graphs, model: ModelSpec, ends: Floats, colors: npt.NDArray[np.uint8], shares: Shares) -> Floats:
    """Return the latents at some shares of the ways between some pairs of latents.

    Args:
        graphs: Of the model.
        model: What it is.
        ends: (p, 2, L).
        colors: Of all first and all second ends, (2, 3).
        shares: (n,), the ends themselves at 0 and 1.

    Returns:
        float32 (p * n, L), pair by pair.
    """
    result = np.empty((len(ends), len(shares), ends.shape[2]), np.float32)
    straight = np.stack([1 - shares, shares])  # (2, n)
    parts = _parts(model)
    hues, saturations, _ = _hsv(colors)
    for part in parts:
        of = slice(part.at, part.at + part.width)
        if part.role == "hue" and part.width == 1:
            first, second = ends[:, :, part.at].T
            turns = second - first - np.rint(second - first - _turn(hues))  # the same way around as the color itself
            result[:, :, part.at] = first[:, None] + turns[:, None] * _seen(saturations, shares)
            continue
        weights = straight
        if part.role == "shape" and part.width > 1:
            apart = np.exp([[_SPREAD * _scatter(part.at, end)] for end in (0, 1)])
            weights = (straight * apart) ** _SHARP
        result[:, :, of] = np.einsum("en,pek->pnk", weights / weights.sum(0), ends[:, :, of])
    if any(part.role in COLOR and part.width > 1 for part in parts):
        # Codes count from a place of their own, and have no shorter way around; the prior knows them all.
        passed = typical(graphs, model, DIGIT, _colors(colors, shares))
        inner = (shares > 0) & (shares < 1)
        for part in parts:
            if part.role in COLOR:
                of = slice(part.at, part.at + part.width)
                result[:, inner, of] = passed[inner, of]
    return result.reshape(-1, ends.shape[2])


def _colors(ends: npt.NDArray[np.uint8], shares: Shares) -> Floats:
    """Return the colors at some shares of the way between two, (2, 3): float32 (n, 3) in [0, 1]."""
    hues, saturations, values = _hsv(ends)
    passed = [hues[0] + _turn(hues) * _seen(saturations, shares)]
    passed += [(1 - shares) * first + shares * second for first, second in (saturations, values)]
    return np.array([colorsys.hsv_to_rgb(hue % 1, *rest) for hue, *rest in np.stack(passed, 1).tolist()], np.float32)


def _hsv(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return hues in turns, saturations and values of two colors, (3, 2)."""
    return np.array([colorsys.rgb_to_hsv(*rgb) for rgb in (colors / 255).tolist()]).T


def _turn(hues: npt.NDArray[np.float64]) -> float:
    """Return the shorter way around from one hue to another, -0.5 to 0.5 turns."""
    turn = float(hues[1] - hues[0])
    return turn - round(turn)


def _seen(saturations: npt.NDArray[np.float64], shares: Shares) -> Shares:
    """Return the shares of the way between two hues: a gray has none, so the more saturated end has more of the way."""
    first, second = (saturations[0] + _GRAY) * (1 - shares), (saturations[1] + _GRAY) * shares
    seen: Shares = second / (first + second)
    return seen


class _Part(NamedTuple):
    """A coordinate, or a categorical with its classes."""

    at: int
    """Its first place in the latent."""
    width: int
    """Places: 1 for a coordinate, K for a categorical."""
    role: str
    """One of COLOR, "digit" or "shape"; "hue 1" is of the hue too."""


def _parts(model: ModelSpec) -> list[_Part]:
    z, (_, k) = model.latent.continuous, model.latent.categorical
    places = [(at, 1) for at in range(z)] + [(z + k * at, k) for at in range(len(model.names.categorical))]
    stems = [re.sub(r" \d+$", "", name) for name in (*model.names.continuous, *model.names.categorical)]
    return [
        _Part(*place, stem if stem in (*COLOR, "digit") else "shape") for place, stem in zip(places, stems, strict=True)
    ]


def _scatter(at: int, end: int) -> float:
    """Return a number from -1 to 1 that looks drawn at random."""
    low = 2**32 - 1
    bits = ((at + 1) * 0x9E3779B1 & low) ^ ((end + 1) * 0x85EBCA6B & low)
    bits = (bits ^ bits >> 15) * 0x2C1B3C6D & low
    return (bits ^ bits >> 12) / 2**31 - 1
