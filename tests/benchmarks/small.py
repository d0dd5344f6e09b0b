"""What vaegen weighs: files, memory, and what each session option costs and gives."""

import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import onnxruntime
from vaegen.session import default_options

from tests.benchmarks.bare import Bare
from tests.benchmarks.measure import ROOT, Clock, Environment, Row, Table, compare, in_turn, repeat

PACKAGES = ("numpy", "onnxruntime", "pillow", "click", "protobuf", "flatbuffers", "packaging")
MB = 1e6  # bytes
_PEAK = "import re; print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"


def sizes(environment: Environment) -> Table:
    """Measure the wheel, and what is installed with it, by package."""
    skipped = []
    own = {
        "vaegen's code": list(ROOT.glob("*/vaegen*/**/*.py")),
        "vaegen's models": list((ROOT / "runtime" / "vaegen" / "models").rglob("*.*")),
    }
    rows = [Row(name, sum(p.stat().st_size for p in files) / MB, "MB") for name, files in own.items()]
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", "wheel", str(ROOT)]
    if subprocess.run(wheel, cwd=environment.folder, capture_output=True, check=False).returncode:
        skipped.append("the wheel: pip and hatchling are needed to build it")
    else:
        (built,) = (environment.folder / "wheel").iterdir()
        rows.insert(0, Row("the wheel", built.stat().st_size / MB, "MB"))
    for name in PACKAGES:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            skipped.append(f"{name} is not installed")
            continue
        places = [Path(str(file.locate())) for file in files]
        rows.append(Row(name, sum(p.stat().st_size for p in places if p.is_file()) / MB, "MB"))
    return Table("Bytes on disk", "", tuple(rows), tuple(skipped))


def memory(environment: Environment, model: str, rounds: int) -> Table:
    """Measure the peak memory of a process over that of `import onnxruntime` alone."""
    title, floor = "Peak memory of a process", 'python -c "import onnxruntime"'
    if sys.platform != "linux":
        return Table(title, floor, (), ("only Linux tells a process its peak",))
    main = "import sys; from vaegen_cli import main; main(sys.argv[1:]); " + _PEAK
    many = "import sys, vaegen; vaegen.load(sys.argv[1]).sample(3, 'red', int(sys.argv[2])); " + _PEAK
    commands = {
        floor: ("import onnxruntime; " + _PEAK,),
        "vaegen sample": (main, "sample", "--color", "red", "-q", "-o", "x.png", "--force", "--model", model),
        "vaegen reconstruct, one file": (main, "reconstruct", "x.png", "y.png", "--force", "-q", "--model", model),
        "model.sample(3, 'red', 10_000)": (many, model, "10000"),
    }
    peaks: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, arguments in commands.items():
            peaks[name].append(int(environment.run(*arguments).splitlines()[-1]) * 1024 / MB)
    rows = [compare(name, "MB", statistics.median(each), each, peaks[floor]) for name, each in peaks.items()]
    return Table(title, floor, tuple(rows))


def options(model: str, rounds: int, clock: Clock) -> list[Table]:
    """Measure the settings that sessions could have, beside those they have: opening, one image, many."""
    bare = Bare(model, threads=1)
    with_settings = {name: Bare(model, 1, _options(name)) for name in SETTINGS}
    tables = []
    for title, batch in (("for one image", 1), ("for 128 images", 128)):
        rows: list[Row] = []
        for graph in ("prior", "decoder", "judge"):
            sides = {"as they are": bare.call(graph, batch)}
            sides |= {name: one.call(graph, batch) for name, one in with_settings.items()}
            repeats = 1 if batch > 1 else 10
            times = in_turn({name: repeat(call, repeats) for name, call in sides.items()}, rounds, clock)
            for name, each in times.items():
                value = 1e3 * statistics.median(each) / repeats
                rows.append(compare(f"{graph}: {name}", "ms", value, each, times["as they are"]))
        tables.append(Table(f"Session options {title}", "the graph under vaegen's options", tuple(rows)))
    opening = {"as they are": lambda: Bare(model, 1)}
    opening |= {name: (lambda name=name: Bare(model, 1, _options(name))) for name in SETTINGS}  # type: ignore[misc]
    times = in_turn(opening, rounds, clock)
    floor = times["as they are"]
    opened = [compare(name, "ms", 1e3 * statistics.median(each), each, floor) for name, each in times.items()]
    tables.append(Table("Session options and opening three graphs", "vaegen's options", tuple(opened)))
    return tables


def _memory(options: "onnxruntime.SessionOptions", *, arena: bool, patterns: bool) -> None:
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = patterns


def _entry(options: "onnxruntime.SessionOptions", key: str) -> None:
    options.add_session_config_entry(f"session.{key}", "1")


SETTINGS: dict[str, Callable[["onnxruntime.SessionOptions"], None]] = {
    "no memory patterns": lambda o: _memory(o, arena=True, patterns=False),
    "no memory arena, no patterns": lambda o: _memory(o, arena=False, patterns=False),
    "extended optimisation": lambda o: _level(o, "ORT_ENABLE_EXTENDED"),
    "basic optimisation": lambda o: _level(o, "ORT_ENABLE_BASIC"),
    "no optimisation": lambda o: _level(o, "ORT_DISABLE_ALL"),
    "no prepacking": lambda o: _entry(o, "disable_prepacking"),
    "denormals as zero": lambda o: _entry(o, "set_denormal_as_zero"),
}
"""What could be set otherwise than `vaegen.session.default_options` does."""


def _options(name: str) -> "onnxruntime.SessionOptions":
    options = default_options(threads=1)
    SETTINGS[name](options)
    return options


def _level(options: "onnxruntime.SessionOptions", name: str) -> None:
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, name)
