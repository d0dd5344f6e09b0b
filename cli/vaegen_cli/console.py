"""What every verb has: the console it speaks to, its exit code, and help that shows examples.

`vaegen --help` loads this and click alone, so it imports little.
"""

import enum
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class ExitCode(enum.IntEnum):
    """How a call of `vaegen` ended."""

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
            echo(message, err=True)

    @property
    def live(self) -> bool:
        """Whether bars and previews are wanted: stderr is a terminal and -q was not given."""
        return self.verbosity >= 0 and sys.stderr.isatty()


def echo(text: str | os.PathLike[str], *, err: bool = False) -> None:
    """Print one line with names in it that anybody may have chosen: none of them can command a terminal."""
    from vaegen.errors import shown

    click.echo(shown(text), err=err)


pass_console = click.make_pass_decorator(Console, ensure=True)


def _set(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Set one of -v, -q and --debug in the console."""
    if value and parameter.name == "debug":
        context.ensure_object(Console).debug = True
    elif value:
        context.ensure_object(Console).verbosity = 1 if parameter.name == "verbose" else -1


def common_options(*examples: str) -> Callable[[Decorated], Decorated]:
    """Add -v, -q and --debug, and show command lines right below the first paragraph of the help."""

    def decorate(verb: Decorated) -> Decorated:
        for *names, text in (
            ("--debug", "Show the traceback of an error."),
            ("-q", "--quiet", "Show no messages but errors."),
            ("-v", "--verbose", "Show details."),
        ):
            flag = click.option(*names, is_flag=True, expose_value=False, is_eager=True, callback=_set, help=text)
            verb = flag(verb)
        summary, _, details = inspect.cleandoc(verb.__doc__ or "").partition("\n\n")
        block = "\n  ".join(["\b\nExamples:", *examples])  # click leaves a paragraph that begins with \b as it is
        verb.__doc__ = "\n\n".join([summary, block, details])
        return verb

    return decorate
