"""A lock that a fork cannot leave shut."""

import os
import threading
from types import TracebackType


class ProcessLock:
    """A lock between the threads of one process; each process has its own.

    A child of a fork inherits the locks of its parent as they were, but not the threads that would open them. Only
    a lock of its own cannot make it wait for ever.
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
