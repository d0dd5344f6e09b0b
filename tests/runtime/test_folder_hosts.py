"""Hosts that cannot have worker processes: `auto` does with one, a number is refused in one line before any work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TINY = Path(__file__).parents[1] / "assets" / "tiny"

# What the program below cannot have, and the reason that it gives.
HOSTS = {
    "no guard": "they ended at once",
    "stdin": "the main program comes from stdin",
    "daemon": "daemonic processes are not allowed to have children",
    "no multiprocessing": "_multiprocessing",
    "killed": "they ended at once",
    "read-only /dev/shm": "Read-only file system",
}

CALL = f"""
import logging, sys
import vaegen
from vaegen.folder import work

def call():
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    work.PER_WORKER = 1  # so that 'auto' takes two for two files
    workers = sys.argv[1] if sys.argv[1] == "auto" else int(sys.argv[1])
    try:
        print(vaegen.reconstruct_folder(vaegen.load({str(TINY)!r}), "in", "out", workers=workers).written)
    except vaegen.VaegenError as error:
        print(error)
"""

PROGRAMS = {
    "daemon": """
import multiprocessing
if __name__ == "__main__":
    process = multiprocessing.Process(target=call, daemon=True)
    process.start()
    process.join()
""",
    "no multiprocessing": "sys.modules['_multiprocessing'] = None\ncall()",
    "killed": "import os\nif __name__ != '__main__':\n    os._exit(9)\ncall()",
    "guarded": "if __name__ == '__main__':\n    call()",
    "read-only /dev/shm": "if __name__ == '__main__':\n    call()",
}

READ_ONLY = 'mount --bind /dev/shm /dev/shm && mount -o remount,bind,ro /dev/shm && exec "$@"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (28, 28)).save(tmp_path / "in" / f"{name}.png")
    return tmp_path


def run(folder: Path, host: str, workers: str) -> str:
    """Run a program that reconstructs a folder; gives its output, and expects no other."""
    program = folder / "program.py"
    program.write_text(CALL + PROGRAMS.get(host, "call()"))
    command = [sys.executable, "-" if host == "stdin" else str(program), workers]
    if host == "read-only /dev/shm":
        command = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", *command]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, input=program.read_text(), timeout=120
    )
    if host == "read-only /dev/shm" and done.returncode:
        pytest.skip(f"this process may not change what is mounted: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("host", HOSTS)
def test_a_number_is_refused_in_one_line(folder: Path, host: str) -> None:
    if host == "read-only /dev/shm" and shutil.which("unshare") is None:
        pytest.skip("this system has no unshare")
    out = run(folder, host, "2")
    assert out.startswith("cannot start 2 worker processes (")
    assert HOSTS[host] in out
    assert out.endswith("); workers=1 starts none\n")
    assert out.count("\n") == 1
    assert not (folder / "out").exists()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="'auto' takes one process on one core")
@pytest.mark.parametrize("host", ["no guard", "daemon"])
def test_auto_does_with_one_process(folder: Path, host: str) -> None:
    *said, written = run(folder, host, "auto").splitlines()
    assert len(said) == 1
    assert said[0].startswith("one process does the work; 2 cannot be started: ")
    assert HOSTS[host] in said[0]
    assert written == "2"
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.png", "b.png"]


def test_where_there_may_be_workers(folder: Path) -> None:
    assert run(folder, "guarded", "2") == "2\n"
