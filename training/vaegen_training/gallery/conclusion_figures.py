"""The figures that the report's five conclusions rest on: color, its spread, and what a single latent decides.

Everything is taken from images and latents, the same way for every model. Where a figure depends on how codes are
drawn it is taken twice: by the deterministic path (one-hots, what the product decodes) and with latents sampled from
the posterior, codes soft (what the report looked at, at temperature 1).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from vaegen.color import color_error, stroke_color
from vaegen.spec import CHANNELS, DIGITS, SIDE

from vaegen_training.evaluate import color_figures, information, samples, statistics
from vaegen_training.evaluate.color_figures import HUES
from vaegen_training.evaluate.evaluation_judge import EvaluationJudge
from vaegen_training.evaluate.samples import Floats, Images, Integers
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.gallery import latent_space
from vaegen_training.gallery.subject import Subject
from vaegen_training.models.vae import MlpVae
from vaegen_training.train import run_folder

REQUESTS = 300  # digit and color pairs looked for among decoded latents
NEAR = 10.0  # CIEDE2000 within which a color counts as found: another shade, not another color
VALUES = 10  # of a continuous coordinate that are tried, evenly spaced quantiles of those it takes
# Images with one latent fixed: of every value, then of the CANDIDATES that did best, then of the best.
TRIALS, CANDIDATES, CHECKS, FRESH = 16, 8, 64, 200

Figures = Mapping[str, Figure]


def measure(subject: Subject, judge: EvaluationJudge, seed: int) -> Figures:
    """Measure one model.

    Args:
        subject: The model and the digits after it.
        judge: The evaluation judge.
        seed: Of all choices and of the resampling.

    Returns:
        The figures by name; those that depend on the way through the model end in "_deterministic" or "_sampled".
    """
    colors = subject.real.colors
    figures: dict[str, Figure] = {}
    for way, decoded in (("deterministic", subject.rebuilt.hard), ("sampled", subject.sampled)):
        images, excess = decoded.images, information.excess_bce(decoded.unrounded, subject.real.images)
        figures |= {
            f"color_error_{way}": statistics.quantile(color_error(stroke_color(images), colors), 0.5, seed),
            f"saturation_{way}": statistics.mean(color_figures.saturation(images), seed),
            f"color_kept_{way}": color_figures.color_kept(images, colors, seed),
            f"spread_{way}": color_figures.color_spread(images, seed),
            f"requests_met_{way}": requests_met(images, judge.read(images)[0], seed),
            f"excess_bce_{way}": statistics.mean(excess, seed),
        }
    figures["rate"] = statistics.mean(information.rates(subject.rebuilt.posterior).sum(1), seed)
    figures["spread_prior"] = color_figures.color_spread(_from_prior(subject, seed), seed)
    picked = pick(subject, judge, seed)
    for name, shares in (("picked_digit", picked[:DIGITS]), ("picked_hue", picked[DIGITS:])):
        hits = round(sum(share.value * share.n for share in shares))
        figures[name] = statistics.share(np.arange(sum(share.n for share in shares)) < hits)
    return figures | _discrete_half(subject, seed)


def requests_met(images: Images, seen: Integers, seed: int) -> Figure:
    """Return the share of requests, a random digit in a random color, that at least one of some images answers.

    The images are those that the latents of real digits decode to, so this is whether there is a place in the latent
    space where digit and color are as wanted.

    Args:
        images: uint8 (n, 28, 28, 3).
        seen: int64 (n,), the digits as the evaluation judge reads them.
        seed: Of the requests.
    """
    digits = np.arange(REQUESTS) % DIGITS
    colors = samples.random_colors(REQUESTS, np.random.default_rng([seed, 2]))
    errors = color_error(stroke_color(images)[None], colors[:, None])  # (REQUESTS, n)
    return statistics.share(((errors <= NEAR) & (seen == digits[:, None])).any(1))


def pick(subject: Subject, judge: EvaluationJudge, seed: int) -> list[Figure]:
    """Return how surely a single latent can give each of the ten digits, then each of HUES.

    A latent is fixed (a coordinate at VALUES of its values, a categorical at each of its classes), all others are
    those of a random real digit, and the image says what came out. Each value gets TRIALS images, the CANDIDATES best
    get CHECKS new ones, and the best of these is measured on FRESH others, so that the choice does not flatter it.
    """
    random = np.random.default_rng([seed, 3])
    values = _values(subject)

    def shown(chosen: Integers, count: int) -> npt.NDArray[np.bool_]:
        """Return which digits and hues `count` images for each of m values show, (m, count, 16)."""
        rows = subject.latents[random.integers(0, len(subject.latents), (len(chosen), count))]  # (m, count, L)
        for row, index in enumerate(chosen):
            columns, content = values[index]
            rows[row, :, columns] = content
        images = subject.model.decode(rows.reshape(-1, rows.shape[2]))
        digits = judge.read(images)[0][:, None] == np.arange(DIGITS)
        hues = color_figures.hue_class(images)[:, None] == np.arange(len(HUES))
        hits: npt.NDArray[np.bool_] = np.concatenate([digits, hues], axis=1).reshape(len(chosen), count, -1)
        return hits

    tried = shown(np.arange(len(values)), TRIALS).mean(1)
    shares = []
    for column in range(DIGITS + len(HUES)):
        candidates = np.argsort(-tried[:, column], kind="stable")[:CANDIDATES]
        best = candidates[shown(candidates, CHECKS)[..., column].mean(1).argmax()]
        shares.append(statistics.share(shown(best[None], FRESH)[0, :, column]))
    return shares


def _values(subject: Subject) -> list[tuple[slice, Floats]]:
    """Return every value that a single latent is given: its columns of the latent row, and what they hold."""
    z, (n, k) = subject.spec.continuous, subject.spec.categorical
    quantiles = np.quantile(subject.latents[:, :z], (np.arange(VALUES) + 0.5) / VALUES, axis=0).astype(np.float32)
    coordinates = [(slice(at, at + 1), quantiles[row, [at]]) for at in range(z) for row in range(VALUES)]
    starts = range(z, z + n * k, max(k, 1))
    return coordinates + [(slice(at, at + k), one_hot) for at in starts for one_hot in np.eye(k, dtype=np.float32)]


def _discrete_half(subject: Subject, seed: int) -> dict[str, Figure]:
    """Measure the discrete decoder of a seed joint model by itself; empty for any other model.

    Bundles hold the mean of the two decoders' images; only the run has them apart.
    """
    vae = None if subject.run is None else run_folder.load_run(subject.run)[1]
    if not isinstance(vae, MlpVae) or vae.spec.kind != "joint":
        return {}
    figures = {}
    for way, latents in (("deterministic", subject.latents), ("sampled", subject.drawn)):
        with torch.no_grad():
            _, half = vae.images(torch.from_numpy(latents))
        unrounded = half.reshape(-1, CHANNELS, SIDE, SIDE).permute(0, 2, 3, 1).numpy()
        excess = information.excess_bce(unrounded, subject.real.images)
        images = np.rint(unrounded * 255).astype(np.uint8)
        errors = color_error(stroke_color(images), subject.real.colors)
        figures[f"excess_bce_discrete_half_{way}"] = statistics.mean(excess, seed)
        figures[f"color_error_discrete_half_{way}"] = statistics.quantile(errors, 0.5, seed)
    return figures


def _from_prior(subject: Subject, seed: int) -> Images:
    """Decode latents of the model's own prior, N(0, I) and uniform categoricals, as many as there are digits."""
    random = np.random.default_rng([seed, 4])
    n, (variables, k) = len(subject.latents), subject.spec.categorical
    coordinates = random.standard_normal((n, subject.spec.continuous)).astype(np.float32)
    classes = random.integers(0, max(k, 1), (n, variables))
    return subject.model.decode(latent_space.join(coordinates, classes, subject.spec))
