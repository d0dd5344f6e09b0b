"""`vaegen reconstruct`: images through a model and back, one file, a folder or a list of files."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import vaegen
from vaegen.errors import ImageError, OutputError, RequestError

from vaegen_cli.libraries import load_libraries, loading
from vaegen_cli.options import force_option, json_option, model_options, seed_option
from vaegen_cli.output import PIPE, check_targets, names_file, refuse_terminal, write, write_stdout
from vaegen_cli.pictures import preview
from vaegen_cli.progress import Progress
from vaegen_cli.settings import Settings, common_options, pass_settings, with_examples

if TYPE_CHECKING:
    from vaegen import FolderReport
    from vaegen.images import Invert, Written

SOME_FAILED, NOTHING_DONE = 1, 4  # exit codes

# The same as vaegen.images.WRITTEN and INVERT; a test compares them, because importing those loads numpy and Pillow.
FORMATS = ("png", "jpg", "bmp", "webp", "tif")
INVERT = ("never", "auto", "always")


def _read_shard(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value, flags=re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise RequestError(f"shard {value!r} is no K/N with K from 1 to N, such as 3/16")
    return int(match[1]), int(match[2])


def _read_workers(_context: click.Context, _parameter: click.Parameter, value: str) -> int | str:
    if value == "auto":
        return value
    if not re.fullmatch(r"[0-9]{1,9}", value, flags=re.ASCII):
        raise RequestError(f"workers {value!r} is neither a number nor auto")
    return int(value)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path, allow_dash=True))
@click.argument("out", metavar="OUT")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: png, or the suffix of OUT]")
@click.option(
    "--invert",
    type=click.Choice(INVERT),
    default="never",
    show_default=True,
    help="Turn dark on light, as of scans, into light on dark, hues kept; auto decides picture by picture.",
)
@click.option("--stochastic", is_flag=True, help="Draw the latents from the posterior; else its mean and modes.")
@seed_option
@model_options
@force_option
@click.option("--skip-existing", is_flag=True, help="Leave results that are there.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    default="skip",
    show_default=True,
    help="Report and skip what fails, or end the run at it.",
)
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
@click.option("-0", "--null", is_flag=True, help="With IN -, names end in null bytes, as find -print0 writes them.")
@click.option("--dry-run", is_flag=True, help="Print what would be read and written, and do nothing.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.jsonl",
    help="Note what becomes of each file of a folder, a line of JSON each.",
)
@json_option
@common_options
@pass_settings
@with_examples(
    "vaegen reconstruct red-3.png again.png",
    "vaegen reconstruct digits/ again/ --model discrete --report again.jsonl",
)
def reconstruct(
    settings: Settings,
    source: Path,
    out: str,
    form: "Written | None",
    invert: "Invert",
    stochastic: bool,
    seed: int,
    model: str,
    threads: int,
    force: bool,
    skip_existing: bool,
    on_error: Any,
    workers: Any,
    shard: tuple[int, int],
    null: bool,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Encode and decode an image, every image of a folder, or those of a list.

    IN is an image, a folder, or - for a list of files on stdin, one a line; OUT an image file, a folder, or - for
    stdout. Images of any size are fitted to 28x28 on black, aspect kept. A folder is mirrored tree for tree:
    IN/a/b.jpg becomes OUT/a/b.png, and a listed a/b.jpg too; a file that cannot be read is reported and skipped
    (exit code 1, or 4 when it happens to all). Prints the file or folder written. Nothing is overwritten without
    --force, and what is there when the command is stopped or killed is whole; the same command then goes on.
    """
    if skip_existing and force:
        raise RequestError("--skip-existing and --force contradict each other; choose one")
    listed = str(source) == PIPE
    many = listed or os.path.isdir(source)  # noqa: PTH112, Path.is_dir raises where a name is too long
    if out == PIPE:
        if as_json or many:
            raise RequestError("-o - takes one image and no --json; give OUT a file or a folder")
        refuse_terminal()
    if threads != 1 and workers == "auto":
        workers = 1
    elif threads != 1 and workers != 1:
        raise RequestError("--threads above 1 is for one process; leave it out, or give --workers 1")
    if null and not listed:
        raise RequestError("-0 is for a list of files on stdin; give - as IN")
    how: dict[str, Any] = {"invert": invert, "stochastic": stochastic, "seed": seed}
    if not many:
        for flag, given in {
            "--report": report is not None,
            "--shard": shard != (1, 1),
            "--skip-existing": skip_existing,
        }.items():
            if given:
                raise RequestError(f"{flag} is for folders, and '{source}' is none")
        target, form = _file_target(source, out, form, force=force)
        if dry_run:
            if not os.path.isfile(source):  # noqa: PTH113, Path.is_file raises where a name is too long
                raise ImageError(f"cannot read '{source}': there is no such file")
            _show_plan([(source, target or Path(out))], as_json=as_json)
        else:
            _file(settings, source, target, form, model, threads, force=force, as_json=as_json, **how)
        return 0
    if not out:
        raise RequestError("OUT is empty; write '.' for this folder")
    what: dict[str, Any] = {
        "source": Path() if listed else source,
        "target": Path(out),
        "files": _names(null=null) if listed else None,
        "format": form or "png",
        "force": force,
        "skip_existing": skip_existing,
        "shard": shard,
    }
    if dry_run:
        from vaegen.folder import dry_run as plan

        _show_plan(plan(**what), as_json=as_json)
        return 0
    return _folder(
        settings,
        source,
        model,
        threads,
        as_json=as_json,
        call={**what, **how, "on_error": on_error, "workers": workers, "report": report},
    )


def _show_plan(plan: Iterable[tuple[Path, Path]], *, as_json: bool) -> None:
    """Print what would be read and written as it is found: a line each, or one JSON array."""
    from vaegen.files import shown

    before = "["
    for image, result in plan:
        if as_json:
            click.echo(before + json.dumps({"source": str(image), "target": str(result)}), nl=False)
            before = ",\n"
        else:
            click.echo(f"{shown(image)} -> {shown(result)}")
    if as_json:
        click.echo("]" if before != "[" else "[]")


def _names(*, null: bool) -> Iterator[str]:
    """Read the list on stdin, whatever its length."""
    end = b"\0" if null else b"\n"
    rest = b""
    while block := sys.stdin.buffer.read(65536):
        *lines, rest = (rest + block).split(end)
        yield from (os.fsdecode(line if null else line.removesuffix(b"\r")) for line in lines if line.strip(b"\r"))
    if rest.strip(b"\r"):
        yield os.fsdecode(rest)


def _file_target(source: Path, out: str, form: "Written | None", *, force: bool) -> tuple[Path | None, "Written"]:
    """Decide where one image goes, None for stdout, and in which format."""
    if out == PIPE:
        return None, form or "png"
    target = Path(out)
    if names_file(out, FORMATS):
        suffix: Any = target.suffix.lower().removeprefix(".")
        if form not in (None, suffix):
            raise RequestError(f"--format {form} and OUT {out!r} contradict each other; leave one out")
        form = suffix
    else:
        target = target / f"{source.stem}.{form or 'png'}"
    # os.path, because Path.exists raises where a name is too long.
    if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):  # noqa: PTH110, PTH121
        raise RequestError(f"'{target}' is the input itself; choose another name for the result")
    check_targets([target], force=force)
    return target, form or "png"


def _file(
    settings: Settings,
    source: Path,
    target: Path | None,
    form: "Written",
    model: str,
    threads: int,
    *,
    invert: "Invert",
    stochastic: bool,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    with loading(model, threads, ("encoder", "sampler", "decoder") if stochastic else ("encoder", "decoder")) as future:
        image = vaegen.read_image(source, invert=invert)
    with future.result() as loaded:
        result = loaded.reconstruct(image[None], stochastic, seed)[0]
    import numpy as np
    from vaegen.images import encode_image

    if settings.live and (blocks := preview(np.stack([image, result]))):
        click.echo(blocks, err=True)
    data = encode_image(result, form)
    if target is None:
        write_stdout(data)
        return
    write(target, data, force=force)
    click.echo(json.dumps({"source": str(source), "target": str(target)}) if as_json else target)


def _folder(settings: Settings, source: Path, model: str, threads: int, *, as_json: bool, call: dict[str, Any]) -> int:
    load_libraries(graphs=call["workers"] in (1, "auto"))
    with vaegen.load(model, threads=threads) as loaded, Progress(settings, reported=bool(call["report"])) as progress:
        try:
            result = vaegen.reconstruct_folder(loaded, **call, on_plan=progress.on_plan, on_outcome=progress.on_outcome)
        except (ImageError, OutputError):
            # With --on-error fail the failure was told as it came, and the run is over.
            if not (call["on_error"] == "fail" and progress.failed):
                raise
            return SOME_FAILED if progress.written or progress.skipped else NOTHING_DONE
    if as_json:
        click.echo(json.dumps({"source": str(source), "target": str(call["target"]), **_to_dict(result)}))
    elif result.written or result.skipped:
        click.echo(call["target"])
    if not result.failed:
        return 0
    return SOME_FAILED if result.written or result.skipped else NOTHING_DONE


def _to_dict(result: "FolderReport") -> dict[str, Any]:
    failures = [{"source": str(f.source), "target": str(f.target), "error": f.error} for f in result.failures]
    counts = {name: getattr(result, name) for name in ("planned", "written", "skipped", "failed")}
    return {**counts, "failures": failures}
