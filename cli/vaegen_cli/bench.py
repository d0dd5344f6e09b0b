"""`vaegen bench`: how fast a model is here, and what to run it with.

Times are wall-clock, so other work on the machine shows; the median (p50) of many calls minds it least.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import vaegen
from vaegen.errors import BundleError, RequestError
from vaegen.process import NO_TELEMETRY, import_onnxruntime, usable_cores

from vaegen_cli.console import Console, common_options, pass_console, put
from vaegen_cli.libraries import load_libraries
from vaegen_cli.options import complete_models, json_option

if TYPE_CHECKING:
    from vaegen import Model

MAX_BATCH = 100_000
COLD_RUNS = 3  # new processes; the median counts
LEAST_CALLS = 5  # of one measurement, however long they take
CLOSE = 1.05  # within this factor of the best, the smaller number of threads or images is recommended

_IMPORTS = f"import os; os.environ[{NO_TELEMETRY!r}] = '1'; import numpy, onnxruntime"
_FIRST_IMAGE = "import sys, vaegen; vaegen.load(sys.argv[1], threads=1).sample(3, 'red', int(sys.argv[2]))"
# Not getrusage on Linux: there a new process starts with the peak of the one that started it.
_PEAK_LINUX = "; import re; print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
_PEAK_POSIX = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


@dataclass(frozen=True)
class Warm:
    """Calls of `model.sample` for one verified image, one after another, milliseconds."""

    threads: int
    calls: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Throughput:
    """Many images in one call, images per second, from the median call."""

    threads: int
    batch: int
    sample: float
    """Verified samples, with the default number of tries."""
    reconstruct: float


@dataclass(frozen=True)
class Advice:
    """What to run with here."""

    threads_for_one: int
    """For the shortest wait for one image."""
    threads_for_many: int
    batch: int
    """The smallest batch within 5% of the best throughput."""
    flags: str
    """For the command line."""


def _read_numbers(_context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Read a list of whole numbers, such as 1,8,64."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MAX_BATCH for part in parts):
        raise RequestError(f"{parameter.opts[0]} {text!r} is not a list of numbers from 1 to {MAX_BATCH}, such as 1,8")
    return tuple(int(part) for part in parts)


@click.command()
@click.argument(
    "model", metavar="[MODEL|FOLDER]", required=False, default=vaegen.DEFAULT_MODEL, shell_complete=complete_models
)
@click.option(
    "--batch",
    "batches",
    callback=_read_numbers,
    default="1,8,64,512",
    show_default=True,
    metavar="LIST",
    help="Images in one call.",
)
@click.option(
    "--threads", callback=_read_numbers, metavar="LIST", help="Threads inside the model.  [default: 1 and all cores]"
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 60),
    default=0.3,
    show_default=True,
    metavar="S",
    help="Time for each measurement.",
)
@json_option
@common_options(
    "vaegen bench",
    "vaegen bench continuous --batch 1,64 --threads 1,2,4 --json",
)
@pass_console
def bench(
    console: Console,
    model: str,
    batches: tuple[int, ...],
    threads: tuple[int, ...] | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure a model on this device and recommend flags.

    Cold: a new process that loads the model and samples one image, beside one that only imports numpy and
    onnxruntime. Warm: one image after another, p50 and p95. Throughput: images per second by threads and batch size,
    verified samples and reconstructions. Memory: the peak of a process. Keep the machine quiet meanwhile.
    """

    def step(what: str) -> None:
        console.say(f"vaegen: measuring {what}", level=0 if console.live else 1)

    load_libraries()
    from vaegen.bundle import find

    path = find(model).absolute()
    cpus = usable_cores()
    warm, throughput = [], []
    name = ""
    for count in sorted(set(threads or (1, cpus))):
        with vaegen.load(path, threads=count) as loaded:
            name = loaded.spec.name
            step(f"one image, {count} threads")
            warm.append(_warm(loaded, count, seconds))
            for batch in sorted(set(batches)):
                step(f"{batch} images, {count} threads")
                throughput.append(_throughput(loaded, count, batch, seconds))
    step("new processes")
    cold = {"first_image_ms": _cold_ms(_FIRST_IMAGE, str(path), "1"), "imports_ms": _cold_ms(_IMPORTS)}
    memory = None  # where the system does not report it
    if os.name == "posix":
        memory = {"first_image": _peak_mb(path, 1), "largest_batch": _peak_mb(path, max(batches))}
    advice = _advise(warm, throughput)
    device = {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": cpus,
        "python": platform.python_version(),
        "onnxruntime": import_onnxruntime().__version__,
        "vaegen": vaegen.__version__,
    }
    if as_json:
        facts = {
            "model": name,
            "device": device,
            "cold": cold,
            "warm": [asdict(one) for one in warm],
            "throughput": [asdict(one) for one in throughput],
            "memory": memory,
            "advice": asdict(advice),
        }
        put(json.dumps(facts))
        return
    where = "{machine} {system}, {cpus} cores, onnxruntime {onnxruntime}, Python {python}".format_map(device)
    put(f"{name} on {where}")
    first, floor = cold["first_image_ms"], cold["imports_ms"]
    put(f"cold    {first:.0f} ms, {first / floor:.2f} times the imports alone ({floor:.0f} ms)")
    for one in warm:
        put(f"warm    {one.p50_ms:.2f} ms p50, {one.p95_ms:.2f} ms p95, threads {one.threads}")
    if memory is not None:
        put(f"memory  {memory['first_image']:.0f} MB, largest batch {memory['largest_batch']:.0f} MB")
    put("threads  batch    sample/s  reconstruct/s")
    for row in throughput:
        put(f"{row.threads:>7}  {row.batch:>5}  {row.sample:>10,.0f}  {row.reconstruct:>13,.0f}")
    many = f"many images: {advice.threads_for_many} threads, {advice.batch} in a call"
    put(f"advice  {advice.flags}; {many}")


def _times(call: Callable[[int], object], seconds: float) -> list[float]:
    """Time calls one by one, in milliseconds; the first, which opens graphs, is not counted."""
    call(0)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST_CALLS or time.perf_counter() < end:
        begin = time.perf_counter()
        call(len(times) + 1)
        times.append(1e3 * (time.perf_counter() - begin))
    return times


def _warm(model: "Model", threads: int, seconds: float) -> Warm:
    times = _times(lambda number: model.sample(number % 10, "teal", seed=number), seconds)
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    return Warm(threads, len(times), round(statistics.median(times), 3), round(p95, 3))


def _throughput(model: "Model", threads: int, batch: int, seconds: float) -> Throughput:
    digits = [number % 10 for number in range(batch)]
    images = model.sample(digits, "teal", batch)
    sample = statistics.median(_times(lambda number: model.sample(digits, "teal", batch, seed=number), seconds))
    again = statistics.median(_times(lambda _: model.reconstruct(images), seconds))
    return Throughput(threads, batch, round(1e3 * batch / sample), round(1e3 * batch / again))


def _cold_ms(code: str, *arguments: str) -> float:
    """Return the time from starting an interpreter to its end, milliseconds."""
    times = []
    for _ in range(COLD_RUNS):
        begin = time.perf_counter()
        _python(code, *arguments)
        times.append(1e3 * (time.perf_counter() - begin))
    return round(statistics.median(times), 1)


def _peak_mb(path: Path, count: int) -> float:
    """Return the peak memory of a process that samples, MB (10^6 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    peak = _PEAK_LINUX if sys.platform == "linux" else _PEAK_POSIX
    return round(int(_python(_FIRST_IMAGE + peak, str(path), str(count))) * unit / 1e6, 1)


def _python(code: str, *arguments: str) -> str:
    """Run code in a new interpreter that finds what this one finds."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BundleError(f"a new process could not sample: {last}")
    return done.stdout


def _advise(warm: Sequence[Warm], throughput: Sequence[Throughput]) -> Advice:
    """Recommend the smallest setting that is within CLOSE of the best."""
    shortest = min(one.p50_ms for one in warm)
    for_one = min(one.threads for one in warm if one.p50_ms <= shortest * CLOSE)
    most = max(one.sample for one in throughput)
    good = [one for one in throughput if one.sample * CLOSE >= most]
    for_many = min(good, key=lambda one: (one.threads, one.batch))
    return Advice(for_one, for_many.threads, for_many.batch, f"--threads {for_one}")
