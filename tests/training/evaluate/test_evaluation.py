"""`vaegen evaluate` from end to end, on the hand-made bundle and the small sample of digits."""

import json
import shutil
from pathlib import Path

import pytest
import vaegen
from vaegen_cli import main
from vaegen_training.evaluate import Evaluation, evaluate, evaluation_judge, record, to_text
from vaegen_training.evaluate.table import COLUMNS, HEADLINE, ROWS

FIGURE = {"value", "low", "high", "n"}
SAMPLES = {"raw", "verified"}


@pytest.fixture(scope="module")
def found(tiny: Path, digits_dir: Path) -> Evaluation:
    return evaluate([tiny], data_dir=digits_dir, n=100, verify_data=False, progress=False)[0]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_every_figure_of_a_joint_model_is_there_once(found: Evaluation) -> None:
    assert set(found.figures) == set(ROWS)
    for row in ("digit_accuracy", "color_error_median", "coverage", "frechet", "neighbor_distance_median"):
        assert set(found.figures[row]) == set(COLUMNS)
    for row in ("kl", "active_units", "codes_in_use", "hard_soft_accuracy"):
        assert set(found.figures[row]) == {"reconstruction"}
    for row, column in found.figures.items():
        for name, figure in column.items():
            assert figure.n > 0
            assert figure.low <= figure.high, (row, name)
    assert len(found.rate_per_latent) == 3 + 2
    assert sum(found.rate_per_latent) == pytest.approx(found.figures["kl"]["reconstruction"].value, rel=1e-4)


def test_figures_say_what_is_known_of_the_bundle(found: Evaluation) -> None:
    """It draws a wrong digit in 15% of its first draws, its judge mends that, and its colors are off by a jitter."""
    accuracy, error = found.figures["digit_accuracy"], found.figures["color_error_p95"]
    assert accuracy["raw"].value < accuracy["verified"].value < accuracy["real"].value
    assert accuracy["real"].value >= 0.98
    assert error["verified"].value < error["raw"].value
    assert found.figures["tries"]["verified"].value > 1
    assert found.figures["frechet"]["raw"].low > found.figures["frechet"]["real"].high
    assert found.figures["excess_bce"]["real"].value < 0.1 < found.figures["excess_bce"]["reconstruction"].low


def test_the_same_call_gives_the_same_figures_and_another_seed_others(
    found: Evaluation, tiny: Path, digits_dir: Path
) -> None:
    again = evaluate([tiny, tiny], data_dir=digits_dir, n=100, verify_data=False, progress=False)
    assert again == [found, found]
    (other,) = evaluate([tiny], data_dir=digits_dir, n=100, seed=1, verify_data=False, progress=False)
    assert other.figures["color_error_median"]["raw"] != found.figures["color_error_median"]["raw"]


def test_the_table_holds_every_figure(found: Evaluation) -> None:
    lines = to_text(found).splitlines()
    assert found.judge == evaluation_judge.load()[1]
    assert found.judge in lines[2]
    assert [line.startswith(row.title) for line, row in zip(lines[5:], ROWS.values(), strict=True)] == [True] * len(
        ROWS
    )
    accuracy = next(line for line in lines if line.startswith("digit accuracy"))
    figure = found.figures["digit_accuracy"]["raw"]
    assert f"{100 * figure.value:.2f} [{100 * figure.low:.2f}, {100 * figure.high:.2f}] 100" in accuracy


def test_the_command_line_gives_the_same_as_json(
    found: Evaluation, tiny: Path, digits_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, tiny, "--data-dir", digits_dir, "--no-verify", "--n", 100, "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert set(data) == {"model", "graphs", "judge", "n", "seed", "figures", "rate_per_latent"}
    assert data == json.loads(json.dumps(found.to_dict()))
    assert set(data["figures"]["coverage"]["verified"]) == FIGURE
    assert (data["n"], data["seed"], data["model"]["name"]) == (100, 0, "tiny")


def test_recorded_figures_are_in_the_manifest_and_nothing_else_changes(
    found: Evaluation, tiny: Path, digits_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    code, out, err = run(capsys, bundle, "--data-dir", digits_dir, "--no-verify", "--n", 100, "--record")
    assert (code, out) == (0, to_text(found) + "\n")
    assert err == f"recorded in {bundle / 'manifest.json'}\n"
    before, after = (json.loads((folder / "manifest.json").read_text()) for folder in (tiny, bundle))
    quality = after.pop("quality")
    assert after == {name: value for name, value in before.items() if name != "quality"}
    assert sorted(path.name for path in bundle.iterdir()) == sorted(path.name for path in tiny.iterdir())
    assert (quality["n"], quality["seed"], quality["confidence"]) == (100, 0, 0.95)
    assert quality["judge"] == found.judge
    assert [(row, column) for row, columns in quality["figures"].items() for column in columns] == sorted(
        HEADLINE, key=lambda cell: list(dict(HEADLINE)).index(cell[0])
    )
    for row, column in HEADLINE:
        figure, recorded = found.figures[row][column], quality["figures"][row][column]
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


def test_several_models_end_in_one_table(
    found: Evaluation, tiny: Path, digits_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data-dir", digits_dir, "--no-verify", "--n", 100)
    code, out, _ = run(capsys, tiny, tiny, *options)
    assert code == 0
    *texts, head, table = out.rstrip("\n").split("\n\n")
    assert "\n\n".join(texts) == "\n\n".join([to_text(found)] * 2)
    assert found.judge in head
    lines = table.splitlines()
    assert lines[0].split() == ["tiny", "tiny", "real", "digits"]
    assert len(lines) == 1 + len(HEADLINE)
    coverage = next(line for line in lines if line.startswith("coverage, k=5: samples, verified"))
    for column in ("verified", "real"):
        assert f"{found.figures['coverage'][column].value:.3f} [" in coverage
    code, out, _ = run(capsys, tiny, tiny, *options, "--json")
    assert code == 0
    assert json.loads(out) == [json.loads(json.dumps(found.to_dict()))] * 2


def test_a_finished_run_is_measured_too(digits_dir: Path, capsys: pytest.CaptureFixture[str], trained: object) -> None:
    assert callable(trained)
    code, out, err = run(capsys, trained("default", "continuous"), "--data-dir", digits_dir, "--no-verify", "--n", 100)
    assert (code, err) == (0, "")
    assert out.startswith("continuous: continuous model, preset default")
    assert "active units" in out
    assert "codes in use" not in out


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
