"""Damaged and hostile training runs: one line and exit code 4 (2 where it is the user's setting), for each verb."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor
from vaegen.files import locked_folder
from vaegen_cli import main
from vaegen_training.models import weights
from vaegen_training.runs.run_folder import load_run

DIGITS = Path(__file__).parents[1] / "assets" / "digits"
SETTINGS = {
    "vae.epochs": "0.2",
    "vae.batch": "50",
    "model.hidden": "16",
    "prior.hidden": "16",
    "flow_stage.epochs": "0.2",
    "flow_stage.batch": "50",
    "prior.examples": "100",
    "prior_stage.epochs": "1",
    "prior_stage.batch": "50",
    "sharpen_stage.epochs": "0.2",
    "sharpen_stage.batch": "50",
    "verifier_stage.epochs": "0.2",
    "verifier_stage.batch": "50",
}
VAE, FLOW, PRIOR, VERIFIER = (f"{stage}.checkpoint.safetensors" for stage in ("vae", "flow", "prior", "verifier"))
EXAMPLES, MODEL = "prior.examples.safetensors", "model.safetensors"

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and links as POSIX systems have them")

Damage = Callable[[Path], object]
Tensors = dict[str, Tensor]


def command(run: Path, kind: str = "joint", data: Path = DIGITS) -> list[str]:
    pairs = [f"{key}={value}" for key, value in SETTINGS.items()]
    start = ["train", kind, "--data-dir", str(data), "--no-verify", "--device", "cpu", "--out", str(run), "-q"]
    return start + [word for pair in pairs for word in ("--set", pair)]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of two kinds; read only."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("runs")
    for kind in ("joint", "continuous"):
        assert main(command(root / kind, kind)) == 0
    return {kind: root / kind for kind in ("joint", "continuous")}


@pytest.fixture
def run(finished: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the joint one."""
    return Path(shutil.copytree(finished["joint"], tmp_path / "run"))


def stop(run: Path) -> None:
    """Make a finished run one that was killed as its last stage ended."""
    (run / "summary.json").unlink(missing_ok=True)
    (run / MODEL).unlink(missing_ok=True)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int) -> str:
    """Run a command; check that it ends with the code and one line, and return that."""
    capsys.readouterr()
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("vaegen: ")
    assert line.isprintable()
    return line


# --- generators of damage -----------------------------------------------------------------------------------------


def tensors(file: str, change: Callable[[Tensors], object]) -> Damage:
    """Change a file's tensors."""

    def damage(run: Path) -> None:
        found, meta = weights.read(run / file)
        change(found)
        weights.write(run / file, found, meta)

    return damage


def meta(file: str, value: Any) -> Damage:
    """Replace a file's description: JSON, or a text as it is."""

    def damage(run: Path) -> None:
        found, _ = weights.read(run / file)
        text = value if isinstance(value, str) else json.dumps(value)
        (run / file).write_bytes(save(found, {"meta": text}))

    return damage


def config(**changes: Any) -> Damage:
    """Change settings in the model file, `prior_layers=7`, and in config.json too."""

    def damage(run: Path) -> None:
        found, description = weights.read(run / MODEL)
        for key, value in changes.items():
            section, _, name = key.partition("_")
            (description["config"][section] if name else description["config"])[name or section] = value
        (run / MODEL).write_bytes(save(found, {"meta": json.dumps(description)}))
        (run / "config.json").write_text(json.dumps(description["config"]))

    return damage


def content(file: str, data: bytes) -> Damage:
    return lambda run: (run / file).write_bytes(data)


def flip(file: str) -> Damage:
    """Change one bit of the last value."""

    def damage(run: Path) -> None:
        data = bytearray((run / file).read_bytes())
        data[-1] ^= 1
        (run / file).write_bytes(data)

    return damage


def cut(file: str, size: int) -> Damage:
    return lambda run: (run / file).write_bytes((run / file).read_bytes()[:size])


def instead(file: str, make: Callable[[Path], object]) -> Damage:
    """Put something else in a file's place."""

    def damage(run: Path) -> None:
        place = run / file
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        make(place)

    return damage


def first(prefix: str, change: Callable[[Tensor], Tensor]) -> Callable[[Tensors], None]:
    """Change the first tensor with this prefix."""

    def damage(found: Tensors) -> None:
        name = next(name for name in sorted(found) if name.startswith(prefix) and name.endswith(("weight", "avg")))
        found[name] = change(found[name])

    return damage


def drop(prefix: str) -> Callable[[Tensors], None]:
    def damage(found: Tensors) -> None:
        for name in [name for name in found if name.startswith(prefix)]:
            del found[name]

    return damage


def bad(value: float) -> Callable[[Tensor], Tensor]:
    """Put one bad number into a tensor."""

    def change(tensor: Tensor) -> Tensor:
        flat = tensor.clone().flatten()
        flat[-1] = value
        return flat.reshape(tensor.shape)

    return change


NAN, INF = float("nan"), float("inf")
DEEP = b"[" * 100_000

RESUMED: dict[str, Damage] = {
    "step -5": meta(VAE, {"step": -5}),
    "step 0": meta(VAE, {"step": 0}),
    "step beyond the end": meta(VAE, {"step": 10**6}),
    "step of 4,000 digits": meta(VAE, '{"step": 1' + "0" * 4000 + "}"),
    "step a truth": meta(VAE, {"step": True}),
    "step a fraction": meta(VAE, {"step": 1.5}),
    "step a text": meta(VAE, {"step": "1"}),
    "step not a number": meta(VAE, {"step": NAN}),
    "step of another time": meta(VAE, {"step": 1}),
    "no step": meta(VAE, {}),
    "description a list": meta(VAE, [1, 2]),
    "description a number": meta(VAE, 5),
    "description no JSON": meta(VAE, "step: 5"),
    "description without end": meta(VAE, DEEP.decode()),
    "no description": lambda run: (run / VAE).write_bytes(save(weights.read(run / VAE)[0])),
    "a weight missing": tensors(
        VAE, lambda found: found.pop(next(n for n in sorted(found) if n.startswith("module.")))
    ),
    "a tensor too many": tensors(VAE, lambda found: found.update({"module.\x1b[2J\nvirus": torch.zeros(1)})),
    "no optimizer": tensors(VAE, drop("optimizer.")),
    "half an optimizer": tensors(VAE, drop("optimizer.1.")),
    "an optimizer's moment missing": tensors(VAE, lambda found: found.pop("optimizer.0.exp_avg_sq")),
    "an optimizer's place 10**9": tensors(
        VAE, lambda found: found.update({"optimizer.1000000000.step": torch.ones(())})
    ),
    "an optimizer's place no number": tensors(VAE, lambda found: found.update({"optimizer.x.step": torch.ones(())})),
    "no average": tensors(VAE, drop("average.")),
    "a wrong shape": tensors(VAE, first("module.", lambda tensor: tensor.reshape(-1, 1))),
    "an empty tensor": tensors(VAE, first("average.", lambda tensor: tensor[:0])),
    "a wrong shape that broadcasts": tensors(VAE, first("optimizer.", lambda tensor: tensor[:1].contiguous())),
    "float64": tensors(VAE, first("module.", lambda tensor: tensor.double())),
    "whole numbers": tensors(VAE, first("average.", lambda tensor: tensor.long())),
    "a weight not a number": tensors(VAE, first("module.", bad(NAN))),
    "a mean not a number": tensors(VAE, first("average.", bad(NAN))),
    "an infinite moment": tensors(VAE, first("optimizer.", bad(INF))),
    "negative squares": tensors(VAE, lambda found: found["optimizer.0.exp_avg_sq"].sub_(1.0)),
    "an optimizer ahead": tensors(VAE, lambda found: found["optimizer.0.step"].add_(7)),
    "an average ahead": tensors(FLOW, lambda found: found["average.n_averaged"].add_(7)),
    "the next stage's": lambda run: shutil.copy(run / FLOW, run / VAE),
    "the first stage's": lambda run: shutil.copy(run / VAE, run / PRIOR),
    "a bit flipped": flip(FLOW),
    "missing": lambda run: (run / FLOW).unlink(),
    "another run's": lambda run: weights.write(run / FLOW, weights.read(run / FLOW)[0], {"run": "0" * 64, "step": 4}),
    "vaegen 0.1's": lambda run: weights.write(run / FLOW, weights.read(run / FLOW)[0], {"step": 4}),
    "cut short": cut(FLOW, -1),
    "cut in the header": cut(FLOW, 100),
    "empty": content(FLOW, b""),
    "no safetensors": content(FLOW, b"PK\3\4" + bytes(1000)),
    "a header of 2**60 bytes": content(FLOW, (2**60).to_bytes(8, "little") + b"{}"),
    "a folder": instead(FLOW, Path.mkdir),
    "examples of another number": tensors(EXAMPLES, lambda found: found.update(target=found["target"][:-1])),
    "examples of another width": tensors(EXAMPLES, lambda found: found.update(target=found["target"][:, :-1])),
    "examples not a number": tensors(EXAMPLES, lambda found: found.update(target=bad(NAN)(found["target"]))),
    "examples in float32": tensors(EXAMPLES, lambda found: found.update(target=found["target"].float())),
    "no examples in their file": tensors(EXAMPLES, lambda found: found.update(other=found.pop("target"))),
    "examples cut short": cut(EXAMPLES, -7),
    "metrics of bytes": content("metrics.jsonl", b"\xff\xfe\0garbage\n"),
    "metrics a list": content("metrics.jsonl", b"[1]\n"),
    "metrics a number": content("metrics.jsonl", b"5\n"),
    "metrics without a step": content("metrics.jsonl", b'{"stage": "vae"}\n'),
    "metrics with a step of text": content("metrics.jsonl", b'{"stage": "vae", "step": "x"}\n'),
    "metrics with a step of none": content("metrics.jsonl", b'{"stage": "vae", "step": null}\n'),
    "metrics with an infinite step": content("metrics.jsonl", b'{"stage": "vae", "step": Infinity}\n'),
    "metrics without end": content("metrics.jsonl", DEEP + b"\n"),
    "metrics a folder": instead("metrics.jsonl", Path.mkdir),
    "digits unknown": content("data.json", b"{}"),
    "samples a file": instead("samples", Path.touch),
}
ENDED: dict[str, Damage] = {
    "summary garbage": content("summary.json", b"\xff\0"),
    "summary no JSON": content("summary.json", b"fine"),
    "summary a list": content("summary.json", b"[]"),
    "summary empty": content("summary.json", b"{}"),
    "summary not a number": content("summary.json", b'{"excess_bce": NaN, "kl": 1, "n": 200}'),
    "summary a text": content("summary.json", b'{"excess_bce": "low", "n": 200}'),
    "summary without end": content("summary.json", DEEP),
    "summary of another run": content("summary.json", b'{"excess_bce": 9, "kl": 1, "n": 200, "run": "x"}'),
    "summary a folder": instead("summary.json", Path.mkdir),
}
EXPORTED: dict[str, Damage] = {
    "no settings": meta(MODEL, {}),
    "settings a list": meta(MODEL, {"config": []}),
    "settings a text": meta(MODEL, {"config": "joint"}),
    "settings without a section": meta(MODEL, {"config": {"preset": "default"}}),
    "settings of another run": lambda run: meta(
        MODEL, {"config": json.loads((run / "config.json").read_text()) | {"seed": 7}}
    )(run),
    "settings beside it garbage": content("config.json", b"\xff{"),
    "settings beside it without end": content("config.json", DEEP),
    "settings beside it a folder": instead("config.json", Path.mkdir),
    "a width of 10**9": config(model_hidden=10**9),
    "a width of 4,000 digits": lambda run: config(model_hidden=10**4000)(run),
    "a width of text": config(model_hidden="64"),
    "a width with a fraction": config(model_hidden=16.0),
    "a width that is true": config(model_hidden=True),
    "another width": config(model_hidden=17),
    "10**9 layers": config(prior_layers=10**9),
    "a brightness not a number": config(model_brightness=NAN),
    "a temperature not a number": config(prior_temperature=NAN),
    "a preset of list": config(preset=[]),
    "extras of text": config(extras="many"),
    "a setting too many": config(model_virus=1),
    "no digits": tensors(MODEL, lambda found: found.pop("probe")),
    "no digit": tensors(MODEL, lambda found: found.update(probe=found["probe"][:0])),
    "digits of another size": tensors(MODEL, lambda found: found.update(probe=found["probe"][:, :-1].contiguous())),
    "digits in float": tensors(MODEL, lambda found: found.update(probe=found["probe"].float())),
    "digits without sides": tensors(MODEL, lambda found: found.update(probe=torch.zeros((), dtype=torch.uint8))),
    "a million digits": tensors(
        MODEL, lambda found: found.update(probe=torch.zeros(10_000, 28, 28, dtype=torch.uint8))
    ),
    "no generator": tensors(MODEL, drop("generator.")),
    "a weight missing": tensors(
        MODEL, lambda found: found.pop(next(name for name in sorted(found) if name.startswith("vae.")))
    ),
    "a tensor too many": tensors(MODEL, lambda found: found.update(other=torch.zeros(1))),
    "a wrong shape": tensors(MODEL, first("vae.", lambda tensor: tensor.reshape(-1, 1))),
    "bfloat16": tensors(MODEL, first("generator.", lambda tensor: tensor.bfloat16())),
    "a weight not a number": tensors(MODEL, first("vae.", bad(NAN))),
    "an infinite weight": tensors(MODEL, first("generator.", bad(-INF))),
    "a checkpoint in its place": lambda run: shutil.copy(run / VAE, run / MODEL),
    "cut short": cut(MODEL, -1),
    "a folder": instead(MODEL, Path.mkdir),
}


# --- each damage, each verb ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RESUMED)
def test_a_damaged_run_is_not_resumed(run: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    stop(run)
    RESUMED[name](run)
    line = refused(command(run), capsys, 4)
    assert str(run) in line
    assert not (run / MODEL).exists()


@pytest.mark.parametrize(
    ("file", "name", "damage"),
    [
        (MODEL, "missing", Path.unlink),
        (MODEL, "cut short", lambda path: path.write_bytes(path.read_bytes()[:-9])),
        (MODEL, "a bit flipped", lambda path: flip(MODEL)(path.parent)),
        (MODEL, "another file", lambda path: shutil.copy(path.with_name(VAE), path)),
        (FLOW, "missing", Path.unlink),
        (EXAMPLES, "empty", lambda path: path.write_bytes(b"")),
    ],
)
def test_what_is_damaged_is_made_anew_or_said_how(
    run: Path,
    finished: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    file: str,
    name: str,
    damage: Callable[[Path], object],
) -> None:
    if file != MODEL:
        (run / MODEL).unlink()
    damage(run / file)
    if (file, name) != (MODEL, "missing"):
        line = refused(command(run), capsys, 4)
        names = re.search(r"remove (.*) to train on from there, or choose another --out$", line)
        assert names is not None
        for each in names[1].split(", "):
            (run / each).unlink()
    assert main(command(run)) == 0
    assert (run / MODEL).read_bytes() == (finished["joint"] / MODEL).read_bytes()


@pytest.mark.parametrize("name", ENDED)
def test_a_damaged_end_is_not_taken_for_one(run: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ENDED[name](run)
    assert "summary.json is damaged" in refused(command(run), capsys, 4)


@pytest.mark.parametrize("name", EXPORTED)
def test_a_damaged_model_is_not_exported(
    run: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    EXPORTED[name](run)
    assert str(run) in refused(["export", str(run), "--out", str(tmp_path / "bundle")], capsys, 4)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("verb", ["evaluate", "report"])
@pytest.mark.parametrize("name", ["no settings", "no digits", "a weight not a number", "cut short"])
def test_nor_measured_nor_shown(
    run: Path, tmp_path: Path, name: str, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    EXPORTED[name](run)
    assert str(run) in refused([verb, str(run), "--data-dir", str(DIGITS), "--no-verify"], capsys, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_of_another_kind_is_none_of_this_one(
    run: Path, finished: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(finished["continuous"] / MODEL, run / MODEL)
    refused(["export", str(run), "--out", str(tmp_path / "bundle")], capsys, 4)
    stop(run)
    shutil.copy(finished["continuous"] / VAE, run / VAE)
    refused(command(run), capsys, 4)


@posix
@pytest.mark.parametrize("file", [VAE, EXAMPLES, "metrics.jsonl", "config.json", "data.json", "summary.json"])
def test_a_pipe_in_a_run_is_not_waited_for(run: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    if file != "summary.json":
        stop(run)
    instead(file, os.mkfifo)(run)
    refused(command(run), capsys, 4)


@posix
def test_pictures_are_not_drawn_through_a_link(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop(run)
    (run / PRIOR).unlink()
    (run / VERIFIER).unlink()
    (tmp_path / "pictures").mkdir()
    instead("samples", lambda place: place.symlink_to(tmp_path / "pictures"))(run)
    assert "samples is a link or a file" in refused(command(run), capsys, 4)
    assert not list((tmp_path / "pictures").iterdir())


# --- honest runs ---------------------------------------------------------------------------------------------------


def test_the_undamaged_run_is_taken_by_each_verb(run: Path, finished: dict[str, Path], tmp_path: Path) -> None:
    assert main(["export", str(run), "--out", str(tmp_path / "bundle"), "-q"]) == 0
    stop(run)
    (run / "data.json").unlink()  # as vaegen 0.1 left it
    assert main(command(run)) == 0
    for file in (MODEL, VAE, FLOW, PRIOR, EXAMPLES, "data.json", "config.json"):
        assert (run / file).read_bytes() == (finished["joint"] / file).read_bytes()
    load_run(run)


def test_a_run_on_other_digits_is_not_resumed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Path(shutil.copytree(DIGITS, tmp_path / "digits"))
    path = next(other.glob("train-labels*"))
    labels = bytearray(gzip.decompress(path.read_bytes()))
    labels[-1] = (labels[-1] + 1) % 10
    path.write_bytes(gzip.compress(bytes(labels)))
    stop(run)
    assert "on other digits" in refused(command(run, data=other), capsys, 2)
    assert not (run / MODEL).exists()


@posix
def test_of_two_in_one_folder_the_second_ends_at_once(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop(run)
    program = """
import sys, time
from vaegen.files import locked_folder
with locked_folder(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(run)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert "another vaegen train is at work" in refused(command(run), capsys, 4)
        holder.send_signal(signal.SIGKILL)
    assert main(command(run)) == 0
    with locked_folder(run):  # which the run has left
        pass
