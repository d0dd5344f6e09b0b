from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen.color import color_error, stroke_color
from vaegen_training.data import Mnist
from vaegen_training.evaluate import color_figures, evaluation_judge, samples
from vaegen_training.evaluate.color_figures import HUES
from vaegen_training.evaluate.evaluation_judge import EvaluationJudge
from vaegen_training.gallery import conclusion_figures
from vaegen_training.gallery.subject import Subject, look


@pytest.fixture(scope="module")
def reader() -> EvaluationJudge:
    return evaluation_judge.load()[0]


@pytest.fixture(scope="module")
def real(digits: Mnist) -> samples.Painted:
    return samples.real_digits(digits, 200, 50, seed=0).test


@pytest.fixture(scope="module")
def subject(tiny: Path, real: samples.Painted) -> Iterator[Subject]:
    with vaegen.load(tiny) as model:
        yield look(model, None, real, 0)


def test_a_model_is_seen_as_the_library_gives_it(subject: Subject, real: samples.Painted) -> None:
    assert subject.label == "handmade tiny"
    np.testing.assert_array_equal(subject.latents, subject.model.encode(real.images))
    np.testing.assert_array_equal(subject.rebuilt.hard.images, subject.model.reconstruct(real.images))
    np.testing.assert_array_equal(subject.sampled.images, subject.model.reconstruct(real.images, stochastic=True))
    assert sorted(subject.coordinates.tolist()) == [0, 1, 2]
    assert (np.diff(subject.rates[subject.coordinates]) <= 0).all()
    assert (np.diff(subject.rates[3:][subject.variables]) <= 0).all()


def test_requests_are_met_by_what_is_there_alone(real: samples.Painted, reader: EvaluationJudge) -> None:
    gray = real.images[real.digits == 1].max(3).astype(np.float64)
    ones = np.rint(gray * 255 / gray.max((1, 2), keepdims=True)).astype(np.uint8)
    sources = [np.random.default_rng(seed) for seed in range(60)]
    many = np.concatenate([samples.paint(ones, samples.random_colors(len(ones), source)) for source in sources])
    assert (
        0.07 < conclusion_figures.requests_met(many, reader.read(many)[0], 0).value <= 0.11
    )  # one request in ten wants a 1
    assert conclusion_figures.requests_met(many // 8, reader.read(many // 8)[0], 0).value < 0.02


def test_the_latent_that_decides_the_digit_is_found(subject: Subject, reader: EvaluationJudge) -> None:
    """The committed bundle's first categorical is the digit, as far as the judge reads its font."""
    picked = conclusion_figures.pick(subject, reader, 0)
    assert len(picked) == 10 + len(HUES)
    assert sum(share.value > 0.5 for share in picked[:10]) >= 3, picked
    assert conclusion_figures.pick(subject, reader, 0) == picked


def test_figures_are_those_of_the_images(subject: Subject, real: samples.Painted, reader: EvaluationJudge) -> None:
    found = conclusion_figures.measure(subject, reader, 0)
    for way, decoded in (("deterministic", subject.rebuilt.hard), ("sampled", subject.sampled)):
        errors = color_error(stroke_color(decoded.images), real.colors)
        assert found[f"color_error_{way}"].value == np.quantile(errors, 0.5, method="inverted_cdf")
        saturation = color_figures.saturation(decoded.images).mean()
        assert found[f"saturation_{way}"].value == pytest.approx(saturation)
    for name in ("rate", "spread_prior", "picked_digit", "picked_hue", "excess_bce_sampled", "requests_met_sampled"):
        assert found[name].low <= found[name].value <= found[name].high
    assert not [name for name in found if "half" in name]
