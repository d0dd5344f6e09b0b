"""`vaegen encode`: images to latents."""

import contextlib
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click
import vaegen
from vaegen.errors import ImageError, RequestError

from vaegen_cli.console import Console, ExitCode, common_options, echo_written, pass_console, put, require_stdout
from vaegen_cli.latent_files import encode_lines, encode_npz
from vaegen_cli.libraries import load_libraries
from vaegen_cli.options import (
    OnError,
    force_option,
    intake_option,
    max_pixels_option,
    model_options,
    null_option,
    on_error_option,
    read_place,
    report_option,
)
from vaegen_cli.output import PIPE, check_targets, names_file, write
from vaegen_cli.progress import Progress, about_unlike
from vaegen_cli.stdin import check_many, read_picture, read_stdin

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from vaegen import Model
    from vaegen.folder.listing import Found
    from vaegen.folder.report import Report
    from vaegen.images import Intake

WRITTEN = ("npz", "jsonl")
ENCODED = 256  # images in memory at a time


class Picture(NamedTuple):
    """An image to be encoded."""

    folder: str
    """The folder that was given, where it was found in one; else ""."""
    name: str
    """As it was given, or below the folder."""
    source: Path | bytes
    problem: str | None = None
    """Of a folder that cannot be listed."""

    @property
    def path(self) -> str:
        """Where it was found."""
        return str(Path(self.folder, self.name))


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, required=True, type=click.Path(), callback=read_place)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    default=PIPE,
    show_default=True,
    metavar="FILE|-",
    help="A .npz or .jsonl file, or - for JSON lines on stdout.",
)
@click.option("--posterior", is_flag=True, help="Add the posterior's mean and log-variance, and its logits.")
@intake_option
@max_pixels_option
@model_options
@force_option
@on_error_option
@null_option
@report_option
@common_options(
    "vaegen encode red-3.png",
    "vaegen encode digits/ -o latents.npz --model continuous",
)
@pass_console
def encode(
    console: Console,
    sources: tuple[Path, ...],
    out: str,
    posterior: bool,
    intake: "Intake",
    max_pixels: int,
    model: str,
    threads: int,
    force: bool,
    on_error: OnError,
    null: bool,
    report: Path | None,
) -> ExitCode:
    """Turn images into latents.

    IN is an image; a folder, searched at any depth in sorted order; or - for stdin with an image or a list of files,
    one a line. Several may be given. A latent is a row of Z means, then N one-hots of K classes. A .npz file holds
    `names` (n,) and `latents` float32 (n, Z + N*K); a line of JSON has "name" and "latent". `vaegen decode` reads both.
    A name is the path as given, or relative to its folder; it is changed where it would lead out of the folder that
    `vaegen decode` writes to, or be another one's. An image that cannot be read is reported and left out (exit code 1,
    or 4 when it happens to all).
    """
    target = None
    if out != PIPE:
        if not names_file(out, WRITTEN, folders=False):
            raise RequestError(f"output {out!r} is not a file name; end it in .npz or .jsonl")
        target = Path(out)
    else:
        require_stdout("JSON")
    check_many(null=null, piped=Path(PIPE) in sources, report=report)
    if report == target is not None:
        raise RequestError(f"'{report}' is the output; choose another name for the report")
    for source in sources if target is None else ():
        if source.suffix.lower().removeprefix(".") in WRITTEN and not os.path.lexists(source):
            raise RequestError(f"'{source}' is not there; to write latents into it, give it behind -o")
    load_libraries()
    ignored: Counter[str] = Counter()
    left_out: list[tuple[str, str]] | None = [] if report is not None else None
    images = _find(console, sources, ignored, left_out, null=null)
    names = _safe_names(images)
    if report is not None and os.path.realpath(report) in {os.path.realpath(image.path) for image in images}:
        raise RequestError(f"'{report}' is one of the images; choose another name for the report")
    from vaegen.folder.report import Report

    places = ((target, "-o"), (report, "--report"))
    with contextlib.ExitStack() as stack:
        loaded = stack.enter_context(vaegen.load(model, threads=threads))
        for place, by in places:
            if place is not None:
                check_targets([place], force=force, by=by)
        notes = None
        if report is not None:
            notes = stack.enter_context(Report(report, append=False, force=force))
            for path, reason in left_out or ():
                notes.write(path, {"name": None, "status": "ignored", "reason": reason})
        progress = stack.enter_context(
            Progress(console, "encode", reported=report is not None, unlike=about_unlike(intake, sheet=False))
        )
        progress.ignored = ignored
        progress.on_plan(len(images))
        parts: list[dict[str, NDArray[Any]]] = []
        reading = {"intake": intake, "max_pixels": max_pixels}
        for at in range(0, len(images), ENCODED):
            if progress.failed and on_error == "fail":
                break
            batch = slice(at, at + ENCODED)
            part = _encode(
                loaded,
                images[batch],
                names[batch],
                progress,
                notes,
                posterior=posterior,
                reading=reading,
                on_error=on_error,
            )
            if part and target is None:
                put(encode_lines(part), nl=False)
            elif part:
                parts.append(part)
    stopped = progress.failed > 0 and on_error == "fail"
    if not progress.written or (stopped and target is not None):
        return ExitCode.NOTHING_DONE
    if target is not None:
        import numpy as np

        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        data = encode_npz(whole) if target.suffix.lower() == ".npz" else encode_lines(whole).encode()
        write(target, data, force=force)
        echo_written(target)
    return ExitCode.SOME_FAILED if progress.failed else ExitCode.DONE


def _find(
    console: Console,
    sources: Sequence[Path],
    ignored: "Counter[str]",
    left_out: list[tuple[str, str]] | None,
    *,
    null: bool,
) -> list[Picture]:
    """Return the images; count what is left out by the reason, and list its paths and reasons where there is a list.

    Raises:
        RequestError: There are no images.
    """
    from vaegen.decoding import SUFFIXES
    from vaegen.folder.listing import named, walk

    images: list[Picture] = []
    empty: list[str] = []
    for source in sources:
        root, begin = str(source), len(images)
        found: Iterable[Found]
        if root == PIPE:
            data = read_stdin(null=null)
            if isinstance(data, bytes):
                images.append(Picture("", "stdin", data))
                continue
            root, found = "", map(named, data)
        elif os.path.isdir(source):  # noqa: PTH112, Path.is_dir raises where a name is too long or a folder closed
            found = walk(root)
        else:
            images.append(Picture("", root, source))
            continue
        try:
            for name, problem, reason in found:
                picture = Picture(root, name, Path(root, name), problem)
                if reason is None:
                    images.append(picture)
                    continue
                ignored[reason] += 1
                console.say(f"vaegen: left out: '{picture.path}' ({reason})", level=1)
                if left_out is not None:
                    left_out.append((picture.path, reason))
        except RequestError as error:
            images.append(Picture("", root, source, str(error)))
        if root:
            images[begin:] = sorted(images[begin:], key=lambda picture: picture.name.split("/"))
        if len(images) == begin:
            empty.append(f"'{source}' holds no images; their names end in {', '.join(SUFFIXES)}")
    if not images:
        raise RequestError(empty[0])
    for message in empty:
        console.say(f"vaegen: {message}")
    return images


def _safe_names(images: Sequence[Picture]) -> list[str]:
    """Return a name for each image: a place below any folder on any system, and no other one's."""
    names = [_safe(image.name) for image in images]
    times = Counter(names)
    names = [_safe(image.path) if times[name] > 1 else name for image, name in zip(images, names, strict=True)]
    taken = set(names)
    used: set[str] = set()
    for row, name in enumerate(names):
        path, numbers = PurePosixPath(name), itertools.count(2)
        while names[row] in used:
            other = str(path.with_stem(f"{path.stem}-{next(numbers)}"))
            if other not in taken:
                names[row] = other
        used.add(names[row])
    return names


def _safe(path: str) -> str:
    parts = os.path.splitdrive(path.replace(os.sep, "/"))[1].split("/")
    return "/".join(re.sub(r"[\\:]", "_", part) for part in parts if part not in ("", ".", ".."))


def _encode(
    model: "Model",
    images: Sequence[Picture],
    names: Sequence[str],
    progress: Progress,
    notes: "Report | None",
    *,
    posterior: bool,
    reading: Mapping[str, Any],
    on_error: OnError,
) -> "dict[str, NDArray[Any]]":
    """Encode one batch and tell what becomes of each image; return no arrays when nothing can be read."""
    import numpy as np

    kept, pictures = [], []
    for image, name in zip(images, names, strict=True):
        error, kind = image.problem, None
        if error is None:
            try:
                read = read_picture(image.source, **reading)
                pictures.append(read.pixels)
                kind = read.kind
                kept.append(name)
            except ImageError as failure:
                error = str(failure)
        status: Literal["failed", "written"] = "failed" if error else "written"
        progress.on_outcome(vaegen.Outcome(Path(image.path), Path(name), status, error, None, None, kind))
        if notes is not None:
            facts = {"name": None if error else name, "status": status, "reason": error, "intake": kind}
            notes.write(image.path, facts)
        if error and on_error == "fail":
            break
    if not kept:
        return {}
    batch = np.stack(pictures)
    if not posterior:
        return {"names": np.array(kept), "latents": model.encode(batch)}
    found = model.posterior(batch)
    arrays = {"latents": found.latent, "mean": found.mean, "log_variance": found.log_variance, "logits": found.logits}
    return {"names": np.array(kept)} | {name: values for name, values in arrays.items() if values is not None}
