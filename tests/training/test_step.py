"""A step is plain Adam on the objective, to the bit; and a recorded one is used only if it comes to the same."""

import logging

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from vaegen_training.config import StageConfig, TrainConfig
from vaegen_training.data import Mnist
from vaegen_training.judge import Judge, JudgeObjective
from vaegen_training.objectives import VaeObjective
from vaegen_training.presets import preset
from vaegen_training.prior import FlowObjective, GeneratorObjective
from vaegen_training.prior.generator import examples
from vaegen_training.run import fresh, load_judge
from vaegen_training.step import WARM_UP, Objective, Recording, Step

CPU = torch.device("cpu")
CONFIG = StageConfig(epochs=1, batch=20, learning_rate=0.01, clip=1.0, ema=0.9)
STEPS = 24


def settings() -> TrainConfig:
    """Temperature, KL weight and hard codes change as the steps go, and the judge joins in half-way."""
    small = {"model.hidden": "32", "prior.hidden": "16", "prior.examples": "100", "objective.kl_warmup": "1"}
    return preset("default", "joint").override({**small, "objective.hard_from": "0.5"})


def problem(stage: str, digits: Mnist, device: torch.device = CPU) -> tuple[Objective, nn.Module]:
    """Give a stage's objective and its module, always with the same starting weights."""
    config, data = settings(), digits.to(device)
    vae, field, network = fresh(config)
    for module in (vae, field, network):
        module.to(device)
    if stage == "vae":
        return VaeObjective(vae, data, config, load_judge().to(device)), vae
    if stage == "flow":
        return FlowObjective(vae, field, network.space, data, config), field
    if stage == "prior":
        known = examples(field, network.space, config, device)
        return GeneratorObjective(vae, network, load_judge().to(device), known, config), network
    torch.manual_seed(0)
    judge = Judge().to(device)
    return JudgeObjective(judge, data, CONFIG), judge


def inputs() -> list[tuple[Tensor, int, float, float]]:
    """Give index, seed, progress and step size of each step."""
    order = torch.randperm(100, generator=torch.Generator().manual_seed(1))
    return [(order[(i % 5) * 20 :][:20], 100 + i, i / STEPS, 0.01 * (1 - i / STEPS)) for i in range(STEPS)]


def weights(module: nn.Module | None) -> Tensor:
    assert module is not None
    return torch.cat([tensor.detach().flatten().cpu() for tensor in module.state_dict().values()])


class Recorded(Step):
    """Records on the CPU: its recording takes the step's own way again."""

    replays = recordings = 0

    def _record(self) -> Recording:
        self.recordings += 1
        step = self

        class Again:
            def replay(self) -> None:
                step.replays += 1
                step.once_more()

        return Again()

    def once_more(self) -> None:
        self._advance()


class EndsElsewhere(Recorded):
    def once_more(self) -> None:
        super().once_more()
        with torch.no_grad():
            self.parameters[0].mul_(1.05)


class CannotRecord(Recorded):
    def _record(self) -> Recording:
        super()._record()
        raise RuntimeError("CUDA error: operation not permitted\nwhen stream is capturing")


STAGES = ("vae", "flow", "prior", "judge")


def taken(step: Step) -> Step:
    for index, seed, progress, rate in inputs():
        step(index, seed, progress, rate)
    return step


@pytest.mark.parametrize("stage", STAGES)
def test_steps_are_plain_adam_and_a_running_average_to_the_bit(digits: Mnist, stage: str) -> None:
    objective, module = problem(stage, digits)
    step = taken(Step(objective, module, CONFIG, CPU))
    objective, plain = problem(stage, digits)
    optimizer = torch.optim.Adam(plain.parameters(), betas=(0.9, CONFIG.beta2), fused=True)
    average = AveragedModel(plain, multi_avg_fn=get_ema_multi_avg_fn(CONFIG.ema))
    losses = []
    for index, seed, progress, rate in inputs():
        found = objective(index, torch.Generator().manual_seed(seed), progress)
        optimizer.zero_grad()
        found["loss"].backward()
        nn.utils.clip_grad_norm_(plain.parameters(), CONFIG.clip)
        optimizer.param_groups[0]["lr"] = torch.tensor(rate)
        optimizer.step()
        average.update_parameters(plain)
        losses.append({name: float(value.detach()) for name, value in found.items()})
    assert torch.equal(weights(module), weights(plain))
    assert torch.equal(weights(step.average), weights(average))
    means = {name: sum(each[name] for each in losses) / STEPS for name in losses[0]}
    assert step.means() == pytest.approx(means, rel=1e-5)
    assert not any(value.any() for value in step.sums.values())


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_recorded_follows_batch_noise_and_schedules(digits: Mnist, stage: str) -> None:
    """As far as it goes without a GPU: recorded as tensor operations, and so without waiting for any value."""
    objective, module = problem(stage, digits)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    random = torch.Generator()

    def compute(index: Tensor) -> list[Tensor]:
        losses = objective.compute(index, random)
        return [*losses.values(), *torch.autograd.grad(losses["loss"], parameters)]

    phase = objective.prepare(0.51)
    recording = make_fx(compute)(torch.arange(20))
    results = []
    for progress, first in ((0.55, 20), (0.9, 40)):
        assert objective.prepare(progress) == phase
        both = []
        for way in (compute, recording):
            random.manual_seed(first)
            with torch.set_grad_enabled(way is compute):  # the recording has the gradients' operations in it
                both.append(way(torch.arange(first, first + 20)))
        assert all(map(torch.equal, *both))
        results.append(both[0])
    assert not torch.equal(results[0][0], results[1][0])


@pytest.mark.parametrize(("stage", "phases"), [("vae", 2), ("flow", 1), ("prior", 2), ("judge", 1)])
def test_each_phase_is_warmed_up_recorded_once_and_replayed(digits: Mnist, stage: str, phases: int) -> None:
    objective, module = problem(stage, digits)
    expected = taken(Step(objective, module, CONFIG, CPU))
    objective, again = problem(stage, digits)
    recorded = Recorded(objective, again, CONFIG, CPU)
    assert not recorded.records  # on a CPU there is nothing to gain
    recorded.records = True
    taken(recorded)
    assert recorded.recordings == phases
    assert recorded.replays == STEPS - phases * WARM_UP
    assert torch.equal(weights(again), weights(module))
    assert torch.equal(weights(recorded.average), weights(expected.average))
    assert recorded.means() == expected.means()


@pytest.mark.parametrize(
    ("kind", "words"), [(CannotRecord, "operation not permitted when"), (EndsElsewhere, "it ended 0.")]
)
def test_a_recording_that_fails_or_ends_elsewhere_is_not_used(
    digits: Mnist, caplog: pytest.LogCaptureFixture, kind: type[Recorded], words: str
) -> None:
    objective, module = problem("vae", digits)
    expected = taken(Step(objective, module, CONFIG, CPU))
    objective, again = problem("vae", digits)
    recorded = kind(objective, again, CONFIG, CPU)
    recorded.records = True
    with caplog.at_level(logging.WARNING, "vaegen"):
        taken(recorded)
    assert recorded.recordings == 1
    assert not recorded.records
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("training goes on without a CUDA graph, op by op: ")
    assert words in line
    assert "\n" not in line
    assert torch.equal(weights(again), weights(module))
    assert torch.equal(weights(recorded.average), weights(expected.average))
    assert recorded.means() == expected.means()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is to be seen from here")
@pytest.mark.parametrize("stage", STAGES)
def test_a_cuda_graph_ends_where_the_steps_end_op_by_op(digits: Mnist, stage: str) -> None:
    device = torch.device("cuda")
    steps = []
    for records in (False, True):
        objective, module = problem(stage, digits, device)
        step = Step(objective, module, CONFIG, device)
        step.records = records
        for index, seed, progress, rate in inputs():
            step(index.to(device), seed, progress, rate)
        assert step.records == records  # it did not fail
        steps.append(step)
    plain, graph = steps
    start = weights(problem(stage, digits, device)[1])
    apart = (weights(plain.module) - weights(graph.module)).norm()
    assert apart < 0.05 * (weights(plain.module) - start).norm()
    assert graph.means() == pytest.approx(plain.means(), rel=1e-3)
