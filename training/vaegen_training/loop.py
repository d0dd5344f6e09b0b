"""The training loop, the same for every stage: read it top to bottom.

Time is counted in images, schedules are functions of the fraction done, and all randomness is a function of
(seed, stage, step). So a killed run, started again, ends with the weights of an undisturbed one, bit for bit on
one machine.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm
from vaegen.errors import ConfigError

from vaegen_training import checkpoint
from vaegen_training.config import StageConfig
from vaegen_training.metrics import MetricsLog
from vaegen_training.processes import ALONE, Share
from vaegen_training.randomness import generator, key
from vaegen_training.step import Objective, Step

LOGS = 100  # lines of metrics per stage
PREVIEWS = 10  # sample grids per stage
CHECKPOINT_SECONDS = 15.0  # at most this much work is lost by a kill, give or take one log interval


@dataclass(frozen=True)
class Stage:
    """One network to train."""

    name: str
    """"vae", "prior" or "judge": prefix of the stage's files."""
    module: nn.Module
    objective: Objective
    config: StageConfig
    items: int
    """Training images there are."""
    preview: Callable[[nn.Module, Path], None] | None = None
    """Draws the averaged weights' work into a PNG file."""


def run_stage(
    stage: Stage,
    folder: Path,
    *,
    seed: int,
    device: torch.device,
    share: Share = ALONE,
    progress: bool = True,
) -> nn.Module:
    """Train a stage to its end, or go on where an earlier run of it was stopped.

    Args:
        stage: What to train; its module's weights are overwritten.
        folder: The run's folder; holds the checkpoint, the metrics and the pictures.
        seed: The run's seed.
        device: Where the stage's tensors live.
        share: Which rows of each batch are this process's; the objective must know it too.
        progress: Show a bar on stderr, if that is a terminal.

    Returns:
        The module with its final weights: their average if the configuration asks for one.
    """
    config, module = stage.config, stage.module
    steps = math.ceil(stage.items * config.epochs / config.batch)
    take_step = Step(stage.objective, module, config, device, share)
    optimizer, average = take_step.optimizer, take_step.average
    path = folder / f"{stage.name}.checkpoint.safetensors"
    log = MetricsLog(folder, stage.name)
    stored = share.from_first(lambda: checkpoint.read(path) if path.exists() else None)
    step = 0 if stored is None else _restore(*stored, module, optimizer, average)
    if share.is_first:
        log.keep_until(step)

    module.train()
    log_every, preview_every = math.ceil(steps / LOGS), math.ceil(steps / PREVIEWS)
    saved = time.monotonic()
    with tqdm(
        total=steps * config.batch,
        initial=step * config.batch,
        desc=stage.name,
        unit=" images",
        unit_scale=True,
        disable=None if progress else True,
    ) as bar:
        for index in _batches(stage, seed, step, steps, device):
            fraction = step / steps
            noise = key(seed, stage.name, step)
            take_step(share.rows(index), noise, fraction, learning_rate(config, fraction))
            step += 1

            bar.update(len(index))
            if step % log_every == 0 or step == steps:  # here alone the device is waited for
                means = share.averages(take_step.means())
                if not math.isfinite(means["loss"]):
                    raise ConfigError(
                        f"the loss of stage {stage.name} is {means['loss']} at step {step}: training has diverged; "
                        "start a new run with a smaller learning_rate (--set)"
                    )
                bar.set_postfix(loss=f"{means['loss']:.4g}")
                if not share.is_first:
                    continue
                log.write(step, step * config.batch, means)
                if stage.preview and (step % preview_every < log_every or step == steps):
                    stage.preview(_result(module, average), folder / "samples" / f"{stage.name}-{step:07d}.png")
                    module.train()
                if time.monotonic() - saved > CHECKPOINT_SECONDS or step == steps:
                    _save(path, step, module, optimizer, average)
                    saved = time.monotonic()
    return _result(module, average).eval()


def learning_rate(config: StageConfig, progress: float) -> float:
    """Step size at a fraction of the run: a linear rise, then constant or half a cosine down to 0."""
    rise = min(1.0, (progress + 1e-9) / config.warmup) if config.warmup else 1.0
    if config.schedule == "constant":
        return config.learning_rate * rise
    return config.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * progress))


def _batches(stage: Stage, seed: int, first: int, steps: int, device: torch.device) -> Iterator[Tensor]:
    """Give the index batches of steps `first` to `steps`: a new order each epoch, drawn on the CPU and moved as one."""
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


def _result(module: nn.Module, average: AveragedModel | None) -> nn.Module:
    return module if average is None else average.module


def _save(
    path: Path, step: int, module: nn.Module, optimizer: torch.optim.Optimizer, average: AveragedModel | None
) -> None:
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    checkpoint.write(path, tensors, {"step": step})


def _restore(
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None,
) -> int:
    parts: dict[str, dict[str, Tensor]] = {"module": {}, "average": {}, "optimizer": {}}
    for label, tensor in tensors.items():
        part, name = label.split(".", 1)
        parts[part][name] = tensor
    module.load_state_dict(parts["module"])
    if average is not None:
        average.load_state_dict(parts["average"])
    state: dict[int, dict[str, Tensor]] = {}
    for label, tensor in parts["optimizer"].items():
        index, name = label.split(".")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(meta["step"])
