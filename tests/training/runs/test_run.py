"""Whole runs on the sample: what they leave, how they go on after kill -9, and what they refuse."""

import dataclasses
import gzip
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from vaegen.errors import ConfigError, DataError, OutputError, VaegenError
from vaegen.spec import KINDS
from vaegen_training import TrainSummary, presets, train
from vaegen_training.config import ModelConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import judge, kernels, latents, weights
from vaegen_training.models.judge import load_judge
from vaegen_training.models.vae import FactoredVae
from vaegen_training.runs import distributed, loop, run
from vaegen_training.runs.run_folder import build_networks, load_run
from vaegen_training.runs.stages import losses_on_test

TrainShort = Callable[[str, str], Path]

ALL = [(preset, kind) for preset in ("seed", "default") for kind in KINDS]


def metrics(folder: Path, stage: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["stage"] == stage]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of change of every file."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stages(preset: str) -> set[str]:
    return {"vae", "flow", "prior", "verifier"} | ({"sharpen"} if preset == "default" else set())


# --- what a run does and leaves -------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "kind"), ALL)
def test_a_short_run_learns(trained: TrainShort, preset: str, kind: str) -> None:
    vae, flow, prior = (metrics(trained(preset, kind), stage) for stage in ("vae", "flow", "prior"))
    assert vae[-1]["excess_bce"] < 0.6 * vae[0]["excess_bce"]
    assert vae[-1]["kl"] > 1  # the latents are used
    assert flow[-1]["loss"] < 0.98 * flow[0]["loss"]
    assert prior[-1]["error"] < 0.9 * prior[0]["error"]


@pytest.mark.parametrize(("preset", "kind"), ALL)
def test_the_summary_holds_the_final_figures_of_the_stored_model(
    trained: TrainShort, digits: Mnist, preset: str, kind: str
) -> None:
    folder = trained(preset, kind)
    summary = json.loads((folder / "summary.json").read_text())
    vae = load_run(folder).vae
    assert {name: summary[name] for name in ("excess_bce", "kl", "n")} == losses_on_test(vae, digits)
    assert summary["n"] == 200
    assert set(summary["seconds"]) == stages(preset)
    untrained, *_ = build_networks(presets.preset(preset, kind))
    assert summary["excess_bce"] < 0.6 * losses_on_test(untrained, digits)["excess_bce"]


@pytest.mark.parametrize(("preset", "kind"), [("seed", "joint"), ("default", "discrete")])
def test_a_run_leaves_whole_files_and_nothing_else(trained: TrainShort, preset: str, kind: str) -> None:
    files = set(contents(trained(preset, kind)))
    pictures = {name for name in files if name.startswith("samples/")}
    assert files - pictures == {
        "config.json",
        "data.json",
        "metrics.jsonl",
        *(f"{stage}.checkpoint.safetensors" for stage in stages(preset)),
        "prior.examples.safetensors",
        "model.safetensors",
        "summary.json",
    }
    assert {name.split("/")[1].split("-")[0] for name in pictures} == stages(preset) - {"flow", "verifier"}


@pytest.mark.parametrize(("preset", "kind"), ALL)
def test_a_run_loads_as_it_was_trained(trained: TrainShort, digits: Mnist, preset: str, kind: str) -> None:
    folder = trained(preset, kind)
    run = load_run(folder)
    assert run.config == TrainConfig.from_json((folder / "config.json").read_text())
    assert (run.config.preset, run.config.model.latent.kind) == (preset, kind)
    assert not run.vae.training
    assert not run.prior.training
    assert torch.equal(run.probe, paint.to_float(digits.test_images[: len(run.probe)]))
    tensors, _ = weights.read(folder / "model.safetensors")
    for part, module in (("vae", run.vae), ("verifier", run.verifier)):
        stored = weights.under(tensors, f"{part}.")
        assert stored.keys() == module.state_dict().keys()
        assert all(torch.equal(tensor, module.state_dict()[name]) for name, tensor in stored.items())
    assert (run.style is None) == (preset == "seed")


@pytest.mark.parametrize("kind", KINDS)
def test_training_leaves_the_reader_alone(trained: TrainShort, kind: str) -> None:
    vae = load_run(trained("default", kind)).vae
    assert isinstance(vae, FactoredVae)
    for name, tensor in load_judge().state_dict().items():
        assert torch.equal(tensor, vae.reader.state_dict()[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_model_reconstructs_the_color_of_its_input(trained: TrainShort, digits: Mnist, kind: str) -> None:
    vae = load_run(trained("default", kind)).vae
    red = torch.tensor([[1.0, 0.0, 0.0]]).expand(50, 3)
    with torch.no_grad():
        image = vae.decode(latents.deterministic(vae.encode(paint.paint(paint.to_float(digits.test_images[:50]), red))))
    stroke = image.flatten(2).amax(2)  # (n, 3), brightest value of each channel
    assert (stroke[:, 0] > 0.5).all()
    assert (stroke[:, 1:] < 0.02).all()


def test_nothing_is_printed_where_there_is_no_terminal(
    digits_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short(tmp_path / "run", digits_dir, progress=True)
    assert capfd.readouterr() == ("", "")


def test_how_long_it_takes_is_said_first_and_where_it_goes_on(digits_dir: Path, tmp_path: Path) -> None:
    said: list[str] = []
    overrides = {**BRIEF, "prior.examples": "1000"}
    short(tmp_path, digits_dir, overrides=overrides, say=said.append)
    assert said[0] == "training takes about 1 second on 2 CPU cores"
    assert [line.split(",")[0] for line in said[1:]] == ["vae", "sharpen", "flow", "examples", "prior", "verifier"]
    short(tmp_path, digits_dir, overrides=overrides, say=said.append)
    assert len(said) == 7  # a finished run takes no time
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "verifier.checkpoint.safetensors").unlink()
    short(tmp_path, digits_dir, overrides=overrides, say=said.append)
    assert said[7] == "training takes about 1 second on 2 CPU cores; it goes on from step 1 of stage prior"


# --- running the same command again ---------------------------------------------------------------------------

SMALL = {
    "vae.epochs": "4",
    "vae.batch": "50",
    "model.hidden": "64",
    "prior.hidden": "64",
    "prior.field_hidden": "64",
    "flow_stage.epochs": "3",
    "flow_stage.batch": "50",
    "prior.examples": "1000",
    "prior_stage.epochs": "3",
    "prior_stage.batch": "50",
    "sharpen_stage.epochs": "1",
    "sharpen_stage.batch": "100",
    "verifier_stage.epochs": "1",
    "verifier_stage.batch": "100",
}
BRIEF = {f"{stage}.epochs": "0.2" for stage in ("vae", "sharpen_stage", "flow_stage", "prior_stage", "verifier_stage")}


def short(out: Path, digits_dir: Path, **changes: Any) -> TrainSummary:
    """Train for a second or so; takes what `train` takes."""
    settings: dict[str, Any] = {
        "kind": "joint",
        "preset": "default",
        "data_dir": digits_dir,
        "device": "cpu",
        "overrides": {**SMALL, **BRIEF},
        "verify_data": False,
        "progress": False,
        **changes,
    }
    return train(settings.pop("kind"), out=out, **settings)


# Argument 1: the folder; 2: the data; 3: the settings; 4: the stage to die in, in the middle of a log line.
CHILD = """
import json, os, signal, sys
from pathlib import Path
import torch
from vaegen_training import train
from vaegen_training.runs import loop
from vaegen_training.runs.run_folder import MetricsLog

out, data, overrides, fatal = sys.argv[1:]
torch.set_num_threads(1)
loop.CHECKPOINT_SECONDS, loop.LOGS = 0.0, 20
write = MetricsLog.write

def write_and_die(log, step, images, means):
    write(log, step, images, means)
    if log.stage == fatal and step >= 30:
        with log.path.open("a") as file:
            file.write('{"stage": "prior", "ste')
        os.kill(os.getpid(), signal.SIGKILL)

MetricsLog.write = write_and_die
train("joint", out=out, data_dir=data, device="cpu", overrides=json.loads(overrides), verify_data=False, progress=False)
"""


def test_a_run_that_is_killed_twice_ends_as_an_undisturbed_one(
    digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    child = [sys.executable, "-c", CHILD, str(killed), str(digits_dir), json.dumps(SMALL)]

    # The first time at any moment, once there is something to go on from.
    process = subprocess.Popen([*child, "none"])
    deadline = time.monotonic() + 120
    while not (killed / "vae.checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not metrics(killed, "prior")
    begun = weights.read(killed / "vae.checkpoint.safetensors")[1]["step"]
    assert 0 < begun < 80

    # The second time at the worst one: the metrics are ahead of the checkpoint, and their last line is torn.
    assert subprocess.run([*child, "prior"], check=False).returncode == -signal.SIGKILL
    assert weights.read(killed / "prior.checkpoint.safetensors")[1]["step"] == 27
    assert not (killed / "model.safetensors").exists()
    with pytest.raises(DataError, match="is not finished; run its vaegen train command again"):
        load_run(killed)

    monkeypatch.setattr(loop, "LOGS", 20)
    for folder in (straight, killed):
        short(folder, digits_dir, overrides=SMALL)
    expected, found = contents(straight), contents(killed)
    assert found.keys() == expected.keys()
    for name in expected.keys() - {"summary.json"}:
        assert found[name][0] == expected[name][0], name
    figures_of = [json.loads(files["summary.json"][0]) for files in (expected, found)]
    assert {**figures_of[0], "seconds": None} == {**figures_of[1], "seconds": None}


@pytest.fixture(scope="module")
def done(digits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSummary:
    """A finished run; what finds it leaves it alone."""
    return short(tmp_path_factory.mktemp("done") / "run", digits_dir)


def test_a_finished_run_is_left_as_it_is(done: TrainSummary, tmp_path: Path) -> None:
    before = contents(done.folder)
    again = short(done.folder, tmp_path / "no data needed")
    assert contents(done.folder) == before
    assert again.figures == done.figures
    assert again.folder == done.folder
    assert again.seconds < 1


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"preset": "seed", "overrides": {}}, "preset is 'default' there and 'seed' here"),
        ({"kind": "continuous"}, "model.continuous is 35 there and 47 here"),
        ({"overrides": {**SMALL, **BRIEF, "vae.epochs": "0.3"}}, "vae.epochs is 0.2 there and 0.3 here"),
        ({"kind": "judge", "overrides": None}, "judge.epochs is 'missing' there and 12 here"),
    ],
)
def test_a_folder_with_another_run_is_refused_and_left_alone(
    digits_dir: Path, done: TrainSummary, changes: dict[str, Any], difference: str
) -> None:
    before = contents(done.folder)
    with pytest.raises(ConfigError, match=f"other settings: {difference}") as caught:
        short(done.folder, digits_dir, **changes)
    assert str(done.folder) in str(caught.value)
    assert contents(done.folder) == before


def test_equal_settings_and_data_in_another_form_are_those_of_the_run(
    digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plain = tmp_path / "run", tmp_path / "plain" / "MNIST" / "raw"
    overrides = {**SMALL, **BRIEF, "vae.epochs": "1", "prior_stage.epochs": "0.20"}
    short(out, digits_dir, overrides=overrides)
    model = (out / "model.safetensors").read_bytes()
    plain.mkdir(parents=True)
    for path in digits_dir.glob("*.gz"):
        (plain / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    config = json.loads((out / "config.json").read_text())
    config["vae"] = {name: config["vae"][name] for name in sorted(config["vae"])} | {"epochs": 1.0}
    (out / "config.json").write_text(json.dumps(config))
    (out / "model.safetensors").unlink()  # so that it is made again, from the checkpoints
    monkeypatch.chdir(tmp_path)
    spelt = {
        name: {"1": "1e0", "0.2": "2e-1", "0.20": "+.2"}.get(text, text) for name, text in reversed(overrides.items())
    }
    short(Path("run"), Path("plain"), overrides={**spelt, "vae.schedule": "cosine"}, device="auto", seed=0)
    assert (out / "model.safetensors").read_bytes() == model


@pytest.mark.parametrize("kind", ["joint", "judge"])
def test_a_finished_run_is_not_taken_for_one_on_other_digits(
    digits_dir: Path, done: TrainSummary, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "JUDGE_STAGE", dataclasses.replace(judge.JUDGE_STAGE, epochs=0.2))
    out, other = done.folder, Path(shutil.copytree(digits_dir, tmp_path / "other"))
    changes = {"kind": kind, "overrides": None} if kind == "judge" else {}
    if kind == "judge":
        out = short(tmp_path / "run", digits_dir, **changes).folder
    images = other / "train-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(images.read_bytes()))
    content[-400] ^= 1
    images.write_bytes(gzip.compress(bytes(content)))
    before = contents(out)
    with pytest.raises(ConfigError, match=r"holds a run on other digits .* give its data, or choose another out"):
        short(out, other, **changes)
    assert contents(out) == before


def test_the_seed_is_part_of_the_settings_and_changes_the_weights(
    digits_dir: Path, done: TrainSummary, tmp_path: Path
) -> None:
    folders = [done.folder, *(short(tmp_path / str(seed), digits_dir, seed=seed).folder for seed in (0, 1))]
    assert json.loads((folders[2] / "config.json").read_text())["seed"] == 1
    models = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert models[0] == models[1] != models[2]


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"kind": "jiont"}, ConfigError, "choose from continuous, discrete, joint"),
        ({"preset": "sead"}, ConfigError, "choose from default, seed"),
        ({"device": "gpu"}, ConfigError, "choose from auto, cpu, cuda"),
        ({"overrides": {"vae.epoch": "1"}}, ConfigError, "did you mean epochs"),
        ({"seed": -1}, ConfigError, "seed is -1"),
        ({"kind": "judge"}, ConfigError, "the judge has no settings"),
        ({"kind": "judge", "overrides": None, "seed": -1}, ConfigError, "seed is -1"),
        ({"kind": "judge", "overrides": None, "preset": "seed"}, ConfigError, "the judge has no preset"),
        ({"data_dir": "/no/such/folder"}, DataError, "/no/such/folder is not a folder"),
        ({"verify_data": True}, DataError, "md5"),
    ],
)
def test_a_wrong_request_is_one_line_and_makes_no_folder(
    digits_dir: Path, tmp_path: Path, changes: dict[str, Any], error: type[VaegenError], words: str
) -> None:
    with pytest.raises(error) as caught:
        short(tmp_path / "run", digits_dir, **changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("size", "overrides", "words"),
    [
        (3, {"vae.batch": "28"}, "vae.batch: 28 images cannot be divided among 3 processes"),
        (8, {"vae.batch": "256", "flow_stage.batch": "100"}, "flow_stage.batch: 100 images"),
        (9, {"vae.batch": "9", "flow_stage.batch": "9", "prior.examples": "100"}, "prior_stage.batch: 100 images"),
        (4, {"verifier_stage.batch": "90"}, "verifier_stage.batch: 90 images"),
        (16, {"sharpen_stage.batch": "24"}, "sharpen_stage.batch: 24 images"),
    ],
)
def test_a_batch_that_cannot_be_divided_among_the_processes_is_refused(
    monkeypatch: pytest.MonkeyPatch, size: int, overrides: dict[str, str], words: str
) -> None:
    config = presets.preset("default", "joint").override(overrides)
    run.check_batches(config, 1000)
    monkeypatch.setattr(distributed, "SIZE", size)
    with pytest.raises(ConfigError, match=words):
        run.check_batches(config, 1000)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_cuda_device_is_named(digits_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use device='cpu'"):
        short(tmp_path / "run", digits_dir, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_fewer_cuda_devices_than_processes_are_refused(
    digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "LOCAL_SIZE", 99)
    with pytest.raises(ConfigError, match="99 processes need a CUDA device each"):
        short(tmp_path / "run", digits_dir, device="cuda")


def test_a_folder_with_other_files_is_refused_and_left_alone(digits_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(ConfigError, match="is not empty and holds no run"):
        short(tmp_path, digits_dir)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_run_that_was_killed_as_it_began_can_begin_again(digits_dir: Path, tmp_path: Path) -> None:
    (tmp_path / ".config.json.4711.tmp").write_text("{")
    short(tmp_path, digits_dir)
    assert (tmp_path / "summary.json").exists()


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_file_where_the_folder_should_be_is_refused(digits_dir: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("Dear")
    with pytest.raises(OutputError, match="choose another out") as caught:
        short(tmp_path / place, digits_dir)
    assert str(tmp_path / place) in str(caught.value)
    assert (tmp_path / "file").read_text() == "Dear"


def test_a_folder_without_a_run_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run"):
        load_run(tmp_path)


def test_a_damaged_model_cannot_be_loaded(trained: TrainShort, tmp_path: Path) -> None:
    whole = (trained("seed", "continuous") / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(DataError, match="no readable checkpoint"):
        load_run(tmp_path)


# --- the final losses -----------------------------------------------------------------------------------------


def test_losses_are_means_over_every_test_digit_whatever_the_batch(digits: Mnist) -> None:
    vae, _, _ = build_networks(presets.preset("seed", "joint"))
    found = losses_on_test(vae, digits)
    assert found == pytest.approx(losses_on_test(vae, digits, batch=7), rel=1e-4)
    with torch.no_grad():
        image = paint.paint(paint.to_float(digits.test_images), paint.fixed_colors(200))
        posterior = vae.encode(image)
        excess = kernels.bce(vae.decode(latents.deterministic(posterior)), image) - kernels.entropy(image)
    expected = {"excess_bce": excess.mean().item(), "kl": latents.kl_divergence(posterior).mean().item(), "n": 200}
    assert found == pytest.approx(expected, rel=1e-4)


class Perfect(FactoredVae):
    """Knows the stroke it is asked to draw."""

    stroke: Tensor

    def parts(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        return torch.logit(self.stroke, eps=1e-6), super().parts(latent)[1]


def test_a_perfect_model_has_no_excess(digits: Mnist) -> None:
    full = dataclasses.replace(digits, test_images=(digits.test_images > 127).byte() * 255)
    vae = Perfect(ModelConfig(continuous=5, color_continuous=3, hidden=8, features=4))
    vae.stroke = paint.to_float(full.test_images)
    assert losses_on_test(vae, full)["excess_bce"] == pytest.approx(0, abs=0.1)


def test_an_untrained_model_has_much(digits: Mnist) -> None:
    vae, _, _ = build_networks(presets.preset("seed", "continuous"))
    assert losses_on_test(vae, digits)["excess_bce"] > 1000
