"""Reconstructing a folder of images into a mirrored one: plan, read, reconstruct, write, and report.

The plan comes first and finds everything that can be known to go wrong before any work is done. Then the files
go through in batches: read, one call of the model, write. One bad file is reported and skipped.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vaegen.checks import check_integer
from vaegen.errors import ImageError, OutputError, RequestError
from vaegen.images import SUFFIXES, read_image, write_png
from vaegen.noise import MAX_SEED
from vaegen.output import check_free
from vaegen.spec import CHANNELS, SIDE

if TYPE_CHECKING:
    from vaegen.model import Model

BATCH = 256  # files in memory at a time


@dataclass(frozen=True)
class Job:
    """One planned file."""

    index: int
    """Its place in the plan, and its item number in the seed of the stochastic path."""
    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    source: Path
    target: Path
    error: str | None
    """One line, or None where the target was written."""


@dataclass(frozen=True)
class FolderReport:
    """What became of a folder."""

    planned: int
    """Images found."""
    written: int
    """Images reconstructed and written."""
    failures: tuple[Outcome, ...]
    """The others, in the order of the plan."""


def reconstruct_folder(
    model: "Model",
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    stochastic: bool = False,
    seed: int = 0,
    force: bool = False,
    on_plan: Callable[[int], object] | None = None,
    on_outcome: Callable[[Outcome], object] | None = None,
) -> FolderReport:
    """Reconstruct every image of a folder, at any depth, into PNG files of a mirrored folder.

    `source/a/b.jpg` becomes `target/a/b.png`. Images are the files with one of `vaegen.images.SUFFIXES`, in
    either case; others, and folders that are links, are left alone. A file that cannot be read or written is
    reported and skipped. Each output is there whole or not at all, so what a killed run wrote is sound.

    Args:
        model: The model.
        source: A folder.
        target: A folder, made where it is missing.
        stochastic: Draw the latents from the posterior instead of taking the deterministic path.
        seed: 0 to 2**64 - 1, of the stochastic path; file i of the plan, in sorted order, is item i.
        force: Replace files that are there.
        on_plan: Called once with the number of images, before any work.
        on_outcome: Called for each file when it is done.

    Raises:
        RequestError: `source` is no folder or holds no image, `target` lies in it, or two images would get the
            same name. Nothing was written.
        OutputError: `target` is a file, or files in it exist and `force` is not set (a FileExistsError is then in
            `__cause__`). Nothing was written.
        BundleError: A graph cannot be used.
    """
    check_integer("seed", seed, 0, MAX_SEED)
    jobs = plan(Path(source), Path(target), force=force)
    if on_plan is not None:
        on_plan(len(jobs))
    written = 0
    failures = []
    for at in range(0, len(jobs), BATCH):
        for outcome in _process(model, jobs[at : at + BATCH], stochastic, seed, force):
            if outcome.error is None:
                written += 1
            else:
                failures.append(outcome)
            if on_outcome is not None:
                on_outcome(outcome)
    return FolderReport(len(jobs), written, tuple(failures))


def plan(source: Path, target: Path, *, force: bool = False) -> list[Job]:
    """Find the images of a folder and the place of each result, in sorted order; writes nothing.

    Raises:
        RequestError: As `reconstruct_folder` says.
        OutputError: As `reconstruct_folder` says.
    """
    if not os.path.isdir(source):  # noqa: PTH112, Path.is_dir raises where a name is too long or a folder closed
        raise RequestError(f"'{source}' is not a folder")
    if target.resolve().is_relative_to(source.resolve()):
        raise RequestError(f"target '{target}' lies in the source folder '{source}'; choose a folder outside it")
    if os.path.lexists(target) and not os.path.isdir(target):  # noqa: PTH112, as above
        raise OutputError(f"cannot write into '{target}': it is not a folder")
    jobs = [
        Job(index, source / name, (target / name).with_suffix(".png")) for index, name in enumerate(_images(source))
    ]
    if not jobs:
        raise RequestError(f"'{source}' holds no images; their names end in {', '.join(SUFFIXES)}")
    taken: dict[str, Path] = {}
    # Only a target around the source could hold one of its images.
    around = source.resolve().is_relative_to(target.resolve())
    sources = {os.path.normcase(job.source.resolve()) for job in jobs} if around else set()
    for job in jobs:
        other = taken.setdefault(os.path.normcase(job.target), job.source)
        if other is not job.source:
            raise RequestError(f"'{other}' and '{job.source}' would both become '{job.target}'; rename one")
        if sources and os.path.normcase(job.target.resolve()) in sources:
            raise RequestError(f"'{job.source}' would overwrite the source '{job.target}'; choose another target")
        check_free(job.target, force=force)
    return jobs


def _images(source: Path) -> list[Path]:
    """Find the image files below a folder, relative to it."""

    def refuse(error: OSError) -> None:
        raise RequestError(f"cannot list '{error.filename}': {error.strerror}") from error

    return sorted(
        Path(folder, name).relative_to(source)
        for folder, _, names in os.walk(source, onerror=refuse)
        for name in names
        if name.lower().endswith(SUFFIXES)
    )


def _process(model: "Model", jobs: list[Job], stochastic: bool, seed: int, force: bool) -> Iterator[Outcome]:
    """Read, reconstruct and write one batch; gives the outcomes in the order of the plan."""
    # What cannot be read stays black and is never written; so row i keeps the noise of item i.
    images = np.zeros((len(jobs), SIDE, SIDE, CHANNELS), np.uint8)
    errors: list[str | None] = [None] * len(jobs)
    for row, job in enumerate(jobs):
        try:
            images[row] = read_image(job.source)
        except ImageError as error:
            errors[row] = str(error)
    results = model.reconstruct(images, stochastic, seed, start=jobs[0].index)
    for job, result, problem in zip(jobs, results, errors, strict=True):
        yield Outcome(job.source, job.target, problem or _write(job.target, result, force))


def _write(target: Path, image: npt.NDArray[np.uint8], force: bool) -> str | None:
    """Write one result; gives the problem, if there is one."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_png(target, image, force=force)
    except OutputError as error:
        return str(error)
    except OSError as error:
        return f"cannot make the folder '{target.parent}': {error.strerror or error}"
    return None
