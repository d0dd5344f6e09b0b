"""What torch and the system keep for the whole process, which belongs to the program that calls vaegen."""

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def own_torch(*, threads: int | None = None, flush_denormal: bool = False) -> Iterator[None]:
    """Work with torch's usual modes, and leave its global state as it was; also a decorator.

    Threads that torch starts meanwhile for its operators keep the denormal flag of the thread that started them.

    Args:
        threads: Of each operator; None leaves it. With 1, sums are added in one order whatever the number of cores;
            where the cores are busy with something else and tensors small, that is also 15 times as fast as 2.
        flush_denormal: Whether this thread takes denormal floats for 0.
    """
    dtype, before = torch.get_default_dtype(), torch.get_num_threads()
    precision, cache = torch.get_float32_matmul_precision(), os.environ.get(_CACHE)
    flushed = bool(torch.tensor(2.0**-126, dtype=torch.float32).mul(0.5) == 0)  # torch tells in no other way
    # All modules are made on the CPU and all other randomness has generators of its own, so no device is forked. What
    # torch imports meanwhile adds warning filters and a variable of the environment.
    with (
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
    ):
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        torch.set_flush_denormal(flush_denormal)
        torch.set_num_threads(threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.set_float32_matmul_precision(precision)
            if cache is None:
                os.environ.pop(_CACHE, None)
            torch.set_flush_denormal(flushed)
            torch.set_default_dtype(dtype)


class Interrupted(KeyboardInterrupt):
    """A signal ended a run; the message says from where the same command goes on."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        """The signal."""


class Stop:
    """Whether a signal has asked a run to end: an exception where it comes, or in `deferred` a question to ask."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The first signal that came; further ones are not heard, so that none disturbs the end."""
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Raise nothing before the end of a `with`, because there is state to save first."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.number is not None:
            raise KeyboardInterrupt

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        if self.number is None:
            self.number = number
            if not self._deferred:
                raise KeyboardInterrupt


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Let Ctrl-C, SIGTERM and SIGHUP end a run in good order; afterwards they are the program's again.

    A signal that is ignored, as SIGHUP under nohup, stays ignored. Outside the main thread Python can handle none.
    """
    stop = Stop()
    old = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
                if number not in old and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    old[number] = signal.getsignal(number)
                    signal.signal(number, stop.handle)
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
