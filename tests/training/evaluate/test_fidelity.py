import numpy as np
import pytest
import torch
from vaegen_training.data import Mnist
from vaegen_training.evaluate import fidelity, samples
from vaegen_training.evaluate.samples import Real


def normal(n: int, features: int = 8, seed: int = 0, mean: float = 0.0) -> fidelity.Floats:
    return np.random.default_rng(seed).normal(mean, 1, (n, features)).astype(np.float32)


def test_a_set_covers_itself() -> None:
    real = normal(300)
    _, coverage = fidelity.density_and_coverage(real, real, seed=0)
    assert coverage.value == 1
    assert coverage.n == 300


def test_two_draws_of_one_distribution_have_the_expected_coverage() -> None:
    """1 - 2**-k for many items (Naeem et al. 2020, lemma 2), and a density of 1."""
    density, coverage = fidelity.density_and_coverage(normal(1500, seed=1), normal(1500, seed=2), seed=0)
    assert coverage.value == pytest.approx(1 - 2**-5, abs=0.02)
    assert density.value == pytest.approx(1, abs=0.05)
    assert density.low < density.value < density.high


def test_what_is_far_away_covers_nothing_and_what_repeats_itself_covers_little() -> None:
    real = normal(400)
    density, coverage = fidelity.density_and_coverage(normal(400, mean=50), real, seed=0)
    assert density.value == coverage.value == 0
    _, coverage = fidelity.density_and_coverage(np.repeat(real[:10], 40, axis=0), real, seed=0)
    assert coverage.value < 0.5


def test_coverage_against_a_plain_implementation() -> None:
    features, real = normal(60, seed=3, mean=0.5), normal(50, seed=4)
    between = np.linalg.norm(real[:, None] - features[None], axis=2)
    radius = np.sort(np.linalg.norm(real[:, None] - real[None], axis=2), axis=1)[:, 5]  # 0 is the item itself
    density, coverage = fidelity.density_and_coverage(features, real, seed=0)
    assert coverage.value == pytest.approx(float((between.min(1) <= radius).mean()))
    assert density.value == pytest.approx(float((between <= radius[:, None]).sum() / 5 / 60))


@pytest.fixture(scope="module")
def real(digits: Mnist) -> Real:
    return samples.real_digits(digits, 200, 60, seed=0)


def test_a_classifier_learns_from_digits(real: Real) -> None:
    state = torch.get_rng_state()
    figure = fidelity.accuracy_after(real.training, real.test, seed=0)
    assert (figure.value > 0.8, figure.n) == (True, 200)
    assert torch.equal(state, torch.get_rng_state())


def test_real_digits_are_not_told_from_other_ones_nor_by_their_color(real: Real) -> None:
    gray = real.training.images.max(3)
    red, blue = (
        samples.paint(gray[half::2], np.tile(np.array(rgb, np.uint8), (500, 1)))
        for half, rgb in enumerate(((255, 0, 0), (0, 0, 255)))
    )
    figure = fidelity.told_apart((red[:400], blue[:400]), (red[400:], blue[400:]), seed=0)
    assert figure.n == 200
    assert figure.low <= 0.5 <= figure.high


def test_what_gives_itself_away_is_told_apart_by_its_grays_or_by_its_shape(real: Real) -> None:
    """Steeper edges leave the same pixels above half of the brightness, thicker strokes others."""
    images = real.training.images
    gray = images.max(3) / np.maximum(images.max((1, 2, 3)), 1)[:, None, None]
    steep, plain = (
        np.rint(255 * values).astype(np.uint8) for values in (np.where(gray < 0.5, gray / 4, 0.75 + gray / 4), gray)
    )
    thick = np.maximum(plain, np.roll(plain, 2, 1))

    def told(made: samples.Images, *, shape_only: bool) -> float:
        learned, asked = ((made[part], plain[part]) for part in (slice(500), slice(500, None)))
        return fidelity.told_apart(learned, asked, seed=0, shape_only=shape_only).value

    assert told(steep, shape_only=False) > 0.9
    assert told(steep, shape_only=True) == 0.5
    assert told(thick, shape_only=True) > 0.8
