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
from vaegen.errors import RequestError
from vaegen.noise import MAX_SEED
from vaegen.request import check_integer
from vaegen.spec import ModelSpec

from vaegen_training import data
from vaegen_training.evaluate import control, evaluation_judge, fidelity, samples, statistics
from vaegen_training.evaluate.color_difference import color_error, stroke_color
from vaegen_training.evaluate.samples import Images, Painted
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.host import own_torch

IMAGES = 10_000  # of each kind, by default
LEAST_IMAGES, MOST_IMAGES = 100, 1_000_000
REFERENCE = 3000  # digits on each side of density and coverage
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
    """Of the sampling, the paint, the choice of digits, the classifiers trained afresh and the resampling."""
    figures: Mapping[str, Column]
    """By metric, then by the images measured: "raw" and "verified" samples, "reconstruction", "real"; of what was asked
    for, by "digit", "hue", "slant" and "thickness", those that the model lets one ask for."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dataclasses.asdict(self) | {"model": self.model.to_dict()}


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
        RequestError: No such model, one that draws no digits, or an impossible number.
        BundleError: A bundle cannot be used.
        DataError: The data cannot be read.
    """
    with ExitStack() as stack:
        total = 1 + STAGES * len(names_or_paths)
        bar = stack.enter_context(tqdm(total=total, disable=None if progress else True))
        stack.enter_context(own_torch(threads=1))
        n, seed = check_numbers(n, seed)
        models = [stack.enter_context(vaegen.load(name_or_path)) for name_or_path in names_or_paths]
        check_digits(models)
        evaluator = Evaluator(data_dir, n=n, seed=seed, verify_data=verify_data, bar=bar)
        return [evaluator.measure(model) for model in models]


def check_numbers(n: int, seed: int) -> tuple[int, int]:
    """Return the number of images and the seed.

    Raises:
        RequestError: One of them is out of range.
    """
    return check_integer("n", n, LEAST_IMAGES, MOST_IMAGES), check_integer("seed", seed, 0, MAX_SEED)


def check_digits(models: Sequence[vaegen.Model]) -> None:
    """Refuse models of other classes: all that is measured, a judge of digits reads beside MNIST's digits.

    Raises:
        RequestError: A model's manifest names classes.
    """
    for model in models:
        if model.spec.classes is not None:
            raise RequestError(
                f"{model.spec.name} draws {model.spec.classes[0]}, {model.spec.classes[1]} and so on, and what is "
                "measured here is read by a judge of digits; its run's summary.json has its losses"
            )


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
        self._reference = self.judge.read(self.real.reference)[1]
        # Real digits against other real digits: a classifier finds nothing to tell them by.
        learned, asked = (np.array_split(part.images, 2) for part in (self.real.training, self.real.test))
        self._column = (
            self._of_images(self.real.test)
            | self._of_neighbors(self.real.training.images)
            | self._of_training(self.real.training)
            | self._told_from_real((learned[0], learned[1]), (asked[0], asked[1]))
        )
        bar.update()

    def measure(self, model: vaegen.Model, rebuilt: Images | None = None) -> Evaluation:
        """Measure one model.

        Args:
            model: The model.
            rebuilt: The test digits after it, if they are at hand.

        Raises:
            BundleError: The bundle cannot be used.
        """
        test, training, n, seed = self.real.test, self.real.training, self.n, self.seed
        half = len(training.digits) // 2  # as many images of two kinds as of digits to learn from
        self._bar.set_description("samples")
        raw = samples.samples(model, test, n, seed, tries=1)
        verified = samples.samples(model, test, n, seed)
        learned = samples.samples(model, training, len(training.digits), seed, start=n)
        self._advance("reconstructions")
        rebuilt = model.reconstruct(test.images) if rebuilt is None else rebuilt
        columns = {
            "raw": self._of_images(raw) | self._of_neighbors(raw.images),
            "verified": self._of_images(verified) | self._of_neighbors(verified.images),
            "reconstruction": self._of_images(Painted(rebuilt, test.digits, test.colors)),
        }
        asked_for = {
            "by_one_latent": control.by_one_latent(model, self.judge, test, seed),
            "style_error": control.style_error(model, test, seed),
        }
        self._advance("train on samples")
        columns["verified"] |= self._of_training(learned)
        self._advance("tell apart")
        seen, unseen = learned.images[:half], verified.images[: len(test.digits)]
        columns["verified"] |= self._told_from_real((seen, training.images[:half]), (unseen, test.images))
        columns["verified"]["told_from_reconstructions"] = fidelity.told_apart(
            (seen, model.reconstruct(training.images[:half])), (unseen, rebuilt), seed
        )
        self._bar.update()
        return Evaluation(
            model=model.spec,
            graphs={name: graph.sha256 for name, graph in model.manifest.graphs.items()},
            judge=self.digest,
            n=n,
            seed=seed,
            figures=_by_row(columns | {"real": self._column}) | asked_for,
        )

    def _advance(self, stage: str) -> None:
        """Count the stage before, and show which one begins."""
        self._bar.update()
        self._bar.set_description(stage)

    def _accuracy(self, painted: Painted) -> Figure:
        return statistics.share(self.judge.read(painted.images)[0] == painted.digits)

    def _of_images(self, painted: Painted) -> Column:
        """Measure images one by one: digit and color."""
        errors = color_error(stroke_color(painted.images), painted.colors)
        return {
            "digit_accuracy": self._accuracy(painted),
            "color_error_median": statistics.quantile(errors, 0.5, self.seed),
            "color_error_p95": statistics.quantile(errors, 0.95, self.seed),
        }

    def _of_neighbors(self, images: Images) -> Column:
        """Compare as many images as there are reference digits with those, real or asked for like `real.test`."""
        features = self.judge.read(images[: len(self._reference)])[1]
        density, coverage = fidelity.density_and_coverage(features, self._reference, self.seed)
        return {"density": density, "coverage": coverage}

    def _of_training(self, training: Painted) -> Column:
        """Train on images, test on real digits."""
        return {"classification_accuracy_score": fidelity.accuracy_after(training, self.real.test, self.seed)}

    def _told_from_real(self, learned: fidelity.Sides, asked: fidelity.Sides) -> Column:
        """Try to tell images from real digits."""
        return {
            "told_from_real": fidelity.told_apart(learned, asked, self.seed),
            "told_from_real_shape": fidelity.told_apart(learned, asked, self.seed, shape_only=True),
        }


def _by_row(columns: Mapping[str, Column]) -> dict[str, Column]:
    rows: dict[str, Column] = {}
    for name, column in columns.items():
        for row, figure in column.items():
            rows.setdefault(row, {})[name] = figure
    return rows
