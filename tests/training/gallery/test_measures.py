from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from vaegen.color import stroke_color
from vaegen_training.data import Mnist
from vaegen_training.evaluation import gather, judge
from vaegen_training.evaluation.judge import EvaluationJudge
from vaegen_training.report import measures
from vaegen_training.report.subject import Source, Subject, look


@pytest.fixture(scope="module")
def reader() -> EvaluationJudge:
    return judge.load()[0]


@pytest.fixture(scope="module")
def real(digits: Mnist) -> gather.Painted:
    return gather.real_digits(digits, 200, 50, seed=0).test


@pytest.fixture(scope="module")
def subject(tiny: Path, real: gather.Painted) -> Iterator[Subject]:
    with look(Source(str(tiny)), real, 0) as found:
        yield found


def flat(colors: object) -> gather.Images:
    """Images all of one color each."""
    rgb = np.asarray(colors, np.uint8)
    return np.broadcast_to(rgb[:, None, None, :], (len(rgb), 28, 28, 3)).copy()


def test_a_model_is_seen_as_the_library_gives_it(subject: Subject, real: gather.Painted) -> None:
    assert subject.label == "handmade tiny"
    np.testing.assert_array_equal(subject.latents, subject.model.encode(real.images))
    np.testing.assert_array_equal(subject.hard.images, subject.model.reconstruct(real.images))
    np.testing.assert_array_equal(subject.sampled.images, subject.model.reconstruct(real.images, stochastic=True))
    assert subject.hard.excess.shape == (200,)
    assert sorted(subject.coordinates.tolist()) == [0, 1, 2]
    assert (np.diff(subject.rates[subject.coordinates]) <= 0).all()
    assert (np.diff(subject.rates[3:][subject.variables]) <= 0).all()


def test_saturation_is_that_of_hsv() -> None:
    rgb = np.array([[255, 0, 0], [128, 128, 128], [200, 100, 150], [0, 0, 0]], np.float64)
    np.testing.assert_allclose(measures.saturation(rgb), [1, 0, 0.5, 0])


def test_color_kept_is_1_for_the_paint_itself_and_0_for_its_mean() -> None:
    colors = gather.random_colors(500, np.random.default_rng(0))
    assert measures.color_kept(flat(colors), colors, 0).value == pytest.approx(1, abs=1e-6)
    gray = measures.color_kept(flat([[128, 128, 128]] * 500), colors, 0)
    assert -0.2 < gray.low <= gray.value < 0.05
    assert measures.color_kept(flat(colors[::-1]), colors, 0).high < -0.5


def test_the_spread_of_colors_is_their_distance_from_their_mean() -> None:
    assert measures.color_spread(flat([[90, 80, 200]] * 50), 0).value == pytest.approx(0, abs=1e-3)
    # Black and white in equal shares: L* 0 and 100, each 50 from the mean.
    both = measures.color_spread(flat([[0, 0, 0], [255, 255, 255]] * 100), 0)
    assert both.value == pytest.approx(50, abs=0.1)
    assert both.low <= both.value <= both.high


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 0, 0), "red"),
        ((255, 0, 60), "red"),
        ((250, 240, 10), "yellow"),
        ((10, 200, 30), "green"),
        ((0, 220, 240), "cyan"),
        ((20, 30, 255), "blue"),
        ((250, 0, 220), "magenta"),
    ],
)
def test_hues_are_sixths_of_the_circle(rgb: tuple[int, int, int], name: str) -> None:
    assert measures.HUES[measures.hue_class(flat([rgb]))[0]] == name


def test_grays_have_no_hue() -> None:
    assert measures.hue_class(flat([[100, 100, 100], [255, 240, 230]])).tolist() == [measures.GRAY] * 2


def test_requests_are_met_by_what_is_there_alone(real: gather.Painted, reader: EvaluationJudge) -> None:
    gray = real.images[real.digits == 1].max(3).astype(np.float64)
    ones = np.rint(gray * 255 / gray.max((1, 2), keepdims=True)).astype(np.uint8)
    sources = [np.random.default_rng(seed) for seed in range(60)]
    many = np.concatenate([gather.paint(ones, gather.random_colors(len(ones), source)) for source in sources])
    assert 0.07 < measures.requests_met(many, reader, 0).value <= 0.11  # one request in ten wants a 1
    assert measures.requests_met(many // 8, reader, 0).value < 0.02


def test_the_latent_that_decides_the_digit_is_found(subject: Subject, reader: EvaluationJudge) -> None:
    """The committed bundle's first categorical is the digit, as far as the judge reads its font; z is its color."""
    picked = measures.pick(subject, reader, 0)
    assert set(picked) == {*map(str, range(10)), *measures.HUES}
    named = {name: value for name, (value, _) in picked.items() if name.isdigit()}
    right = [digit for digit, value in named.items() if value == f"c0 = {digit}"]
    assert len(right) >= 6, picked
    assert all(picked[digit][1].value > 0.5 for digit in right[:3])
    assert all(picked[hue][0].startswith("z") for hue in ("red", "green", "blue"))
    assert measures.pick(subject, reader, 0) == picked


def test_real_digits_are_the_ceiling(subject: Subject, real: gather.Painted, reader: EvaluationJudge) -> None:
    ceiling = measures.real_figures(real, reader, 0)
    found = measures.measure(subject, reader, 0)
    assert set(ceiling) < set(found.figures)
    for way in measures.WAYS:
        assert ceiling[f"accuracy_{way}"].value > found.figures[f"accuracy_{way}"].value
        assert ceiling[f"saturation_{way}"].value == pytest.approx(2 / 3, abs=0.05)
    strokes = stroke_color(subject.hard.images)
    assert found.figures["saturation_deterministic"].value == pytest.approx(measures.saturation(strokes).mean())
    assert not [name for name in found.figures if "half" in name]
