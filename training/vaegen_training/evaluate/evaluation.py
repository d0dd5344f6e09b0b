"""`vaegen evaluate`: every figure of a model, from its images; read it top to bottom."""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vaegen
from tqdm import tqdm
from vaegen.noise import MAX_SEED
from vaegen.request import check_integer
from vaegen.spec import ModelSpec

from vaegen_training import data
from vaegen_training.evaluate import evaluation_judge, fidelity, information, samples, statistics
from vaegen_training.evaluate.color_difference import color_error, stroke_color
from vaegen_training.evaluate.samples import Painted, Reconstructions
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.host import own_torch

IMAGES = 10_000  # of each kind, by default
LEAST_IMAGES, MOST_IMAGES = 100, 1_000_000
REFERENCE = 3000  # digits on each side where distributions are compared
NEIGHBORS = 1000  # images whose nearest training digit is looked for
NEAR = 0.01  # quantile of the test digits' distances below which an image counts as a near copy
STAGES = 4  # steps of a bar for each model

Column = dict[str, Figure]


@dataclass(frozen=True)
class Evaluation:
    """All figures of one model."""

    model: ModelSpec
    """What was evaluated."""
    graphs: Mapping[str, str]
    """sha256 of each of the bundle's graphs."""
    judge: str
    """sha256 of the evaluation judge's weights."""
    n: int
    """Images sampled."""
    seed: int
    """Of the sampling, the paint, the choice of digits and the resampling."""
    figures: Mapping[str, Column]
    """Row of `table.ROWS`, then column of `table.COLUMNS`; a row has the columns that make sense for it."""
    rate_per_latent: tuple[float, ...]
    """Mean KL divergence of each continuous coordinate, then of each categorical, nats."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dataclasses.asdict(self) | {"model": self.model.to_dict(), "rate_per_latent": list(self.rate_per_latent)}


def evaluate(
    names_or_paths: Sequence[str | Path],
    *,
    data_dir: str | Path | None = None,
    n: int = IMAGES,
    seed: int = 0,
    verify_data: bool = True,
    progress: bool = True,
) -> list[Evaluation]:
    """Measure models; the same call returns the same figures.

    Args:
        names_or_paths: Shipped models' names or bundles' folders, as for `vaegen.load`.
        data_dir: Folder with MNIST's idx files; None downloads them.
        n: Images to sample, raw and verified, and test digits to reconstruct if there are as many.
        seed: 0 to 2**64 - 1.
        verify_data: Compare the files with MNIST's checksums; off for other digits in the same format.
        progress: Show a bar on stderr, if that is a terminal.

    Raises:
        RequestError: No such model, or an impossible number.
        BundleError: A bundle cannot be used.
        DataError: The data cannot be read.
    """
    with ExitStack() as stack:
        total = 1 + STAGES * len(names_or_paths)
        bar = stack.enter_context(tqdm(total=total, disable=None if progress else True))
        stack.enter_context(own_torch(threads=1))
        n, seed = check_numbers(n, seed)
        models = [stack.enter_context(vaegen.load(name_or_path)) for name_or_path in names_or_paths]
        evaluator = Evaluator(data_dir, n=n, seed=seed, verify_data=verify_data, bar=bar)
        return [evaluator.measure(model) for model in models]


def check_numbers(n: int, seed: int) -> tuple[int, int]:
    """Return the number of images and the seed.

    Raises:
        RequestError: One of them is out of range.
    """
    return check_integer("n", n, LEAST_IMAGES, MOST_IMAGES), check_integer("seed", seed, 0, MAX_SEED)


class Evaluator:
    """Measures models against real digits, which are read and judged once; to be used in `own_torch(threads=1)`.

    Args:
        data_dir: As for `evaluate`, like all others.
        n: Images of each kind.
        seed: Of everything random.
        verify_data: Whether to compare the files with MNIST's checksums.
        bar: Shows the progress: a step for the real digits, STAGES for each model.

    Raises:
        DataError: The data cannot be read.
    """

    def __init__(self, data_dir: str | Path | None, *, n: int, seed: int, verify_data: bool, bar: tqdm) -> None:
        self.n, self.seed, self._bar = n, seed, bar
        bar.set_description("real digits")
        self.judge, self.digest = evaluation_judge.load()
        mnist = data.load(None if data_dir is None else Path(data_dir), verify=verify_data)
        self.real = samples.real_digits(mnist, n, REFERENCE, seed)
        test = self.real.test
        seen, _ = self.judge.read(test.images)
        self._reference = self.judge.read(self.real.reference.images)[1]
        distances = self._distances(test)
        self._near = np.quantile(distances, NEAR)
        # The floor of the excess BCE: real digits under themselves, 0 but for rounding.
        excess = information.excess_bce(test.images.astype(np.float32) / np.float32(255), test.images)
        self._column = self._of_images(test, seen) | {
            "excess_bce": statistics.mean(excess, seed),
            **self._of_distribution(self.judge.read(self.real.training.images)[1]),
            **self._of_copies(distances),
        }
        bar.update()

    def measure(self, model: vaegen.Model, rebuilt: Reconstructions | None = None) -> Evaluation:
        """Measure one model.

        Args:
            model: The model.
            rebuilt: The test digits after it, if they are at hand.

        Raises:
            BundleError: The bundle cannot be used.
        """
        test = self.real.test
        self._bar.set_description("samples, raw")
        raw, _ = samples.samples(model, self.n, self.seed, tries=1)
        self._advance("samples, verified")
        verified, tries = samples.samples(model, self.n, self.seed, tries=None)
        self._advance("reconstructions")
        rebuilt = rebuilt or samples.reconstructions(model, test.images)
        self._advance("figures")
        columns: dict[str, Column] = {}
        after = Painted(rebuilt.hard.images, test.digits, test.colors)
        for name, painted in (("raw", raw), ("verified", verified), ("reconstruction", after)):
            seen, features = self.judge.read(painted.images)
            columns[name] = {
                **self._of_images(painted, seen),
                **self._of_distribution(features[: len(self._reference)]),
                **self._of_copies(self._distances(painted)),
            }
        columns["verified"]["tries"] = statistics.mean(tries, self.seed)
        columns["reconstruction"] |= self._of_information(rebuilt, seen)
        self._bar.update()
        rates = information.rates(rebuilt.posterior).mean(0, dtype=np.float64)
        return Evaluation(
            model=model.spec,
            graphs={name: graph.sha256 for name, graph in model.manifest.graphs.items()},
            judge=self.digest,
            n=self.n,
            seed=self.seed,
            figures=_by_row(columns | {"real": self._column}),
            rate_per_latent=tuple(map(float, rates)),
        )

    def _advance(self, stage: str) -> None:
        """Count the stage before, and show which one begins."""
        self._bar.update()
        self._bar.set_description(stage)

    def _of_images(self, painted: Painted, seen: samples.Integers) -> Column:
        """Measure images one by one: digit, color, hue, bleeding."""
        errors = color_error(stroke_color(painted.images), painted.colors)
        hues = fidelity.hue_errors(painted.images, painted.colors)
        return {
            "digit_accuracy": statistics.share(seen == painted.digits),
            "color_error_median": statistics.quantile(errors, 0.5, self.seed),
            "color_error_p95": statistics.quantile(errors, 0.95, self.seed),
            "hue_error_median": statistics.quantile(hues, 0.5, self.seed),
            "bleeding_median": statistics.quantile(fidelity.bleeding(painted.images), 0.5, self.seed),
        }

    def _of_information(self, rebuilt: Reconstructions, seen: samples.Integers) -> Column:
        """Measure losses and latents on the reconstructed test digits, of which `seen` is how they read."""
        posterior, test, seed = rebuilt.posterior, self.real.test, self.seed
        excess = information.excess_bce(rebuilt.hard.unrounded, test.images)
        rates = information.rates(posterior)
        column = {
            "excess_bce": statistics.mean(excess, seed),
            "kl": statistics.mean(rates.sum(1), seed),
            "rate_per_latent": statistics.mean(rates.mean(1), seed),
        }
        if posterior.mean is not None:
            column["active_units"] = information.active_units(posterior.mean, seed)
        if posterior.logits is not None and rebuilt.soft is not None:
            codes, classes = posterior.logits.argmax(-1), posterior.logits.shape[2]
            column["codes_in_use"], column["perplexity"] = information.codes_in_use(codes, classes, seed)
            soft_excess = information.excess_bce(rebuilt.soft.unrounded, test.images)
            soft_right = self.judge.read(rebuilt.soft.images)[0] == test.digits
            hard_right = seen == test.digits
            column["hard_soft_excess_bce"] = statistics.mean(excess - soft_excess, seed)
            column["hard_soft_accuracy"] = statistics.mean(hard_right.astype(np.float64) - soft_right, seed)
        return column

    def _of_distribution(self, features: samples.Floats) -> Column:
        """Compare features of images with those of the reference digits."""
        density, coverage = fidelity.density_and_coverage(features, self._reference, self.seed)
        frechet = fidelity.frechet(features, self._reference, self.seed)
        return {"density": density, "coverage": coverage, "frechet": frechet}

    def _distances(self, painted: Painted) -> samples.Floats:
        """Return how far the nearest training digit is from each of the first NEIGHBORS images."""
        return fidelity.nearest(painted.images[:NEIGHBORS], self.real.gray_training)

    def _of_copies(self, distances: samples.Floats) -> Column:
        """Look for copies of training digits: images nearer to one than test digits ever are."""
        return {
            "neighbor_distance_median": statistics.quantile(distances, 0.5, self.seed),
            "near_copies": statistics.share(distances < self._near),
        }


def _by_row(columns: Mapping[str, Column]) -> dict[str, Column]:
    rows: dict[str, Column] = {}
    for name, column in columns.items():
        for row, figure in column.items():
            rows.setdefault(row, {})[name] = figure
    return rows
