"""`vaegen reconstruct`: images through a model and back, one file or a folder."""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import click
import vaegen
from vaegen.errors import OutputError, RequestError

from vaegen_cli.options import (
    Settings,
    common_options,
    force_option,
    json_option,
    model_options,
    pass_settings,
    seed_option,
    with_examples,
)
from vaegen_cli.output import PIPE, check_targets, names_file, refuse_terminal, write, write_stdout
from vaegen_cli.pictures import preview

if TYPE_CHECKING:
    from vaegen import Outcome

SOME_FAILED, NOTHING_DONE = 1, 4  # exit codes


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT")
@click.option("--stochastic", is_flag=True, help="Draw the latents from the posterior; else its mean and modes.")
@seed_option
@model_options
@force_option
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
    "vaegen reconstruct digits/ again/ --model discrete",
)
def reconstruct(
    settings: Settings,
    source: Path,
    out: str,
    stochastic: bool,
    seed: int,
    model: str,
    threads: int,
    force: bool,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Encode and decode an image, or every image of a folder.

    IN is an image or a folder; OUT a .png file, a folder, or - for stdout. Images of any size are fitted to 28x28
    on black. A folder is mirrored tree for tree: IN/a/b.jpg becomes OUT/a/b.png, and a file that cannot be read
    is reported and skipped (exit code 1, or 4 when it happens to all). Prints the file or folder written. Nothing
    is overwritten without --force, and what is there when the command is stopped is whole.
    """
    if out == PIPE:
        if as_json or source.is_dir():
            raise RequestError("-o - takes one image and no --json; give OUT a file or a folder")
        refuse_terminal()
    how: dict[str, Any] = {"stochastic": stochastic, "seed": seed}
    if not source.is_dir():
        if report is not None:
            raise RequestError(f"--report is for folders, and '{source}' is none")
        target = _file_target(source, out, force=force)
        if dry_run:
            click.echo(f"{source} -> {target or out}")
        else:
            _file(settings, source, target, model, threads, force=force, as_json=as_json, **how)
        return 0
    target = Path(out)
    if dry_run:
        from vaegen.folder import plan

        for job in plan(source, target, force=force):
            click.echo(f"{job.source} -> {job.target}")
        return 0
    return _folder(settings, source, target, model, threads, force=force, report=report, as_json=as_json, **how)


def _file_target(source: Path, out: str, *, force: bool) -> Path | None:
    """Decide where one image goes; None for stdout."""
    if out == PIPE:
        return None
    target = Path(out) if names_file(out, ("png",)) else Path(out) / f"{source.stem}.png"
    if source.exists() and target.exists() and source.samefile(target):
        raise RequestError(f"'{target}' is the input itself; choose another name for the result")
    check_targets([target], force=force)
    return target


def _file(
    settings: Settings,
    source: Path,
    target: Path | None,
    model: str,
    threads: int,
    *,
    stochastic: bool,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    import numpy as np
    from vaegen.images import encode_png

    with vaegen.load(model, threads=threads) as loaded:
        image = vaegen.read_image(source)
        result = loaded.reconstruct(image[None], stochastic, seed)[0]
    if settings.live and (blocks := preview(np.stack([image, result]))):
        click.echo(blocks, err=True)
    if target is None:
        write_stdout(encode_png(result))
        return
    write(target, encode_png(result), force=force)
    click.echo(json.dumps({"source": str(source), "target": str(target)}) if as_json else target)


def _folder(
    settings: Settings,
    source: Path,
    target: Path,
    model: str,
    threads: int,
    *,
    stochastic: bool,
    seed: int,
    force: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    if report is not None:
        check_targets([report], force=force)
    with vaegen.load(model, threads=threads) as loaded, Progress(settings, report) as progress:
        result = vaegen.reconstruct_folder(
            loaded,
            source,
            target,
            stochastic=stochastic,
            seed=seed,
            force=force,
            on_plan=progress.on_plan,
            on_outcome=progress.on_outcome,
        )
    if as_json:
        failures = [_to_dict(failure) for failure in result.failures]
        facts = {"planned": result.planned, "written": result.written, "failures": failures}
        click.echo(json.dumps({"source": str(source), "target": str(target), **facts}))
    elif result.written:
        click.echo(target)
    if not result.failures:
        return 0
    return SOME_FAILED if result.written else NOTHING_DONE


class Progress:
    """What a folder's run shows and notes on its way; the summary comes however the run ends."""

    def __init__(self, settings: Settings, report: Path | None) -> None:
        self._settings = settings
        self._report_path = report
        self._report: IO[str] | None = None
        self._bar: Any = None
        self._open = ExitStack()
        self._planned = self._written = 0
        self._failures: list[str] = []

    def __enter__(self) -> Self:
        return self

    def on_plan(self, planned: int) -> None:
        """Open the bar and the report; nothing is left behind by a run that never came this far."""
        self._planned = planned
        if self._report_path is not None:
            try:
                self._report_path.parent.mkdir(parents=True, exist_ok=True)
                self._report = self._open.enter_context(self._report_path.open("w", encoding="utf-8", newline="\n"))
            except OSError as error:
                raise OutputError(f"cannot write '{self._report_path}': {error.strerror or error}") from error
        if self._settings.live:
            bar = click.progressbar(length=planned, label="reconstruct", file=sys.stderr, show_pos=True)
            self._bar = self._open.enter_context(bar)

    def on_outcome(self, outcome: "Outcome") -> None:
        """Count one file."""
        if outcome.error is None:
            self._written += 1
        else:
            self._failures.append(outcome.error)
        if self._report is not None:
            self._report.write(json.dumps(_to_dict(outcome)) + "\n")
        if self._bar is not None:
            self._bar.update(1)

    def __exit__(self, *_: object) -> None:
        self._open.close()
        for failure in self._failures:
            self._settings.say(f"vaegen: {failure}", level=-1)
        if self._planned:
            failed = f", {len(self._failures)} failed" if self._failures else ""
            self._settings.say(f"{self._written} of {self._planned} images reconstructed{failed}")


def _to_dict(outcome: "Outcome") -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in asdict(outcome).items()}
