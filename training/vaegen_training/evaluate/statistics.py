"""Figures with their uncertainty: a value, its 95% confidence interval and the number of items behind it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # 1.96
RESAMPLES = 1000
CHUNK = 100  # resamples in memory at a time

Numbers = npt.NDArray[np.floating] | npt.NDArray[np.integer]
Counts = npt.NDArray[np.float64]
Statistic = Callable[[Counts], npt.NDArray[np.float64]]
"""Takes how often each of n items counts, float64 (b, n) whose rows sum to n, and returns b values."""


@dataclass(frozen=True)
class Figure:
    """One measured number."""

    value: float
    low: float
    """Lower end of the 95% confidence interval."""
    high: float
    """Upper end."""
    n: int
    """Items measured."""


def share(hits: npt.NDArray[np.bool_]) -> Figure:
    """Return the share of hits, bool (n,), with Wilson's score interval.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927); unlike the
    textbook interval it stays inside [0, 1] and is right for shares near 1.
    """
    n = len(hits)
    p = float(hits.mean())
    center = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    # For a share of 0 or 1 one end is the share itself, but for rounding.
    return Figure(p, max(0.0, min(p, center - half)), min(1.0, max(p, center + half)), n)


def bootstrap(statistic: Statistic, n: int, seed: int) -> Figure:
    """Return a statistic of n items with its percentile interval over RESAMPLES resamples.

    Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Args:
        statistic: The statistic as a function of how often each item counts.
        n: Items.
        seed: Of the resampling; the same seed gives the same interval.
    """
    values = np.concatenate([statistic(counts) for counts in resamples(n, seed)])
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(float(statistic(np.ones((1, n)))[0]), float(low), float(high), n)


def resamples(n: int, seed: int, count: int = RESAMPLES) -> Iterator[Counts]:
    """Draw `count` resamples of n items with replacement, as counts (b, n), CHUNK rows at a time."""
    random = np.random.default_rng(seed)
    for start in range(0, count, CHUNK):
        rows = min(CHUNK, count - start)
        drawn = [np.bincount(random.integers(0, n, n), minlength=n) for _ in range(rows)]
        yield np.stack(drawn).astype(np.float64)


def mean(values: Numbers, seed: int) -> Figure:
    """Return the mean of values (n,)."""
    column = values.astype(np.float64)
    return bootstrap(lambda counts: counts @ column / len(column), len(column), seed)


def quantile(values: Numbers, q: float, seed: int) -> Figure:
    """Return the smallest of values (n,) that at least a share q of them does not exceed: 0.5 is the median."""
    order = np.sort(values.astype(np.float64))

    def statistic(counts: Counts) -> npt.NDArray[np.float64]:
        reached = np.cumsum(counts, axis=1) >= q * len(order) - 1e-9
        found: npt.NDArray[np.float64] = order[reached.argmax(1)]
        return found

    return bootstrap(statistic, len(order), seed)
