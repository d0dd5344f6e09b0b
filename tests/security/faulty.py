"""`vaegen` with a fault: a process that loads the libraries once and forks for each call, so that a call takes 50 ms.

Each line on stdin is a call, in JSON: `argv`, `cwd`, the file for `err`, the `fault`, and the number `at` of the system
call it begins with. Each line on stdout is an exit code, negative for a signal. Arguments name more to be imported.
"""

import ctypes
import errno
import importlib
import json
import os
import resource
import signal
import stat
import sys
import traceback
from pathlib import Path
from typing import Any

NAMING = {"os.rename", "os.link", "os.remove", "os.rmdir", "ctypes.dlsym"}  # what `kill` counts
GROWING = {"open", "os.mkdir", "os.rename", "os.link", "os.truncate"}  # what `full` counts, with `os.write`
DESCRIPTORS = 32
SECONDS = 60  # after which a call counts as hanging
CANNOT = 77  # exit code where this process may not have the fault


def arm(fault: str, at: int) -> None:
    """Let the disk be full from the n-th call that needs room, or kill this process at the n-th that changes a name."""
    calls = 0
    here = f"{Path.cwd()}/"

    def count(place: str) -> None:
        """Count a call, but not those of libraries with their caches."""
        nonlocal calls
        if place.startswith("/") and not place.startswith((here, "/proc/self/fd/")):
            return
        calls += 1
        if calls >= at and fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if calls >= at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in (NAMING if fault == "kill" else GROWING):
            return
        if event == "open" and (isinstance(arguments[0], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if event != "ctypes.dlsym":
            count("" if isinstance(arguments[0], int) else os.fsdecode(arguments[0]))
        elif arguments[1] == "renameat2":
            count("")

    def write(handle: int, data: Any) -> int:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            count(str(Path(f"/proc/self/fd/{handle}").readlink()))
        return system_write(handle, data)

    system_write = os.write
    if fault == "full":
        os.write = write
    sys.addaudithook(hook)


def close(names: str) -> None:
    """Close some of the three streams; they are what Python makes of closed ones when it starts."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if name in names:
            os.close(number)
            setattr(sys, name, None)


def hide_shared_memory() -> None:
    """Let /dev/shm be read-only for this process and its children."""
    system, namespace, private, read_only = ctypes.CDLL(None), 0x20000, 0x44000, 1
    if (
        system.unshare(namespace)
        or system.mount(b"none", b"/", None, private, None)
        or system.mount(b"none", b"/dev/shm", b"tmpfs", read_only, None)
    ):
        os._exit(CANNOT)


def call(order: dict[str, Any]) -> None:
    """Be `vaegen`, and end."""
    from vaegen_cli import run

    os.chdir(order["cwd"])
    err = os.open(order["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, handle in enumerate((os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_WRONLY), err)):
        os.dup2(handle, number)
        os.close(handle)
    sys.argv[1:] = order["argv"]
    signal.alarm(SECONDS)
    fault = order["fault"]
    if fault in ("kill", "full"):
        arm(fault, order["at"])
    elif fault == "descriptors":
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    elif fault == "no shared memory":
        hide_shared_memory()
    elif fault:
        close(fault)
    try:
        run()
    except SystemExit as end:  # Python's own way out would wait for threads of onnxruntime that no fork inherits
        os._exit(int(end.code or 0))
    except BaseException:  # noqa: BLE001, likewise
        traceback.print_exc()
        os._exit(1)


def serve() -> None:
    """Answer calls until stdin ends."""
    sys.dont_write_bytecode = True
    for name in ("vaegen.folder", "vaegen.model", "onnxruntime", *sys.argv[1:]):
        importlib.import_module(name)
    if "vaegen_training" in sys.argv:
        acceptance = importlib.import_module("vaegen_training.prior.acceptance")
        vars(acceptance)["_LEVELLED"] = 20  # samples of each digit: more would take longer than a short training
    for line in sys.stdin:
        child = os.fork()
        if not child:
            call(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
