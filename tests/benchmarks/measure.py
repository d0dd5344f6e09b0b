"""Two sides measured in turn, round by round, and what the rounds say."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import vaegen
import vaegen_cli

ROOT = Path(__file__).parents[2]

Clock = Literal["wall", "cpu"]
"""What a time is: of the clock on the wall, or of the processor, which other work on the machine disturbs less."""

Call = Callable[[], object]


class MeasurementError(Exception):
    """A process that was to be measured failed."""


@dataclass(frozen=True)
class Row:
    """One measured thing beside its floor."""

    what: str
    value: float
    """The median, in `unit`."""
    unit: str
    ratio: float | None = None
    """Median over the rounds of this thing's time by its floor's, or of the floor's rate: see the table."""
    low: float | None = None
    """First quartile of the rounds' ratios."""
    high: float | None = None
    """Third quartile."""
    p95: float | None = None
    """95th percentile of the values, where single calls matter."""


@dataclass(frozen=True)
class Table:
    """One table of docs/performance.md."""

    title: str
    over: str
    """What the ratios are over."""
    rows: tuple[Row, ...]
    skipped: tuple[str, ...] = ()
    """What could not be measured here, and why."""


class Environment:
    """New interpreters that find what this one finds, with their bytecode compiled as in an installation."""

    def __init__(self, folder: Path) -> None:
        roots = dict.fromkeys(str(Path(module.__path__[0]).parent) for module in (vaegen, vaegen_cli))
        changes = {"PYTHONPATH": os.pathsep.join(roots), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        self.variables = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | changes
        self.folder = folder

    def run(self, code: str, *arguments: str) -> str:
        """Run code in a new interpreter and give what it prints.

        Raises:
            MeasurementError: It failed.
        """
        return printed(repr(code), ["-c", code, *arguments], self.folder, self.variables)

    @property
    def training_path(self) -> str:
        """What PYTHONPATH must be for a process that trains, too."""
        return os.pathsep.join([self.variables["PYTHONPATH"], str(ROOT / "training")])


def printed(what: str, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> str:
    """Run a new interpreter and give what it prints.

    Args:
        what: What to call it if it fails.
        arguments: The interpreter's own.
        folder: Where it runs.
        variables: Its environment.

    Raises:
        MeasurementError: It failed.
    """
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementError(f"{what}: {done.stderr[-2000:].strip() or done.returncode}")
    return done.stdout


def in_turn(sides: Mapping[str, Call], rounds: int, clock: Clock, *, children: bool = False) -> dict[str, list[float]]:
    """Time each side once a round, after one call that is not counted; rounds start at another side each time.

    Args:
        sides: What to measure.
        rounds: Times each is measured.
        clock: What a time is.
        children: Whether the work is done by processes that a side starts and waits for.

    Returns:
        Seconds of each side, round by round.
    """

    def timed(call: Call) -> Callable[[], float]:
        def run() -> float:
            begin = _now(clock, children=children)
            call()
            return _now(clock, children=children) - begin

        return run

    for call in sides.values():
        call()
    return take_turns({name: timed(call) for name, call in sides.items()}, rounds)


def take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call sides that give their own times, each once a round; rounds start at another side each time."""
    names = list(sides)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(sides[name]())
    return times


def repeat(call: Call, times: int) -> Call:
    """Return a call that makes another one many times, where one alone is too short to be timed."""

    def calls() -> None:
        for _ in range(times):
            call()

    return calls


def compare(what: str, unit: str, value: float, times: Sequence[float], floor: Sequence[float]) -> Row:
    """Make a row of a side's times over those of its floor in the same rounds."""
    ratios = [one / other for one, other in zip(times, floor, strict=True)]
    low, middle, high = quartiles(ratios)
    return Row(what, value, unit, middle, low, high)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the quartiles; of a single value, that value three times."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _now(clock: Clock, *, children: bool) -> float:
    if clock == "wall":
        return time.perf_counter()
    if not children:
        return time.process_time()
    import resource  # only POSIX systems have it

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
