import numpy as np
import pytest
from vaegen_training.data import Mnist
from vaegen_training.evaluate import fidelity, samples
from vaegen_training.evaluate.color_difference import color_error, stroke_color
from vaegen_training.evaluate.evaluation_judge import normalised

RED, ORANGE = (255, 0, 0), (255, 128, 0)


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


def test_frechet_distance_of_a_set_to_itself_is_none() -> None:
    real = normal(300)
    figure = fidelity.frechet(real, real, seed=0)
    assert figure.value == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_known_gaussians() -> None:
    """|mu|^2 for a shift; tr (1 + s^2 - 2 s) = F (s - 1)^2 for a scale."""
    real = normal(4000)
    assert fidelity.frechet(real + np.float32(2), real, seed=0).value == pytest.approx(4 * 8, rel=1e-4)
    centered = real - real.mean(0)
    scaled = fidelity.frechet(3 * centered, centered, seed=0).value
    assert scaled == pytest.approx(4 * float(np.cov(centered.T).trace()), rel=1e-3)


def test_frechet_distance_is_symmetric_and_its_interval_holds_it() -> None:
    left, right = normal(300, seed=5, mean=0.3), normal(300, seed=6) * np.float32(1.5)
    figure = fidelity.frechet(left, right, seed=0)
    assert figure.value == pytest.approx(fidelity.frechet(right, left, seed=0).value, rel=1e-6)
    assert 0 < figure.low < figure.value < figure.high


def test_the_nearest_of_a_copy_is_the_copy(digits: Mnist) -> None:
    gray = digits.train_images.numpy()
    assert (fidelity.nearest(gray[:20], gray) == 0).all()


def test_the_nearest_is_found_across_chunks(digits: Mnist, monkeypatch: pytest.MonkeyPatch) -> None:
    gray, test = digits.train_images.numpy()[:95], digits.test_images.numpy()[:30]
    others = normalised(gray).reshape(1, 95, 784)
    expected = np.linalg.norm(normalised(test).reshape(30, 1, 784) - others, axis=2).min(1)
    monkeypatch.setattr(fidelity, "CHUNK", 10)
    assert fidelity.nearest(test, gray) == pytest.approx(expected, rel=1e-5)


def bars(rgb: tuple[int, int, int], n: int = 3) -> samples.Images:
    """A stroke of 100 pixels in one color."""
    images = np.zeros((n, 28, 28, 3), np.uint8)
    images[:, 10:14, 1:26] = rgb
    return images


def asked(rgb: tuple[int, int, int], n: int = 3) -> samples.Images:
    return np.tile(np.array(rgb, np.uint8), (n, 1))


def test_exact_paint_has_no_error() -> None:
    images = bars(ORANGE)
    assert (fidelity.hue_errors(images, asked(ORANGE)) == 0).all()
    assert (fidelity.bleeding(images) == 0).all()


def test_hue_goes_the_short_way_round_and_ignores_brightness_and_gray() -> None:
    assert fidelity.hue_errors(bars((128, 0, 0)), asked(RED)).max() < 2
    assert fidelity.hue_errors(bars((0, 255, 255)), asked(RED)).min() > 120
    one, other = (0, 255, 200), (0, 255, 255)  # on either side of 180 degrees, where the angle's sign turns
    for rgb, wanted in ((one, other), (other, one)):
        assert 0 < fidelity.hue_errors(bars(rgb), asked(wanted)).max() < 60
    assert len(fidelity.hue_errors(bars((200, 200, 200)), asked((200, 200, 200)))) == 0


def test_shades_of_one_color_do_not_bleed_and_two_colors_do() -> None:
    images = bars(RED)
    images[:, 12:14] //= 2  # half as bright, the same hue
    assert fidelity.bleeding(images).max() < 0.5
    images[:, 12:14, 1:26] = (0, 0, 255)  # half red, half blue
    assert fidelity.bleeding(images).min() > 10


def test_bleeding_is_each_image_s_own() -> None:
    images = np.concatenate([bars(RED, 1), bars(ORANGE, 1), bars(RED, 1)])
    images[1, 12:14] = (0, 0, 255)
    found = fidelity.bleeding(images)
    assert found[0] == found[2] == 0
    assert found[1] > 10


def test_a_black_image_is_measured_too() -> None:
    assert np.isfinite(fidelity.bleeding(np.zeros((2, 28, 28, 3), np.uint8))).all()


def test_painted_digits_are_the_known_mark(digits: Mnist) -> None:
    """Real digits in real paint, measured the same way: a median of 0.4, for thin strokes are dim at their edges."""
    colors = samples.random_colors(200, np.random.default_rng(0))
    images = samples.paint(digits.test_images.numpy(), colors)
    assert np.median(color_error(stroke_color(images), colors)) < 0.8
    assert np.median(fidelity.bleeding(images)) < 0.2
