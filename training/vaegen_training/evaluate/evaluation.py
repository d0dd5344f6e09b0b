"""`vaegen evaluate`: every figure of one bundle, from its images; read it top to bottom."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import vaegen
from tqdm import tqdm
from vaegen.checks import check_integer
from vaegen.noise import MAX_SEED
from vaegen.spec import ModelSpec

from vaegen_training import data
from vaegen_training.evaluation import color, fidelity, gather, information, judge, statistics
from vaegen_training.evaluation.gather import Painted, Real, Reconstructions
from vaegen_training.evaluation.judge import EvaluationJudge
from vaegen_training.evaluation.statistics import Figure

IMAGES = 10_000  # of each kind, by default
LEAST_IMAGES, MOST_IMAGES = 100, 1_000_000
REFERENCE = 3000  # digits on each side where distributions are compared
NEIGHBORS = 1000  # images whose nearest training digit is looked for
NEAR = 0.01  # quantile of the test digits' distances below which an image counts as a near copy

Column = dict[str, Figure]


@dataclass(frozen=True)
class Evaluation:
    """All figures of one bundle."""

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
        """Give the JSON form."""
        return dataclasses.asdict(self) | {"model": self.model.to_dict(), "rate_per_latent": list(self.rate_per_latent)}


def evaluate(
    name_or_path: str | Path,
    *,
    data_dir: str | Path | None = None,
    n: int = IMAGES,
    seed: int = 0,
    verify_data: bool = True,
    progress: bool = True,
) -> Evaluation:
    """Measure a bundle; the same call gives the same figures.

    Args:
        name_or_path: What `vaegen.load` takes.
        data_dir: Folder with MNIST's idx files; None downloads them.
        n: Images to sample, raw and verified, and test digits to reconstruct if there are as many.
        seed: 0 to 2**64 - 1.
        verify_data: Compare the files with MNIST's checksums; off for other digits in the same format.
        progress: Show a bar on stderr, if that is a terminal.

    Raises:
        RequestError: No such model, or an impossible number.
        BundleError: The bundle cannot be used.
        DataError: The data cannot be read.
    """
    n = check_integer("n", n, LEAST_IMAGES, MOST_IMAGES)
    seed = check_integer("seed", seed, 0, MAX_SEED)
    reader, digest = judge.load()
    with vaegen.load(name_or_path) as model, tqdm(total=6, disable=None if progress else True) as bar, one_thread():
        bar.set_description("real digits")
        mnist = data.load(None if data_dir is None else Path(data_dir), verify=verify_data)
        real = gather.real_digits(mnist, n, REFERENCE, seed)
        bar.update()
        bar.set_description("samples, raw")
        raw, _ = gather.samples(model, n, seed, tries=1)
        bar.update()
        bar.set_description("samples, verified")
        verified, tries = gather.samples(model, n, seed, tries=None)
        bar.update()
        bar.set_description("reconstructions")
        rebuilt = gather.reconstructions(model, real.test)
        bar.update()

        bar.set_description("digits and colors")
        columns = {"raw": raw, "verified": verified, "reconstruction": rebuilt.painted, "real": real.test}
        read = {name: reader.read(painted.images) for name, painted in columns.items()}
        rows = {name: _image_figures(painted, read[name][0], seed) for name, painted in columns.items()}
        rows["verified"]["tries"] = statistics.mean(tries, seed)
        rows["reconstruction"] |= _information(rebuilt, real.test, read["reconstruction"][0], reader, seed)
        rows["real"]["excess_bce"] = statistics.mean(_excess_of_real(real.test), seed)
        bar.update()

        bar.set_description("distributions")
        features = {name: features[: len(real.reference.images)] for name, (_, features) in read.items()}
        features["real"] = reader.read(real.training.images)[1]
        distributions = _distributions(features, reader.read(real.reference.images)[1], seed)
        copies = _copies({name: painted.first(NEIGHBORS) for name, painted in columns.items()}, real, seed)
        for name in columns:
            rows[name] |= distributions[name] | copies[name]
        bar.update()

        return Evaluation(
            model=model.spec,
            graphs={name: graph.sha256 for name, graph in model.manifest.graphs.items()},
            judge=digest,
            n=n,
            seed=seed,
            figures=_by_row(rows),
            rate_per_latent=tuple(map(float, information.rates(rebuilt.posterior).mean(0, dtype=np.float64))),
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: sums are added in one order whatever the number of cores, and small ones need no more.

    On a machine whose cores are busy with something else this is also 15 times as fast.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _image_figures(painted: Painted, seen: gather.Integers, seed: int) -> Column:
    """Judge images one by one: digit, color, hue, bleeding."""
    errors = color.errors(painted.images, painted.colors)
    return {
        "digit_accuracy": statistics.share(seen == painted.digits),
        "color_error_median": statistics.quantile(errors, 0.5, seed),
        "color_error_p95": statistics.quantile(errors, 0.95, seed),
        "hue_error_median": statistics.quantile(color.hue_errors(painted.images, painted.colors), 0.5, seed),
        "bleeding_median": statistics.quantile(color.bleeding(painted.images), 0.5, seed),
    }


def _information(
    rebuilt: Reconstructions, originals: Painted, seen: gather.Integers, reader: EvaluationJudge, seed: int
) -> Column:
    """Measure losses and latents on the reconstructed test digits."""
    posterior = rebuilt.posterior
    excess = information.excess_bce(rebuilt.predictions, originals.images)
    rates = information.rates(posterior)
    column = {
        "excess_bce": statistics.mean(excess, seed),
        "kl": statistics.mean(rates.sum(1), seed),
        "rate_per_latent": statistics.mean(rates.mean(1), seed),
    }
    if posterior.mean is not None:
        column["active_units"] = information.active_units(posterior.mean.numpy(), seed)
    if posterior.logits is not None and rebuilt.soft is not None and rebuilt.soft_images is not None:
        codes = posterior.logits.argmax(-1).numpy()
        column["codes_in_use"], column["perplexity"] = information.codes_in_use(codes, posterior.logits.shape[2], seed)
        soft_excess = information.excess_bce(rebuilt.soft, originals.images)
        soft_right = reader.read(rebuilt.soft_images)[0] == originals.digits
        hard_right = seen == originals.digits
        column["hard_soft_excess_bce"] = statistics.mean(excess - soft_excess, seed)
        column["hard_soft_accuracy"] = statistics.mean(hard_right.astype(np.float64) - soft_right, seed)
    return column


def _excess_of_real(painted: Painted) -> gather.Floats:
    """Give the excess BCE of real digits under themselves, 0 but for rounding: the floor of that row."""
    predictions = painted.images.transpose(0, 3, 1, 2) / np.float32(255)
    return information.excess_bce(np.ascontiguousarray(predictions), painted.images)


def _distributions(features: Mapping[str, gather.Floats], reference: gather.Floats, seed: int) -> dict[str, Column]:
    """Compare features of images with those of the reference digits."""
    columns: dict[str, Column] = {}
    for name, value in features.items():
        density, coverage = fidelity.density_and_coverage(value, reference, seed)
        columns[name] = {
            "density": density,
            "coverage": coverage,
            "frechet": fidelity.frechet(value, reference, seed),
        }
    return columns


def _copies(columns: Mapping[str, Painted], real: Real, seed: int) -> dict[str, Column]:
    """Look for copies of training digits: how far is the nearest, and is it nearer than test digits ever are?"""
    distances = {
        name: fidelity.nearest(judge.normalised(painted.images), real.gray_training)
        for name, painted in columns.items()
    }
    near = np.quantile(distances["real"], NEAR)
    return {
        name: {
            "neighbor_distance_median": statistics.quantile(distance, 0.5, seed),
            "near_copies": statistics.share(distance < near),
        }
        for name, distance in distances.items()
    }


def _by_row(columns: Mapping[str, Column]) -> dict[str, Column]:
    rows: dict[str, Column] = {}
    for name, column in columns.items():
        for row, figure in column.items():
            rows.setdefault(row, {})[name] = figure
    return rows
