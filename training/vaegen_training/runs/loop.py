"""The training loop, the same for every stage: read it top to bottom.

Time is counted in images, schedules are functions of the fraction done, and all randomness is a function of
(seed, stage, step). So a killed run, started again, ends with the weights of an undisturbed one, bit for bit on
one machine.
"""

import hashlib
import math
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from vaegen.errors import ConfigError, DataError

from vaegen_training.config import StageConfig
from vaegen_training.host import Stop
from vaegen_training.models import weights
from vaegen_training.runs import distributed
from vaegen_training.runs.cuda_graph import GraphedStep
from vaegen_training.runs.monitor import Monitor
from vaegen_training.runs.run_folder import CHECKPOINT, RUN, MetricsLog, origin

M = TypeVar("M", bound=nn.Module)

LOGS = 100  # lines of metrics per stage
PREVIEWS = 10  # sample grids per stage
CHECKPOINT_SECONDS = 15.0  # at most this much work is lost by a kill, give or take one log interval


class Objective(Protocol):
    """What a stage minimises."""

    def prepare(self, progress: float) -> Hashable:
        """Set what depends on the fraction of the stage that is done, 0 to 1, in tensors that stay in place.

        Returns:
            The phase: whatever of the loss is otherwise decided in Python, such as a term that joins in half-way.
        """

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return 0-dim tensors, the one named "loss" to be minimised, for training images `index` int64 (n,).

        It must not wait for the device.
        """


@dataclass(frozen=True)
class Stage(Generic[M]):
    """One network to train."""

    name: str
    """"vae", "sharpen", "flow", "prior", "verifier" or "judge": prefix of the stage's files."""
    module: M
    objective: Objective
    config: StageConfig
    items: int
    """Training images there are."""
    preview: Callable[[M, Path], None] | None = None
    """Draws the averaged weights' work into a PNG file."""


def run_stage(
    stage: Stage[M],
    folder: Path,
    *,
    seed: int,
    device: torch.device,
    run: str = "",
    stop: Stop | None = None,
    monitor: Monitor | None = None,
) -> M:
    """Train a stage to its end, from the last checkpoint where an earlier run of it was stopped.

    Args:
        stage: What to train; its module's weights are overwritten.
        folder: The run's folder; holds the checkpoint, the metrics and the previews.
        seed: The run's seed.
        device: Where the stage's tensors live.
        run: The run's `identity`, for its checkpoints.
        stop: Tells when to save and end, in one process after any step, in several after the next line of metrics.
        monitor: Is told how it goes, in the first process.

    Returns:
        The module with its final weights: their average if the configuration asks for one.

    Raises:
        KeyboardInterrupt: `stop` has asked for it.
        ConfigError: The training has diverged.
        DataError: The checkpoint is damaged, or not this stage's.
        OutputError: A file cannot be written.
    """
    config, module, objective = stage.config, stage.module, stage.objective
    rank, size = distributed.RANK, distributed.SIZE
    steps = math.ceil(stage.items * config.epochs / config.batch)
    monitor = monitor or Monitor()
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    rate = torch.tensor(config.learning_rate, device=device)
    optimizer = torch.optim.Adam(parameters, lr=rate, betas=(config.beta1, config.beta2), fused=True)
    average = AveragedModel(module) if config.ema else None
    path, stop = folder / f"{stage.name}.{CHECKPOINT}", stop or Stop()
    step = _restore(path, steps, module, optimizer, average) if path.exists() else 0
    log = MetricsLog(folder, stage.name)
    if rank == 0:
        log.keep_until(step)

    # Nothing in a step waits for the device or depends on a Python value that changes: batch, learning rate and
    # what the schedules say lie in tensors that are filled before. So it can be recorded and replayed.
    index = torch.empty(min(config.batch, stage.items) // size, dtype=torch.int64, device=device)
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=device))  # of the losses since the last log
    compute = distributed.with_mean_gradients(objective, module)

    def take_step(random: torch.Generator) -> None:
        losses = compute(index, random)
        optimizer.zero_grad()
        losses["loss"].backward()
        if config.clip:
            nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        if average is not None:
            _follow(average, module, config.ema)
        for name, value in losses.items():
            sums[name].add_(value.detach())

    graphed = GraphedStep(take_step, optimizer, device)
    module.train()
    log_every, preview_every = math.ceil(steps / LOGS), math.ceil(steps / PREVIEWS)
    saved, logged = time.monotonic(), step
    monitor.begin(stage.name, steps, step)
    with stop.deferred():
        for batch in _batches(stage, seed, step, steps, device):
            done = step / steps
            phase = objective.prepare(done)
            index.copy_(batch[rank::size], non_blocking=True)
            optimizer.param_groups[0]["lr"].fill_(learning_rate(config, done))
            graphed(phase, key(seed, stage.name, step, *([rank] if rank else [])))
            if average is not None:
                average.n_averaged += 1
            step += 1

            monitor.advance()
            due = step % log_every == 0 or step == steps
            ending = stop.number is not None if size == 1 else due and distributed.any_of(stop.number is not None)
            if due or ending:  # here alone the device is waited for
                means = {name: distributed.mean(value) / (step - logged) for name, value in sums.items()}
                if not math.isfinite(means["loss"]):
                    raise ConfigError(
                        f"the loss of stage {stage.name} is {means['loss']} at step {step}: training has diverged; "
                        "start a new run with a smaller learning_rate"
                    )
                logged = step
                for value in sums.values():
                    value.zero_()
                if rank == 0:
                    log.write(step, step * config.batch, means)
                    picture = None
                    if stage.preview and due and (step % preview_every < log_every or step == steps):
                        picture = folder / "samples" / f"{stage.name}-{step:07d}.png"
                        stage.preview(_result(module, average), picture)
                        module.train()
                    rates = {"learning_rate": learning_rate(config, done)}
                    monitor.log(step, config.batch, means | rates, picture)
                    if ending or time.monotonic() - saved > CHECKPOINT_SECONDS or step == steps:
                        _save(path, step, run, module, optimizer, average)
                        saved = time.monotonic()
                        monitor.saved()
                if ending:
                    raise KeyboardInterrupt
    return _result(module, average).eval()


def learning_rate(config: StageConfig, progress: float) -> float:
    """Return the step size at a fraction of the run: a linear rise, then constant or half a cosine down to 0."""
    rise = min(1.0, (progress + 1e-9) / config.warmup) if config.warmup else 1.0
    if config.schedule == "constant":
        return config.learning_rate * rise
    return config.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * progress))


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    """Make a generator that depends on nothing but its arguments.

    Args:
        device: Where its numbers are drawn; CPU and CUDA draw different ones.
        seed: The run's seed.
        purpose: What it is for, such as a stage's name and a step.
    """
    return torch.Generator(device).manual_seed(key(seed, *purpose))


def key(seed: int, *purpose: str | int) -> int:
    """Return the seed of the generator of a purpose, 0 to 2**63 - 1."""
    text = "/".join(map(str, (seed, *purpose))).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def _batches(stage: Stage[M], seed: int, first: int, steps: int, device: torch.device) -> Iterator[Tensor]:
    """Yield the indices of steps `first` to `steps`: a new order each epoch, drawn on the CPU and moved as one."""
    batch = stage.config.batch
    per_epoch = max(1, stage.items // batch)  # the odd images at an epoch's end are left for the next order
    for step in range(first, steps):
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == first:
            order = torch.randperm(
                stage.items, generator=generator(torch.device("cpu"), seed, stage.name, "epoch", epoch)
            )
            order = order.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else order
        yield order[position * batch : (position + 1) * batch]


@torch.no_grad()
def _follow(average: AveragedModel, module: nn.Module, decay: float) -> None:
    """Move the average towards the module's weights, and the first time onto them.

    What `AveragedModel.update_parameters` does, which however copies its counter to the device each time.
    """
    move = get_ema_multi_avg_fn(decay if average.n_averaged else 0.0)
    move(list(average.module.parameters()), list(module.parameters()), average.n_averaged)
    for old, new in zip(average.module.buffers(), module.buffers(), strict=True):
        old.copy_(new)


def _result(module: M, average: AveragedModel | None) -> M:
    return module if average is None else cast("M", average.module)


def _save(
    path: Path, step: int, run: str, module: nn.Module, optimizer: Optimizer, average: AveragedModel | None
) -> None:
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    weights.write(path, tensors, {"step": step, RUN: origin(run, path)})


def _restore(path: Path, steps: int, module: nn.Module, optimizer: Optimizer, average: AveragedModel | None) -> int:
    """Read what `_save` wrote; return the step.

    Raises:
        DataError: It is damaged, or another stage's.
    """
    tensors, meta = weights.read(path)
    step = meta.get("step")
    if type(step) is not int or not 0 < step <= steps:
        raise DataError(f"{path} is not of this stage: step {step!r} of {steps}; remove it to start this stage again")
    like = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    if average is not None:
        like |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    count = torch.zeros(())
    for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
        state = {"step": count, "exp_avg": parameter, "exp_avg_sq": parameter}
        like |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    weights.check(path, tensors, like)
    for name, tensor in tensors.items():
        counts = name == "average.n_averaged" or like[name] is count
        if (counts and tensor != step) or (name.endswith(".exp_avg_sq") and tensor.min() < 0):
            raise DataError(f"{path} is damaged: {name} is impossible after {step} steps")
    module.load_state_dict(weights.under(tensors, "module."))
    if average is not None:
        average.load_state_dict(weights.under(tensors, "average."))
    states: dict[int, dict[str, Tensor]] = {}
    for label, tensor in weights.under(tensors, "optimizer.").items():
        number, name = label.split(".")
        states.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
    return step
