"""One run over a folder: the plan, the work, and the report on each file."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vaegen.encoding import WRITTEN, Written
from vaegen.errors import ImageError, OutputError, RequestError, setting, shown, spelling
from vaegen.folder.listing import listed, walk
from vaegen.folder.mirror import identity
from vaegen.folder.plan import Job, Plan, check_apart, check_folder, leave_out
from vaegen.folder.pool import leave_worker
from vaegen.folder.report import Report, check_report
from vaegen.folder.unfinished import Unfinished
from vaegen.folder.work import Result, Settings, Status, count_workers, in_order, remove_leftovers, start
from vaegen.images import Intake, Kind, check_intake, looks_unlike
from vaegen.limits import MAX_PIXELS, MAX_SIZE, MOST_PIXELS
from vaegen.noise import MAX_SEED
from vaegen.request import check_integer
from vaegen.spec import SIDE

if TYPE_CHECKING:
    from vaegen.model import Model

MAX_WORKERS = 256
MAX_SHARDS = 2**20
FAILURES_KEPT = 1000  # of a million bad files, memory holds no more than these; `on_outcome` gets all

OnError = Literal["skip", "fail"]
ON_ERROR: tuple[OnError, ...] = get_args(OnError)

PathLike = str | os.PathLike[str]


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
    intake: Kind | None = None
    """What was made of the image: "as-is", nothing; "ink", a light stroke on black; "unknown", nothing, though it is no
    light stroke on black. None where it was not read."""

    @property
    def unlike(self) -> bool:
        """Whether the image looked unlike a digit on black: `intake` is "unknown", or `mae` above 0.04."""
        return looks_unlike(self.intake, self.mae)


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
    unlike: int = 0
    """Images written that looked unlike digits on black; see `Outcome.unlike`."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """How many files and folders were left out of the search, by the reason: "other file", one whose suffix is no
    image's; "linked folder"; "system file", what a system or a file manager keeps beside people's files, as a whole
    folder too; "target file", of a list. The report names each, and so does logging, at the level DEBUG."""


def reconstruct_folder(
    model: "Model",
    source: PathLike,
    target: PathLike,
    *,
    files: Iterable[PathLike] | None = None,
    stochastic: bool = False,
    seed: int = 0,
    format: Written = "png",  # noqa: A002, the flag's name, and Pillow's
    size: int | None = None,
    intake: Intake = "auto",
    max_pixels: int = MAX_PIXELS,
    force: bool = False,
    skip_existing: bool = False,
    on_error: OnError = "skip",
    workers: int | Literal["auto"] = 1,
    shard: tuple[int, int] = (1, 1),
    report: PathLike | None = None,
    on_plan: Callable[[int], object] | None = None,
    on_outcome: Callable[[Outcome], object] | None = None,
) -> FolderReport:
    """Reconstruct every image of a folder, at any depth, into a mirrored folder.

    `source/a/b.jpg` becomes `target/a/b.png`. Images are the files with one of `vaegen.decoding.SUFFIXES`, in
    either case, read as `vaegen.read_image` does; others, and folders that are links, are left alone, and so is what
    systems leave behind, such as `._b.jpg`. Where two images would become one file, such as `cut.jpg` and `cut.gif`,
    both results keep the whole name: `cut.jpg.png`, `cut.gif.png`. A file that cannot be read or written is reported
    and skipped. Files are worked on in the order of their results' names, as bytes. What memory holds does not grow
    with the number of files; their names are sorted in a temporary file, or in memory where Python has no sqlite3.

    The bytes written for a file depend on the model, the settings and the file's name and content, and on nothing
    else: neither on workers, shards and batches nor on other files.

    Each result appears whole or not at all. A run that is killed, stopped with Ctrl-C or out of disk leaves a file
    `.vaegen-unfinished.json` in the target; the same call then resumes and does no file twice.
    Results are not forced to the disk one by one: if the machine itself loses power, results of its last seconds
    may be empty, and these are done again.

    Args:
        model: The model. Workers load it anew from its folder, with one thread each and vaegen's own settings.
        source: A folder.
        target: A folder, made where it is missing. It may lie in the source, and is then left out of it.
        files: In place of all images of `source`, these, whatever their suffixes: paths relative to it, or absolute
            ones, whose place below `target` is theirs below the root.
        stochastic: Draw the latents from the posterior instead of taking the deterministic path.
        seed: 0 to 2**64 - 1, of the stochastic path; a file's item of the seed is made from its name.
        format: Of the results: "png", "jpg", "bmp", "webp" or "tif", of which all but "jpg" keep every pixel; or "svg",
            see `vaegen.svg`.
        size: Pixels of a result's side, see `vaegen.enlarge`; None for 28.
        intake: "auto" makes light strokes on black of photographs and scans, "as-is" leaves all as they are; see
            `vaegen.read_image`.
        max_pixels: Pixels that an image may have, see `vaegen.read_image`; a file with more is one that cannot be read.
        force: Replace files that are there. A run that resumes replaces those that its predecessor did not make.
        skip_existing: Leave files that are there, unless they are empty.
        on_error: "fail" ends the run at the first file that fails.
        workers: Processes, 1 to 256. With 1 this process does the work; with more, new ones do ("spawn", so the
            caller's main module needs its `if __name__ == "__main__"`); "auto" takes the number of cores, or fewer
            where there are few files, and 1, noted in the log, where new processes cannot be started.
        shard: (k, n), of n parts the k-th, counted from 1. A file's part is made from its name, so it is the same
            on every machine.
        report: A file that gets a line of JSON for each image: `path` (below the source folder, with "/"), `target`,
            `status`, `reason` (null where nothing failed), `mse` and `mae` (null where nothing was written; see
            `Outcome`) and `item`, the file's number in the seed. Before them, each file and folder that was left out
            has `path`, the status "ignored" and the `reason`. A run that resumes, and one with `skip_existing`,
            appends to the report that is there, and lists files done before as "skipped".
        on_plan: Called once with the number of images, before any work.
        on_outcome: Called for each file when it is done.

    Raises:
        RequestError: `source` is no folder or holds no image, or lies in `target`, or an argument does not exist.
            Nothing was written.
        OutputError: `target` is a file or cannot be written, or files in it exist (a FileExistsError is then in
            `__cause__`); nothing was written. Or the disk is full; what was written is whole.
        ImageError: With `on_error="fail"`, a file could not be read (OutputError: could not be written).
        BundleError: A graph cannot be used.
        VaegenError: Worker processes cannot be started, before anything was written; or one was killed.
    """
    leave_worker()
    source, target = Path(source), Path(target)
    report = None if report is None else Path(report)
    _check(format, intake, seed, force, skip_existing, on_error, workers, shard)
    check_integer("max_pixels", max_pixels, 1, MOST_PIXELS)
    if size is not None:
        check_integer("size", size, SIDE, MAX_SIZE)
    asked = {
        "model": {name: graph.sha256 for name, graph in model.manifest.graphs.items()},
        "source": str(source.absolute()),
        "files": files is not None,
        "stochastic": stochastic,
        "seed": seed,
        "format": format,
        "size": size,
        "intake": intake,
        "force": force,
        "skip_existing": skip_existing,
        "report": report and str(report.absolute()),
    }
    mark = Unfinished(target, asked, shard)
    keep = skip_existing or (mark.found and not force)
    with Plan(source, target, format, shard) as plan, contextlib.ExitStack() as held:
        planned = _collect(plan, files, force=force, skip=keep, note_ignored=report is not None)
        if report is not None:
            append = check_report(report, append=keep or mark.found, force=force)
            plan.check_report(report, mark.path)
        count = count_workers(planned) if workers == "auto" else workers
        executor = held.enter_context(start(model, count, optional=workers == "auto"))
        if on_plan is not None:
            on_plan(planned)
        mark.place()
        held.callback(mark.release)
        with contextlib.ExitStack() as stack:
            notes = None
            if report is not None:
                try:
                    notes = stack.enter_context(Report(report, append=append, force=force))
                except OutputError:
                    if not mark.found:
                        mark.remove()
                    raise
                for name, reason in plan.left_out():
                    notes.write(name, {"target": None, "status": "ignored", "reason": reason})
            if mark.left is not None:
                remove_leftovers(plan.target, mark.left)
            known = plan.links | {"": identity(target)}
            settings = Settings(
                stochastic,
                seed,
                format,
                size,
                intake,
                max_pixels,
                force,
                keep,
                mark.token,
                plan.target,
                known,
                spelling.get(),
            )
            jobs = plan.jobs()
            if force and mark.found:
                jobs = (job._replace(done=mark.has_made(job.target)) for job in jobs)
            doing = in_order(model, jobs, planned, settings, count, executor)
            results = stack.enter_context(contextlib.closing(doing))
            made = mark.note_made if force else None
            counts, failures, unlike = _tell(results, target, on_error, notes, made, on_outcome)
        mark.remove()
    return FolderReport(planned, *counts, tuple(failures), unlike, dict(plan.ignored))


def dry_run(
    source: PathLike,
    target: PathLike,
    *,
    files: Iterable[PathLike] | None = None,
    format: Written = "png",  # noqa: A002, as above
    force: bool = False,
    skip_existing: bool = False,
    shard: tuple[int, int] = (1, 1),
    on_ignored: Callable[[Mapping[str, int]], object] | None = None,
) -> Iterator[tuple[Path, Path]]:
    """Plan as `reconstruct_folder` does, and yield the (image, result) pairs it would work on; write nothing.

    `on_ignored` is called once with what `FolderReport.ignored` will be.

    Raises:
        RequestError: As `reconstruct_folder` says.
        OutputError: As `reconstruct_folder` says.
    """
    _check(format, "as-is", 0, force, skip_existing, "skip", 1, shard)
    with Plan(Path(source), Path(target), format, shard) as plan:
        _collect(plan, files, force=force, skip=skip_existing, note_ignored=False)
        if on_ignored is not None:
            on_ignored(dict(plan.ignored))
        for job in plan.jobs():
            if job.problem is None and not (skip_existing and os.path.lexists(job.target)):
                yield Path(job.source), Path(job.target)


def _check(
    form: str, intake: str, seed: int, force: bool, skip: bool, on_error: str, workers: int | str, shard: Any
) -> None:
    if form not in WRITTEN:
        raise RequestError(f"format {form!r} is not known; choose from {', '.join(WRITTEN)}")
    check_intake(intake)
    check_integer("seed", seed, 0, MAX_SEED)
    if force and skip:
        raise RequestError(f"{setting('force')} and {setting('skip_existing')} contradict each other; choose one")
    if on_error not in ON_ERROR:
        raise RequestError(f"on_error {on_error!r} is not known; choose from {', '.join(ON_ERROR)}")
    if workers != "auto":
        check_integer("workers", workers, 1, MAX_WORKERS)
    if not isinstance(shard, tuple) or len(shard) != 2:
        raise RequestError(f"shard {shard!r} is not usable; choose (k, n), such as (3, 16)")
    check_integer("shard", shard[0], 1, check_integer("shards", shard[1], 1, MAX_SHARDS))


def _collect(plan: Plan, files: Iterable[PathLike] | None, *, force: bool, skip: bool, note_ignored: bool) -> int:
    """Fill a plan and check it; return the number of images."""
    source, target = Path(plan.source), Path(plan.target)
    check_folder(target)
    if files is None:
        found = walk(plan.source, unseen=identity(target) if os.path.isdir(target) else None)
        if os.path.isdir(source):
            check_apart(source, target)
    else:
        found = leave_out(listed(files), plan.source, plan.target)
    plan.collect(found, note_ignored=note_ignored)
    return plan.check(force=force, skip=skip, disjoint=files is None)


def _tell(
    results: Iterable[tuple[Job, Result]],
    target: Path,
    on_error: OnError,
    report: Report | None,
    made: Callable[[str], None] | None,
    on_outcome: Callable[[Outcome], object] | None,
) -> tuple[tuple[int, int, int], list[Outcome], int]:
    """Hand the results on as they come.

    Returns:
        How many were written, skipped and failed; the first failures; how many images looked unlike digits.
    """
    counts = {"written": 0, "skipped": 0, "failed": 0}
    failures: list[Outcome] = []
    unlike = 0
    for job, result in results:
        if result.fault == "disk":
            raise OutputError(f"{result.reason}; what is written in '{shown(target)}' is whole, the same call goes on")
        counts[result.status] += 1
        if made is not None and result.status == "written":
            made(job.target)
        if report is not None:
            facts = {"target": job.target, "status": result.status, "reason": result.reason, "intake": result.intake}
            report.write(job.name, {**facts, "mse": result.mse, "mae": result.mae, "item": job.item})
        errors = result.mse, result.mae
        outcome = Outcome(Path(job.source), Path(job.target), result.status, result.reason, *errors, result.intake)
        unlike += outcome.unlike
        if result.status == "failed" and len(failures) < FAILURES_KEPT:
            failures.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
        if result.status == "failed" and on_error == "fail":
            raise (ImageError if result.fault == "input" else OutputError)(result.reason or "")
    return (counts["written"], counts["skipped"], counts["failed"]), failures, unlike
