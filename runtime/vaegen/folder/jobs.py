"""What a folder's run is asked for, what it plans, and what it tells of each file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from vaegen.images import Invert, Written

Status = Literal["written", "skipped", "failed"]


class Job(NamedTuple):
    """One planned file."""

    name: str
    """The source below the source folder, or as the list of files has it; with "/"."""
    source: str
    target: str
    item: int
    """Its number in the seed of the stochastic path; made from its name, see `plan.item_of`."""
    problem: str | None
    """What was wrong with it when the folder was listed; None for an image to be read."""


class Result(NamedTuple):
    """What became of one job; small, because it travels between processes."""

    status: Status
    reason: str | None = None
    """One line, where it failed."""
    mse: float | None = None
    mae: float | None = None
    fault: Literal["input", "output", "disk"] | None = None
    """Where it failed: "disk" where the place for results is full or closed, so that no other file can be written."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    source: Path
    target: Path
    status: Status
    """"written"; "skipped", because the target was there; or "failed"."""
    error: str | None
    """One line; None where nothing failed."""
    mse: float | None
    """Mean squared error of the reconstruction against the image as the model saw it: uint8 (28, 28, 3) each,
    divided by 255. None where nothing was written."""
    mae: float | None
    """Mean absolute error, likewise."""


@dataclass(frozen=True)
class FolderReport:
    """What became of a folder."""

    planned: int
    """Images found; those of this shard, where there are shards."""
    written: int
    """Images reconstructed and written."""
    skipped: int
    """Images whose results were there already."""
    failed: int
    """The others."""
    failures: tuple[Outcome, ...]
    """The first of the failed ones, at most `FAILURES_KEPT`, in the order of the plan."""


FAILURES_KEPT = 1000  # of a million bad files, memory holds no more than these; `on_outcome` is told of all


@dataclass(frozen=True)
class Settings:
    """What does not change from file to file."""

    stochastic: bool
    seed: int
    """0 to 2**64 - 1."""
    form: Written
    invert: Invert
    replace: bool
    """Whether a target may be there."""
    skip: bool
    """Whether a target that is there, and not empty, counts as done."""
    token: str
    """The part of temporary names that tells this run's from others'."""
