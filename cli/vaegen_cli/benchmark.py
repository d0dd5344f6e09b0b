"""How fast a model is on this machine: a new process, one image after another, and many at a time.

Times are wall-clock, so other work on the machine shows; the median (p50) of many calls minds it least.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import vaegen
from vaegen.bundle import find
from vaegen.errors import BundleError
from vaegen.model import Model

COLD_RUNS = 3  # new processes; the median counts
LEAST_CALLS = 5  # of one measurement, however long they take
CLOSE = 1.05  # within this factor of the best, the smaller number of threads or images is recommended

_IMPORTS = "import numpy, onnxruntime"
_FIRST_IMAGE = "import sys, vaegen; vaegen.load(sys.argv[1], threads=1).sample(3, 'red', int(sys.argv[2]))"
# Not getrusage on Linux: there a new process starts with the peak of the one that started it.
_PEAK_LINUX = "; import re; print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
_PEAK_POSIX = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


@dataclass(frozen=True)
class Device:
    """What the figures belong to."""

    machine: str
    """Architecture, such as "x86_64"."""
    system: str
    cpus: int
    """Cores that this process may use."""
    python: str
    onnxruntime: str
    vaegen: str


@dataclass(frozen=True)
class Cold:
    """From starting an interpreter to its end, milliseconds."""

    first_image_ms: float
    """Import vaegen, load the model, sample one verified image."""
    imports_ms: float
    """`import numpy, onnxruntime` alone: the floor."""


@dataclass(frozen=True)
class Warm:
    """One call of `model.sample` for one verified image, again and again, milliseconds."""

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
class Memory:
    """Peak memory of a process, MB (10^6 bytes)."""

    first_image: float
    largest_batch: float


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


@dataclass(frozen=True)
class Benchmark:
    """All figures of one model on one machine."""

    model: str
    device: Device
    cold: Cold
    warm: tuple[Warm, ...]
    throughput: tuple[Throughput, ...]
    memory: Memory | None
    """None where the system does not tell (it takes POSIX)."""
    advice: Advice


def benchmark(
    name_or_path: str | os.PathLike[str],
    *,
    batches: Sequence[int] = (1, 8, 64, 512),
    threads: Sequence[int] | None = None,
    seconds: float = 0.3,
    on_step: Callable[[str], object] | None = None,
) -> Benchmark:
    """Measure a model.

    Args:
        name_or_path: One of `vaegen.models()`, or a bundle's folder.
        batches: Images in one call.
        threads: Threads inside one operator; None for 1 and all cores.
        seconds: Time for each measurement, after one call that is not counted.
        on_step: Told what is measured next.

    Raises:
        RequestError: No model of that name, or an impossible number of threads.
        BundleError: The bundle cannot be used.
    """
    step = on_step or (lambda _: None)
    path = find(name_or_path).absolute()
    cpus = _cpus()
    all_threads = sorted(set(threads or (1, cpus)))
    warm, throughput = [], []
    name = ""
    for count in all_threads:
        with vaegen.load(path, threads=count) as model:
            name = model.spec.name
            step(f"one image, {count} threads")
            warm.append(_warm(model, count, seconds))
            for batch in sorted(set(batches)):
                step(f"{batch} images, {count} threads")
                throughput.append(_throughput(model, count, batch, seconds))
    step("new processes")
    cold = Cold(_cold_ms(_FIRST_IMAGE, str(path), "1"), _cold_ms(_IMPORTS))
    memory = Memory(_peak_mb(path, 1), _peak_mb(path, max(batches))) if os.name == "posix" else None
    return Benchmark(name, _device(cpus), cold, tuple(warm), tuple(throughput), memory, _advise(warm, throughput))


def _device(cpus: int) -> Device:
    import onnxruntime

    version, own = platform.python_version(), vaegen.__version__
    return Device(platform.machine(), platform.system(), cpus, version, onnxruntime.__version__, own)


def _cpus() -> int:
    """Return the cores this process may use, which containers and `taskset` limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def _warm(model: Model, threads: int, seconds: float) -> Warm:
    times = _times(lambda number: model.sample(number % 10, "teal", seed=number), seconds)
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    return Warm(threads, len(times), round(p50, 3), round(p95, 3))


def _throughput(model: Model, threads: int, batch: int, seconds: float) -> Throughput:
    digits = [number % 10 for number in range(batch)]
    images = model.sample(digits, "teal", batch)
    sample = statistics.median(_times(lambda number: model.sample(digits, "teal", batch, seed=number), seconds))
    again = statistics.median(_times(lambda _: model.reconstruct(images), seconds))
    return Throughput(threads, batch, round(1e3 * batch / sample), round(1e3 * batch / again))


def _cold_ms(code: str, *arguments: str) -> float:
    times = []
    for _ in range(COLD_RUNS):
        begin = time.perf_counter()
        _python(code, *arguments)
        times.append(1e3 * (time.perf_counter() - begin))
    return round(statistics.median(times), 1)


def _peak_mb(path: Path, count: int) -> float:
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
