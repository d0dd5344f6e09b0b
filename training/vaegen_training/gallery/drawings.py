"""The pictures of one model, drawn from what it makes of test digits, its `Subject`.

Each function draws one picture; `everything` and `essentials` are those that reports show.
"""

import colorsys
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import vaegen
from vaegen.color import parse_color
from vaegen.spec import DIGITS, SIDE, LatentSpec

from vaegen_training.evaluate.samples import Images, Integers, Painted
from vaegen_training.gallery import canvas, information, latent_space
from vaegen_training.gallery.information import Floats

SHEET = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "magenta", "pink", "white")
WHEEL = ((1, 0.0), (6, 0.33), (12, 0.67), (18, 1.0))  # images on each ring, and the saturation of their colors
WHEEL_DIGIT = 3
WALKS = ((0, 6), (1, 7), (2, 3), (3, 8), (4, 9))
STEPS = 13
TEMPERATURES = (0.25, 0.5, 0.7, 0.85, 1.0, 1.25)
DRAWN, WORST = 6000, (6, 10)  # samples that the critic looks at, and the rows and columns of those it likes least
MOST_ROWS = 12  # latents that a traversal shows
GRID = 16  # decoded latents a side
SPREAD = 2.33  # standard deviations that the grid reaches, 1% to 99% of a Gaussian
PAIRS = 16  # test digits beside their reconstructions
ANCHOR_DIGIT, ANCHOR_COLOR = 3, "#ff9f1c"


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images that a model decoded from latents, before and after rounding."""

    unrounded: Floats
    """(n, 28, 28, 3) in [0, 1]: 8 bits are too coarse for nats."""
    images: Images
    """(n, 28, 28, 3)."""


def decoded(model: vaegen.Model, latents: Floats) -> Decoded:
    """Decode latents (n, L) once, and round as `Model.decode` does."""
    unrounded = model.decode_unrounded(latents)
    return Decoded(unrounded, np.rint(unrounded * np.float32(255)).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, and painted test digits after it."""

    label: str
    """Preset and name, "seed joint"."""
    model: vaegen.Model
    real: Painted
    """The digits, n of them."""
    posterior: vaegen.Posterior
    """Of each digit, with the latent of the deterministic path, which the product takes."""
    rebuilt: Decoded
    """The images of those latents."""
    drawn: Floats
    """(n, L), latents drawn from the posterior, codes soft at the temperature that the model was trained with."""
    sampled: Decoded
    """The images of those."""
    plane: latent_space.Plane
    """What scatter and grid are drawn in."""
    places: Floats
    """(n, 2), of the digits in that plane: of their means, or without coordinates of their classes' probabilities."""
    anchor: Floats
    """(L,), the latent of the image around which latents are changed one at a time."""
    rates: npt.NDArray[np.float64]
    """(Z + N,), mean KL divergence of each latent, nats: coordinates first, then categoricals."""

    @property
    def spec(self) -> LatentSpec:
        """Z, N and K."""
        return self.model.spec.latent

    @property
    def latents(self) -> Floats:
        """Of the digits, by the deterministic path: means and one-hots, (n, L)."""
        return self.posterior.latent

    @property
    def coordinates(self) -> Integers:
        """All Z coordinates, those with the highest rate first, int64 (Z,)."""
        return np.argsort(-self.rates[: self.spec.continuous], kind="stable")

    @property
    def variables(self) -> Integers:
        """All N categoricals, those with the highest rate first, int64 (N,)."""
        return np.argsort(-self.rates[self.spec.continuous :], kind="stable")


def look(model: vaegen.Model, real: Painted, seed: int, number: int = 1) -> Subject:
    """Send real digits through a model, the `number`-th of its preset and name.

    Raises:
        BundleError: The bundle cannot be used.
    """
    posterior = model.posterior(real.images)
    means = posterior.mean
    points = information.soft_codes(posterior, 1.0) if means is None else means
    plane = latent_space.plane(points, "class" if means is None else "coordinate")
    drawn = model.sample_posterior(posterior, seed)
    return Subject(
        label=f"{model.spec.preset} {model.spec.name}" + (f" {number}" if number > 1 else ""),
        model=model,
        real=real,
        posterior=posterior,
        rebuilt=decoded(model, posterior.latent),
        drawn=drawn,
        sampled=decoded(model, drawn),
        plane=plane,
        places=plane.project(points),
        anchor=model.draw(ANCHOR_DIGIT, ANCHOR_COLOR, seed=seed).latents[0],
        rates=information.rates(posterior).mean(0, dtype=np.float64),
    )


@dataclass(frozen=True)
class Picture:
    """One PNG of a report."""

    name: str
    """Of the file, without suffix."""
    title: str
    caption: str
    """What it shows, in Markdown."""
    data: bytes
    """The file's bytes."""


def everything(subject: Subject, seed: int) -> Iterator[Picture]:
    """Draw all pictures of one model."""
    yield wheel(subject, seed)
    yield digits_by_color(subject, seed)
    yield walks(subject, seed)
    yield temperatures(subject, seed)
    yield from essentials(subject, seed)
    if subject.spec.continuous:
        yield traversals(subject)
    if subject.spec.categorical[0]:
        yield switches(subject)


def essentials(subject: Subject, seed: int) -> Iterator[Picture]:
    """Draw what a page of several models shows: the worst samples, reconstructions, latents and what they decode to."""
    yield worst(subject, seed)
    yield reconstructions(subject)
    yield latents(subject)
    if subject.spec.continuous:
        yield grid(subject)
    if subject.spec.categorical[0] > 1:
        yield codes(subject)


def wheel(subject: Subject, seed: int) -> Picture:
    """Draw one digit in the colors of the hue circle, in the same handwriting as far as the model keeps it."""
    rings = [
        np.concatenate([subject.model.sample(WHEEL_DIGIT, rgb, seed=seed) for rgb in hues(count, saturation)])
        for count, saturation in WHEEL
    ]
    caption = (
        f"A {WHEEL_DIGIT} around the hue circle, fully saturated outside and white in the middle, as "
        f"`vaegen sample --seed {seed}` draws it."
    )
    return Picture("wheel", "Any color", caption, canvas.png(canvas.wheel(rings, scale=3)))


def digits_by_color(subject: Subject, seed: int) -> Picture:
    """Draw every digit in every color of SHEET."""
    colors = [parse_color(name) for name in SHEET]
    wanted = [(digit, color) for digit in range(DIGITS) for color in colors]
    images = subject.model.sample([digit for digit, _ in wanted], [color for _, color in wanted], seed=seed)
    picture = canvas.sheet(
        images.reshape(DIGITS, len(colors), *images.shape[1:]), title=f"{subject.label}: digit by color", columns=colors
    )
    return Picture("samples", "Any digit in any color", f"Digits 0 to 9 in {len(SHEET)} colors.", canvas.png(picture))


def walks(subject: Subject, seed: int) -> Picture:
    """Draw walks between the latents of two samples of different digits and colors."""
    colors = hues(2 * len(WALKS))
    rows = []
    for number, (first, last) in enumerate(WALKS):
        ends = subject.model.draw([first, last], [colors[number], colors[number + len(WALKS)]], seed=seed).latents
        rows.append(subject.model.decode(latent_space.walk(ends[0], ends[1], STEPS, subject.spec, seed)))
    picture = canvas.sheet(
        np.stack(rows),
        title=f"{subject.label}: walks between two samples",
        rows=[f"{first} to {last}" for first, last in WALKS],
    )
    ways = []
    if subject.spec.continuous:
        ways.append("Coordinates go along the arc between the two (spherical interpolation).")
    if subject.spec.categorical[0]:
        ways.append("Categoricals that differ are switched one after the other, in random order.")
    return Picture("walks", "From one digit to another", " ".join(ways), canvas.png(picture))


def temperatures(subject: Subject, seed: int) -> Picture:
    """Draw unverified samples at several temperatures of the prior, with the same noise."""
    colors = hues(DIGITS)
    spec = subject.model.spec
    levels = sorted({*TEMPERATURES, spec.prior_temperature})
    rows = [
        subject.model.sample(list(range(DIGITS)) * 2, colors * 2, seed=seed, temperature=level, tries=1)
        for level in levels
    ]
    picture = canvas.sheet(
        np.stack(rows),
        title=f"{subject.label}: temperature of the prior",
        rows=[f"{level:g}{' (default)' if level == spec.prior_temperature else ''}" for level in levels],
    )
    caption = "Two unverified samples of each digit; the noise is the same in every row."
    return Picture("temperatures", "Surer or more varied", caption, canvas.png(picture))


def worst(subject: Subject, seed: int) -> Picture:
    """Draw the samples that look the least real to the critic, of many."""
    colors = hues(DIGITS - 1)  # with each digit each color once in 90 samples
    item = np.arange(DRAWN)
    drawn = subject.model.draw(item % DIGITS, np.array(colors)[item % len(colors)], seed=seed)
    # Verified, so there are scores; those that look equally real stay in the order in which they were drawn.
    order = np.argsort(np.asarray(drawn.realism), kind="stable")[: math.prod(WORST)]
    picture = canvas.sheet(
        drawn.images[order].reshape(*WORST, SIDE, SIDE, 3),
        title=f"{subject.label}: the worst {len(order)} of {DRAWN} samples",
    )
    caption = f"Of {DRAWN} verified samples those that the critic finds the least like real handwriting, worst first."
    return Picture("worst", "The worst samples", caption, canvas.png(picture))


def reconstructions(subject: Subject) -> Picture:
    """Draw a test batch beside its reconstruction."""
    rows = [subject.real.images, subject.rebuilt.images, subject.sampled.images]
    picture = canvas.sheet(
        np.stack([images[:PAIRS] for images in rows]),
        title=f"{subject.label}: test digits and their reconstructions",
        rows=["test", "deterministic", "sampled"],
    )
    soft = subject.model.spec.gumbel_temperature
    codes = "" if soft is None else f", codes soft at temperature {soft:g}"
    caption = (
        "Test digits, their reconstructions by the deterministic path, and with latents drawn from the "
        f"posterior{codes}."
    )
    return Picture("reconstructions", "A test batch beside its reconstruction", caption, canvas.png(picture))


def latents(subject: Subject) -> Picture:
    """Draw the test digits' latents in a plane, by digit and by paint."""
    places, names = subject.places, subject.plane.names
    data = canvas.scatter(places, subject.real.digits, subject.real.colors, names, subject.label)
    what = "Means of the posterior" if subject.posterior.mean is not None else "Probabilities of all classes"
    caption = f"{what} of {len(places)} test digits, by digit and in their own paint."
    return Picture("latents", "Where the digits lie", caption, data)


def grid(subject: Subject) -> Picture:
    """Decode a grid of latents in the plane of the scatter."""
    plane = subject.plane
    lines = [
        np.linspace(values.mean() - SPREAD * values.std(), values.mean() + SPREAD * values.std(), GRID)
        for values in subject.places.T
    ]
    across, up = np.meshgrid(lines[0], lines[1][::-1])
    points = plane.lift(np.stack([across.ravel(), up.ravel()], 1).astype(np.float32)).astype(np.float32)
    _, classes = latent_space.split(subject.latents, subject.spec)
    usual = np.array([np.bincount(column).argmax() for column in classes.T], np.int64)
    rows = latent_space.join(points, np.repeat(usual[None], len(points), 0), subject.spec)
    images = subject.model.decode(rows).reshape(GRID, GRID, SIDE, SIDE, 3)
    picture = canvas.sheet(images, title=f"{subject.label}: decoded latents", scale=1, gap=1)
    kept = "; each categorical stays at its commonest class" if classes.size else ""
    caption = f"The same plane, {SPREAD:g} standard deviations of the test digits' latents to each side{kept}."
    return Picture("grid", "Decoded latents", caption, canvas.png(picture))


def codes(subject: Subject) -> Picture:
    """Decode every pair of classes of the two categoricals with the highest rates."""
    n, k = subject.spec.categorical
    down, across = subject.variables[:2]
    coordinates, classes = latent_space.split(subject.anchor[None], subject.spec)
    cells = np.repeat(classes, k * k, 0)
    cells[:, down], cells[:, across] = np.divmod(np.arange(k * k), k)
    images = subject.model.decode(latent_space.join(np.repeat(coordinates, k * k, 0), cells, subject.spec))
    picture = canvas.sheet(
        images.reshape(k, k, SIDE, SIDE, 3), title=f"{subject.label}: codes c{down} by c{across}", scale=1, gap=1
    )
    rest = "the third stays as it is" if n == 3 else f"the other {n - 2} stay as they are"
    others = f"; {rest} for an orange {ANCHOR_DIGIT}" if n > 2 else ""
    caption = f"Categorical {down} downwards, {across} to the right, all {k} classes of each{others}."
    return Picture("codes", "The grid of codes", caption, canvas.png(picture))


def traversals(subject: Subject) -> Picture:
    """Draw what each continuous coordinate does."""
    chosen = subject.coordinates[:MOST_ROWS]
    rows = latent_space.traversals(subject.anchor, subject.latents, chosen, STEPS)
    images = subject.model.decode(rows.reshape(-1, rows.shape[-1])).reshape(len(chosen), STEPS, SIDE, SIDE, 3)
    picture = canvas.sheet(
        images,
        title=f"{subject.label}: one coordinate at a time",
        rows=[f"z{index}  {subject.rates[index]:.1f} nats" for index in chosen],
    )
    which = _which(len(chosen), subject.spec.continuous, "coordinates")
    caption = f"{which}; each row moves one from its 1% to its 99% quantile over test digits."
    return Picture("coordinates", "What each coordinate does", caption, canvas.png(picture))


def switches(subject: Subject) -> Picture:
    """Draw what each class of each categorical does."""
    chosen = subject.variables[:MOST_ROWS]
    rows = latent_space.switches(subject.anchor, chosen, subject.spec)
    k = subject.spec.categorical[1]
    images = subject.model.decode(rows.reshape(-1, rows.shape[-1])).reshape(len(chosen), k, SIDE, SIDE, 3)
    z = subject.spec.continuous
    picture = canvas.sheet(
        images,
        title=f"{subject.label}: one categorical at a time",
        rows=[f"c{index}  {subject.rates[z + index]:.1f} nats" for index in chosen],
        columns=[str(index) for index in range(k)],
    )
    which = _which(len(chosen), subject.spec.categorical[0], "categoricals")
    caption = f"{which}; each row gives one all its {k} classes."
    return Picture("classes", "What each categorical does", caption, canvas.png(picture))


def hues(count: int, saturation: float = 1.0) -> list[canvas.RGB]:
    """Return bright colors evenly spaced around the hue circle, red first."""
    turns = (colorsys.hsv_to_rgb(index / count, saturation, 1) for index in range(count))
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in turns]


def _which(shown: int, there: int, what: str) -> str:
    some = f"All {there} {what} by rate" if shown == there else f"The {shown} of {there} {what} with the highest rates"
    return f"{some}, highest first"
