from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen.color import DARKEST_DRAWN
from vaegen_training.data import Mnist
from vaegen_training.evaluate import samples
from vaegen_training.evaluate.samples import Real


@pytest.fixture(scope="module")
def real(digits: Mnist) -> Real:
    return samples.real_digits(digits, 200, 60, seed=0)


def rows(images: samples.Images) -> set[bytes]:
    """Each digit without its paint."""
    shapes = images if images.ndim == 3 else (images.max(3) >= images.max((1, 2, 3))[:, None, None] // 2)
    return {shape.tobytes() for shape in shapes}


def test_colors_fill_the_cube_down_to_the_darkest() -> None:
    colors = samples.random_colors(20_000, np.random.default_rng(0))
    brightest = colors.max(1)
    assert brightest.min() == DARKEST_DRAWN == 64
    # Of the cube above the darkest, (m^3 - 64^3) / (256^3 - 64^3) has no channel of m or more.
    for m in (100, 150, 200, 250):
        assert (brightest < m).mean() == pytest.approx((m**3 - 64**3) / (256**3 - 64**3), abs=0.015)


def test_full_gray_takes_the_exact_paint() -> None:
    gray = np.zeros((1, 28, 28), np.uint8)
    gray[0, 3, 4], gray[0, 5, 6] = 255, 51
    image = samples.paint(gray, np.array([[200, 100, 3]], np.uint8))[0]
    assert image[3, 4].tolist() == [200, 100, 3]
    assert image[5, 6].tolist() == [40, 20, 1]
    assert image.sum() == 303 + 61


def test_no_figure_compares_a_digit_with_itself(real: Real) -> None:
    size = len(real.reference)
    assert size == 60
    assert not rows(real.test.images[:size]) & rows(real.reference)


def test_digits_keep_their_labels(digits: Mnist, real: Real) -> None:
    test, train = ((digits.test_images, digits.test_labels), (digits.train_images, digits.train_labels))
    for painted, (images, labels) in ((real.test, test), (real.training, train)):
        full = painted.images[:20].max(3).astype(np.float64)
        gray = np.rint(full * 255 / full.max((1, 2), keepdims=True))
        for digit, label in zip(gray, painted.digits, strict=False):
            nearest = np.abs(images.numpy() - digit).sum((1, 2)).argmin()
            assert labels[nearest] == label
    assert len(real.test.images) == len(real.test.digits) == len(real.test.colors) == 200
    assert len(real.training.images) == 1000  # all there are, fewer than 6 times 200


def test_choice_and_paint_follow_the_seed(digits: Mnist, real: Real) -> None:
    again, other = (samples.real_digits(digits, 200, 60, seed) for seed in (0, 1))
    assert (again.test.images == real.test.images).all()
    assert (other.test.images != real.test.images).any()


def test_raw_and_verified_samples_answer_the_same_requests(tiny: Path, real: Real) -> None:
    """Those that the real digits would answer, again from the first."""
    with vaegen.load(tiny) as model:
        raw, verified = (samples.samples(model, real.test, 250, seed=4, tries=tries) for tries in (1, None))
        later = samples.samples(model, real.test, 50, seed=4, start=200, tries=1)
    for painted in (raw, verified):
        assert painted.digits.tolist() == [*real.test.digits, *real.test.digits[:50]]
        assert painted.colors.tolist() == [*real.test.colors.tolist(), *real.test.colors[:50].tolist()]
    same = (raw.images == verified.images).all((1, 2, 3))
    assert 0.3 < same.mean() < 1
    # The same requests as the first 50, with the noise of the last.
    assert (later.images != raw.images[:50]).any((1, 2, 3)).mean() > 0.5
    assert (later.images == raw.images[200:]).all()
