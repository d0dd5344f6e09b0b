"""Two real processes over gloo train one model, started by torchrun or as torchrun starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from vaegen_training import train
from vaegen_training.runs import loop

SETTINGS = {
    "model.hidden": "64",
    "vae.epochs": "2",
    "vae.batch": "100",
    "vae.ema": "0.5",
    "flow_stage.epochs": "10",
    "flow_stage.batch": "500",
    "flow_stage.ema": "0.5",
    "prior.examples": "2000",
    "prior.hidden": "64",
    "prior.field_hidden": "64",
    "prior_stage.epochs": "1",
    "prior_stage.batch": "200",
    "sharpen_stage.epochs": "1",
    "sharpen_stage.batch": "100",
    "verifier_stage.epochs": "1",
    "verifier_stage.batch": "100",
}

# Arguments: the folder of the digits, that of the run, the settings, and a step of the flow to die at.
# Prints a hash of all weights; ends with 7 where another process than the first changes a file of the run.
PROCESS = """
import hashlib, importlib.util, json, os, signal, sys
import torch
from vaegen_training import RANK, train
from vaegen_training.runs import loop, stages
from vaegen_training.runs.run_folder import MetricsLog

digits, out, settings, fatal = sys.argv[1:]
torch.set_num_threads(1)
loop.CHECKPOINT_SECONDS, loop.LOGS, loop.PREVIEWS = 0.0, 10, 1
build, networks, write = stages.build_networks, [], MetricsLog.write

def keep(config):
    networks.extend(build(config))
    return networks

def write_and_die(log, step, images, means):
    write(log, step, images, means)
    if log.stage == "flow" and step >= int(fatal):
        os.kill(os.getpid(), signal.SIGKILL)

def watch(event, arguments):
    changes = event in ("os.mkdir", "os.rename", "os.remove") or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    )
    if changes and str(arguments[0]).startswith(out):
        os._exit(7)

stages.build_networks, MetricsLog.write = keep, write_and_die
if RANK:
    sys.addaudithook(watch)
track = "tensorboard" if importlib.util.find_spec("tensorboard") else None
train("joint", out=out, data_dir=digits, device="cpu", overrides=json.loads(settings), verify_data=False, track=track)
digest = hashlib.sha256()
for network in networks:
    for tensor in network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""


def start(digits: Path, out: Path, fatal: int = 1000) -> list[tuple[int, str]]:
    """Train in two processes; return their exit codes and what they printed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", PROCESS, str(digits), str(out), json.dumps(SETTINGS), str(fatal)]
    processes = [
        subprocess.Popen(
            command,
            env={**common, "RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if fatal < 1000 else None,  # the other one loses its connection, and says so
            text=True,
        )
        for rank in "01"
    ]
    outputs = [process.communicate()[0] for process in processes]
    return [(process.returncode, output.strip()) for process, output in zip(processes, outputs, strict=True)]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> Path:
    """The folder of an undisturbed run of two processes."""
    out = tmp_path_factory.mktemp("together") / "run"
    (first, digest), (second, other) = start(digits_dir, out)
    assert (first, second) == (0, 0)
    assert digest == other != ""
    return out


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_losses_are_those_of_one_process_within_their_noise(
    together: Path, digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOGS", 10)
    train("joint", out=tmp_path, data_dir=digits_dir, device="cpu", overrides=SETTINGS, verify_data=False)
    assert losses(together) == pytest.approx(losses(tmp_path), rel=0.1)  # as far as other seeds are apart


def test_torchrun_ends_a_killed_run_with_the_bits_of_an_undisturbed_one_and_one_process_speaks(
    together: Path, digits_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed, _ = start(digits_dir, out, fatal=12)
    assert killed[0] == -signal.SIGKILL
    assert not (out / "model.safetensors").exists()
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "vaegen_cli"]
    command = ["train", "joint", "--data-dir", str(digits_dir), "--no-verify", "--device", "cpu", "--out", str(out)]
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*program, *command, *settings], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert [done.stderr.count(line) for line in ("training takes about ", "trained joint in ")] == [1, 1]
    for path in together.glob("*.safetensors"):
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
