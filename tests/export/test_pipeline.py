"""The whole way as docs/train.md shows it: train, export, sample."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vaegen_cli import main

DIGITS = Path(__file__).parents[1] / "assets" / "digits"
PAGE = Path(__file__).parents[2] / "docs" / "train.md"
SHORT = [
    "model.hidden=128",
    "vae.epochs=12",
    "vae.batch=100",
    "vae.ema=0.9",
    "flow_stage.epochs=10",
    "flow_stage.batch=250",
    "prior.examples=2000",
    "prior_stage.epochs=5",
    "prior_stage.batch=250",
    "sharpen_stage.epochs=1",
    "verifier_stage.epochs=1",
]


def test_train_export_and_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = next(re.finditer(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))[1].splitlines()
    install, train, export, sample = (shlex.split(line, comments=True)[1:] for line in typed)
    assert install == ["install", ".[train]"]
    assert (train[0], export[0], sample[0]) == ("train", "export", "sample")
    settings = [part for setting in SHORT for part in ("--set", setting)]
    assert main([*train, "--data-dir", str(DIGITS), "--no-verify", *settings]) == 0
    run = Path(capsys.readouterr().out.rstrip("\n"))
    assert {"config.json", "metrics.jsonl", "summary.json", "samples"} <= {path.name for path in run.iterdir()}
    assert list((run / "samples").glob("vae-*.png"))

    assert main([*export, "--name", "mine"]) == 0
    bundle = capsys.readouterr().out.rstrip("\n")
    assert main(["info", f"./{bundle}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["name"] == "mine"

    code = main([*sample, "-o", "3.png", "--json"])
    (drawn,) = json.loads(capsys.readouterr().out)["images"]
    assert code == (0 if drawn["accepted"] else 1)
    image = np.asarray(Image.open("3.png")).astype(int)
    assert image[..., 0].max() > 60  # a moment's training draws a dim red blob
    assert image[..., 1:].max() < image[..., 0].max() / 10  # and nothing of another color


def test_mnist_by_default_means_mnist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "continuous", "--data-dir", str(DIGITS), "--out", str(tmp_path / "run")]) == 4
    assert "is not MNIST's train-images-idx3-ubyte" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
