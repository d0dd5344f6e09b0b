import numpy as np
import pytest
from vaegen_training.evaluate import statistics


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_the_published_ones(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), table I."""
    figure = statistics.share(np.arange(n) < hits)
    assert (figure.value, figure.n) == (hits / n, n)
    assert figure.low == pytest.approx(low, abs=5e-5)
    assert figure.high == pytest.approx(high, abs=5e-5)


def test_a_share_of_all_is_no_certainty() -> None:
    figure = statistics.share(np.ones(100, np.bool_))
    assert figure.high == figure.value == 1
    assert figure.low == pytest.approx(0.963, abs=1e-3)


def test_the_mean_has_the_interval_of_the_normal_approximation() -> None:
    values = np.random.default_rng(3).normal(5, 2, 4000)
    figure = statistics.mean(values, seed=0)
    half = 1.96 * values.std() / 4000**0.5
    assert figure.value == pytest.approx(values.mean())
    assert figure.low == pytest.approx(values.mean() - half, abs=half / 5)
    assert figure.high == pytest.approx(values.mean() + half, abs=half / 5)


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(4).exponential(1, 1001)
    for q in (0.05, 0.5, 0.95):
        figure = statistics.quantile(values, q, seed=0)
        assert figure.value == np.quantile(values, q, method="inverted_cdf")
        assert figure.low < figure.value < figure.high


def test_intervals_hold_the_truth_as_often_as_they_promise() -> None:
    """95 of 100; fewer than 88 or all would come once in hundreds of right implementations."""
    random = np.random.default_rng(5)
    figures = [statistics.quantile(random.exponential(1, 200), 0.5, seed) for seed in range(100)]
    held = sum(figure.low <= np.log(2) <= figure.high for figure in figures)
    assert 88 <= held <= 99


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    values = np.random.default_rng(6).normal(size=300)
    assert statistics.mean(values, 1) == statistics.mean(values, 1)
    assert statistics.mean(values, 1) != statistics.mean(values, 2)
