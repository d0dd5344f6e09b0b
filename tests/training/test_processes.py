"""Several processes train what one trains: real ones, over gloo, started by torchrun."""

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from vaegen.errors import ConfigError
from vaegen_training import checkpoint, judge, loop, train
from vaegen_training.processes import ALONE, Share, check_shares

SMALL = {
    "vae.epochs": "0.8",
    "vae.batch": "120",
    "vae.ema": "0.5",
    "flow_stage.epochs": "2",
    "flow_stage.batch": "120",
    "flow_stage.ema": "0.5",
    "prior.examples": "4100",
    "prior.hidden": "64",
    "prior_stage.epochs": "0.4",
    "prior_stage.batch": "300",
    "prior_stage.ema": "0.5",
}
SEED = {**SMALL, "vae.epochs": "0.3", "vae.batch": "30"}
RUNS: dict[str, dict[str, Any]] = {
    "continuous": {"kind": "continuous", "overrides": SMALL},
    "discrete": {"kind": "discrete", "overrides": SMALL},
    "seed": {"kind": "joint", "preset": "seed", "overrides": SEED},
    "judge": {"kind": "judge"},
}
THREE = {"joint": {"kind": "joint", "overrides": SMALL}}  # by three processes; two share the others
KILLED = {"killed": {"kind": "continuous", "overrides": SMALL}}
SHORT_JUDGE = replace(judge.JUDGE_STAGE, epochs=0.8, batch=120, ema=0.5)  # as in several.py


def torchrun(processes: int, *arguments: str | Path) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*program, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def group(processes: int, *arguments: str | Path) -> list[int]:
    """Start processes as other launchers than torchrun do, and give their exit codes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **common, "RANK": str(rank), "WORLD_SIZE": str(processes)},
            stderr=subprocess.DEVNULL,
        )
        for rank in range(processes)
    ]
    return [process.wait() for process in started]


def start(path: Path, digits_dir: Path, arguments: dict[str, Any]) -> None:
    """Train a run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOGS", 6)
        patch.setattr(loop, "PREVIEWS", 1)
        patch.setattr(judge, "JUDGE_STAGE", SHORT_JUDGE)
        train(out=path, data_dir=digits_dir, device="cpu", verify_data=False, progress=False, **arguments)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> Path:
    """The folder of the runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    for name, arguments in {**RUNS, **THREE}.items():
        start(folder / name, digits_dir, arguments)
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> Path:
    """The folder of the same runs of several processes, and of "killed", which is not finished."""
    folder = tmp_path_factory.mktemp("together")
    # Three divides neither the 32, 64 nor 256 images of a batch that some losses take.
    for processes, runs in ((3, THREE), (2, {**RUNS, **KILLED})):
        codes = group(processes, Path(__file__).with_name("several.py"), digits_dir, folder, json.dumps(runs))
        assert 7 not in codes, "a process wrote that is not the first"
    assert codes == [-signal.SIGKILL, 1]  # the second one did not wait for the first
    assert (folder / "killed" / "flow.metrics.csv").exists()
    return folder


def distance(expected: Path, found: Path, stage: str) -> float:
    """Give how far two runs' weights are apart, in lengths of the way from one run's average to its last weights."""
    one, other = (checkpoint.read(path / f"{stage}.checkpoint.safetensors")[0] for path in (expected, found))
    assert one.keys() == other.keys()

    def length(first: dict[str, Tensor], second: dict[str, Tensor], prefix: str = "module.") -> float:
        names = [name for name in first if name.startswith("module.")]
        return math.hypot(*(float((first[n] - second[prefix + n.removeprefix("module.")]).norm()) for n in names))

    return length(one, other) / length(one, one, "average.module.")


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# --- the same result ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RUNS, *THREE])
def test_several_processes_end_where_one_ends(alone: Path, together: Path, name: str) -> None:
    for stage in ("judge",) if name == "judge" else ("vae", "flow", "prior"):
        assert distance(alone / name, together / name, stage) < 0.05
    expected, found = metrics(alone / name), metrics(together / name)
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        assert (other.pop("stage"), other.keys()) == (one.pop("stage"), one.keys())
        assert other == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("name", [*RUNS, *THREE])
def test_the_first_process_leaves_the_files_that_one_alone_leaves(alone: Path, together: Path, name: str) -> None:
    expected, found = (
        {str(path.relative_to(top / name)) for path in (top / name).rglob("*")} for top in (alone, together)
    )
    assert found == expected
    assert (together / name / "config.json").read_bytes() == (alone / name / "config.json").read_bytes()


# --- going on -------------------------------------------------------------------------------------------------


def test_a_killed_group_goes_on_with_the_same_command_to_the_same_bits(
    together: Path, digits_dir: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(together / "killed", tmp_path / "run")
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    process = torchrun(
        2, "-m", "vaegen_training", "continuous", "--data-dir", digits_dir, "--no-verify",
        "--device", "cpu", "--out", out, *settings,
    )  # fmt: skip
    output, messages = process.communicate()
    assert (process.returncode, output) == (0, f"{out}\n"), messages
    assert len(re.findall("^trained continuous in", messages, re.MULTILINE)) == 1
    for file in ("model.safetensors", "prior.examples.safetensors"):
        assert (out / file).read_bytes() == (together / "continuous" / file).read_bytes()


def test_one_process_goes_on_where_several_were_killed(
    alone: Path, together: Path, digits_dir: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(together / "killed", tmp_path / "run")
    start(out, digits_dir, KILLED["killed"])
    for stage in ("vae", "flow", "prior"):
        assert distance(alone / "continuous", out, stage) < 0.05


def test_a_torchrun_that_is_killed_takes_its_processes_along(digits_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = torchrun(
        2, "-m", "vaegen_training", "joint", "--data-dir", digits_dir, "--no-verify", "--device", "cpu",
        "--set", "vae.epochs=5000", "--out", out,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    _, messages = process.communicate(timeout=60)  # until the last process that could still say something is gone
    assert process.returncode == -signal.SIGKILL
    assert not (out / "summary.json").exists(), messages


# --- what is refused ------------------------------------------------------------------------------------------


def test_what_the_first_process_alone_meets_ends_all_in_one_line(digits_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("Dear")
    process = torchrun(
        2, "-m", "vaegen_training", "joint", "--data-dir", digits_dir, "--no-verify", "--device", "cpu",
        "--out", tmp_path / "file" / "run",
    )  # fmt: skip
    output, messages = process.communicate()
    assert (process.returncode, output) == (1, "")  # torchrun's own code; below, that of the process
    assert len(re.findall("^vaegen: .*cannot hold a run.*choose another --out$", messages, re.MULTILINE)) == 1
    assert messages.count("vaegen: ") == 1
    assert messages.count("Traceback") == 1  # torchrun's
    assert re.search(r"rank +: 0 .*\n +exitcode +: 4 ", messages)
    assert (tmp_path / "file").read_text() == "Dear"


@pytest.mark.parametrize(
    ("size", "batches", "words"),
    [
        (3, {"vae.batch": 28}, "vae.batch: 28 images cannot be shared out evenly among 3 .* from 1, 2, 4, 7, 14, 28,"),
        (8, {"vae.batch": 256, "flow_stage.batch": 100}, "flow_stage.batch: 100 .* from 1, 2, 4,"),
        (33, {"vae.batch": 33}, "33 processes are too many; choose --nproc-per-node=32 or less"),
    ],
)
def test_batches_that_cannot_be_shared_out_evenly(size: int, batches: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_shares(batches, Share(0, size))
    check_shares(batches, ALONE)


# --- shares ---------------------------------------------------------------------------------------------------


def test_shares_are_a_batch_dealt_out_in_turn() -> None:
    whole, shares = torch.arange(12).reshape(6, 2), [Share(rank, 3) for rank in range(3)]
    for share in shares:
        assert share.rows(whole)[:, 0].tolist() == [2 * share.rank, 2 * share.rank + 6]
        assert share.rows(whole.T, dim=1)[0].tolist() == [2 * share.rank, 2 * share.rank + 6]
    assert [share.count(4) for share in shares] == [2, 1, 1]
    assert ALONE.rows(whole) is whole


def test_shares_draw_the_rows_of_one_batch() -> None:
    def random() -> torch.Generator:
        return torch.Generator().manual_seed(0)

    shares = [Share(rank, 3) for rank in range(3)]
    dealt = torch.stack([share.rand(4, 5, random=random()) for share in shares], 1).flatten(0, 1)
    assert torch.equal(dealt, torch.rand(12, 5, generator=random()))
    across = torch.stack([share.rand(5, 4, random=random(), dim=1) for share in shares], 2).flatten(1)
    assert torch.equal(across, torch.rand(5, 12, generator=random()))
    normal = torch.stack([share.randn(4, 5, random=random()) for share in shares], 1).flatten(0, 1)
    assert torch.equal(normal, torch.randn(12, 5, generator=random()))
    uneven = [share.rand(share.count(10), 5, random=random(), n=10) for share in shares]
    assert torch.equal(uneven[1], torch.rand(10, 5, generator=random())[1::3])


def test_means_of_unequal_parts_average_to_the_mean_of_all() -> None:
    values = torch.randn(10, generator=torch.Generator().manual_seed(0))
    shares = [Share(rank, 3) for rank in range(3)]
    parts = [share.weigh(share.rows(values).mean(), share.count(10), 10) for share in shares]
    torch.testing.assert_close(torch.stack(parts).mean(), values.mean())
