"""The group of verbs, and the border where every error becomes one line and an exit code."""

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from vaegen.errors import BundleError, ConfigError, MissingExtraError, RequestError, VaegenError

from vaegen_cli.bench import bench
from vaegen_cli.completion import completion
from vaegen_cli.decode import decode
from vaegen_cli.describe import info, models
from vaegen_cli.encode import encode
from vaegen_cli.evaluate import evaluate
from vaegen_cli.export import export
from vaegen_cli.options import Settings, common_options, with_examples
from vaegen_cli.reconstruct import reconstruct
from vaegen_cli.report import report
from vaegen_cli.sample import sample
from vaegen_cli.train import train
from vaegen_cli.verify import verify

DONE, SOME_FAILED, WRONG_USAGE, BAD_BUNDLE, NOTHING_DONE = range(5)
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for a program that Ctrl-C ended
PIPE_CLOSED = 141  # 128 + SIGPIPE, likewise for the left side of `vaegen ... | head -1`


class Verbs(click.Group):
    """A group that turns a closed pipe into an exit code of its own; click would exit 1, which is taken."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Python flushes stdout once more at exit; nobody is left to read it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(PIPE_CLOSED)


def _show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        import vaegen

        click.echo(f"vaegen {vaegen.__version__}")
        context.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@common_options
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
@with_examples(
    "vaegen sample --color red --digit 3",
    "vaegen reconstruct red-3.png again.png",
)
def cli() -> None:
    """Colored digits from small VAEs: sample, reconstruct, train, export and evaluate them.

    Results go to stdout, messages to stderr. Exit codes: 0 done, 1 some inputs failed, 2 wrong usage,
    3 bundle broken or tampered with, 4 nothing could be done.
    """


for verb in (
    sample,
    reconstruct,
    encode,
    decode,
    models,
    info,
    verify,
    bench,
    train,
    export,
    evaluate,
    report,
    completion,
):
    cli.add_command(verb)


def exit_code(error: VaegenError) -> int:
    """Give the exit code that stands for an error."""
    if isinstance(error, BundleError):
        return BAD_BUNDLE
    if isinstance(error, RequestError | ConfigError | MissingExtraError):
        return WRONG_USAGE
    # Whatever would have been overwritten was named by the user; other output errors are the machine's.
    if isinstance(error.__cause__, FileExistsError):
        return WRONG_USAGE
    return NOTHING_DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments after the program's name; default `sys.argv[1:]`.

    Returns:
        The exit code: 0 done, 1 some inputs failed, 2 wrong usage, 3 bundle broken or tampered with,
        4 nothing could be done; 130 after Ctrl-C, 141 when the reader of stdout went away.
    """
    settings = Settings()
    with _log_to_stderr():
        try:
            result = cli.main(argv, prog_name="vaegen", standalone_mode=False, obj=settings)
        except VaegenError as error:
            if settings.debug:
                traceback.print_exc()
            from vaegen.output import shown

            click.echo(f"vaegen: {shown(str(error))}", err=True)
            return exit_code(error)
        except (OSError, MemoryError) as error:
            # The machine's own, met where no verb expects them: a folder that goes away, a disk that fails.
            if settings.debug:
                traceback.print_exc()
            from vaegen.output import shown

            click.echo(f"vaegen: {shown(str(error)) or 'not enough memory'}", err=True)
            return NOTHING_DONE
        except click.Abort:
            click.echo("vaegen: interrupted", err=True)
            return INTERRUPTED
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            return error.exit_code
        except click.ClickException as error:
            click.echo(_usage_line(error), err=True)
            return error.exit_code
    # click hands back what a verb returned, or the code that a context was left with.
    return result if isinstance(result, int) else DONE


def _usage_line(error: click.ClickException) -> str:
    """Say in one line, as for all other errors, what click says in four."""
    from vaegen.output import shown

    context = getattr(error, "ctx", None)
    text = shown(error.format_message())
    stop = "" if text.endswith((".", "?", "?)")) else "."
    return f"vaegen: {text}{stop} Try '{context.command_path if context else 'vaegen'} -h'."


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Show what the libraries log, for the time of one run: `main` may be called many times in a process."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("vaegen: %(message)s"))
    logger = logging.getLogger("vaegen")
    level = logger.level
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
