"""What the report's five conclusions are about, measured: color, its spread, and what a single latent decides.

Everything is taken from images and latents, the same way for every model. Where a figure depends on how codes are
drawn it is given twice: by the deterministic path (one-hots, what the product decodes) and with latents sampled from
the posterior, codes soft (what the report looked at, at temperature 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from vaegen.color import color_error, lab, stroke_color
from vaegen.noise import uniform
from vaegen.spec import DIGITS

from vaegen_training import latents as latent_math
from vaegen_training import run as runs
from vaegen_training.evaluate import color, gather, information, statistics
from vaegen_training.evaluate.judge import EvaluationJudge
from vaegen_training.evaluate.statistics import Counts, Figure
from vaegen_training.models import SeedVae
from vaegen_training.report import latent_space
from vaegen_training.report.subject import Subject

WAYS = ("deterministic", "sampled")
REQUESTS = 300  # digit and color pairs looked for among decoded latents
NEAR = 10.0  # CIEDE2000 within which a color counts as found: another shade, not another color
VALUES = 10  # of a continuous coordinate that are tried, evenly spaced quantiles of those it takes
# Images with one latent fixed: of every value, then of the CANDIDATES that did best, then of the best.
TRIALS, CANDIDATES, CHECKS, FRESH = 16, 8, 64, 200
BATCH = 4000  # images decoded and read in one go
HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")  # sixths of the hue circle
LEAST_SATURATION = 0.2  # below it a stroke is gray, and of no hue
GRAY = len(HUES)

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Figures = Mapping[str, Figure]


@dataclass(frozen=True)
class Measures:
    """All figures of one model that the conclusions rest on."""

    figures: Figures
    """By name; ROWS of `pages` says what each is."""
    picked: Mapping[str, tuple[str, Figure]]
    """For each digit "0" to "9" and each hue, the value of the latent that gives it most surely, and how surely."""


def measure(subject: Subject, reader: EvaluationJudge, seed: int) -> Measures:
    """Measure one model.

    Args:
        subject: The model and the digits seen through it.
        reader: The evaluation judge.
        seed: Of all choices and of the resampling.
    """
    real = subject.real
    figures: dict[str, Figure] = {}
    for name, way in zip(WAYS, (subject.hard, subject.sampled), strict=True):
        figures |= _named(_of_images(way.images, real, reader, seed), name)
        figures[f"excess_bce_{name}"] = statistics.mean(way.excess, seed)
    figures["rate"] = statistics.mean(information.rates(subject.posterior).sum(1), seed)
    figures["spread_prior"] = color_spread(_from_prior(subject, seed), seed)
    picked = pick(subject, reader, seed)
    figures["picked_digit"] = _average([figure for name, (_, figure) in picked.items() if name not in HUES])
    figures["picked_hue"] = _average([figure for name, (_, figure) in picked.items() if name in HUES])
    if subject.run is not None:
        figures |= halves(subject, seed)
    return Measures(figures, picked)


def real_figures(real: gather.Painted, reader: EvaluationJudge, seed: int) -> Figures:
    """Measure real digits the same way, as far as they have the figure: what a perfect model would get."""
    figures = _of_images(real.images, real, reader, seed)
    return {key: figure for name in WAYS for key, figure in _named(figures, name).items()}


def _of_images(images: Images, real: gather.Painted, reader: EvaluationJudge, seed: int) -> dict[str, Figure]:
    """Measure images of painted digits against the digits and the paint."""
    return {
        "color_error": statistics.quantile(color.errors(images, real.colors), 0.5, seed),
        "saturation": statistics.mean(saturation(stroke_color(images)), seed),
        "color_kept": color_kept(images, real.colors, seed),
        "accuracy": statistics.share(reader.read(images)[0] == real.digits),
        "spread": color_spread(images, seed),
        "requests_met": requests_met(images, reader, seed),
    }


def _named(figures: Figures, way: str) -> dict[str, Figure]:
    return {f"{name}_{way}": figure for name, figure in figures.items()}


def saturation(rgb: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Give the HSV saturation of colors (n, 3): (max - min) / max, from 0 for grays to 1; 2/3 on average for paint."""
    brightest = rgb.max(1)
    found: npt.NDArray[np.float64] = (brightest - rgb.min(1)) / np.maximum(brightest, 1)
    return found


def color_kept(images: Images, colors: npt.NDArray[np.uint8], seed: int) -> Figure:
    """Give the share of the paint's variance in hue and chroma that comes back: R^2 over a* and b*.

    1 - sum |found - paint|^2 / sum |paint - mean paint|^2 in the a*b* plane of CIE L*a*b*, of the measured stroke
    color. 1 is every hue in full, 0 is the same color for all, below 0 is worse than that.
    """
    paint, found = lab(colors)[:, 1:], lab(stroke_color(images))[:, 1:]
    squares = (paint**2).sum(1)
    lost = ((found - paint) ** 2).sum(1)

    def statistic(counts: Counts) -> npt.NDArray[np.float64]:
        n = len(paint)
        total = counts @ squares / n - ((counts @ paint / n) ** 2).sum(1)
        kept: npt.NDArray[np.float64] = 1 - counts @ lost / n / total
        return kept

    return statistics.bootstrap(statistic, len(paint), seed)


def color_spread(images: Images, seed: int) -> Figure:
    """Give how far stroke colors lie from their mean, the root mean square distance in CIE L*a*b*."""
    found = lab(stroke_color(images))
    squares = (found**2).sum(1)

    def statistic(counts: Counts) -> npt.NDArray[np.float64]:
        n = len(found)
        variance = counts @ squares / n - ((counts @ found / n) ** 2).sum(1)
        spread: npt.NDArray[np.float64] = np.sqrt(np.maximum(variance, 0))
        return spread

    return statistics.bootstrap(statistic, len(found), seed)


def requests_met(images: Images, reader: EvaluationJudge, seed: int) -> Figure:
    """Give the share of requests, a random digit in a random color, that at least one of some images answers.

    The images are those that the latents of real digits decode to, so this is whether there is a place in the latent
    space where digit and color are as wanted: the digit as the evaluation judge reads it, the color within NEAR.
    """
    digits = np.arange(REQUESTS) % DIGITS
    colors = gather.random_colors(REQUESTS, np.random.default_rng([seed, 2]))
    shown, strokes = reader.read(images)[0], stroke_color(images)
    errors = color_error(strokes[None], colors[:, None])  # (REQUESTS, n)
    return statistics.share(((errors <= NEAR) & (shown == digits[:, None])).any(1))


def hue_class(images: Images) -> Integers:
    """Give which sixth of the hue circle, red first, the stroke of each image is in; GRAY below LEAST_SATURATION."""
    rgb = stroke_color(images)
    red, green, blue = rgb.T
    # The angle of a color around the gray axis; red is 0, green a third of a turn.
    turn = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * np.pi)
    sixth = np.floor(turn * len(HUES) + 0.5).astype(np.int64) % len(HUES)
    return np.where(saturation(rgb) < LEAST_SATURATION, GRAY, sixth)


def pick(subject: Subject, reader: EvaluationJudge, seed: int) -> dict[str, tuple[str, Figure]]:
    """Find, for each digit and each hue, the single latent and its value that give it most surely.

    A latent is fixed (a coordinate at VALUES of its values, a categorical at each of its classes), all others are
    those of a random real digit, and the image says what came out. Each value gets TRIALS images, the CANDIDATES best
    get CHECKS new ones, and the best of these is measured on FRESH others, so that the choice does not flatter it.
    """
    random = np.random.default_rng([seed, 3])
    values = _values(subject)
    shares = _shares(subject, reader, values, TRIALS, random)
    found = {}
    for column, name in enumerate([*map(str, range(DIGITS)), *HUES]):
        candidates = [values[index] for index in np.argsort(-shares[:, column], kind="stable")[:CANDIDATES]]
        checked = _shares(subject, reader, candidates, CHECKS, random)[:, column]
        best = candidates[int(checked.argmax())]
        found[name] = (best.name, statistics.share(_shown(subject, reader, [best], FRESH, random)[0, :, column]))
    return found


@dataclass(frozen=True)
class _Value:
    """One latent at one value."""

    name: str
    columns: slice
    """Of the latent row."""
    content: Floats
    """What they are set to."""


def _values(subject: Subject) -> list[_Value]:
    z, (n, k) = subject.spec.continuous, subject.spec.categorical
    shares = (np.arange(VALUES) + 0.5) / VALUES
    one_hots = np.eye(max(k, 1), dtype=np.float32)
    found = []
    for coordinate in range(z):
        values = np.quantile(subject.latents[:, coordinate], shares).astype(np.float32)
        place = slice(coordinate, coordinate + 1)
        found += [_Value(f"z{coordinate} = {value:.2f}", place, np.array([value])) for value in values]
    for variable in range(n):
        place = slice(z + variable * k, z + (variable + 1) * k)
        found += [_Value(f"c{variable} = {index}", place, one_hots[index]) for index in range(k)]
    return found


def _shares(
    subject: Subject, reader: EvaluationJudge, values: list[_Value], count: int, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Give how often each digit and each hue shows in `count` images of each value, (m, 16)."""
    size = BATCH // count
    parts = [
        _shown(subject, reader, values[start : start + size], count, random).mean(1)
        for start in range(0, len(values), size)
    ]
    return np.concatenate(parts)


def _shown(
    subject: Subject, reader: EvaluationJudge, values: list[_Value], count: int, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Decode `count` images for each of m values and tell which digit and which hue each shows, (m, count, 16)."""
    rows = subject.latents[random.integers(0, len(subject.latents), (len(values), count))]  # (m, count, L)
    for row, value in enumerate(values):
        rows[row, :, value.columns] = value.content
    images = subject.model.decode(rows.reshape(-1, rows.shape[2]))
    digits = reader.read(images)[0][:, None] == np.arange(DIGITS)
    hues = hue_class(images)[:, None] == np.arange(len(HUES))
    hits: npt.NDArray[np.bool_] = np.concatenate([digits, hues], axis=1).reshape(len(values), count, -1)
    return hits


def halves(subject: Subject, seed: int) -> dict[str, Figure]:
    """Measure the two decoders of a seed joint model apart; empty for any other model.

    Bundles hold the mean of the two images; only the run knows the halves.
    """
    assert subject.run is not None
    config, vae, _, _ = runs.load_run(subject.run)
    if not isinstance(vae, SeedVae) or vae.spec.kind != "joint":
        return {}
    n = len(subject.real.images)
    noise = torch.from_numpy(uniform(seed, 0, range(n), vae.spec.size))
    with torch.no_grad():
        sampled = latent_math.sample(subject.posterior, noise, config.objective.temperature_end)
        figures: dict[str, Figure] = {}
        for way, latent in zip(WAYS, (torch.from_numpy(subject.latents), sampled), strict=True):
            for half, image in zip(("continuous", "discrete"), vae.images(latent), strict=True):
                floats = image.reshape(n, 3, 28, 28).numpy()
                rounded = np.rint(floats * 255).astype(np.uint8).transpose(0, 2, 3, 1)
                name = f"{half}_half_{way}"
                excess = information.excess_bce(floats, subject.real.images)
                figures[f"excess_bce_{name}"] = statistics.mean(excess, seed)
                figures[f"color_error_{name}"] = statistics.quantile(
                    color.errors(rounded, subject.real.colors), 0.5, seed
                )
                figures[f"saturation_{name}"] = statistics.mean(saturation(stroke_color(rounded)), seed)
    return figures


def _from_prior(subject: Subject, seed: int) -> Images:
    """Decode latents of the model's own prior, N(0, I) and uniform categoricals, as many as there are digits."""
    random = np.random.default_rng([seed, 4])
    n, (variables, k) = len(subject.latents), subject.spec.categorical
    coordinates = random.standard_normal((n, subject.spec.continuous)).astype(np.float32)
    classes = random.integers(0, max(k, 1), (n, variables))
    return subject.model.decode(latent_space.join(coordinates, classes, subject.spec))


def _average(figures: list[Figure]) -> Figure:
    """Average independent shares of FRESH images each; the interval is that of a share of all the images."""
    n = sum(figure.n for figure in figures)
    hits = round(sum(figure.value * figure.n for figure in figures))
    return statistics.share(np.arange(n) < hits)
