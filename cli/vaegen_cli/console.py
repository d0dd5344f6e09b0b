"""What every verb has: the console it speaks to, its exit code, and help that shows examples.

`vaegen --help` loads this and click alone, so it imports little.
"""

import enum
import errno
import inspect
import io
import os
import sys
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO, TypeVar, cast

import click
from vaegen.errors import OutputError, RequestError, shown

from vaegen_cli import interrupts

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class ExitCode(enum.IntEnum):
    """How a call of `vaegen` ended."""

    DONE = 0
    SOME_FAILED = 1
    WRONG_USAGE = 2
    BAD_BUNDLE = 3
    NOTHING_DONE = 4
    INTERRUPTED = interrupts.EXIT_CODE
    PIPE_CLOSED = 141  # 128 + SIGPIPE, what a shell reports for the left side of `vaegen ... | head -1`


class _Stream(io.TextIOBase):
    """One of the standard streams, which may be closed, full, gone, or unable to show a name."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    @property
    def present(self) -> bool:
        """Whether there is a stream: None stands for one that a shell closed, or that a service never had."""
        return self._stream is not None and not self._stream.closed

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def buffer(self) -> BinaryIO:
        """The bytes below, to which click writes what a shell completes; AttributeError where there are none."""
        buffer: BinaryIO = self._stream.buffer  # type: ignore[union-attr]
        return buffer

    def isatty(self) -> bool:
        return self._stream is not None and self.present and self._stream.isatty()

    def fileno(self) -> int:
        return super().fileno() if self._stream is None else self._stream.fileno()  # colorama asks on Windows

    def write(self, text: str) -> int:
        """Write a text, with Python's backslash escapes for what the encoding lacks."""
        self._do(lambda stream: stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding)))
        return len(text)

    def flush(self) -> None:
        if self.present:  # multiprocessing flushes streams on which nobody wrote
            self._do(lambda stream: stream.flush())

    def close(self) -> None:
        """Leave the stream open: it is not ours."""

    def _do(self, action: Callable[[TextIO], object]) -> None:
        if self._stream is None or not self.present:
            self._fail(OSError(errno.EBADF, "it is closed"))
            return
        try:
            action(self._stream)
        except OSError as error:
            self._fail(error)

    @abstractmethod
    def _fail(self, error: OSError) -> None:
        """Do what losing something on this stream asks for."""


class Messages(_Stream):
    """Stderr. A lost message is not an error: the work matters more."""

    def _fail(self, error: OSError) -> None:
        pass


class Results(_Stream):
    """Stdout. A lost result is an error."""

    def _fail(self, error: OSError) -> None:
        """Raise OutputError; where the reader has gone, leave click's context with the code that stands for it."""
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(ExitCode.PIPE_CLOSED) from error
        raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error

    def write_bytes(self, data: bytes) -> None:
        """Write bytes, past the encoding."""

        def write(stream: TextIO) -> None:
            stream.buffer.write(data)
            stream.buffer.flush()

        self._do(write)


def messages() -> TextIO:
    """Return stderr as it is at this moment; a host may replace it."""
    return cast("TextIO", Messages(sys.stderr))


def results() -> Results:
    """Return stdout likewise."""
    return sys.stdout if isinstance(sys.stdout, Results) else Results(sys.stdout)


@dataclass
class Console:
    """What -v, -q and --debug set, before or after the verb."""

    verbosity: int = 0
    """-1 errors only, 0 results and messages, 1 details."""
    debug: bool = False
    """Whether an error shows its traceback."""
    lost: OutputError | None = None
    """Why the path of a file that was written could not be printed."""

    def say(self, message: str, *, level: int = 0) -> None:
        """Write one line to stderr unless the verbosity is below `level`."""
        if self.verbosity >= level:
            tell(shown(message))

    @property
    def live(self) -> bool:
        """Whether bars and previews are wanted: stderr is a terminal and -q was not given."""
        return self.verbosity >= 0 and messages().isatty()


def tell(text: str, *, nl: bool = True) -> None:
    """Write a text to stderr as it is: an error's line, a preview."""
    click.echo(text, file=messages(), nl=nl)


def put(text: str, *, nl: bool = True) -> None:
    """Write a result to stdout as it is: JSON, a table.

    Raises:
        OutputError: It is closed, or its disk is full.
        click.exceptions.Exit: Its reader has gone.
    """
    stream = results()
    stream.write(f"{text}\n" if nl else text)
    stream.flush()


def echo(text: str | os.PathLike[str]) -> None:
    """Print one line with names in it that anybody may have chosen: none of them can command a terminal."""
    put(shown(text))


def echo_written(path: str | os.PathLike[str]) -> None:
    """Print the path of a file that is written.

    The file is the result, and whole. Where stdout is closed, or its terminal has gone, nobody waits for the name;
    where a name is lost, as on a full disk, `vaegen_cli.app.main` says so after all work.
    """
    try:
        echo(path)
    except OutputError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EBADF, errno.EIO)):
            click.get_current_context().ensure_object(Console).lost = error


def require_stdout(what: str) -> None:
    """Raise OutputError before any work whose result, `what`, could not be told because stdout is closed."""
    if not results().present:
        raise OutputError(f"{what} goes to stdout, which is closed; open it")


def stdin(what: str) -> io.BufferedReader:
    """Return stdin, of which `what` is wanted, and say so where somebody has to type it.

    Of a terminal, `read1` ends with the first Ctrl-D, `read` with the second.

    Raises:
        RequestError: It is closed.
    """
    if sys.stdin is None or sys.stdin.closed:  # None where a shell closed it, whatever type checkers say
        raise RequestError(f"stdin is closed; {what} should come from it")
    if sys.stdin.isatty():
        click.get_current_context().ensure_object(Console).say(f"reading {what} from the terminal; end with Ctrl-D")
    return cast("io.BufferedReader", sys.stdin.buffer)


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
