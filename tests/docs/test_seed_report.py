"""docs/make_seed_report.py: its figures, its verdicts, and its page from end to end on short runs."""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vaegen
from vaegen.spec import Kind
from vaegen_training import data, train
from vaegen_training.evaluate import Figure, samples, statistics
from vaegen_training.evaluate.color_difference import color_error, stroke_color
from vaegen_training.evaluate.samples import Images
from vaegen_training.gallery import drawings, information
from vaegen_training.gallery.drawings import Subject

# One thread waits for nobody: these tensors are small, and the cores may be busy.
torch.set_flush_denormal(True)
torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "tests" / "assets" / "digits"
TINY = ROOT / "tests" / "assets" / "tiny"
SHORT = {
    "vae.epochs": "1",
    "prior.hidden": "64",
    "prior.field_hidden": "64",
    "flow_stage.epochs": "1",
    "flow_stage.batch": "250",
    "prior.examples": "1000",
    "prior_stage.epochs": "1",
    "prior_stage.batch": "250",
    "verifier_stage.epochs": "1",
}


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = load(ROOT / "docs" / "make_seed_report.py")


def flat(colors: object) -> Images:
    """Images all of one color each."""
    rgb = np.asarray(colors, np.uint8)
    return np.broadcast_to(rgb[:, None, None, :], (len(rgb), 28, 28, 3)).copy()


def test_saturation_is_that_of_hsv() -> None:
    images = flat([[255, 0, 0], [128, 128, 128], [200, 100, 150], [0, 0, 0]])
    np.testing.assert_allclose(made.saturation(images), [1, 0, 0.5, 0])


def test_color_kept_is_1_for_the_paint_itself_and_0_for_its_mean() -> None:
    colors = samples.random_colors(500, np.random.default_rng(0))
    assert made.color_kept(flat(colors), colors, 0).value == pytest.approx(1, abs=1e-6)
    gray = made.color_kept(flat([[128, 128, 128]] * 500), colors, 0)
    assert -0.2 < gray.low <= gray.value < 0.05
    assert made.color_kept(flat(colors[::-1]), colors, 0).high < -0.5


def test_the_spread_of_colors_is_their_distance_from_their_mean() -> None:
    assert made.color_spread(flat([[90, 80, 200]] * 50), 0).value == pytest.approx(0, abs=1e-3)
    # Black and white in equal shares: L* 0 and 100, each 50 from the mean.
    both = made.color_spread(flat([[0, 0, 0], [255, 255, 255]] * 100), 0)
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
    assert made.HUES[made.hue_class(flat([rgb]))[0]] == name


def test_grays_have_no_hue() -> None:
    assert made.hue_class(flat([[100, 100, 100], [255, 240, 230]])).tolist() == [made.GRAY] * 2


@dataclass(frozen=True)
class Made:
    page: Path
    section: Any


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    """Train classifiers on as many digits as are measured, not six times as many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "TRAINING", 1)
        yield


@pytest.fixture(scope="module")
def digits() -> data.Mnist:
    return data.load(DIGITS, verify=False)


@pytest.fixture(scope="module")
def real(digits: data.Mnist) -> samples.Painted:
    return samples.real_digits(digits, 200, 50, seed=0).test


@pytest.fixture(scope="module")
def subject(real: samples.Painted) -> Iterator[Subject]:
    with vaegen.load(TINY) as model:
        yield drawings.look(model, real, 0)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The page of a joint seed run, trained for a moment, and two shipped models, beside the hand-made bundle."""
    folder = tmp_path_factory.mktemp("seed-report")
    out = folder / "joint"
    train(
        "joint",
        preset="seed",
        out=out,
        data_dir=DIGITS,
        device="cpu",
        overrides=SHORT,
        verify_data=False,
        progress=False,
    )
    models = ["continuous", "discrete", out, "--reference", TINY]
    arguments = [*models, "--data-dir", DIGITS, "--no-verify", "--n", 100, "-o", folder / "page.md"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "TRIALS", 4)  # images that are looked at, which takes most of the time
        patch.setattr(made, "CHECKS", 16)
        patch.setattr(made, "FRESH", 20)
        return Made(folder / "page.md", made.main([str(argument) for argument in arguments]))


def test_requests_are_met_by_what_is_there_alone(real: samples.Painted) -> None:
    gray = real.images[real.digits == 1].max(3).astype(np.float64)
    ones = np.rint(gray * 255 / gray.max((1, 2), keepdims=True)).astype(np.uint8)
    sources = [np.random.default_rng(seed) for seed in range(60)]
    many = np.concatenate([samples.paint(ones, samples.random_colors(len(ones), source)) for source in sources])
    assert 0.07 < made.requests_met(many, 0).value <= 0.11  # one request in ten wants a 1
    assert made.requests_met(many // 8, 0).value < 0.02


def test_the_latent_that_decides_the_digit_is_found(subject: Subject) -> None:
    """The committed bundle's first categorical is the digit, as far as the judge reads its font."""
    picked = made.pick(subject, 0)
    assert len(picked) == 10 + len(made.HUES)
    assert (picked[:10].mean(1) > 0.5).sum() >= 3, picked.mean(1)
    np.testing.assert_array_equal(made.pick(subject, 0), picked)


def test_figures_are_those_of_the_images(page: Made, digits: data.Mnist) -> None:
    found = page.section.figures["handmade tiny"]
    real = samples.real_digits(digits, 100, 100, seed=0).test
    with vaegen.load(TINY) as model:
        subject = drawings.look(model, real, 0)
    for way, decoded in (("deterministic", subject.rebuilt), ("sampled", subject.sampled)):
        errors = color_error(stroke_color(decoded.images), real.colors)
        assert found[f"color_error_{way}"].value == np.quantile(errors, 0.5, method="inverted_cdf")
        saturation = made.saturation(decoded.images).mean()
        assert found[f"saturation_{way}"].value == pytest.approx(saturation)
        excess = information.excess_bce(decoded.unrounded, real.images)
        assert found[f"excess_bce_{way}"] == statistics.mean(excess, 0)
    for name in ("spread_prior", "picked_digit", "picked_hue", "requests_met_sampled"):
        assert found[name].low <= found[name].value <= found[name].high
    assert not [name for name in found if "half" in name]


def test_the_page_judges_the_five_conclusions_by_its_own_figures(page: Made) -> None:
    text = page.page.read_text()
    (judged,) = page.section.judged
    for number, judgement in enumerate(judged, 1):
        (section,) = re.findall(rf"\n### {number}\. .*?(?=\n###? )", text, re.DOTALL)
        _, *parts = re.split(r"\*\*(?=(?:Confirmed|Partly confirmed|Undecided|Refuted)\*\* as)", section)
        assert len(parts) == 2
        for way, part in zip(("sampled", "deterministic"), parts, strict=True):
            outcomes = re.findall(r": \*\*(holds|level|fails)\*\* \(", part)
            held = outcomes.count("holds")
            failed = "refuted" if "fails" in outcomes else "undecided"
            expected = "confirmed" if 0 < held == len(outcomes) else "partly confirmed" if held else failed
            assert judgement.verdict(way) == expected
            assert part.startswith(f"{expected.capitalize()}**")
    assert len(judged) == 5


def test_the_discrete_half_of_the_run_is_on_the_page(page: Made) -> None:
    half = page.section.figures["seed joint"]["excess_bce_discrete_half_deterministic"]
    assert f"its discrete half alone {half.value:.1f}" in page.page.read_text()


def test_models_that_are_not_one_of_each_kind_are_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "CHECKS", 2)
    monkeypatch.setattr(made, "FRESH", 2)
    arguments = [TINY, TINY, "--data-dir", DIGITS, "--no-verify", "--n", 100, "-o", tmp_path / "page.md"]
    with pytest.raises(SystemExit):
        made.main([str(argument) for argument in arguments])
    assert capsys.readouterr().err.splitlines()[-1].endswith("one model of each kind: continuous, discrete, joint")
    assert list(tmp_path.iterdir()) == []


def figure(value: float, half: float = 0.01) -> Figure:
    return Figure(value, value - half, value + half, 100)


def model(color: float, saturation: float, kept: float, bce: float, spread: float, picked: float) -> dict[str, Figure]:
    found = {"spread_prior": figure(spread), "picked_digit": figure(picked), "picked_hue": figure(picked)}
    for way in made.WAYS:
        found |= {
            f"color_error_{way}": figure(color),
            f"saturation_{way}": figure(saturation),
            f"color_kept_{way}": figure(kept),
            f"excess_bce_{way}": figure(bce),
            f"spread_{way}": figure(spread),
            f"requests_met_{way}": figure(picked),
        }
    return found


REAL = figure(0.66)  # the saturation of real digits


def as_the_report_has_it() -> dict[Kind, dict[str, Figure]]:
    joint = model(17, 0.4, 0.6, 91, 70, 0.9)
    joint |= {f"color_error_discrete_half_{way}": figure(11) for way in made.WAYS}
    joint |= {f"excess_bce_discrete_half_{way}": figure(68) for way in made.WAYS}
    return {
        "continuous": model(32, 0.07, 0.01, 157, 14, 0.1),
        "discrete": model(10, 0.6, 0.9, 66, 43, 0.6),
        "joint": joint,
    }


def verdicts(found: Any, way: str = "sampled") -> list[str]:
    return [judgement.verdict(way) for judgement in found]


def test_what_the_report_says_is_confirmed_by_figures_that_say_so() -> None:
    judged = made.judge(as_the_report_has_it(), REAL)
    for way in made.WAYS:
        assert verdicts(judged, way) == ["confirmed"] * 5


def test_the_opposite_is_refuted() -> None:
    good = model(0.5, 0.66, 1.0, 10, 66, 0.5)
    found: dict[Kind, dict[str, Figure]] = {
        "continuous": good,
        "discrete": model(2, 0.6, 0.9, 20, 66, 0.5),
        "joint": good | {"spread_prior": figure(60)},
    }
    assert verdicts(made.judge(found, REAL)) == ["refuted"] * 5


def test_models_that_are_level_confirm_nothing() -> None:
    found: dict[Kind, dict[str, Figure]] = {
        "continuous": model(1, 0.66, 0.99, 10, 66, 0.8),
        "discrete": model(1, 0.66, 0.99, 10, 66, 0.8),
        "joint": model(1, 0.66, 0.99, 10, 66, 0.8),
    }
    judged = made.judge(found, REAL)
    # Except that a saturation of 0.66 is clearly not below half of 0.66.
    assert verdicts(judged) == ["undecided", "refuted", "undecided", "undecided", "undecided"]
    assert {finding.outcome for finding in judged[3].findings["sampled"]} == {"level"}


@pytest.mark.parametrize(
    ("number", "kind", "name"),
    [
        (0, "discrete", "saturation"),
        (1, "continuous", "color_kept"),
        (2, "joint", "excess_bce_discrete_half"),
        (3, "discrete", "spread"),
        (4, "joint", "requests_met"),
    ],
)
def test_one_figure_that_says_otherwise_makes_it_partly(number: int, kind: Kind, name: str) -> None:
    """And in its own way through the model alone."""
    found = as_the_report_has_it()
    contrary = {
        "saturation": 0.3,
        "color_kept": 0.5,
        "excess_bce_discrete_half": 95.0,
        "spread": 80,
        "requests_met": 0.7,
    }
    found[kind][f"{name}_sampled"] = figure(contrary[name])
    judged = made.judge(found, REAL)
    assert judged[number].verdict("sampled") == "partly confirmed"
    assert judged[number].verdict("deterministic") == "confirmed"


def test_without_the_run_the_halves_are_left_out() -> None:
    found = as_the_report_has_it()
    found["joint"] = {name: value for name, value in found["joint"].items() if "half" not in name}
    hindered = made.judge(found, REAL)[2]
    assert [list(finding.figures) for finding in hindered.findings["sampled"]] == [["joint", "discrete"]] * 2
