"""What each process of a group in test_processes.py runs: short runs, the first process alone writing, one killed.

Arguments: the folder of the digits, the folder of the runs, and as JSON the arguments of each run by its name.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from typing import Any

import torch
from vaegen_training import judge, loop, metrics, train

SHORT_JUDGE = replace(judge.JUDGE_STAGE, epochs=0.8, batch=120, ema=0.5)
DIES_AT = 12  # step of the flow of the run "killed"


def forbid_writing(folder: str) -> None:
    """End the process when it opens a file of the runs to write, or makes, renames or removes one."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in ("os.mkdir", "os.rename", "os.remove") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if changes and str(arguments[0]).startswith(folder):
            os._exit(7)

    sys.addaudithook(watch)


def main() -> None:
    digits, folder, runs = sys.argv[1:]
    if os.environ["RANK"] != "0":
        forbid_writing(folder)
    torch.set_num_threads(1)
    loop.CHECKPOINT_SECONDS, loop.LOGS, loop.PREVIEWS = 0.0, 6, 1
    judge.JUDGE_STAGE = SHORT_JUDGE
    write = metrics.MetricsLog.write

    def write_and_die(self: metrics.MetricsLog, step: int, images: int, means: dict[str, float]) -> None:
        write(self, step, images, means)
        if (self.path.parent.name, self.stage) == ("killed", "flow") and step >= DIES_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    metrics.MetricsLog.write = write_and_die  # type: ignore[method-assign]
    for name, arguments in json.loads(runs).items():
        train(out=f"{folder}/{name}", data_dir=digits, device="cpu", verify_data=False, progress=False, **arguments)


if __name__ == "__main__":
    main()
