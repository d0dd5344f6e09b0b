"""Where a loop waits for the next request; the other end of `tests.benchmarks.training`'s pipes."""

import json
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from tests.benchmarks.loops.job import Job

Loop = Callable[[Job, Tensor, Callable[[], None]], NoReturn]
"""Trains on images, uint8 (n, 28, 28), for ever, and calls its third argument where each step begins."""


class _OtherJobError(Exception):
    """The next request is for another job."""


class Gate:
    """Lets a loop through as many steps as are asked for, and answers with their time."""

    def __init__(self) -> None:
        self.job: Job
        self._left = self._steps = 0
        self._began = (0.0, 0.0)

    def __call__(self) -> None:
        """Begin a step; at the end of a request answer it, and wait for the next.

        Raises:
            _OtherJobError: It is for another job.
        """
        if self._left == 0:
            if self._steps:
                self._answer()
            before = self.job
            self.receive()
            if self.job != before:
                raise _OtherJobError
        # The steps before these bring back to the caches what the other loops drove out.
        if self._left == self._steps:
            self._began = time.perf_counter(), time.process_time()
        self._left -= 1

    def receive(self) -> None:
        """Wait for a request: the job, steps to lead in with, and steps to be timed."""
        line = sys.stdin.readline()
        if not line:
            sys.exit()
        request = json.loads(line)
        self._steps, self._left = request["steps"], request["lead"] + request["steps"]
        self.job = Job(**request["job"])

    def _answer(self) -> None:
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        print(json.dumps({"wall": wall / self._steps, "cpu": cpu / self._steps}), flush=True)


def serve(loop: Loop, images: Tensor) -> NoReturn:
    """Run a loop for one job after another, until nobody asks any more."""
    gate = Gate()
    print(json.dumps({"images": len(images)}), flush=True)
    gate.receive()
    while True:
        torch.set_num_threads(gate.job.threads)
        torch.manual_seed(0)
        try:
            loop(gate.job, images, gate)
        except _OtherJobError:
            continue
