"""A step is plain Adam on the objective, to the bit, and has no Python value in it that a replay would repeat."""

import json
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from vaegen_training.config import StageConfig, TrainConfig
from vaegen_training.data import Mnist
from vaegen_training.models.critic import Sharpened, SharpenObjective
from vaegen_training.models.judge import Judge, JudgeObjective, load_judge
from vaegen_training.models.objective import VaeObjective
from vaegen_training.models.vae import FactoredVae
from vaegen_training.models.verifier import Verifier
from vaegen_training.presets import preset
from vaegen_training.prior import Contest, Examples, FlowObjective, GeneratorObjective, Prior
from vaegen_training.prior.acceptance import VerifierObjective
from vaegen_training.prior.generator import distillation_pairs
from vaegen_training.runs import cuda_graph, loop
from vaegen_training.runs.loop import Objective, Stage, generator, key, learning_rate, run_stage
from vaegen_training.runs.run_folder import build_networks

CPU = torch.device("cpu")
ITEMS, STEPS = 100, 24
CONFIG = StageConfig(epochs=4.8, batch=20, learning_rate=0.01, clip=1.0, ema=0.9)
STAGES = ("vae", "sharpen", "flow", "prior", "verifier", "judge")


def settings() -> TrainConfig:
    """Temperature, KL weight and hard codes change as the steps go, and the judge joins in half-way."""
    small = {"model.hidden": "32", "prior.hidden": "16", "prior.examples": "100", "objective.kl_warmup": "1"}
    return preset("default", "joint").override({**small, "objective.hard_from": "0.5"})


def problem(stage: str, digits: Mnist, device: torch.device = CPU) -> tuple[Objective, nn.Module]:
    """Return a stage's objective and its module, always with the same starting weights."""
    config, data = settings(), digits.to(device)
    vae, field, network = build_networks(config)
    verifier = Verifier()
    for module in (vae, field, network, verifier):
        module.to(device)
    if stage == "vae":
        return VaeObjective(vae, data, config, load_judge().to(device)), vae
    if stage == "sharpen":
        assert isinstance(vae, FactoredVae)
        both = Sharpened(vae, 4).to(device)
        return SharpenObjective(both, data, config, load_judge().to(device)), both
    if stage == "flow":
        return FlowObjective(field, network.space, Examples(vae, data, config)), field
    if stage == "prior":
        pairs = distillation_pairs(
            field, network.space, data, config.prior, lambda start: generator(device, 0, "", start)
        )
        contest, examples = Contest(network).to(device), Examples(vae, data, config)
        return GeneratorObjective(vae, contest, load_judge().to(device), pairs, examples, config), contest
    torch.manual_seed(0)
    if stage == "verifier":
        return VerifierObjective(verifier, Prior(vae, network), load_judge().to(device), data, config), verifier
    judge = Judge().to(device)
    return JudgeObjective(judge, data, CONFIG), judge


def weights(module: nn.Module) -> Tensor:
    return torch.cat([tensor.detach().flatten().cpu() for tensor in module.state_dict().values()])


def trained(name: str, objective: Objective, module: nn.Module, folder: Path, device: torch.device = CPU) -> nn.Module:
    """Train all of a stage, and return the average of its weights."""
    folder.mkdir(exist_ok=True)
    stage = Stage(name, module, objective, CONFIG, ITEMS)
    return run_stage(stage, folder, seed=0, device=device)


def metrics(folder: Path) -> dict[str, float]:
    """Return the means over the whole stage."""
    line: dict[str, float] = json.loads((folder / "metrics.jsonl").read_text())
    return {name: value for name, value in line.items() if name not in ("stage", "step", "images")}


@pytest.fixture(autouse=True)
def one_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOGS", 1)


@pytest.mark.parametrize("name", STAGES)
def test_steps_are_plain_adam_and_a_running_average_to_the_bit(digits: Mnist, tmp_path: Path, name: str) -> None:
    objective, module = problem(name, digits)
    averaged = trained(name, objective, module, tmp_path)
    objective, plain = problem(name, digits)
    optimizer = torch.optim.Adam(plain.parameters(), betas=(0.9, CONFIG.beta2), fused=True)
    average = AveragedModel(plain, multi_avg_fn=get_ema_multi_avg_fn(CONFIG.ema))
    losses = []
    for step in range(STEPS):
        order = torch.randperm(ITEMS, generator=generator(CPU, 0, name, "epoch", step // 5))
        objective.prepare(step / STEPS)
        random = torch.Generator().manual_seed(key(0, name, step))
        found = objective(order[step % 5 * 20 :][:20], random)
        optimizer.zero_grad()
        found["loss"].backward()
        nn.utils.clip_grad_norm_(plain.parameters(), CONFIG.clip)
        optimizer.param_groups[0]["lr"] = torch.tensor(learning_rate(CONFIG, step / STEPS))
        optimizer.step()
        average.update_parameters(plain)
        losses.append({part: float(value.detach()) for part, value in found.items()})
    assert torch.equal(weights(module), weights(plain))
    assert torch.equal(weights(averaged), weights(average.module))
    means = {part: sum(each[part] for each in losses) / STEPS for part in losses[0]}
    assert metrics(tmp_path) == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_recorded_follows_batch_noise_and_schedules(digits: Mnist, stage: str) -> None:
    """As far as it goes without a GPU: recorded as tensor operations, and so without waiting for any value."""
    objective, module = problem(stage, digits)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    random = torch.Generator()

    def compute(index: Tensor) -> list[Tensor]:
        losses = objective(index, random)
        return [*losses.values(), *torch.autograd.grad(losses["loss"], parameters)]

    phase = objective.prepare(0.51)
    recording = make_fx(compute)(torch.arange(20))
    assert not any("lift_fresh" in str(node.target) for node in recording.graph.nodes), "numbers copied to the device"
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    results = []
    for progress, first in ((0.55, 20), (0.9, 40)):
        assert objective.prepare(progress) == phase
        both = []
        for way in (compute, recording):
            random.manual_seed(first)
            module.load_state_dict(state)  # spectral norm keeps a vector from step to step
            with torch.set_grad_enabled(way is compute):  # the recording has the gradients' operations in it
                both.append(way(torch.arange(first, first + 20)))
        assert all(map(torch.equal, *both))
        results.append(both[0])
    assert not torch.equal(results[0][0], results[1][0])


# --- on a GPU -------------------------------------------------------------------------------------------------

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@GPU
@pytest.mark.parametrize("name", STAGES)
def test_replays_end_where_the_steps_end_op_by_op(
    digits: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    device = torch.device("cuda")
    start = weights(problem(name, digits, device)[1])
    ends = []
    for warm_up in (STEPS, 3):
        monkeypatch.setattr(cuda_graph, "WARM_UP", warm_up)
        objective, module = problem(name, digits, device)
        trained(name, objective, module, tmp_path / str(warm_up), device)
        ends.append(weights(module))
    assert not caplog.records  # nothing went on op by op
    assert (ends[1] - ends[0]).norm() < 0.05 * (ends[0] - start).norm()
    assert metrics(tmp_path / "3") == pytest.approx(metrics(tmp_path / str(STEPS)), rel=1e-3)


@GPU
def test_a_step_that_waits_for_the_device_is_taken_op_by_op_with_one_warning(
    digits: Mnist, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Waits(JudgeObjective):
        def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
            found = super().__call__(index, random)
            float(found["loss"].detach())
            return found

    device = torch.device("cuda")
    ends = []
    for kind in (JudgeObjective, Waits):
        torch.manual_seed(0)
        judge = Judge().to(device)
        trained("judge", kind(judge, digits.to(device), CONFIG), judge, tmp_path / kind.__name__, device)
        ends.append(weights(judge))
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith("training continues without a CUDA graph, op by op: ")
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-3, atol=1e-3)
