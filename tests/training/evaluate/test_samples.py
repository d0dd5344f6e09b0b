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
    size = len(real.reference.images)
    assert size == len(real.training.images) == 60
    assert not rows(real.test.first(size).images) & rows(real.reference.images)


def test_digits_keep_their_labels(digits: Mnist, real: Real) -> None:
    labels = {
        digit.tobytes(): int(label)
        for digit, label in zip(digits.test_images.numpy(), digits.test_labels.numpy(), strict=True)
    }
    white = samples.real_digits(digits, 200, 60, seed=0)
    full = white.test.images.max(3).astype(np.float64)
    gray = np.rint(full * 255 / full.max((1, 2), keepdims=True))
    originals = digits.test_images.numpy().astype(np.float64)
    for digit, label in zip(gray[:20], white.test.digits[:20], strict=True):
        nearest = np.abs(originals - digit).sum((1, 2)).argmin()
        assert labels[digits.test_images.numpy()[nearest].tobytes()] == label
    assert len(real.test.images) == len(real.test.digits) == len(real.test.colors) == 200


def test_choice_and_paint_follow_the_seed(digits: Mnist, real: Real) -> None:
    again, other = (samples.real_digits(digits, 200, 60, seed) for seed in (0, 1))
    assert (again.test.images == real.test.images).all()
    assert (other.test.images != real.test.images).any()


def test_raw_and_verified_samples_answer_the_same_requests(tiny: Path) -> None:
    with vaegen.load(tiny) as model:
        raw, tries = samples.samples(model, 50, seed=4, tries=1)
        verified, more = samples.samples(model, 50, seed=4, tries=None)
    assert (raw.digits == verified.digits).all()
    assert (raw.colors == verified.colors).all()
    assert raw.digits[:11].tolist() == [*range(10), 0]
    assert tries.tolist() == [1] * 50
    assert more.max() > 1
    same = (raw.images == verified.images).all((1, 2, 3))
    assert same[more == 1].all()


def test_reconstructions_are_those_of_the_library(tiny: Path, real: Real) -> None:
    images = real.test.images[:30]
    with vaegen.load(tiny) as model:
        rebuilt = samples.reconstructions(model, images)
        assert (rebuilt.posterior.latent == model.encode(images)).all()
        assert (rebuilt.hard.images == model.reconstruct(images)).all()
    assert (np.rint(rebuilt.hard.unrounded * 255) == rebuilt.hard.images).all()
    assert rebuilt.soft is not None
    assert (rebuilt.soft.unrounded != rebuilt.hard.unrounded).any()
