"""`python -m tests.benchmarks.loops.profile FOLDER PRESET KIND BATCH`: what a step's time goes to, as JSON."""

import json
import sys
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from vaegen_training import data

from tests.benchmarks.loops import own
from tests.benchmarks.loops.job import Job

WARM, STEPS = 10, 40
GROUPS = {
    "matrix products of the layers": ("aten::mm", "aten::addmm"),
    "the judge's convolutions": ("aten::convolution_backward", "aten::mkldnn_convolution"),
    "variances of what the judge sees": ("aten::var",),
    "logarithms and exponentials": (
        "aten::log",
        "aten::log1p",
        "aten::xlogy",
        "aten::exp",
        "aten::sigmoid",
        "aten::erf",
    ),
    "softmax": ("softmax",),
    "GELU and layer normalisation": ("gelu", "layer_norm"),
    "Adam": ("adam", "Adam"),
    "the average of the weights": ("aten::lerp", "aten::_foreach_lerp"),
    "random numbers": ("aten::uniform", "aten::rand"),
    "moving the digits": ("aten::bmm", "grid"),
}
"""Operators of a group, by the start of their name or, without a namespace, by what it contains."""
REST = "sums, products and copies of single values"


class _EnoughError(Exception):
    pass


def main(folder: Path, preset: str, kind: str, batch: int) -> None:
    """Profile some steps on one thread."""
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    images = data.load(folder, verify=False).train_images
    left = iter(range(WARM + STEPS))
    profiler = profile(activities=[ProfilerActivity.CPU])

    def gate() -> None:
        step = next(left, None)
        if step is None:
            raise _EnoughError
        if step == WARM:
            profiler.start()

    try:
        own.loop(preset)(Job(kind, batch, 1), images, gate)
    except _EnoughError:
        profiler.stop()
    times = dict.fromkeys([*GROUPS, REST], 0.0)
    for event in profiler.key_averages():
        times[_group(event.key)] += event.self_cpu_time_total / STEPS / 1e6
    print(json.dumps({name: seconds for name, seconds in times.items() if seconds}))


def _group(name: str) -> str:
    for group, patterns in GROUPS.items():
        if any(name == each or (name.startswith(each + "_") if ":" in each else each in name) for each in patterns):
            return group
    return REST


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
