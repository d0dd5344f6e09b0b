"""What only a process of its own shows: signals, closed pipes and terminals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image

Process = Callable[..., Any]

RED_3 = ("--digit", 3, "--color", "red")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


@posix
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_whole_files_and_says_how_far_it_came(
    process: Process, tiny: Path, here: Path, workers: int
) -> None:
    (here / "in").mkdir()
    for number in range(3000):
        Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(here / "in" / f"{number:04d}.png")
    call = ("reconstruct", "in", "out", "--model", tiny, "--report", "report.jsonl", "--workers", workers)
    started = process(*call, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (here / "out" / "0020.png").exists():
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.005)
    os.killpg(started.pid, signal.SIGINT)  # a terminal sends it to the workers too
    out, err = started.communicate()
    assert started.returncode == 130
    assert out == b""
    lines = err.decode().strip().splitlines()
    assert lines[-1] == "vaegen: interrupted"
    match = re.search(r"(\d+) of 3000 images reconstructed", err.decode())
    assert match is not None
    written = sorted((here / "out").iterdir())
    # The mark, by which the same command goes on.
    assert written.pop(0).name == ".vaegen-unfinished.json"
    # Ctrl-C may fall between the writing of files and their counting, or their lines in the report.
    slack = 1 if workers == 1 else 4 * 3 * 128  # chunks that two workers may have in hand
    assert 20 <= len(written) < 3000
    assert len(written) - slack <= int(match[1]) <= len(written)
    report = [json.loads(line) for line in (here / "report.jsonl").read_text().splitlines()]
    assert int(match[1]) - 1 <= len(report) <= int(match[1]) + 1
    for path in written:
        assert path.suffix == ".png"
        with Image.open(path) as image:
            image.load()
    again = process(*call)
    assert again.communicate()[0] == b"out\n"
    assert again.returncode == 0
    assert len(list((here / "out").iterdir())) == 3000


@posix
def test_ctrl_c_while_sampling(process: Process, tiny: Path, here: Path) -> None:
    started = process("sample", "--model", tiny, *RED_3, "--count", 9000)
    deadline = time.monotonic() + 60
    # Not told by a first line of output: reading one buffers others, which communicate() then misses.
    while not (here / "red-3-000.png").exists():
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.005)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate()
    assert started.returncode == 130
    assert err.decode().strip() == "vaegen: interrupted"
    paths = out.decode().splitlines()
    assert len(paths) < 9000
    assert {path.name for path in here.iterdir()} - set(paths) <= {f"red-3-{len(paths):03d}.png"}
    for path in here.iterdir():
        with Image.open(path) as image:
            image.load()


@posix
@pytest.mark.parametrize("arguments", [("sample", *RED_3), ("sample", *RED_3, "-o", "-"), ("info",)])
def test_a_closed_pipe_is_no_error_of_ours(process: Process, tiny: Path, arguments: tuple[Any, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    started = process(*arguments, *(["--model", tiny] if arguments[0] == "sample" else [tiny]), stdout=write)
    os.close(write)
    _, err = started.communicate()
    assert (started.returncode, err) == (141, b"")


def on_a_terminal(process: Process, *arguments: Any, stream: str, **options: Any) -> tuple[int, bytes, bytes]:
    """Run with a terminal as stdout or stderr; gives exit code, what went to the terminal, and the other stream."""
    ours, theirs = os.openpty()
    started = process(*arguments, **{stream: theirs}, **options)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not part:
            break
        shown += part
    other = started.stdout if stream == "stderr" else started.stderr
    rest = other.read()
    started.communicate()
    os.close(ours)
    return started.returncode, shown, rest


ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS")}
UTF8 = {**ENVIRONMENT, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}


@posix
def test_a_terminal_gets_a_preview_of_the_image(process: Process, tiny: Path, here: Path) -> None:
    call = ("sample", "--model", tiny, *RED_3)
    code, shown, out = on_a_terminal(process, *call, stream="stderr", env=UTF8)
    assert (code, out) == (0, b"red-3.png\n")
    with Image.open(here / "red-3.png") as image:
        pixels = np.asarray(image)
    lines = shown.decode().splitlines()
    assert len(lines) == 14
    for row, line in enumerate(lines):
        runs = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m(\u2580+)", line)
        cells = [[int(value) for value in run[:6]] for run in runs for _ in run[6]]
        assert cells == np.concatenate([pixels[2 * row], pixels[2 * row + 1]], axis=1).tolist()


@posix
@pytest.mark.parametrize(
    ("options", "changes"),
    [(("-q",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"}), ((), {"PYTHONIOENCODING": "ascii"})],
)
def test_no_preview_where_it_is_not_wanted(
    process: Process, tiny: Path, options: tuple[str, ...], changes: dict[str, str]
) -> None:
    call = ("sample", "--model", tiny, *RED_3, *options)
    assert on_a_terminal(process, *call, stream="stderr", env=UTF8 | changes) == (0, b"", b"red-3.png\n")


@posix
@pytest.mark.parametrize("verb", ["sample", "reconstruct"])
def test_image_bytes_are_kept_off_the_terminal(process: Process, tiny: Path, verb: str) -> None:
    process("sample", "--model", tiny, *RED_3).communicate()
    call = (*RED_3, "-o", "-") if verb == "sample" else ("red-3.png", "-")
    code, shown, err = on_a_terminal(process, verb, "--model", tiny, *call, stream="stdout")
    assert (code, shown) == (2, b"")
    assert err.startswith(b"vaegen: ")
    assert b"terminal" in err


@posix
def test_a_bar_on_a_terminal_only(process: Process, tiny: Path, here: Path) -> None:
    process("sample", "--model", tiny, "--digit", "0-9", "--color", "red", "-o", "in").communicate()
    _, shown, _ = on_a_terminal(process, "reconstruct", "in", "one", "--model", tiny, stream="stderr", env=UTF8)
    assert b"10/10" in shown
    assert shown.replace(b"\r", b"").endswith(b"10 of 10 images reconstructed\n")
    started = process("reconstruct", "in", "two", "--model", tiny, stderr=subprocess.PIPE)
    assert started.communicate() == (b"two\n", b"10 of 10 images reconstructed\n")


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (("--version",), 0, f"vaegen {vaegen.__version__}\n", ""),
        (("sample", "--digit", "10"), 2, "", "vaegen: digit '10' does not exist"),
        (("sample", "--color", "red", "--digit", "3", "--model", "TINY"), 0, "red-3.png\n", ""),
    ],
)
def test_the_program_ends_with_all_said_and_the_right_code(
    here: Path, tiny: Path, arguments: tuple[str, ...], code: int, out: str, err: str
) -> None:
    command = [sys.executable, "-c", "from vaegen_cli import run; run()"]
    command += [str(tiny) if argument == "TINY" else argument for argument in arguments]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, out)
    assert done.stderr.startswith(err)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in Linux's /proc")
def test_a_quick_start_leaves_nothing_behind(tiny: Path, here: Path) -> None:
    program = (
        "import gc, os, sys; from vaegen_cli import main; code = main(sys.argv[1:]);"
        "print(code, gc.isenabled(), os.environ.get('OPENBLAS_NUM_THREADS'), len(os.listdir('/proc/self/task')))"
    )
    clean = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    threads = {}
    for chosen in (None, "1", "3"):
        done = subprocess.run(
            [sys.executable, "-c", program, "sample", *map(str, RED_3), "--model", str(tiny), "--force"],
            env=clean if chosen is None else clean | {"OPENBLAS_NUM_THREADS": chosen},
            capture_output=True,
            check=True,
            text=True,
            cwd=here,
        )
        code, collects, left, threads[chosen] = done.stdout.splitlines()[-1].split()
        assert (code, collects, left) == ("0", "True", str(chosen))
    assert threads[None] == threads["1"]
