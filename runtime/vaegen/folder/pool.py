"""Worker processes, and the hosts that cannot have them: told before any work, when their first ones have started.

multiprocessing is imported where several processes are asked for: some systems have Python without it.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, wait
from typing import Any

from vaegen.errors import VaegenError, first_line, setting
from vaegen.process import one_blas_thread

# Seconds until the first worker must have loaded its model. Half of one is usual; but the main program may wait for
# something as it is loaded again, and a pool short of threads waits forever.
PATIENCE = 120

_NAME = "vaegen-worker"

_log = logging.getLogger("vaegen")


@contextlib.contextmanager
def pool(workers: int, prepare: Callable[..., object], *arguments: object, optional: bool) -> Iterator[Executor | None]:
    """Start processes in which `prepare(*arguments)` has run once; end them with the `with`.

    Yields:
        The processes; None where this one is to do the work: as one of one, or, where they are `optional`, because
        the system cannot start them.

    Raises:
        VaegenError: They cannot be started, and are not optional.
    """
    if workers == 1:
        yield None
        return
    with contextlib.ExitStack() as stack:
        executor: Executor | None = None
        try:
            with contextlib.ExitStack() as starting:
                opened = starting.enter_context(_open(workers))
                with without_interrupts(), one_blas_thread():  # the first tasks start the processes
                    prepared = [opened.submit(prepare, *arguments) for _ in range(workers)]
                ready = wait(prepared, timeout=PATIENCE, return_when=FIRST_COMPLETED).done
                if not ready:
                    raise TimeoutError(f"none was ready after {PATIENCE} seconds")
                for first in ready:
                    first.result()
                stack.push(starting.pop_all())
                executor = opened
        except (OSError, RuntimeError, AssertionError, ImportError) as error:
            # No semaphores or shared memory, no more processes or threads, a daemonic process, which may start none.
            if not optional:
                raise VaegenError(
                    f"cannot start {workers} worker processes ({_reason(error)}); {setting('workers', 1)} starts none"
                ) from error
            _log.info("one process does the work; %d cannot be started: %s", workers, _reason(error))
        yield executor


def _reason(error: Exception) -> str:
    if isinstance(error, BrokenExecutor):
        guard = "'if __name__ == \"__main__\":'"
        return f"they ended at once, for want of memory or because the main program does its work outside {guard}"
    return getattr(error, "strerror", None) or first_line(error)


@contextlib.contextmanager
def _open(workers: int) -> Iterator[Executor]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing.context import SpawnContext, SpawnProcess

    # New processes run the file of the main program, which is here none; they would say so in tracebacks.
    if getattr(sys.modules.get("__main__"), "__file__", None) == "<stdin>":
        raise OSError("the main program comes from stdin, which they cannot read again")
    processes: list[SpawnProcess] = []

    def process(**given: Any) -> SpawnProcess:
        processes.append(SpawnProcess(name=_NAME, **given))
        return processes[-1]

    context = SpawnContext()
    context.Process = process  # type: ignore[assignment, misc]
    executor = ProcessPoolExecutor(workers, context, initializer=_begin)
    try:
        yield executor
    except BaseException:
        for one in processes:
            if one.is_alive():
                one.terminate()
        raise
    finally:
        with contextlib.suppress(RuntimeError):  # its thread could not be started
            executor.shutdown(wait=True, cancel_futures=True)


def leave_worker() -> None:
    """End this process if it is a worker that runs its parent's main program, which lacks a guard.

    It would start workers of its own. Python names the fault in tracebacks, one a worker; `pool` says it in a line.
    """
    if getattr(sys, "frozen", False):
        from multiprocessing import freeze_support

        freeze_support()  # here a worker of a frozen program begins its work, and does not return
    if "multiprocessing" in sys.modules:  # as in every worker
        from multiprocessing import current_process

        if current_process().name == _NAME:
            os._exit(1)


def _begin() -> None:
    """Set up a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    except RuntimeError:  # no more threads; `pool` says so
        os._exit(1)


def _end_with_parent() -> None:
    """End this worker when its parent is gone; it would wait for work forever."""
    import multiprocessing
    from multiprocessing import connection

    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@contextlib.contextmanager
def without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back for a moment, and from processes that are started in it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
