"""Several processes that train one model: torchrun starts them, DistributedDataParallel averages their gradients."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

SIZE = int(os.environ.get("WORLD_SIZE", "1"))  # processes in all
RANK = int(os.environ["RANK"]) if SIZE > 1 else 0  # of this process; 0 writes the files and prints
LOCAL_SIZE = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # of them on this machine

Losses = dict[str, Tensor]


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the other processes, if there are any, for the time of a run; yield this one's own device."""
    if SIZE > 1 and device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if SIZE > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    yield device
    if SIZE > 1:  # not after an error: a process that waited for the others would keep torchrun waiting
        dist.destroy_process_group()


def wait() -> None:
    """Wait until all processes have come here."""
    if SIZE > 1:
        dist.barrier()


def with_mean_gradients(objective: Callable[..., Losses], module: nn.Module) -> Callable[..., Losses]:
    """Return an objective of the module whose gradients are the mean over the processes."""
    return objective if SIZE == 1 else DistributedDataParallel(_Forward(objective, module))


def mean(value: Tensor) -> float:
    """Return the mean of the processes' 0-dim tensors; overwrites them."""
    if SIZE > 1:
        dist.all_reduce(value)
    return float(value) / SIZE


def any_of(value: bool) -> bool:
    """Return whether the value is true in any of the processes."""
    return mean(torch.tensor(float(value), device="cuda" if dist.get_backend() == "nccl" else "cpu")) > 0


class _Forward(nn.Module):
    def __init__(self, objective: Callable[..., Losses], module: nn.Module) -> None:
        super().__init__()
        self.objective, self.module = objective, module  # whose parameters the objective depends on

    def forward(self, *inputs: Any) -> Losses:
        return self.objective(*inputs)
