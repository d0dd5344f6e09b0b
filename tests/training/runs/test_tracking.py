"""Trackers: what is shown is what `metrics.jsonl` says, once, however often the run was stopped."""

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from vaegen.errors import ConfigError, DataError, MissingExtraError
from vaegen_training.config import StageConfig
from vaegen_training.runs import loop
from vaegen_training.runs.loop import Stage, run_stage
from vaegen_training.runs.monitor import Monitor, in_words
from vaegen_training.runs.tracking import TRACKERS, check_tracker, open_tracker

CONFIG = StageConfig(epochs=4, batch=10, learning_rate=0.05)  # 40 steps


class Regression:
    """Fits 4 numbers; can be killed at a step."""

    def __init__(self, killed_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.module, self.killed_at, self.steps = nn.Linear(4, 1), killed_at, 0

    def prepare(self, progress: float) -> None: ...

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        if self.steps == self.killed_at:
            raise SystemExit
        self.steps += 1
        x = torch.randn(len(index), 4, generator=random)
        return {"loss": (self.module(x)[:, 0] - x.sum(1)).square().mean()}


def call(folder: Path, name: str, stages: Mapping[str, int | None]) -> None:
    """Run stages, one of which is perhaps killed after so many steps; each call opens the tracker anew."""

    def draw(module: nn.Linear, path: Path) -> None:
        Image.new("RGB", (4, 4), "red").save(path)

    with Monitor(tracker=open_tracker(name, folder, {"seed": 0})) as monitor:
        for stage, killed_at in stages.items():
            problem = Regression(killed_at)
            task = Stage(stage, problem.module, problem, CONFIG, 100, draw)
            run_stage(task, folder, seed=0, device=torch.device("cpu"), monitor=monitor)


def in_tensorboard(folder: Path) -> tuple[dict[str, dict[int, float]], int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0, "images": 0}).Reload()
    found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    for points in found.values():
        assert len(dict(points)) == len(points)
    return {tag: dict(points) for tag, points in found.items()}, len(events.Images("vae/samples"))


def in_trackio(folder: Path) -> tuple[dict[str, dict[int, float]], int]:
    from trackio.sqlite_storage import SQLiteStorage

    (run,) = SQLiteStorage.get_runs("vaegen")
    points: dict[str, dict[int, float]] = {}
    pictures = 0
    for line in SQLiteStorage.get_logs("vaegen", run):
        for tag in line.keys() & {"vae/loss", "vae/learning_rate", "vae/images_per_second", "flow/loss"}:
            assert line["step"] not in points.setdefault(tag, {})
            points[tag][line["step"]] = line[tag]
        pictures += "vae/samples" in line
    return points, pictures


@pytest.mark.parametrize(("name", "read"), [("tensorboard", in_tensorboard), ("trackio", in_trackio)])
def test_a_run_that_is_killed_again_and_again_has_one_curve(
    name: str, read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setattr(loop, "LOGS", 20)  # a line every second step
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    with pytest.raises(SystemExit):
        call(folder, name, {"vae": 15})
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 1e9)
    with pytest.raises(SystemExit):
        call(folder, name, {"vae": 16})  # from step 14 to 30, and nothing is saved
    call(folder, name, {"vae": None, "flow": None})

    points, pictures = read(folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [*range(2, 41, 2)] * 2
    vae, flow = lines[:20], lines[20:]
    assert points["vae/loss"] == pytest.approx({line["step"]: line["loss"] for line in vae}, rel=1e-6)
    assert points["flow/loss"] == pytest.approx({40 + line["step"]: line["loss"] for line in flow}, rel=1e-6)
    assert points["vae/learning_rate"][20] == pytest.approx(loop.learning_rate(CONFIG, 19 / 40), rel=1e-6)
    assert min(points["vae/images_per_second"].values()) > 0
    assert pictures == len(list((folder / "samples").glob("vae-*.png"))) == 10


def test_a_tracker_that_is_missing_or_unknown_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose from tensorboard, trackio, wandb, mlflow"):
        check_tracker("tensorbord")
    for name in TRACKERS:
        if importlib.util.find_spec(name) is None:
            with pytest.raises(MissingExtraError, match=f"{name} is not installed: pip install {name}$"):
                check_tracker(name)


def test_a_damaged_name_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    (tmp_path / "tracking.json").write_text("{")
    with pytest.raises(DataError, match="remove it to begin new curves"):
        open_tracker("trackio", tmp_path, {})


def test_the_time_that_is_left_is_one_estimate_for_all_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, lines = [0.0], list[str]()
    monkeypatch.setattr("vaegen_training.runs.monitor.time.monotonic", lambda: clock[0])
    with Monitor({"vae": 600, "flow": 300, "prior": 1200}, say=lines.append) as monitor:
        monitor.begin("vae", 100, 50)  # half of it was done before
        monitor.advance(50)
        clock[0] = 150  # this machine takes half as long as the plan says
        monitor.begin("flow", 10)
        monitor.advance(10)
        clock[0] = 300
        monitor.begin("prior", 5)
    assert lines == [
        "vae, stage 1 of 3",
        "flow, stage 2 of 3, 12 minutes left",
        "prior, stage 3 of 3, 10 minutes left",
    ]


def test_durations_are_said_as_people_say_them() -> None:
    assert [in_words(seconds) for seconds in (0.2, 59, 2400, 9000)] == [
        "1 second", "59 seconds", "40 minutes", "2.5 hours",
    ]  # fmt: skip
