"""A training step: vaegen's own loop beside the student report's, pythae's, and the matrix products it consists of."""

import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from tests.benchmarks.loops.job import Job, request
from tests.benchmarks.measure import (
    ROOT,
    Clock,
    Environment,
    MeasurementError,
    Row,
    Table,
    compare,
    printed,
    take_turns,
)

DIGITS = ROOT / "tests" / "assets" / "digits"
"""1,000 digits; a step on them costs what one on MNIST does, less some misses of the cache."""

KINDS = ("continuous", "discrete", "joint")
IMAGES = 2048  # in a measurement, in as many steps as that takes
LEAST, MOST = 5, 25  # steps in a measurement
LEAD = 2  # steps before it, to fill the processor's caches again
READY = 4  # batches that two workers have ready whenever they were made to wait
NO_TORCH = ("torch is not installed",)


class Side:
    """A training loop in a process of its own, which takes steps when it is asked to."""

    def __init__(self, environment: Environment, folder: Path, name: str, errors: TextIO) -> None:
        self.name = name
        self._errors = errors
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.loops", str(folder.absolute()), name],
            cwd=ROOT,
            env=_variables(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def ready(self) -> int:
        """Wait until the loop has its images, and give their number."""
        return int(self._answer()["images"])

    def steps(self, job: Job, clock: Clock) -> float:
        """Return the seconds of a step, a mean over some thousand images."""
        count = min(MOST, max(LEAST, IMAGES // job.batch))
        lead = LEAD + (READY if self.name == "report-2" else 0)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request(job, lead, count))
            self._process.stdin.flush()
        return float(self._answer()[clock])

    def close(self) -> None:
        """End the process."""
        try:
            self._process.communicate(timeout=30)  # a loop without requests to come ends by itself, its workers too
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise MeasurementError(f"the loop {self.name!r} ended: {self._errors.read()[-2000:].strip()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _variables(environment: Environment) -> dict[str, str]:
    # Nothing that an earlier run compiled may shorten the time of compiling.
    fresh = {"TMPDIR": str(environment.folder), "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    return {**os.environ, "PYTHONPATH": environment.training_path, **fresh}


@contextlib.contextmanager
def _started(environment: Environment, folder: Path, names: Sequence[str]) -> Iterator[tuple[dict[str, Side], int]]:
    """Start loops, and give them by name, with the number of images they train on."""
    with contextlib.ExitStack() as stack:
        sides = {}
        for name in names:  # all at once: each imports torch
            errors = stack.enter_context((environment.folder / f"{name.replace(':', '-')}.errors").open("w+"))
            sides[name] = Side(environment, folder, name, errors)
            stack.callback(sides[name].close)
        images = [side.ready() for side in sides.values()]
        yield sides, images[0]


def training(
    environment: Environment,
    folder: Path,
    batches: Sequence[int],
    threads: Sequence[int],
    rounds: int,
    clock: Clock,
) -> list[Table]:
    """Measure a step of each model over the report's loop, at each batch and number of threads."""
    if importlib.util.find_spec("torch") is None:
        return [Table("A training step", "the report's loop", (), NO_TORCH)]
    names = ["report", "report-loader", "report-2", "pythae", "seed", "products:seed", "default", "products:default"]
    skipped = []
    if importlib.util.find_spec("pythae") is None:
        names.remove("pythae")
        skipped.append("pythae is not installed")
    if clock == "cpu":
        names.remove("report-2")
        skipped.append("the processor's time of a loader's workers is not known while they work")
    tables = []
    with _started(environment, folder, names) as (sides, images):
        for count in threads:
            for batch in batches:
                rows = [row for kind in KINDS for row in _steps(sides, kind, batch, count, rounds, clock)]
                title = f"A step on {images:,} digits, batch {batch}, {count} thread{'s' if count > 1 else ''}"
                over = "the report's loop of that model, as steps per second: 2 is twice as fast"
                tables.append(Table(title, over, tuple(rows), tuple(skipped)))
    return tables


ROWS = {
    "report": "the report's loop",
    "report-loader": "the report's loader alone",
    "report-2": "the report's loop, 2 workers",
    "pythae": "pythae's trainer",
    "seed": "vaegen, preset seed",
    "products:seed": "matrix products of seed",
    "default": "vaegen, preset default",
    "products:default": "matrix products of default",
}

# Loading costs the same whatever is trained, and pythae has no other kind: these have one row each.
ONCE = ("report-loader", "report-2", "pythae")


def _steps(sides: dict[str, Side], kind: str, batch: int, threads: int, rounds: int, clock: Clock) -> Iterator[Row]:
    from tests.benchmarks.loops.own import operations

    job = Job(kind, batch, threads)
    names = [name for name in sides if kind == "continuous" or name not in ONCE]
    calls = {name: _call(sides[name], job, clock) for name in names}
    for call in calls.values():
        call()
    times = take_turns(calls, rounds)
    for name, each in times.items():
        what = f"{kind}: {ROWS[name]}"
        if name.startswith("products:"):
            what += f", {operations(name.removeprefix('products:'), job) / 1e9:.2f} GFLOP"
        yield compare(what, "ms", 1e3 * statistics.median(each), times["report"], each)


def profile(environment: Environment, folder: Path) -> list[Table]:
    """Measure what the time of a step goes to; torch's profiler makes all of it a little longer."""
    tables = []
    for name, kind, batch in MEASURED if importlib.util.find_spec("torch") else ():
        program = ["-m", "tests.benchmarks.loops.profile", str(folder.absolute()), name, kind, str(batch)]
        text = printed(f"the profile of {name} {kind}", program, ROOT, _variables(environment))
        times: dict[str, float] = json.loads(text)
        whole = sum(times.values())
        rows = [Row(what, 1e3 * each, "ms", each / whole, each / whole, each / whole) for what, each in times.items()]
        tables.append(
            Table(f"What a step of {name} {kind} consists of, batch {batch}, 1 thread", "the step", tuple(rows))
        )
    return tables


MEASURED = (("seed", "continuous", 128), ("default", "continuous", 256), ("default", "discrete", 256))


def options(environment: Environment, folder: Path, rounds: int, clock: Clock) -> list[Table]:
    """Measure what could be otherwise in a step, each change alone."""
    if importlib.util.find_spec("torch") is None:
        return [Table("Options of a training step", "the step as it is", (), NO_TORCH)]
    from vaegen_training.presets import preset

    from tests.benchmarks.loops.own import AS_IT_IS, CHANGES, COMPILED, ONLY_FOR

    tables, paid = [], []
    for name, kind, batch in MEASURED:
        job = Job(kind, batch, 1)
        choices = [change for change in CHANGES if ONLY_FOR.get(change, name) == name]
        with _started(environment, folder, [f"{name}:{change}" for change in choices]) as (sides, images):
            calls = {change: _call(sides[f"{name}:{change}"], job, clock) for change in choices}
            first = {}
            for change, call in calls.items():
                began = time.perf_counter()
                call()
                first[change] = time.perf_counter() - began
            if clock == "wall":  # threads that wait for each other take the processor's time, too
                calls["2 threads"] = _call(sides[f"{name}:{AS_IT_IS}"], Job(kind, batch, 2), clock)
            times = take_turns(calls, rounds)
        floor = times[AS_IT_IS]
        rows = [compare(what, "ms", 1e3 * statistics.median(each), each, floor) for what, each in times.items()]
        title = f"A step of {name} {kind} on {images:,} digits, batch {batch}, 1 thread"
        tables.append(Table(title, "the step as it is", tuple(rows)))
        steps = 60_000 * preset(name, kind).vae.epochs / batch
        saved = steps * statistics.median(one - other for one, other in zip(floor, times[COMPILED], strict=True))
        paid += [
            Row(f"{name} {kind}: compiling", first[COMPILED] - first[AS_IT_IS], "s"),
            Row(f"{name} {kind}: what it saves in {steps:,.0f} steps, a run", saved, "s"),
        ]
    return [*tables, Table("torch.compile", "", tuple(paid))]


def _call(side: Side, job: Job, clock: Clock) -> Callable[[], float]:
    return lambda: side.steps(job, clock)
