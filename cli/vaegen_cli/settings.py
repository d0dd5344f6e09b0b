"""What the group of verbs and each verb share: verbosity, and help that shows examples.

`vaegen --help` loads this and click alone, so it imports little.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class Settings:
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


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def _set_verbosity(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Settings).verbosity = 1 if parameter.name == "verbose" else -1


def _set_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Settings).debug = True


def with_examples(*lines: str) -> Callable[[Decorated], Decorated]:
    """Show command lines right below the first paragraph of a verb's help."""

    def decorate(verb: Decorated) -> Decorated:
        summary, _, details = inspect.cleandoc(verb.__doc__ or "").partition("\n\n")
        block = "\n  ".join(["\b\nExamples:", *lines])  # click leaves a paragraph that begins with \b as it is
        verb.__doc__ = "\n\n".join([summary, block, details])
        return verb

    return decorate


def common_options(command: Decorated) -> Decorated:
    """Add -v, -q and --debug, on the group and on every verb, so that they work in both places."""
    flag: dict[str, Any] = {"is_flag": True, "expose_value": False, "is_eager": True}
    command = click.option("--debug", callback=_set_debug, help="Show the traceback of an error.", **flag)(command)
    command = click.option("-q", "--quiet", callback=_set_verbosity, help="Show no messages but errors.", **flag)(
        command
    )
    return click.option("-v", "--verbose", callback=_set_verbosity, help="Show details.", **flag)(command)
