"""What the verbs share: their options, the console they speak to, and the exit codes.

`vaegen --help` loads this and click alone, so it imports little.
"""

import enum
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
import vaegen

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

Format = Literal["png", "npy"]
FORMATS: tuple[Format, ...] = ("png", "npy")


class ExitCode(enum.IntEnum):
    """What the exit of `vaegen` tells its caller."""

    DONE = 0
    SOME_FAILED = 1
    WRONG_USAGE = 2
    BAD_BUNDLE = 3
    NOTHING_DONE = 4
    INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for a program that Ctrl-C ended
    PIPE_CLOSED = 141  # 128 + SIGPIPE, likewise for the left side of `vaegen ... | head -1`


@dataclass
class Console:
    """What -v, -q and --debug set, before or after the verb."""

    verbosity: int = 0
    """-1 errors only, 0 results and messages, 1 details."""
    debug: bool = False
    """Whether an error shows its traceback."""

    def say(self, message: str, *, level: int = 0) -> None:
        """Write one line to stderr unless the verbosity is below `level`."""
        if self.verbosity >= level:
            click.echo(message, err=True)

    @property
    def live(self) -> bool:
        """Whether bars and previews are wanted: stderr is a terminal and -q was not given."""
        return self.verbosity >= 0 and sys.stderr.isatty()


pass_console = click.make_pass_decorator(Console, ensure=True)


def _set(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Set one of -v, -q and --debug in the console."""
    if value and parameter.name == "debug":
        context.ensure_object(Console).debug = True
    elif value:
        context.ensure_object(Console).verbosity = 1 if parameter.name == "verbose" else -1


def common_options(command: Decorated) -> Decorated:
    """Add -v, -q and --debug, on the group and on every verb, so that they work in both places."""
    for *names, text in (
        ("--debug", "Show the traceback of an error."),
        ("-q", "--quiet", "Show no messages but errors."),
        ("-v", "--verbose", "Show details."),
    ):
        option = click.option(*names, is_flag=True, expose_value=False, is_eager=True, callback=_set, help=text)
        command = option(command)
    return command


def with_examples(*lines: str) -> Callable[[Decorated], Decorated]:
    """Show command lines right below the first paragraph of a verb's help."""

    def decorate(verb: Decorated) -> Decorated:
        summary, _, details = inspect.cleandoc(verb.__doc__ or "").partition("\n\n")
        block = "\n  ".join(["\b\nExamples:", *lines])  # click leaves a paragraph that begins with \b as it is
        verb.__doc__ = "\n\n".join([summary, block, details])
        return verb

    return decorate


def complete_models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
    """Offer the shipped models, and folders, to a shell that completes."""
    from click.shell_completion import CompletionItem

    names = [CompletionItem(name) for name in vaegen.models() if name.startswith(incomplete)]
    # Folders first: click's script for bash forgets what came before them. And never an empty word: its script for
    # zsh would lose it, and take the fields of the names for those of others.
    return [CompletionItem(incomplete or "./", type="dir"), *names]


def model_options(command: Decorated) -> Decorated:
    """Add --model and --threads."""
    command = click.option(
        "--threads", type=int, default=1, show_default=True, metavar="N", help="Threads inside the model."
    )(command)
    return click.option(
        "--model",
        default=vaegen.DEFAULT_MODEL,
        show_default=True,
        metavar="NAME|FOLDER",
        shell_complete=complete_models,
        help="A shipped model or a bundle's folder.",
    )(command)


def data_options(command: Decorated) -> Decorated:
    """Add --data-dir and --no-verify: where MNIST is."""
    command = click.option(
        "--no-verify", is_flag=True, help="Take other digits in MNIST's format: skip the files' checksums."
    )(command)
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="MNIST's four idx files, gzipped or not, or torchvision's layout.  [default: download]",
    )(command)


seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Same seed, same images."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of plain text.")
force_option = click.option("--force", is_flag=True, help="Overwrite what exists.")
format_option = click.option(
    "--format", "chosen", type=click.Choice(FORMATS), help="[default: png, or the suffix of -o]"
)
scale_option = click.option(
    "--scale", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="Enlarge N times, sharply."
)
