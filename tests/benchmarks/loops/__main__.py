"""`python -m tests.benchmarks.loops FOLDER LOOP`: one loop, which takes requests on stdin and answers on stdout."""

import sys
from pathlib import Path

import torch
from vaegen_training import data

from tests.benchmarks.loops.gate import Loop, serve


def find(name: str) -> Loop:
    """Return the loop that a request's sender calls so."""
    # Imported here: pythae is not installed everywhere, and torchvision alone takes a second.
    if name == "pythae":
        from tests.benchmarks.loops import pythae_trainer

        return pythae_trainer.train
    if name.startswith("report"):
        from tests.benchmarks.loops import report

        return report.load if name == "report-loader" else report.loop(2 if name == "report-2" else 0)
    from tests.benchmarks.loops import own

    what, _, rest = name.partition(":")
    if what == "products":
        return own.products(rest)
    return own.loop(what, own.CHANGES[rest or own.AS_IT_IS])


if __name__ == "__main__":
    folder, name = sys.argv[1:]
    torch.set_flush_denormal(name.startswith(("seed", "default")))  # before torch starts a thread
    serve(find(name), data.load(Path(folder), verify=False).train_images)
