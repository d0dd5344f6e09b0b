"""What torchrun starts for `scaling`: prints the times of a training step, round by round, as JSON.

Arguments: rounds, "wall" or "cpu", and the processes that torchrun starts.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from vaegen_training import data, presets
from vaegen_training.objectives import VaeObjective
from vaegen_training.processes import ALONE, Share, joined
from vaegen_training.step import Step
from vaegen_training.train.run import fresh, load_judge

from tests.benchmarks.measure import take_turns

STEPS = 4  # timed at once
KINDS = ("continuous", "discrete", "joint")
DIGITS = Path(__file__).parents[1] / "assets" / "digits"


def steps(kind: str, digits: data.Mnist, share: Share, threads: int) -> Callable[[], None]:
    """Give a call that takes some steps of a default preset's VAE."""
    config = presets.preset("default", kind)
    vae, _, _ = fresh(config)
    objective = VaeObjective(vae, digits, config, load_judge(), share)
    step = Step(objective, vae, config.vae, torch.device("cpu"), share)
    index = share.rows(torch.arange(config.vae.batch))

    def take() -> None:
        torch.set_num_threads(threads)
        for number in range(STEPS):
            step(index, number, 0.5, 1e-4)

    return take


def timed(share: Share, take: Callable[[], None], takes_part: bool, clock: str) -> Callable[[], float]:
    """Give a call that takes the steps, or waits for those who do, and gives the seconds of one."""
    now = time.perf_counter if clock == "wall" else time.process_time

    def run() -> float:
        dist.barrier()
        begin = now()
        if takes_part:
            take()
        spent = torch.tensor(now() - begin if takes_part else 0.0)
        if clock == "cpu":  # of all processes
            share.total(spent)
        return float(spent) / STEPS

    return run


def main(rounds: int, clock: str, processes: int) -> None:
    """Time the step in one process, while the others wait, and in all of them."""
    torch.set_flush_denormal(True)
    digits = data.load(DIGITS, verify=False)
    figures: dict[str, dict[str, list[float]]] = {}
    with joined("cpu") as (share, _):
        for kind in KINDS:
            sides = {
                "1 process": (steps(kind, digits, ALONE, 1), share.is_first),
                f"1 process, {processes} threads": (steps(kind, digits, ALONE, processes), share.is_first),
                f"{processes} processes": (steps(kind, digits, share, 1), True),
            }
            calls = {name: timed(share, take, takes_part, clock) for name, (take, takes_part) in sides.items()}
            for call in calls.values():
                call()
            figures[kind] = take_turns(calls, rounds)
    if share.is_first:
        sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
