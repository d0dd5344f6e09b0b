"""One step of a stage: gradients, their clipping, Adam and the weight average, over and over.

Nothing in a step waits for the device or depends on a Python value that changes: the batch, the learning rate and what
an objective's schedules say lie in tensors that are filled before. So on a GPU, where launching hundreds of small
kernels takes longer than running them, it is recorded as a CUDA graph and replayed; op by op it is the very same
function. A recorded step is trusted once it has ended where the same step ends op by op.
"""

import abc
import functools
import logging
import math
from collections.abc import Callable, Hashable
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vaegen_training.config import StageConfig
from vaegen_training.processes import ALONE, Share

WARM_UP = 3  # steps op by op before a recording: libraries choose and allocate in their first calls
AGREEMENT = 0.01  # of its length, how far a recorded step may end from where it ends op by op

_log = logging.getLogger("vaegen")


class Objective(abc.ABC):
    """What a stage minimises."""

    def prepare(self, progress: float) -> Hashable:  # noqa: ARG002 - for those with schedules
        """Set what depends on the fraction of the stage that is done, from 0 to 1, in tensors that stay where they are.

        Returns:
            The phase: whatever of `compute` is otherwise decided in Python, such as a loss that joins in half-way.
        """
        return None

    @abc.abstractmethod
    def compute(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Give 0-dim tensors, the one named "loss" to be minimised, for training images `index` int64 (n,).

        It must not wait for the device.
        """

    def __call__(self, index: Tensor, random: torch.Generator, progress: float) -> dict[str, Tensor]:
        """Prepare and compute."""
        self.prepare(progress)
        return self.compute(index, random)


class Recording(Protocol):
    """A step that can be taken again as a whole, such as a `torch.cuda.CUDAGraph`."""

    def replay(self) -> None:
        """Take it."""


class Step:
    """The optimiser of one module, and all that a step reads and writes."""

    def __init__(
        self, objective: Objective, module: nn.Module, config: StageConfig, device: torch.device, share: Share = ALONE
    ) -> None:
        self.module = module
        self.config = config
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(
            self.parameters,
            lr=torch.tensor(config.learning_rate, device=device),
            betas=(0.9, config.beta2),
            fused=True,
        )
        self._follow = get_ema_multi_avg_fn(config.ema)
        self.average = AveragedModel(module, multi_avg_fn=self._follow) if config.ema else None
        self.random = torch.Generator(device)
        self.sums: dict[str, Tensor] = {}
        """Sums of the losses since `means` was called; added up on the device."""
        self._objective = objective
        self._share = share
        self._compute: Callable[[Tensor, torch.Generator], dict[str, Tensor]] | None = None
        self._index: Tensor | None = None
        self._device = device
        self._steps = 0
        self._phase: Hashable = None
        self._warm = 0
        self._recording: Recording | None = None
        # The exchange of gradients between processes stays out of recordings.
        self.records = device.type == "cuda" and share.size == 1
        """Whether steps are recorded; no longer once that has failed."""

    def __call__(self, index: Tensor, seed: int, progress: float, rate: float) -> None:
        """Take a step.

        Args:
            index: int64 (n,), this process's part of the batch, as large each time.
            seed: Of the step's noise.
            progress: Fraction of the stage that is done, from 0 to 1.
            rate: Adam's step size.
        """
        phase = self._objective.prepare(progress)
        if self._index is None:
            self._index = torch.empty_like(index, device=self._device)
        self._index.copy_(index, non_blocking=True)
        self.optimizer.param_groups[0]["lr"].fill_(rate)
        self.random.manual_seed(seed)
        if phase != self._phase:
            self._phase, self._warm, self._recording = phase, 0, None
        if self._recording is not None:
            self._recording.replay()
        elif self.records and self._warm >= WARM_UP:
            self._recording = self._compare_recording(seed)
        else:
            self._aside(self._advance)
            self._warm += 1
        if self.average is not None:
            self.average.n_averaged += 1
        self._steps += 1

    def means(self) -> dict[str, float]:
        """Give the losses' means over the steps since the last call; this waits for the device."""
        means = {name: float(value) / self._steps for name, value in self.sums.items()}
        self._steps = 0
        for value in self.sums.values():
            value.zero_()
        return means

    def _advance(self) -> None:
        if self._compute is None:
            self._compute = self._objective.compute if self._share.size == 1 else self._averaging()
        assert self._index is not None
        losses = self._compute(self._index, self.random)
        self.optimizer.zero_grad()
        losses["loss"].backward()
        if self.config.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        if self.average is not None:
            self._update(self.average)
        for name, value in losses.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros_like(value.detach())
            self.sums[name].add_(value.detach())

    @torch.no_grad()
    def _update(self, average: AveragedModel) -> None:
        # What AveragedModel.update_parameters does, which however copies its counter to the device each time.
        averaged, current = list(average.module.parameters()), list(self.module.parameters())
        if average.n_averaged:
            self._follow(averaged, current, average.n_averaged)
        else:
            for mine, theirs in zip(averaged, current, strict=True):
                mine.copy_(theirs)
        for old, new in zip(average.module.buffers(), self.module.buffers(), strict=True):
            old.copy_(new)

    def _averaging(self) -> Callable[[Tensor, torch.Generator], dict[str, Tensor]]:
        """Give the objective with gradients that are averaged over the processes as they are found."""
        forward = _Forward(self._objective, self.module)
        return cast("Callable[[Tensor, torch.Generator], dict[str, Tensor]]", DistributedDataParallel(forward))

    # --- recording --------------------------------------------------------------------------------------------

    def _aside(self, act: Callable[[], None]) -> None:
        """Run kernels on the stream that recordings are made on, which must have seen the same calls before."""
        if self._device.type != "cuda":
            act()
            return
        current = torch.cuda.current_stream(self._device)
        self._side.wait_stream(current)
        with torch.cuda.stream(self._side):
            act()
        current.wait_stream(self._side)

    @functools.cached_property
    def _side(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self._device)

    def _record(self) -> Recording:
        """Record a step; nothing is computed."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.random)
        self.optimizer.zero_grad()  # a recording that begins without gradients makes its own, where it finds them again
        group = self.optimizer.param_groups[0]
        group["capturable"] = True  # fused Adam is, its state and step size lie on the device; torch wants it said
        try:
            with torch.cuda.graph(graph, stream=self._side):
                self._advance()
        finally:
            group["capturable"] = False
        return cast("Recording", graph)

    def _compare_recording(self, seed: int) -> Recording | None:
        """Take a step op by op, record it and take it again: give the recording if both ended in the same place."""
        before = self._state()
        self._aside(self._advance)
        after = self._state()
        try:
            recording = self._record()
            self._put_back(before)
            self.random.manual_seed(seed)
            recording.replay()
            apart, length = self._distance(after), self._distance(before)
        except RuntimeError as error:  # what torch raises for CUDA
            reason = " ".join(str(error).split())
        else:
            if apart <= AGREEMENT * length:
                return recording
            reason = f"it ended {apart:.2g} from where the same step ends op by op, after a way of {length:.2g}"
        self.records = False
        self.random = torch.Generator(self._device)  # the old one may still belong to the recording that failed
        self._put_back(after)
        _log.warning("training goes on without a CUDA graph, op by op: %s", reason)
        return None

    def _tensors(self) -> list[Tensor]:
        """Give all that a step changes and a later one or the run's result depends on."""
        found = [*self.module.state_dict().values(), *self.sums.values()]
        found += [value for state in self.optimizer.state.values() for value in state.values()]
        return found if self.average is None else [*found, *self.average.module.state_dict().values()]

    def _state(self) -> list[Tensor]:
        return [tensor.clone() for tensor in self._tensors()]

    @torch.no_grad()
    def _put_back(self, state: list[Tensor]) -> None:
        for tensor, kept in zip(self._tensors(), state, strict=True):
            tensor.copy_(kept)

    def _distance(self, state: list[Tensor]) -> float:
        """Give how far the module's weights, the first of all, are from those of a state."""
        weights = list(self.module.state_dict().values())
        return math.hypot(*(float((one - other).norm()) for one, other in zip(weights, state, strict=False)))


class _Forward(nn.Module):
    """An objective together with the module whose weights it depends on."""

    def __init__(self, objective: Objective, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.objective = objective

    def forward(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        return self.objective.compute(index, random)
