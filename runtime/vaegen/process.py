"""What belongs to the process as a whole: its cores, locks that survive a fork, and the threads of numpy's BLAS."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


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
    it. A setting of the user's own stands. The variable is restored, because other libraries read it too, such as
    torch on ARM.
    """
    if _BLAS_THREADS in os.environ:
        yield
        return
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_BLAS_THREADS]
