"""A training step shared among processes, beside the same step in one."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measure import Clock, Environment, MeasurementError, Row, Table, compare

PROCESSES = 2
TITLE = "A training step on a batch of 256, default preset"
FLOOR = "one process with one thread"


def scaling(environment: Environment, rounds: int, clock: Clock) -> Table:
    """Measure a step of the default presets' VAEs in one process and in two; `cpu` counts the time of both."""
    found = importlib.util.find_spec("vaegen_training")
    if found is None or found.origin is None or importlib.util.find_spec("torch") is None:
        return Table(TITLE, FLOOR, (), ("torch is not installed",))
    paths = os.pathsep.join([environment.variables["PYTHONPATH"], str(Path(found.origin).parents[1])])
    program = [str(Path(__file__).with_name("shared_step.py")), str(rounds), clock, str(PROCESSES)]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}", *program],
        env={**environment.variables, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(PROCESSES)},
        cwd=environment.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MeasurementError(f"torchrun: {done.stderr.strip() or done.returncode}")
    rows: list[Row] = []
    for kind, times in json.loads(done.stdout).items():
        floor = next(iter(times.values()))
        for name, each in times.items():
            rows.append(compare(f"{kind}, {name}", "ms", 1e3 * statistics.median(each), each, floor))
    return Table(TITLE, FLOOR, tuple(rows))
