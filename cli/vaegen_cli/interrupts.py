"""Ctrl-C ends the program at any moment with one line and exit code 130, and no traceback.

Python's own way, an exception wherever the program happens to be, suits work that leaves something to tidy up. While
modules load it does not: numpy, onnxruntime and Python itself turn the exception into others, print it, or lose it.

The program sets this up before anything else, so this module imports next to nothing: not even `typing`.
"""

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

LINE = "vaegen: interrupted"
EXIT_CODE = 128 + signal.SIGINT  # what a shell reports for a program that Ctrl-C ended

came = False
"""Whether Ctrl-C came while there was something to tidy up."""
_tidies = False


def install() -> None:
    """Handle Ctrl-C in the process of the program `vaegen`, unless it began with Ctrl-C ignored, as under nohup."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _handle)
        sys.unraisablehook = _unraisable


class AtCtrlC:
    """For the time of a `with`, have Ctrl-C raise KeyboardInterrupt, so that work can be tidied up, or end at once."""

    def __init__(self, *, tidy: bool) -> None:
        self._tidy = tidy

    def __enter__(self) -> None:
        global _tidies
        self._before, _tidies = _tidies, self._tidy

    def __exit__(self, *_: object) -> None:
        global _tidies
        _tidies = self._before


def _handle(_number: int, _frame: "FrameType | None") -> None:
    global came
    if not _tidies:
        try:
            os.write(2, f"{LINE}\n".encode())
        finally:
            os._exit(EXIT_CODE)
    came = True
    raise KeyboardInterrupt


def _unraisable(problem: "sys.UnraisableHookArgs") -> None:
    """Send Ctrl-C once more where the exception fell into a destructor or a callback, in which Python drops it."""
    if isinstance(problem.exc_value, KeyboardInterrupt):
        import threading

        main = threading.main_thread().ident or 0
        if hasattr(signal, "pthread_kill"):  # not on Windows; it also ends what the main thread waits for
            again = threading.Timer(0.01, signal.pthread_kill, [main, signal.SIGINT])
        else:
            again = threading.Timer(0.01, signal.raise_signal, [signal.SIGINT])
        again.start()  # after this call
    else:
        sys.__unraisablehook__(problem)
