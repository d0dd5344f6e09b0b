"""Reading, reconstructing and writing planned files, a chunk at a time, here or in other processes."""

import contextlib
import errno
import functools
import itertools
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from vaegen.decoding import Picture
from vaegen.encoding import Written, encode_image
from vaegen.errors import ImageError, OutputError, Spelling, VaegenError, spelled
from vaegen.files import failure, write_file
from vaegen.folder.listing import walk
from vaegen.folder.mirror import Identity, Mirror
from vaegen.folder.plan import Job
from vaegen.folder.pool import pool, without_interrupts
from vaegen.images import Intake, Kind, errors, read_picture
from vaegen.process import usable_cores
from vaegen.session import ROWS

if TYPE_CHECKING:
    from vaegen.model import Model

CHUNK = 128  # files in one batch of the model, and in one message to a worker; fewer of a small folder
SHARES = 4  # chunks that each worker gets at least, so that none is idle while another has the last of them
# Images that go through the model at a time, a multiple of ROWS. Larger arrays make the heap grow for thousands of
# files, until it has holes of every size: 5 MB with 128, for 2% of speed.
AT_ONCE = 32
AHEAD = 3  # chunks for each worker that are handed out and not yet taken back
PER_WORKER = 2000  # files that are worth a process, which takes half a second to start

# What says that no other file can be written either.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

_serial = itertools.count()

Status = Literal["written", "skipped", "failed"]


@dataclass(frozen=True)
class Settings:
    """What does not change from file to file."""

    stochastic: bool
    seed: int
    """0 to 2**64 - 1."""
    form: Written
    size: int | None
    """Pixels of a result's side, or None for 28."""
    intake: Intake
    max_pixels: int
    replace: bool
    """Whether a target may be there."""
    skip: bool
    """Whether a target that is there, and not empty, counts as done."""
    token: str
    """The part of temporary names that tells this run's from others'."""
    target: str
    """The folder of the results."""
    known: Mapping[str, Identity]
    """As `Mirror` takes it."""
    spelling: Spelling
    """Of reasons, in every process."""


class Result(NamedTuple):
    """What became of one job; small, because it travels between processes."""

    status: Status
    reason: str | None = None
    """One line, where it failed."""
    mse: float | None = None
    mae: float | None = None
    intake: Kind | None = None
    fault: Literal["input", "output", "disk"] | None = None
    """Where it failed: "disk" where the place for results is full or closed, so that no other file can be written."""


def count_workers(files: int) -> int:
    """Return the number of processes for a number of files: as many as cores that may be used, if they pay."""
    return max(1, min(usable_cores(), files // PER_WORKER))


def start(model: "Model", workers: int, *, optional: bool) -> contextlib.AbstractContextManager[Executor | None]:
    """Return the processes for `in_order`, each with the model loaded; see `vaegen.folder.pool.pool`."""
    return pool(workers, _load_once, model.path.absolute(), model.manifest.digests, optional=optional)


def in_order(
    model: "Model", jobs: Iterable[Job], planned: int, settings: Settings, workers: int, executor: Executor | None
) -> Generator[tuple[Job, Result], None, None]:
    """Do all jobs; yield their results in the order of the jobs, whatever the number of workers.

    When the generator is closed, or Ctrl-C comes while it waits, no further chunk is begun. What was handed out
    is finished, so that files are whole.

    Raises:
        BundleError: A graph cannot be used.
        VaegenError: A worker was killed.
        KeyboardInterrupt: Ctrl-C came; the results of what was handed out were given before.
    """
    if executor is None:
        for chunk in _chunks(jobs, CHUNK):
            yield from zip(chunk, process(model, chunk, settings), strict=False)
        return
    pending: deque[tuple[list[Job], Future[list[Result]]]] = deque()
    interrupt: KeyboardInterrupt | None = None
    chunks = _chunks(jobs, max(1, min(CHUNK, planned // (SHARES * workers))))
    try:
        while True:
            try:
                while interrupt is None and len(pending) < AHEAD * workers and (chunk := next(chunks, [])):
                    with without_interrupts():
                        same = model.path.absolute(), model.manifest.digests
                        pending.append((chunk, executor.submit(_work, *same, chunk, settings)))
                if not pending:
                    break
                results = pending[0][1].result()
            except KeyboardInterrupt as error:
                if interrupt is not None:
                    raise
                interrupt = error
                pending = deque((chunk, future) for chunk, future in pending if not future.cancel())
                continue
            chunk, _ = pending.popleft()
            yield from zip(chunk, results, strict=True)
        if interrupt is not None:
            raise interrupt
    except BrokenExecutor as error:
        raise VaegenError(
            "a worker process was killed, perhaps for want of memory; what is written is whole; "
            "run the same command to go on, with fewer workers"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def process(model: "Model", jobs: list[Job], settings: Settings) -> Iterator[Result]:
    """Do one chunk; yield a result for each job, in order, as soon as its file is written.

    Only what was read goes through the model, in one batch.
    """
    results: list[Result | None] = [_before(job, settings) for job in jobs]
    images: list[Picture] = []
    items: list[int] = []
    kinds: list[Kind] = []
    for row, job in enumerate(jobs):
        if results[row] is None:
            try:
                read = read_picture(job.source, intake=settings.intake, max_pixels=settings.max_pixels)
                images.append(read.pixels)
                kinds.append(read.kind)
                items.append(job.item)
            except ImageError as error:
                results[row] = Result("failed", str(error), fault="input")
    places = zip(_reconstruct(model, images, items, settings) if images else (), kinds, strict=True)
    with Mirror(settings.target, settings.known) as mirror:
        for job, result in zip(jobs, results, strict=True):
            if result is None:
                (image, mse, mae), kind = next(places)
                result = _write(mirror, job.target, image, settings) or Result("written", None, mse, mae, kind)
            yield result


def _reconstruct(
    model: "Model", images: list[Picture], items: list[int], settings: Settings
) -> Iterator[tuple[Picture, float, float]]:
    """Yield the reconstruction of each image, and its mean squared and mean absolute error.

    Some of onnxruntime's sums add in an order that depends on where in memory a row begins, so their last bits
    depend on the row's number modulo `ROWS`. That number is made from the item here, and what is missing between
    is black: so a file gives the same bits whatever was read before it, skipped or killed.
    """
    filled = [0] * ROWS
    rows: list[int] = []
    for item in items:
        lane = item % ROWS
        rows.append(filled[lane] * ROWS + lane)
        filled[lane] += 1
    batch = np.zeros((max(filled) * ROWS, *images[0].shape), np.uint8)
    batch[rows] = images
    numbers = np.zeros(len(batch), np.int64)
    numbers[rows] = items
    after = np.empty_like(batch)
    squared, absolute = np.empty(len(batch)), np.empty(len(batch))
    for at in range(0, len(batch), AT_ONCE):
        part = slice(at, at + AT_ONCE)
        after[part] = model.reconstruct(batch[part], settings.stochastic, settings.seed, items=numbers[part].tolist())
        squared[part], absolute[part] = errors(batch[part], after[part])
    return zip(after[rows], squared[rows].tolist(), absolute[rows].tolist(), strict=True)


def remove_leftovers(target: str, token: str) -> None:
    """Remove the temporary files of a run that was killed, anywhere below its target."""
    start = _temporary_prefix(token)
    for name, _, ignored in walk(
        target, lambda name, folder: None if folder or name.startswith(start) else "other file"
    ):
        if ignored is None:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(target, name))


def _before(job: Job, settings: Settings) -> Result | None:
    """Return the result of a job that needs no work."""
    if job.problem is not None:
        return Result("failed", job.problem, fault="input")
    if settings.skip or job.done:
        # A machine that lost power can leave an empty file where a whole one was written; nobody misses it.
        with contextlib.suppress(OSError):
            if os.stat(job.target).st_size:
                return Result("skipped")
    return None


def _write(mirror: Mirror, target: str, image: Picture, settings: Settings) -> Result | None:
    """Write one result; return the failure, if there is one."""
    temporary = f"{_temporary_prefix(settings.token)}{os.getpid():x}-{next(_serial):x}.tmp"
    data = encode_image(image, settings.form, settings.size)
    parent, name = os.path.split(target)
    try:
        folder = mirror.open(parent)
        write_file(target, data, force=settings.replace or settings.skip, temporary=temporary, folder=folder)
        mirror.check(name)
    except OutputError as error:
        return Result("failed", str(error), fault=_fault(error.__cause__))
    except OSError as error:
        return Result("failed", str(failure(target, error)), fault=_fault(error))
    return None


def _fault(error: BaseException | None) -> Literal["output", "disk"]:
    return "disk" if isinstance(error, OSError) and error.errno in _DISK else "output"


def _temporary_prefix(token: str) -> str:
    return f".vaegen-{token}-"


def _chunks(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


@functools.cache
def _load(path: Path, digests: tuple[str, ...]) -> "Model":
    """Load the model of a worker, once."""
    from vaegen.model import load_again

    return load_again(path, digests)


def _load_once(path: Path, digests: tuple[str, ...]) -> None:
    _load(path, digests)


def _work(path: Path, digests: tuple[str, ...], jobs: list[Job], settings: Settings) -> list[Result]:
    with spelled(settings.spelling):
        return list(process(_load(path, digests), jobs, settings))
