"""`python -m tests.benchmarks`: measure, write JSON, and with `--page` the tables of docs/performance*.md."""

import dataclasses
import importlib.util
import json
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import numpy as np
import onnxruntime
import vaegen
from vaegen.bundle import find

from tests.benchmarks import cold, folder, page, small, training, warm
from tests.benchmarks.measure import Clock, Environment, Table

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command()
@click.argument("parts", nargs=-1, metavar="[PART]...")
@click.option("--model", default=vaegen.DEFAULT_MODEL, show_default=True, help="A shipped model or a bundle's folder.")
@click.option("--rounds", type=click.IntRange(min=1), default=15, show_default=True, help="Times each side runs.")
@click.option("--batches", default="1,8,64,512", show_default=True, help="Images in a call.")
@click.option("--threads", default="1,2", show_default=True, help="Threads inside a graph.")
@click.option("--count", type=click.IntRange(min=1), default=100_000, show_default=True, help="Images of part bulk.")
@click.option(
    "--clock",
    type=click.Choice(get_args(Clock)),
    default="wall",
    show_default=True,
    help="cpu counts processor time, for a machine that has other work; its figures mean something for 1 thread only.",
)
@click.option("--steps-of", "step_batches", default="28,128,512", show_default=True, help="Images in a training step.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="VAEGEN_MNIST",
    default=training.DIGITS,
    help="MNIST to train on; else 1,000 of its digits.",
)
@click.option("--files", default="1000,10000", show_default=True, help="Files in a folder, from few to many.")
@click.option("--photographs", default=64, show_default=True, help="Photographs in a folder.")
@click.option(
    "--in",
    "place",
    type=click.Path(exists=True, file_okay=False),
    default="/dev/shm" if Path("/dev/shm").is_dir() else None,
    show_default=True,
    help="Where files are written, 10 KB for each of --files and --rounds; in memory, or disks are measured too.",
)
@click.option("--torch/--no-torch", "with_torch", default=True, show_default=True, help="Measure torch's side too.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures to a file, not to stdout.")
@click.option("--page", "pages", type=click.Path(path_type=Path), multiple=True, help="Write the tables to a page.")
def main(
    parts: tuple[str, ...],
    model: str,
    rounds: int,
    batches: str,
    threads: str,
    count: int,
    clock: Clock,
    step_batches: str,
    data_dir: Path,
    files: str,
    photographs: int,
    place: str | None,
    with_torch: bool,
    out: Path | None,
    pages: tuple[Path, ...],
) -> None:
    """Measure vaegen beside what bounds it.

    The parts are cold, latency, throughput, bulk, folder, folder-profile, sizes, memory, options, training,
    training-profile and training-options; without a name, all of them. Both sides of a part run in turn, so its times
    are of one run.
    """
    batch_sizes = [int(size) for size in batches.split(",")]
    counts = [int(count) for count in threads.split(",")]
    sizes = [int(size) for size in files.split(",")]
    steps_of = [int(size) for size in step_batches.split(",")]
    # A bundle's folder must be found by processes that run elsewhere; a name means the shipped model there too.
    name = model if model in vaegen.models() else str(find(model).absolute())
    with tempfile.TemporaryDirectory(dir=place) as home:
        environment = Environment(Path(home))
        known: dict[str, Callable[[], list[Table]]] = {
            "cold": lambda: cold.cold(environment, name, rounds, clock, with_torch=with_torch),
            "latency": lambda: [warm.latency(name, rounds, clock)],
            "throughput": lambda: warm.throughput(name, batch_sizes, counts, rounds, clock, with_torch=with_torch),
            "bulk": lambda: [warm.bulk(name, count, max(1, rounds // 5), clock)],
            "folder": lambda: folder.folder(environment, name, sizes, photographs, max(1, rounds // 3), clock),
            "folder-profile": lambda: [folder.profile(environment, name, sizes[0], max(1, rounds // 3), clock)],
            "sizes": lambda: [small.sizes(environment)],
            "memory": lambda: [small.memory(environment, name, max(1, rounds // 5))],
            "options": lambda: small.options(name, rounds, clock),
            "training": lambda: training.training(environment, data_dir, steps_of, counts, rounds, clock),
            "training-profile": lambda: training.profile(environment, data_dir),
            "training-options": lambda: training.options(environment, data_dir, rounds, clock),
        }
        unknown = [part for part in parts if part not in known]
        if unknown:
            raise click.UsageError(f"there is no part {unknown[0]!r}; choose from {', '.join(known)}")
        machine = _machine()
        figures: dict[str, list[Table]] = {}
        for part in parts or known:
            begin = time.perf_counter()
            figures[part] = known[part]()
            click.echo(f"{part}: {time.perf_counter() - begin:.0f} s", err=True)
    facts = {
        "machine": machine,
        "model": model,
        "rounds": rounds,
        "clock": clock,
        "parts": {part: [dataclasses.asdict(table) for table in tables] for part, tables in figures.items()},
    }
    text = json.dumps(facts, indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text)
    what = "processor time" if clock == "cpu" else "wall-clock time"
    for part, tables in figures.items():
        heading = f"`{_command(part)}`, {what}, {', '.join(machine.values())}"
        written = [page.replace(target, part, tables, heading) for target in pages]
        if pages and not any(written):
            click.echo(f"no page has a place for {part}", err=True)


def _command(part: str) -> str:
    """Return the command that measures one part as this one did, without the place of MNIST."""
    context = click.get_current_context()
    words = ["python -m tests.benchmarks", part]
    for option in context.command.params:
        name = option.name or ""
        if not isinstance(option, click.Option) or name in ("out", "pages"):
            continue
        value = "MNIST" if name == "data_dir" else context.params[name]
        if context.params[name] != option.get_default(context):
            off = value is False
            words += [(option.secondary_opts if off else option.opts)[0], *([] if isinstance(value, bool) else [value])]
    return " ".join(map(str, words))


def _machine() -> dict[str, str]:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "processor": f"{_processor()}, {cpus} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"Python {platform.python_version()}",
        "onnxruntime": f"onnxruntime {onnxruntime.__version__}",
        "numpy": f"numpy {np.__version__}",
        **({"torch": f"torch {metadata.version('torch')}"} if importlib.util.find_spec("torch") else {}),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main(prog_name="python -m tests.benchmarks")
