"""`python -m vaegen_training ...` is `vaegen train ...`, as a module: what torchrun starts several times.

The outermost of the programs, above the command line: nothing imports it.
"""

import os
import signal
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from vaegen_cli import main

PATIENCE = 10.0  # seconds
WATCH = 1.0  # seconds between two looks after torchrun
INTERRUPTED = 130  # what `vaegen` exits with after Ctrl-C


def run() -> int:
    """Run `vaegen train` with this program's arguments; of several processes, only the first one speaks."""
    arguments = ["train", *sys.argv[1:]]
    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if os.environ.get("RANK", "0") == "0":
        return main(arguments)
    # They all come to the same results and refusals. What goes wrong in one alone is no refusal and passes through.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = main(arguments)
    if code not in (0, INTERRUPTED):
        # torchrun ends all processes once one has failed: let that be the one that says why.
        time.sleep(PATIENCE)
    return code


def _end_with(parent: int) -> None:
    """End this process when torchrun, its parent, was killed: its run will be started again, and has one writer."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run())
