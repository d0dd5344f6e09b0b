"""The loop on a problem of milliseconds: schedules, batches, metrics, and going on after a stop."""

import itertools
import json
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from vaegen.errors import DataError
from vaegen_training.config import StageConfig
from vaegen_training.runs import loop
from vaegen_training.runs.loop import Stage, generator, learning_rate, run_stage
from vaegen_training.runs.run_folder import MetricsLog

CPU = torch.device("cpu")
ITEMS = 103
CONFIG = StageConfig(epochs=4, batch=10, learning_rate=0.05, clip=1.0, ema=0.9, warmup=0.1)
STEPS = 42  # ceil(103 * 4 / 10)


@pytest.fixture(autouse=True)
def few_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of metrics every 6 steps: each is synced to the disk, which takes longer than the steps here."""
    monkeypatch.setattr(loop, "LOGS", 7)


class Regression:
    """Fit 4 numbers to noisy sums; remembers what it was shown, and can stop the run at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.module = nn.Linear(4, 1)
        self.inputs = torch.randn(ITEMS, 4, generator=torch.Generator().manual_seed(1))
        self.seen: list[list[int]] = []
        self.fractions: list[float] = []
        self.stop_at = stop_at

    def prepare(self, progress: float) -> None:
        self.fractions.append(progress)

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        if self.stop_at is not None and len(self.seen) == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(index.tolist())
        x = self.inputs[index]
        noise = 0.1 * torch.randn(len(x), generator=random)
        loss = (self.module(x)[:, 0] - x.sum(1) - noise).square().mean()
        return {"loss": loss, "bias": self.module.bias.square().sum()}


def run(folder: Path, problem: Regression, config: StageConfig = CONFIG, *, name: str = "vae", seed: int = 0) -> Tensor:
    folder.mkdir(exist_ok=True)
    stage = Stage(name, problem.module, problem, config, ITEMS)
    result = run_stage(stage, folder, seed=seed, device=CPU)
    return torch.cat([parameter.detach().flatten() for parameter in result.parameters()])


def metrics(folder: Path, stage: str = "vae") -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["stage"] == stage]


# --- schedules ------------------------------------------------------------------------------------------------


def test_the_step_size_rises_and_then_falls_to_nothing_along_a_cosine() -> None:
    config = StageConfig(epochs=1, batch=1, learning_rate=0.01, warmup=0.1)
    assert learning_rate(config, 0) < 1e-9
    assert learning_rate(config, 0.05) == pytest.approx(0.005, rel=0.01)
    assert learning_rate(config, 0.1) == pytest.approx(0.01, rel=0.03)
    assert learning_rate(config, 0.5) == pytest.approx(0.005)
    assert learning_rate(config, 1) == pytest.approx(0, abs=1e-12)


def test_a_constant_step_size_stays_after_its_rise() -> None:
    config = StageConfig(epochs=1, batch=1, learning_rate=0.01, schedule="constant", warmup=0.2)
    assert [learning_rate(config, progress) for progress in (0.1, 0.2, 1)] == pytest.approx([0.005, 0.01, 0.01])
    assert learning_rate(replace(config, warmup=0.0), 0) == 0.01


# --- batches --------------------------------------------------------------------------------------------------


def test_an_epoch_shows_no_image_twice_and_each_epoch_has_its_own_order(tmp_path: Path) -> None:
    problem = Regression()
    run(tmp_path, problem)
    assert len(problem.seen) == STEPS
    assert {len(batch) for batch in problem.seen} == {10}
    epochs = [list(chain(*problem.seen[first : first + 10])) for first in (0, 10, 20, 30)]
    for epoch in epochs:
        assert max(Counter(epoch).values()) == 1
        assert set(epoch) <= set(range(ITEMS))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert len(set().union(*epochs)) == ITEMS  # the odd images of one epoch come in another


def test_progress_runs_from_zero_to_one(tmp_path: Path) -> None:
    problem = Regression()
    run(tmp_path, problem)
    assert problem.fractions == pytest.approx([step / STEPS for step in range(STEPS)])


def test_another_seed_and_another_stage_have_other_orders(tmp_path: Path) -> None:
    runs = [Regression() for _ in range(3)]
    run(tmp_path / "a", runs[0])
    run(tmp_path / "b", runs[1], seed=1)
    run(tmp_path / "c", runs[2], name="prior")
    assert len({tuple(problem.seen[0]) for problem in runs}) == 3


def test_fewer_items_than_a_batch_are_one_batch(tmp_path: Path) -> None:
    problem = Regression()
    run(tmp_path, problem, replace(CONFIG, batch=500, epochs=10))
    assert [sorted(batch) for batch in problem.seen] == [list(range(ITEMS))] * 3


def test_a_part_of_an_epoch_can_be_asked_for(tmp_path: Path) -> None:
    problem = Regression()
    run(tmp_path, problem, replace(CONFIG, epochs=0.5))
    assert len(problem.seen) == 6


# --- randomness -----------------------------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_numbers_whatever_was_drawn_before() -> None:
    first = torch.rand(100, generator=generator(CPU, 7, "vae", 3))
    torch.rand(5)
    assert torch.equal(torch.rand(100, generator=generator(CPU, 7, "vae", 3)), first)


def test_seed_purpose_and_step_each_change_the_numbers() -> None:
    uses = [(seed, stage, step) for seed in (0, 1) for stage in ("vae", "prior") for step in (0, 1, 10)]
    draws = [torch.rand(100, generator=generator(CPU, *use)) for use in uses]
    for first, second in itertools.combinations(draws, 2):
        assert not torch.equal(first, second)
        assert (torch.corrcoef(torch.stack([first, second]))[0, 1]).abs() < 0.4


def test_streams_never_change_between_versions() -> None:
    # sha256("0/vae/0"): with another one, a run that was started by an older version would not end as it began.
    assert generator(CPU, 0, "vae", 0).initial_seed() == 3_589_519_092_876_513_712


# --- optimisation ---------------------------------------------------------------------------------------------


def test_it_finds_the_minimum(tmp_path: Path) -> None:
    weights = run(tmp_path, Regression(), replace(CONFIG, epochs=30, clip=0.0))
    torch.testing.assert_close(weights, torch.tensor([1.0, 1, 1, 1, 0]), rtol=0, atol=0.05)


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_it_is_plain_adam_and_a_running_average_when_nothing_else_is_asked_for(tmp_path: Path, ema: float) -> None:
    config = StageConfig(epochs=1, batch=10, learning_rate=0.05, schedule="constant", warmup=0, beta2=0.999, ema=ema)
    problem, reference = Regression(), Regression()
    found = run(tmp_path, problem, config)
    optimizer = torch.optim.Adam(reference.module.parameters(), lr=0.05)
    average = None
    for step, batch in enumerate(problem.seen):
        random = generator(CPU, 0, "vae", step)
        optimizer.zero_grad()
        reference(torch.tensor(batch), random)["loss"].backward()
        optimizer.step()
        weights = torch.cat([parameter.detach().flatten() for parameter in reference.module.parameters()])
        average = weights if average is None else ema * average + (1 - ema) * weights
    assert average is not None
    torch.testing.assert_close(found, average, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_to_the_norm_that_was_asked_for(tmp_path: Path) -> None:
    norms = []

    class Watched(Regression):
        def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
            if self.module.weight.grad is not None:  # what the step before left
                norms.append(float(self.module.weight.grad.norm()))
            return super().__call__(index, random)

    run(tmp_path / "free", Watched(), replace(CONFIG, epochs=1, clip=0.0))
    free, norms = norms, []
    run(tmp_path / "clipped", Watched(), replace(CONFIG, epochs=1, clip=0.1))
    assert max(free) > 1
    assert max(norms) <= 0.1 + 1e-6


# --- metrics --------------------------------------------------------------------------------------------------


def test_metrics_are_means_over_their_intervals(tmp_path: Path) -> None:
    class Counting(Regression):
        def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
            return {**super().__call__(index, random), "shown": torch.tensor(float(len(self.seen)))}

    problem = Counting()
    run(tmp_path, problem, replace(CONFIG, epochs=25))  # 258 steps, a line every 37
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == [37, 74, 111, 148, 185, 222, 258]
    assert [line["images"] for line in lines] == [10 * line["step"] for line in lines]
    assert [line["shown"] for line in lines] == [19, 56, 93, 130, 167, 204, 240.5]  # means over the intervals
    assert lines[-1]["loss"] < lines[0]["loss"] / 10


def test_lines_beyond_the_checkpoint_and_a_torn_one_are_dropped(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, "vae")
    for step in (1, 2, 3):
        log.write(step, step * 10, {"loss": 1.0})
    MetricsLog(tmp_path, "prior").write(9, 90, {"loss": 2.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "vae", "st')
    log.keep_until(2)
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2]
    assert [line["step"] for line in metrics(tmp_path, "prior")] == [9]
    log.write(3, 30, {"loss": 0.5})
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2, 3]


def test_pictures_are_drawn_of_the_averaged_weights_as_the_run_goes(tmp_path: Path) -> None:
    problem, drawn = Regression(), []

    def preview(module: nn.Module, path: Path) -> None:
        assert module is not problem.module
        assert not any(parameter.grad is not None for parameter in module.parameters())
        drawn.append(path)

    stage = Stage("vae", problem.module, problem, CONFIG, ITEMS, preview)
    run_stage(stage, tmp_path, seed=0, device=CPU)
    assert drawn == [tmp_path / "samples" / f"vae-{step:07d}.png" for step in (6, 12, 18, 24, 30, 36, 42)]


# --- going on -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize(("stop", "saved"), [(1, 0), (12, 12), (28, 24)])
def test_a_stopped_stage_goes_on_to_the_very_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ema: float, stop: int, saved: int
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    config = replace(CONFIG, ema=ema)
    straight, stopped, resumed = Regression(), Regression(stop_at=stop), Regression()
    expected = run(tmp_path / "a", straight, config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", stopped, config)
    found = run(tmp_path / "b", resumed, config)
    assert torch.equal(found, expected)
    assert stopped.seen == straight.seen[:stop]
    assert resumed.seen == straight.seen[saved:]
    for file in ("metrics.jsonl", "vae.checkpoint.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_work_since_the_last_checkpoint_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight, resumed = Regression(), Regression()
    expected = run(tmp_path / "a", straight)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", Regression(stop_at=12))
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 1e9)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", Regression(stop_at=20))
    assert metrics(tmp_path / "b")[-1]["step"] == 30  # beyond the checkpoint of step 12
    found = run(tmp_path / "b", resumed)
    assert torch.equal(found, expected)
    assert resumed.seen == straight.seen[12:]
    assert metrics(tmp_path / "b") == metrics(tmp_path / "a")


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    again = Regression(stop_at=0)
    expected = run(tmp_path, Regression())
    assert torch.equal(run(tmp_path, again), expected)


def test_a_damaged_checkpoint_stops_the_run(tmp_path: Path) -> None:
    run(tmp_path, Regression())
    path = tmp_path / "vae.checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="no readable checkpoint"):
        run(tmp_path, Regression())
