"""Data that are no digits, from idx files to a bundle: their own judge, their names, and no figures of digits."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from vaegen_cli import main
from vaegen_export import export
from vaegen_training import evaluate, train
from vaegen_training.evaluate.evaluation import check_digits
from vaegen_training.gallery import report
from vaegen_training.models import judge, weights
from vaegen_training.runs import loop

DIGITS = Path(__file__).parents[1] / "assets" / "digits"
NAMES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
LABELS = "train-labels-idx1-ubyte.gz"
SMALL = {
    **{f"{stage}.epochs": 1 for stage in ("vae", "sharpen_stage", "flow_stage", "prior_stage", "verifier_stage")},
    **{f"{stage}.batch": 100 for stage in ("vae", "sharpen_stage", "flow_stage", "prior_stage", "verifier_stage")},
    "model.hidden": 32,
    "prior.hidden": 32,
    "prior.field_hidden": 32,
    "prior.examples": 1000,
}


def change(path: Path, edit: Callable[[Any], None]) -> None:
    """Change the items of a gzipped idx file of the sample."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    start = 4 + 4 * raw[3]
    body = np.frombuffer(raw, np.uint8, offset=start)
    edit(body.reshape(-1, 28, 28) if raw[3] == 3 else body)
    path.write_bytes(gzip.compress(bytes(raw), 1))


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample upside down, under other labels: nothing that a judge of digits reads so."""
    folder = tmp_path_factory.mktemp("things") / "raw"
    shutil.copytree(DIGITS, folder)

    def turn(items: Any) -> None:
        items[:] = items[:, ::-1] if items.ndim == 3 else (items + 3) % 10

    for path in folder.glob("*.gz"):
        change(path, turn)
    return folder.parent


@pytest.fixture(scope="module")
def run(things: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "things"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOGS", 2)
        patch.setattr(loop, "PREVIEWS", 1)
        patch.setattr(judge, "JUDGE_STAGE", replace(judge.JUDGE_STAGE, batch=50, epochs=4 / 60, ema=0.9))
        train("joint", out=folder, data_dir=things, device="cpu", overrides={**SMALL, "classes": NAMES}, progress=False)
    return folder


def test_a_judge_of_these_classes_takes_the_place_of_the_judge_of_digits(run: Path) -> None:
    stages = [json.loads(line)["stage"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert stages == [stage for stage in ("judge", "vae", "sharpen", "flow", "prior", "verifier") for _ in range(2)]
    assert json.loads((run / "summary.json").read_text())["judge_accuracy"] > 0.5
    own = weights.under(weights.read(run / "judge.checkpoint.safetensors")[0], "average.module.")
    kept = weights.under(weights.read(run / "model.safetensors")[0], "vae.reader.")
    assert own.keys() == kept.keys() == judge.Judge().state_dict().keys()
    assert all((own[name] == kept[name]).all() for name in own)


def test_the_names_travel_with_the_bundle_and_it_has_no_figures_of_digits(
    run: Path, things: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "things"
    assert export(run, bundle).model.classes == tuple(NAMES)
    assert main(["info", str(bundle)]) == 0
    assert "  classes      0 T-shirt, 1 Trouser, 2 Pullover, " in capsys.readouterr().out
    assert main(["verify", str(bundle)]) == 0
    with vaegen.load(bundle) as model:
        assert model.spec.classes == tuple(NAMES)
        assert model.sample(digit=3, color="red", count=2).shape == (2, 28, 28, 3)
    for measure in (
        lambda: evaluate.evaluate([bundle], data_dir=things, n=100, verify_data=False, progress=False),
        lambda: report([bundle], tmp_path / "page", data_dir=things, n=100, verify_data=False, progress=False),
    ):
        with pytest.raises(vaegen.RequestError, match="draws T-shirt, Trouser and so on, and what is measured here"):
            measure()
    with vaegen.load("joint") as model:
        check_digits([model])


@pytest.mark.parametrize(
    ("classes", "files", "message"),
    [
        ([*NAMES[:9], "Other"], None, "classes is ['T-shirt', "),
        ([], None, "classes is ["),
        (NAMES, lambda folder: change(folder / LABELS, lambda labels: np.put(labels, 0, 11)), "has the label 11"),
    ],
)
def test_a_run_is_of_its_classes(
    run: Path, things: Path, tmp_path: Path, classes: list[str], files: Callable[[Path], None] | None, message: str
) -> None:
    data = Path(shutil.copytree(things, tmp_path / "data"))
    if files:
        files(data / "raw")
    with pytest.raises(vaegen.VaegenError) as caught:
        train("joint", out=run, data_dir=data, overrides={**SMALL, "classes": classes}, verify_data=False)
    assert message in str(caught.value)


def test_data_that_are_not_what_they_are_said_to_be_are_refused(things: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(things, tmp_path / "data"))
    change(data / "raw" / LABELS, lambda labels: np.place(labels, labels == 7, 1))
    out = tmp_path / "run"
    for options, message in (
        ({"data_dir": things, "verify_data": False}, "these are no digits: a judge that learned from MNIST reads "),
        ({"data_dir": data, "overrides": {"classes": NAMES}}, "no training image has the label 7; "),
        ({"overrides": {"classes": NAMES}}, "classes name what other data hold; give their folder: data_dir="),
        ({"data_dir": DIGITS, "overrides": {"classes": NAMES[:9]}}, "classes: 9 names, "),
    ):
        with pytest.raises(vaegen.VaegenError) as caught:
            train("joint", out=out, **options)
        assert message in str(caught.value)
        assert not out.exists()
