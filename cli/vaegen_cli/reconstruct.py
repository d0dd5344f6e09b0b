"""`vaegen reconstruct`: images through a model and back, one file, a folder or a list of files."""

import functools
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click
import vaegen
from vaegen.errors import ImageError, OutputError, RequestError

from vaegen_cli.console import Console, ExitCode, common_options, echo, echo_written, pass_console, put
from vaegen_cli.libraries import load_libraries, loading
from vaegen_cli.options import (
    OnError,
    force_option,
    intake_option,
    json_option,
    max_pixels_option,
    model_options,
    null_option,
    on_error_option,
    read_place,
    report_option,
    seed_option,
    size_option,
)
from vaegen_cli.output import PIPE, check_targets, names_file, refuse_terminal, write
from vaegen_cli.progress import Progress, about_unlike, tell_ignored
from vaegen_cli.sheets import COMPARED, comparison, show
from vaegen_cli.stdin import check_many, read_picture, read_stdin

if TYPE_CHECKING:
    from vaegen.decoding import Picture
    from vaegen.encoding import Written
    from vaegen.images import Intake

# The same as vaegen.encoding.WRITTEN; a test compares them, because importing it loads numpy and Pillow.
FORMATS = ("png", "jpg", "bmp", "webp", "tif", "svg")
SPELLED = 4  # names of images that have no pattern in common, in a message
OTHER_NAMES = {"jpeg": "jpg", "tiff": "tif"}


class Options(NamedTuple):
    """One call, as click reads it."""

    source: Path
    out: str
    more: tuple[str, ...]
    form: "Written | None"
    size: int | None
    intake: "Intake"
    max_pixels: int
    stochastic: bool
    seed: int
    model: str
    threads: int
    force: bool
    skip_existing: bool
    on_error: OnError
    workers: int | Literal["auto"]
    shard: tuple[int, int]
    null: bool
    dry_run: bool
    report: Path | None
    sheet: Path | None
    as_json: bool

    @property
    def piped(self) -> bool:
        """Whether stdin has the image, or names images."""
        return str(self.source) == PIPE


def _read_shard(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value, flags=re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise RequestError(f"shard {value!r} is not K/N with K from 1 to N, such as 3/16")
    return int(match[1]), int(match[2])


def _read_workers(_context: click.Context, _parameter: click.Parameter, value: str) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    if not re.fullmatch(r"[0-9]{1,9}", value, flags=re.ASCII):
        raise RequestError(f"workers {value!r} is neither a number nor auto")
    return int(value)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(), callback=read_place)
@click.argument("out", metavar="OUT")
@click.argument("more", metavar="", nargs=-1)
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: png, or the suffix of OUT]")
@size_option
@intake_option
@max_pixels_option
@click.option("--stochastic", is_flag=True, help="Draw the latents from the posterior; else its mean and modes.")
@seed_option
@model_options
@force_option
@click.option("--skip-existing", is_flag=True, help="Leave results that are there.")
@on_error_option
@click.option(
    "--workers",
    default="auto",
    show_default=True,
    metavar="N|auto",
    callback=_read_workers,
    help="Processes for a folder; auto: one for each core, fewer for few files.",
)
@click.option(
    "--shard",
    default="1/1",
    metavar="K/N",
    callback=_read_shard,
    help="Do the K-th of N parts of a folder only; the same parts on every machine.",
)
@null_option
@click.option("--dry-run", is_flag=True, help="Print what would be read and written, and do nothing.")
@report_option
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Draw the images as they are, as the model saw them and as it remade them; of many the first 50.",
)
@json_option
@common_options(
    "vaegen reconstruct red-3.png again.png",
    "vaegen reconstruct digits/ again/ --model discrete --report again.jsonl",
)
@pass_console
def reconstruct(console: Console, /, **given: Any) -> ExitCode:
    """Encode and decode an image, every image of a folder, or those of a list.

    IN is an image, a folder, or - for stdin with an image or a list of files, one a line; OUT an image file, a folder,
    or - for stdout. Images of any size are fitted to 28x28 on black, aspect kept. A folder is mirrored tree for tree,
    and so are listed names: IN/a/b.jpg becomes OUT/a/b.png, or b.jpg.png where another file would become b.png too. A
    file that cannot be read is reported and skipped (exit code 1, or 4 when it happens to all). Prints the file or
    folder written. Nothing is overwritten without --force, and a command that is stopped or killed leaves whole files
    only; run it again to resume.
    """
    options = Options(**given)
    if options.more:
        names = [str(options.source), options.out, *options.more]
        out = names.pop()
        raise RequestError(
            f"{len(names)} images and {out!r} are too many; give a folder, or their names on stdin: "
            f"printf '%s\\0' {_pattern(names)} | vaegen reconstruct -0 - {shlex.quote(out)}"
        )
    if options.sheet is not None and not names_file(str(options.sheet), ("png",), folders=False):
        raise RequestError(f"sheet '{options.sheet}' is not a file name that ends in .png")
    if options.skip_existing and options.force:
        raise RequestError("--skip-existing and --force contradict each other; choose one")
    check_many(null=options.null, piped=options.piped, report=options.report)
    if options.threads != 1 and options.workers == "auto":
        options = options._replace(workers=1)
    elif options.threads != 1 and options.workers != 1:
        raise RequestError("--threads above 1 is for one process; leave it out, or give --workers 1")
    found = read_stdin(null=options.null) if options.piped else options.source
    # os.path, because Path.is_dir raises where a name is too long.
    if isinstance(found, bytes) or (isinstance(found, Path) and not os.path.isdir(found)):  # noqa: PTH112
        return _file(console, options, found)
    return _folder(console, options, None if isinstance(found, Path) else found)


def _pattern(names: Sequence[str]) -> str:
    """Return what a shell makes such names of: "photos/*.png", "photos/*", or the first of them."""
    folders, suffixes = ({getattr(Path(name), part) for name in names} for part in ("parent", "suffix"))
    if len(folders) > 1:
        return shlex.join(names) if len(names) <= SPELLED else f"{shlex.join(names[:SPELLED])} ..."
    folder = "" if folders == {Path()} else f"{shlex.quote(str(folders.pop()))}/"
    return f"{folder}*{shlex.quote(suffixes.pop()) if len(suffixes) == 1 else ''}"


def _file(console: Console, options: Options, image: Path | bytes) -> ExitCode:
    """Reconstruct one image."""
    if options.out == PIPE:
        if options.as_json:
            raise RequestError("OUT - takes no --json, for both want stdout; give OUT a file or a folder")
        refuse_terminal()
    source = options.source
    for flag, is_given in {
        "--report": options.report is not None,
        "--shard": options.shard != (1, 1),
        "--skip-existing": options.skip_existing,
    }.items():
        if is_given:
            raise RequestError(f"{flag} is for folders, and '{source}' is not one")
    target, form = _target(options)
    if options.dry_run:
        _check_free(options, target)
        if not options.piped and not os.path.isfile(source):  # noqa: PTH113, Path.is_file raises for a long name
            raise ImageError(f"cannot read '{source}': there is no such file")
        _show_plan([(source, target or Path(PIPE))], as_json=options.as_json)
        return ExitCode.DONE
    graphs = ("encoder", "sampler", "decoder") if options.stochastic else ("encoder", "decoder")
    with loading(options.model, options.threads, graphs) as loaded_model:
        read = read_picture(image, intake=options.intake, max_pixels=options.max_pixels)
    with loaded_model() as model:
        _check_free(options, target)
        (result,) = model.reconstruct(read.pixels[None], options.stochastic, options.seed)
    import numpy as np
    from vaegen.encoding import encode_image
    from vaegen.images import errors, looks_unlike

    show(console, np.stack([read.pixels, result]))
    write(target, encode_image(result, form, options.size), force=options.force)
    if options.sheet is not None:
        _write_sheet(options.sheet, [(image, result)], options)
    _, (mae,) = errors(read.pixels[None], result[None])
    if looks_unlike(read.kind, mae):
        advice = about_unlike(options.intake, sheet=options.sheet is None)
        console.say(f"vaegen: the picture looks unlike a digit on black{advice}", level=-1)
    if target is not None:
        put(json.dumps({"source": str(source), "target": str(target)})) if options.as_json else echo_written(target)
    return ExitCode.DONE


def _check_free(options: Options, target: Path | None) -> None:
    """Check that results may be written: that of one image, and the sheet."""
    for path, by in ((target, "OUT"), (options.sheet, "--sheet")):
        if path is not None:
            check_targets([path], force=options.force, by=by)


def _target(options: Options) -> tuple[Path | None, "Written"]:
    """Decide where one image goes, None for stdout, and in which format."""
    source, out, form = options.source, options.out, options.form
    if out == PIPE:
        return None, form or "png"
    target = Path(out)
    if names_file(out, (*FORMATS, *OTHER_NAMES)):
        suffix: Any = target.suffix.lower().removeprefix(".")
        suffix = OTHER_NAMES.get(suffix, suffix)
        if form not in (None, suffix):
            raise RequestError(f"--format {form} and OUT {out!r} contradict each other; leave one out")
        form = suffix
    else:
        target = target / f"{'stdin' if options.piped else source.stem}.{form or 'png'}"
    # os.path, because Path.exists raises where a name is too long.
    if not options.piped and os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):  # noqa: PTH110, PTH121
        raise RequestError(f"'{target}' is the input itself; choose another name for the result")
    return target, form or "png"


def _folder(console: Console, options: Options, files: Iterator[str] | None) -> ExitCode:
    """Reconstruct the images of a folder or a list."""
    if options.out == PIPE:
        raise RequestError("OUT - takes one image; give OUT a folder")
    if not options.out:
        raise RequestError("OUT is empty; name a folder")
    source, target = Path() if options.piped else options.source, Path(options.out)
    form = options.form or "png"
    if form == "svg" and options.sheet is not None:
        raise RequestError("--sheet reads the results again, which it cannot where they are SVG; leave one out")
    if options.dry_run:
        from vaegen.folder import dry_run

        plan = dry_run(
            source,
            target,
            files=files,
            format=form,
            force=options.force,
            skip_existing=options.skip_existing,
            shard=options.shard,
            on_ignored=functools.partial(tell_ignored, console),
        )
        kept = _show_plan(plan, as_json=options.as_json)
        if kept:
            console.say(f"{kept} results keep the suffix of their source, because without it they would be one file")
        return ExitCode.DONE
    load_libraries(graphs=options.workers in (1, "auto"))
    reported = options.report is not None
    unlike = about_unlike(options.intake, sheet=options.sheet is None)
    pairs: list[tuple[Path, Path]] = []
    with (
        vaegen.load(options.model, threads=options.threads) as model,
        Progress(console, "reconstruct", reported=reported, unlike=unlike) as progress,
    ):
        _check_free(options, None)

        def on_outcome(outcome: vaegen.Outcome) -> None:
            progress.on_outcome(outcome)
            if options.sheet is not None and outcome.status != "failed" and len(pairs) < COMPARED:
                pairs.append((outcome.source, outcome.target))

        try:
            result = vaegen.reconstruct_folder(
                model,
                source,
                target,
                files=files,
                stochastic=options.stochastic,
                seed=options.seed,
                format=form,
                size=options.size,
                intake=options.intake,
                max_pixels=options.max_pixels,
                force=options.force,
                skip_existing=options.skip_existing,
                on_error=options.on_error,
                workers=options.workers,
                shard=options.shard,
                report=options.report,
                on_plan=progress.on_plan,
                on_outcome=on_outcome,
            )
            progress.ignored = result.ignored
        except (ImageError, OutputError):
            # With --on-error fail the failure was reported as it came, and the run is over.
            if not (options.on_error == "fail" and progress.failed):
                raise
            return _exit_code(progress.written + progress.skipped, progress.failed)
        finally:
            if options.sheet is not None and pairs:
                _write_sheet(options.sheet, pairs, options)
    if options.as_json:
        counts = {
            name: getattr(result, name) for name in ("planned", "written", "skipped", "failed", "unlike", "ignored")
        }
        failures = [{"source": str(f.source), "target": str(f.target), "error": f.error} for f in result.failures]
        facts = {"source": str(options.source), "target": str(target), **counts, "failures": failures}
        put(json.dumps(facts))
    elif result.written or result.skipped:
        echo_written(target)
    return _exit_code(result.written + result.skipped, result.failed)


def _write_sheet(sheet: Path, pairs: "Sequence[tuple[Path | bytes, Path | Picture]]", options: Options) -> None:
    """Draw images beside their results, as far as they can still be read."""
    from vaegen.encoding import encode_png

    reading = {"intake": options.intake, "max_pixels": options.max_pixels}
    write(sheet, encode_png(comparison(pairs, reading)), force=options.force)


def _exit_code(done: int, failed: int) -> ExitCode:
    if not failed:
        return ExitCode.DONE
    return ExitCode.SOME_FAILED if done else ExitCode.NOTHING_DONE


def _show_plan(plan: Iterable[tuple[Path, Path]], *, as_json: bool) -> int:
    """Print what would be read and written as it is found, a line each or one JSON array.

    Returns:
        How many results keep the whole name of their source.
    """
    before, kept = "[", 0
    for image, result in plan:
        kept += bool(image.suffix) and result.stem == image.name
        if as_json:
            put(before + json.dumps({"source": str(image), "target": str(result)}), nl=False)
            before = ",\n"
        else:
            echo(f"{image} -> {result}")
    if as_json:
        put("]" if before != "[" else "[]")
    return kept
