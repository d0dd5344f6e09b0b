"""Threads that work while the event loop listens: as many as there are workers, and a queue that ends."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from vaegen.server.limits import Limits
from vaegen.server.refusals import RefusedError

Result = TypeVar("Result")


class Clock:
    """The time that one request has."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 at least."""
        return max(0.0, self._end - time.monotonic())

    def stop(self) -> None:
        """Let `check` raise from now on: nobody waits for the answer."""
        self._end = 0.0

    def check(self) -> None:
        """Raise RefusedError once the time is over; work looks here between its steps, for no thread can be ended."""
        if not self.left:
            raise self.late()

    def late(self) -> RefusedError:
        """Return what refuses a request whose time is over."""
        return RefusedError("OutOfTime", f"the answer took longer than {self._seconds:g} seconds; ask for less")


class GoneError(Exception):
    """The client has gone, and nobody waits for the answer."""


class Workers:
    """The threads, and the requests that they work on or that wait for one."""

    def __init__(self, limits: Limits) -> None:
        self._threads = ThreadPoolExecutor(limits.workers, "vaegen")
        self._most = limits.workers + limits.queue
        self._lock = threading.Lock()
        self.busy = 0
        """Requests that are worked on or waiting."""

    async def do(self, clock: Clock, gone: "asyncio.Future[None]", work: Callable[[], Result]) -> Result:
        """Return what some work returns, done in a thread.

        Args:
            clock: The request's; stopped when nobody waits any longer.
            gone: Done once the client has gone, who then gets no answer.
            work: What is to be done.

        Raises:
            RefusedError: The queue is full, or the time is over.
            GoneError: The client has gone.
        """
        with self._lock:
            if self.busy >= self._most:
                raise busy()
            self.busy += 1
        job = self._threads.submit(work)
        job.add_done_callback(self._end)
        answer = asyncio.wrap_future(job)
        try:
            await asyncio.wait((answer, gone), timeout=clock.left, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if gone.done():
                raise GoneError
            raise clock.late()
        finally:
            clock.stop()
            answer.cancel()  # and the job, if it is still waiting

    def _end(self, _job: "Future[Any]") -> None:
        with self._lock:
            self.busy -= 1

    def close(self) -> None:
        """Let what is being done be the last."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def busy() -> RefusedError:
    """Return what refuses a request when there is no room for it."""
    return RefusedError("Busy", "too many requests are waiting; try again in a second", {"Retry-After": "1"})
