"""What belongs to the process as a whole: its cores, locks that survive a fork, and its environment."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

BLAS_THREADS = "OPENBLAS_NUM_THREADS"
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"  # of onnxruntime


def usable_cores() -> int:
    """Return the number of cores that this process may use, which containers and `taskset` limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProcessLock:
    """A lock between the threads of one process; each process has its own.

    A forked child inherits its parent's locks in whatever state they were, but not the threads that would release
    them. A lock of its own cannot keep it waiting forever.
    """

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def __enter__(self) -> None:
        self._lock().acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock().release()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy be imported with one BLAS thread, here and in processes started meanwhile.

    OpenBLAS, numpy's BLAS, starts a thread for each core as it loads, which is more work than all that vaegen asks of
    it.
    """
    with _variable(BLAS_THREADS):
        yield


def import_onnxruntime() -> Any:
    """Return onnxruntime, imported without its telemetry unless the program imported it before.

    From 1.29 on it would write a device id and a database into the user's cache folder, look up a host and start a
    thread that keeps forked children from ending. It decides once, as it loads; what turns events off later removes
    none of that.
    """
    if "onnxruntime" not in sys.modules:
        with _variable(NO_TELEMETRY):
            import onnxruntime
    import onnxruntime

    return onnxruntime


@contextmanager
def _variable(name: str) -> Iterator[None]:
    """Set a variable of the environment to 1 for a moment, unless it has a value; that of the user stands.

    It is restored, because the environment is the program's, and other libraries read it too, such as torch on ARM.
    """
    old = os.environ.get(name)
    if old:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        if old is None:
            os.environ.pop(name, None)  # gone already where two threads came here at once
        else:
            os.environ[name] = old
