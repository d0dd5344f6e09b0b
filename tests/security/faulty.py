"""`vaegen` with a fault: a process that loads the libraries once and forks for each call, so that a call takes 50 ms.

Each line on stdin is a call, in JSON: `argv`, `cwd`, the file for `err`, the `fault` and the number `at` of the system
call it begins with. Each line on stdout is an exit code, negative for a signal. An argument loads training too.
"""

import errno
import importlib
import json
import os
import resource
import signal
import stat
import sys
from typing import Any, NoReturn

NAMING = {"os.rename", "os.link", "os.remove", "os.rmdir", "ctypes.dlsym"}  # what `kill` counts
GROWING = {"open", "os.mkdir", "os.rename", "os.link", "os.truncate"}  # what `full` counts, with `os.write`
DESCRIPTORS = 32


def arm(fault: str, at: int) -> None:
    """Let the disk be full from the n-th call that needs room, or kill this process at the n-th that changes a name."""
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls >= at and fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if calls >= at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in (NAMING if fault == "kill" else GROWING):
            return
        if event == "open" and (str(arguments[0]).startswith("/dev/") or not arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if event == "ctypes.dlsym" and arguments[1] != "renameat2":
            return
        count()

    def write(handle: int, data: Any) -> int:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            count()
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


def call(order: dict[str, Any]) -> NoReturn:
    """Be `vaegen`, and end."""
    from vaegen_cli import run

    os.chdir(order["cwd"])
    err = os.open(order["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, handle in enumerate((os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_WRONLY), err)):
        os.dup2(handle, number)
        os.close(handle)
    sys.argv[1:] = order["argv"]
    fault = order["fault"]
    if fault in ("kill", "full"):
        arm(fault, order["at"])
    elif fault == "descriptors":
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    elif fault:
        close(fault)
    try:
        run()
    except SystemExit as end:  # Python's own way out would wait for threads of onnxruntime that no fork inherits
        os._exit(int(end.code or 0))


def serve() -> None:
    """Answer calls until stdin ends."""
    sys.dont_write_bytecode = True
    for name in ("vaegen.folder", "vaegen.model", "onnxruntime", *sys.argv[1:]):
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            call(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
