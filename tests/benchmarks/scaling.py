"""A training step shared among processes, beside the same step in one."""

import importlib.util
import json
import statistics

from tests.benchmarks.measure import ROOT, Clock, Environment, Row, Table, compare, printed

PROCESSES = 2
TITLE = "A training step on a batch of 256, default preset"
FLOOR = "one process with one thread"


def scaling(environment: Environment, rounds: int, clock: Clock) -> Table:
    """Measure a step of the default presets' VAEs in one process and in two; `cpu` counts the time of both."""
    if importlib.util.find_spec("torch") is None:
        return Table(TITLE, FLOOR, (), ("torch is not installed",))
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    program = ["-m", "tests.benchmarks.shared_step", str(rounds), clock, str(PROCESSES)]
    changes = {"PYTHONPATH": environment.training_path, "OMP_NUM_THREADS": str(PROCESSES)}
    text = printed("torchrun", [*torchrun, *program], ROOT, {**environment.variables, **changes})
    rows: list[Row] = []
    for kind, times in json.loads(text).items():
        floor = next(iter(times.values()))
        for name, each in times.items():
            rows.append(compare(f"{kind}, {name}", "ms", 1e3 * statistics.median(each), each, floor))
    return Table(TITLE, FLOOR, tuple(rows))
