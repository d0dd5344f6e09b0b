"""Several processes that train one model together, started by torchrun: who they are, and what they tell each other.

All compute the same batches: each draws the noise of the whole batch and keeps every size-th row of it, so a run's
result does not depend on how many share its work. The first process, and it alone, reads and writes files.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from vaegen.errors import ConfigError, VaegenError

T = TypeVar("T")

MOST = 32  # processes: losses that take in some of a batch's images, 32 at the least, need one of each process


@dataclass(frozen=True)
class Share:
    """One process's part of each batch: rows `rank`, `rank + size`, ... of the whole one."""

    rank: int = 0
    """Number of the process, from 0."""
    size: int = 1
    """Processes in all."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reads and writes files."""
        return self.rank == 0

    def rows(self, whole: Tensor, dim: int = 0) -> Tensor:
        """Give this process's rows of a whole batch, which all processes know."""
        return whole[(slice(None),) * dim + (slice(self.rank, None, self.size),)] if self.size > 1 else whole

    def count(self, n: int) -> int:
        """Give how many of the first n rows of a whole batch are this process's."""
        return len(range(self.rank, n, self.size))

    def rand(self, *shape: int, random: torch.Generator, dim: int = 0, n: int | None = None) -> Tensor:
        """Draw what is uniform on [0, 1) for this process's rows, and pass over what is for the others'.

        Args:
            shape: Of the result; `shape[dim]` of the rows are this process's.
            random: Source of randomness, in the same state in all processes; its device is the result's.
            dim: Where the rows are.
            n: Rows of the whole batch; None where all processes have as many.
        """
        return self.rows(torch.rand(self._whole(shape, dim, n), generator=random, device=random.device), dim)

    def randn(self, *shape: int, random: torch.Generator) -> Tensor:
        """Draw standard normal values for this process's rows, of which there are `shape[0]`."""
        return self.rows(torch.randn(self._whole(shape, 0, None), generator=random, device=random.device))

    def weigh(self, mean: Tensor, rows: int, n: int) -> Tensor:
        """Scale a mean over `rows` rows so that the processes' average is the mean over the n rows of all of them."""
        return mean if rows * self.size == n else mean * (rows * self.size / n)

    def total(self, values: Tensor) -> Tensor:
        """Add up the processes' values, which carry no gradient, element by element."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def averages(self, values: Mapping[str, float]) -> dict[str, float]:
        """Give the processes' averages of some numbers."""
        if self.size == 1:
            return dict(values)
        totals = self.total(torch.tensor(list(values.values()), dtype=torch.float64)) / self.size
        return dict(zip(values, totals.tolist(), strict=True))

    def from_first(self, act: Callable[[], T]) -> T:
        """Let the first process alone do something, and give all of them what came of it."""
        if self.size == 1:
            return act()
        results = [act() if self.is_first else None]
        dist.broadcast_object_list(results)
        return cast("T", results[0])

    def gather(self, parts: list[Tensor]) -> list[Tensor]:
        """Give all processes what each made of its own: of part i that of process i mod size, bit for bit.

        Args:
            parts: The same shapes and types everywhere; whatever stands in others' places is overwritten.
        """
        if self.size > 1:
            for index, part in enumerate(parts):
                dist.broadcast(part, index % self.size)
        return parts

    def _whole(self, shape: tuple[int, ...], dim: int, n: int | None) -> tuple[int, ...]:
        return (*shape[:dim], shape[dim] * self.size if n is None else n, *shape[dim + 1 :])


ALONE = Share()
"""What a process has that trains by itself."""


def check_shares(batches: Mapping[str, int], share: Share) -> None:
    """Refuse batches that cannot be shared out evenly.

    Args:
        batches: Rows of each, by the setting they come from.
        share: This process's.

    Raises:
        ConfigError: Processes would get unequal shares, or there are too many of them.
    """
    if share.size > MOST:
        raise ConfigError(f"{share.size} processes are too many; choose --nproc-per-node={MOST} or less")
    for name, rows in batches.items():
        if rows % share.size:
            fitting = [str(size) for size in range(1, MOST + 1) if not any(n % size for n in batches.values())]
            raise ConfigError(
                f"{name}: {rows} images cannot be shared out evenly among {share.size} processes; "
                f"choose --nproc-per-node from {', '.join(fitting)}, or another batch"
            )


_joined = itertools.count()


@contextmanager
def joined(device: str) -> Iterator[tuple[Share, torch.device]]:
    """Take this process's place among those that torchrun started, if it did, and leave it again.

    A process that fails tells the others, who then end too.

    Args:
        device: "auto" (CUDA if there is one), "cpu" or "cuda".

    Raises:
        ConfigError: There is no such device, or not one for each process.
        VaegenError: Another process has failed.
    """
    cuda = _use_cuda(device)
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() or os.environ["WORLD_SIZE"] == "1":
        yield ALONE, torch.device("cuda" if cuda else "cpu")
        return
    where = _own_device(cuda=cuda)
    common, rank, size = next(rendezvous("env://"))
    store = PrefixStore(f"vaegen-{next(_joined)}", common)  # what an earlier group left there is not this one's
    # Messages between the processes go over gloo, gradients over what suits the device.
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield Share(rank, size), where
    except BaseException as error:
        another = _note_failure(store)
        if not cuda:  # where the GPU's part of the group may wait for others that have gone; it ends with the process
            dist.destroy_process_group()
        if isinstance(error, VaegenError | KeyboardInterrupt) or not (another or _is_lost_connection(error)):
            raise
        raise VaegenError(
            "another process of this run has ended; start all of them again to go on from the last checkpoint"
        ) from error
    else:
        dist.destroy_process_group()


def _use_cuda(device: str) -> bool:
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {device!r}; choose from auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device is to be seen from here; use --device cpu")
    return device != "cpu" and torch.cuda.is_available()


def _own_device(*, cuda: bool) -> torch.device:
    if not cuda:
        return torch.device("cpu")
    there, wanted = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    if wanted > there:
        raise ConfigError(
            f"{wanted} processes need a CUDA device each and there are {there}; "
            f"use --nproc-per-node={there}, or --device cpu"
        )
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", os.environ["RANK"])))
    torch.cuda.set_device(device)
    return device


def _is_lost_connection(error: BaseException) -> bool:
    # gloo raises plain RuntimeErrors, with the place in its sources.
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _note_failure(store: Any) -> bool:
    """Note for the others that this process has failed; give whether another had before."""
    try:
        return bool(store.add("vaegen/failed", 1) > 1)
    except dist.DistError:  # the store has gone, and with it the process that held it
        return True
