"""`vaegen evaluate` from end to end, on the hand-made bundle and the small sample of digits."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import vaegen
from vaegen_cli import main
from vaegen_training.evaluate import Evaluation, evaluate, evaluation_judge, record, samples, to_text
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.evaluate.table import BLOCKS, FORMS, Form, to_cell

FIGURE = {"value", "low", "high", "n"}


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    """Train classifiers on as many digits as are measured, not six times as many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "TRAINING", 1)
        yield


@pytest.fixture(scope="module")
def found(tiny: Path, digits_dir: Path) -> Evaluation:
    return evaluate([tiny], data_dir=digits_dir, n=100, verify_data=False, progress=False)[0]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_every_figure_is_there_inside_its_own_interval(found: Evaluation) -> None:
    images = {metric: {"raw", "verified", "reconstruction", "real"} for metric in FORMS} | {
        "density": {"raw", "verified", "real"},
        "coverage": {"raw", "verified", "real"},
        "classification_accuracy_score": {"verified", "real"},
        "told_from_real": {"verified", "real"},
        "told_from_real_shape": {"verified", "real"},
        "told_from_reconstructions": {"verified"},
        "by_one_latent": {"digit"},  # its colors are red, green and blue
        "style_error": {"slant", "thickness"},
    }
    assert {metric: set(column) for metric, column in found.figures.items()} == images
    for metric, column in found.figures.items():
        for name, figure in column.items():
            assert figure.n > 0
            assert figure.low <= figure.value <= figure.high, (metric, name)


def test_figures_say_what_is_known_of_the_bundle(found: Evaluation) -> None:
    """It draws a wrong digit in 15% of its first draws and jitters the color; its judge mends both."""
    accuracy, error = found.figures["digit_accuracy"], found.figures["color_error_p95"]
    assert accuracy["raw"].value < accuracy["verified"].value < accuracy["real"].value
    assert accuracy["real"].value >= 0.98
    assert error["verified"].value < error["raw"].value


def test_the_table_holds_every_figure_and_fits_a_screen(found: Evaluation) -> None:
    assert found.judge == evaluation_judge.load()[1]
    figure = found.figures["told_from_reconstructions"]["verified"]
    assert f"  {to_cell(figure, FORMS['told_from_reconstructions'])}  " in to_text(found)
    wide = Figure(1, 0.9, 1, 10_000)
    figures = {metric: dict.fromkeys(column, wide) for metric, column in found.figures.items()}
    figures["by_one_latent"]["hue"] = wide
    lines = to_text(replace(found, figures=figures)).splitlines()
    assert found.judge in lines[2]
    assert max(map(len, lines)) <= 100
    table = [line for line in lines[3:] if line]
    assert len(table) == 10 + len(BLOCKS)
    assert sum(line.count(" ±") for line in table) == sum(map(len, figures.values()))


@pytest.mark.parametrize(
    ("figure", "form", "text"),
    [
        (Figure(0.9995, 0.99884, 0.9998, 1), Form(percent=True), "99.95 ±0.07"),
        (Figure(0.65, 0.641, 0.6501, 1), Form(2), "0.65 ±0.01"),
        (Figure(1, 1, 1, 1), Form(3), "1.000"),
        (Figure(0.5004, 0.5, 0.501, 1), Form(3), "0.500 ±0.001"),
    ],
)
def test_a_cell_never_shows_less_than_the_interval(figure: Figure, form: Form, text: str) -> None:
    assert to_cell(figure, form) == text


def test_the_command_gives_the_same_as_json_and_records_it(
    found: Evaluation, tiny: Path, digits_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    code, out, err = run(capsys, bundle, "--data-dir", digits_dir, "--no-verify", "--n", 100, "--json", "--record")
    assert (code, err) == (0, f"recorded in {bundle / 'manifest.json'}\n")
    data = json.loads(out)
    assert set(data) == {"model", "graphs", "judge", "n", "seed", "figures"}
    assert data == json.loads(json.dumps(found.to_dict()))
    assert (data["n"], data["seed"], data["model"]["name"]) == (100, 0, "tiny")
    before, after = (json.loads((folder / "manifest.json").read_text()) for folder in (tiny, bundle))
    quality = after.pop("quality")
    assert after == {name: value for name, value in before.items() if name != "quality"}
    assert sorted(path.name for path in bundle.iterdir()) == sorted(path.name for path in tiny.iterdir())
    assert (quality["n"], quality["seed"], quality["confidence"]) == (100, 0, 0.95)
    assert quality["judge"] == found.judge
    assert list(quality["figures"]) == list(FORMS)
    for metric, columns in quality["figures"].items():
        assert set(columns) == set(found.figures[metric]) - {"real"}
        for column, recorded in columns.items():
            figure = found.figures[metric][column]
            assert set(recorded) == FIGURE
            assert recorded["n"] == figure.n
            for part in ("value", "low", "high"):
                assert recorded[part] == pytest.approx(getattr(figure, part), abs=0.006)
    with vaegen.load(bundle) as model:
        assert model.manifest.quality == quality


def test_figures_of_other_graphs_are_not_recorded(found: Evaluation, tiny: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    text = (bundle / "manifest.json").read_text().replace(found.graphs["decoder"], found.graphs["encoder"])
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(vaegen.BundleError, match="changed"):
        record(bundle, found)
    assert (bundle / "manifest.json").read_text() == text


@pytest.mark.parametrize("model", ["joint", "{run}"])
def test_only_a_bundle_s_folder_can_be_recorded_in(
    model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").touch()
    code, out, err = run(capsys, model.format(run=tmp_path), "--record")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--record writes into a bundle" in err


def test_several_models_are_measured_one_after_the_other_and_a_finished_run_too(
    found: Evaluation, tiny: Path, digits_dir: Path, capsys: pytest.CaptureFixture[str], trained: object
) -> None:
    assert callable(trained)
    run_folder = trained("seed", "continuous")
    code, out, err = run(capsys, run_folder, tiny, "--data-dir", digits_dir, "--no-verify", "--n", 100)
    assert (code, err) == (0, "")
    assert out.startswith("continuous: continuous model, preset seed")
    assert out.endswith(f"\n\n{to_text(found)}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("nosuch",), 2, "nosuch"),
        (("{tiny}", "--n", "99"), 2, "100 to 1000000"),
        (("{tiny}", "--seed", "-1"), 2, "seed"),
        (("{tiny}", "--data-dir", "{digits}"), 4, "md5"),
        (("{tiny}", "--data-dir", "{tiny}"), 4, "train-images"),
        (("{digits}",), 3, "manifest.json"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    arguments: tuple[str, ...], code: int, part: str, tiny: Path, digits_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run(capsys, *(argument.format(tiny=tiny, digits=digits_dir) for argument in arguments))
    assert (found, out) == (code, "")
    assert part in err
    assert err.count("\n") == 1
