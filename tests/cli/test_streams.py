"""Streams that are closed, full, gone or of another alphabet: a lost message costs nothing, a lost result a code."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from vaegen_cli import main

Process = Callable[..., Any]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]

RED_3 = ("sample", "--color", "red", "--digit", "3", "--model", "TINY")
CLOSED = "vaegen: cannot write to stdout: it is closed\n"
FULL = "vaegen: cannot write to stdout: No space left on device"

posix = pytest.mark.skipif(os.name != "posix", reason="the shell and terminals of POSIX")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture
def shell(here: Path, tiny: Path) -> Shell:
    """Run the command line with the redirections of a shell."""

    def call(redirections: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        words = [str(tiny) if word == "TINY" else word for word in arguments]
        command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "vaegen_cli", *words]
        return subprocess.run(
            command, cwd=here, env=os.environ | environment, capture_output=True, encoding="utf-8", check=False
        )

    return call


@posix
@needs_full
@pytest.mark.parametrize(
    ("redirection", "verb"),
    [
        ("2>&-", "sample"),
        ("2>/dev/full", "sample"),
        ("2>/dev/full", "encode"),
        ("2>/dev/full", "reconstruct"),
        ("2>&- >&- <&-", "reconstruct"),
    ],
)
def test_a_lost_message_costs_no_work(shell: Shell, here: Path, redirection: str, verb: str) -> None:
    (here / "in").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (28, 28)).save(here / "in" / f"{name}.png")
    calls = {
        "sample": [*RED_3, "--color", "#ff0000", "-o", "new/"],
        "encode": ["encode", "in", "--model", "TINY", "-o", "new/latents.npz"],
        "reconstruct": ["reconstruct", "in", "new", "--model", "TINY", "--workers", "2"],
    }
    done = shell(redirection, *calls[verb])
    assert (done.returncode, done.stderr) == (0, "")
    made = {"sample": ["ff0000-3.png", "red-3.png"], "encode": ["latents.npz"], "reconstruct": ["a.png", "b.png"]}
    assert sorted(path.name for path in (here / "new").iterdir()) == made[verb]


@posix
@pytest.mark.parametrize("arguments", [("verify", "TINY"), ("--help",), ("--version",)])
def test_a_closed_stdout_is_no_success(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell(">&-", *arguments)
    assert (done.returncode, done.stderr) == (4, CLOSED)


@posix
@pytest.mark.parametrize("arguments", [(*RED_3, "--json"), (*RED_3, "-o", "-"), ("encode", "x.png", "--model", "TINY")])
def test_a_closed_stdout_is_told_before_any_work(shell: Shell, here: Path, arguments: tuple[str, ...]) -> None:
    done = shell(">&-", *arguments)
    assert done.returncode == 4
    assert done.stderr.endswith(" goes to stdout, which is closed; open it\n")
    assert list(here.iterdir()) == []


@posix
@needs_full
def test_files_are_written_before_a_full_stdout_is_an_error(shell: Shell, here: Path) -> None:
    done = shell(">/dev/full", *RED_3, "--count", "3")
    assert (done.returncode, done.stderr) == (4, f"{FULL}; the files are written\n")
    assert len(list(here.iterdir())) == 3
    assert shell(">/dev/full", "--help").stderr == f"{FULL}\n"


@posix
def test_pipes_whose_readers_have_gone(process: Process, tiny: Path, here: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    started = process("sample", "--model", tiny, "--color", "#300000,red", "--digit", "3", stderr=write)
    assert started.communicate()[0] == b"300000-3.png\nred-3.png\n"
    assert started.returncode == 0
    for arguments in (["--help"], ["--version"], ["sample", "-h"]):
        started = process(*arguments, stdout=write)
        assert (started.communicate()[1], started.returncode) == (b"", 141)
    os.close(write)


@posix
@pytest.mark.parametrize("stdout", ["pipe", "terminal"])
def test_a_terminal_that_is_closed_in_mid_run(process: Process, tiny: Path, here: Path, stdout: str) -> None:
    main(["sample", "--model", str(tiny), "--digit", "0-9", "--color", "red", "--count", "20", "-o", "in/", "-q"])
    ours, theirs = os.openpty()
    streams = {"stderr": theirs} | ({"stdout": theirs} if stdout == "terminal" else {})
    started = process("reconstruct", "in", "out", "--model", tiny, **streams)
    os.close(theirs)
    os.read(ours, 1)  # the bar began
    os.close(ours)
    out, _ = started.communicate()
    assert (started.returncode, out) == (0, b"out\n" if stdout == "pipe" else None)
    assert len(list((here / "out").iterdir())) == 200


@posix
@pytest.mark.parametrize(("encoding", "name"), [("cp1252", r"é\u6570"), ("ascii", r"\xe9\u6570")])
def test_names_that_an_encoding_lacks_are_escaped(shell: Shell, here: Path, encoding: str, name: str) -> None:
    # The shell's own stream is read as UTF-8, so the output is taken from a file.
    call = (*RED_3, "--digit", "4", "-o", "é数/")
    done = shell(">out", *call, PYTHONIOENCODING=encoding, PYTHONUTF8="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert (here / "out").read_text(encoding) == f"{name}/red-3.png\n{name}/red-4.png\n"
    again = shell("2>out", *call, PYTHONIOENCODING=encoding, PYTHONUTF8="1")
    assert again.returncode == 2
    assert f"'{name}/red-3.png' exists" in (here / "out").read_text(encoding)


@posix
def test_stdin_that_is_closed_or_a_terminal(shell: Shell, process: Process, here: Path) -> None:
    done = shell("<&-", "reconstruct", "-", "out")
    assert (done.returncode, done.stderr) == (
        2,
        "vaegen: stdin is closed; an image or a list of files should come from it\n",
    )
    ours, theirs = os.openpty()
    started = process("reconstruct", "-", "out", "--dry-run", stdin=theirs)
    os.close(theirs)
    assert started.stderr.readline() == b"reading an image or a list of files from the terminal; end with Ctrl-D\n"
    os.write(ours, b"absent.png\n\x04")
    started.communicate()
    os.close(ours)


class Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream", [lambda: None, closed, Broken, io.StringIO], ids=["None", "closed", "broken", "text only"]
)
def test_a_program_that_embeds_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tiny: Path, here: Path, stream: Callable[[], Any]
) -> None:
    for name in ("stdout", "stderr", "stdin"):
        monkeypatch.setattr(sys, name, stream())
    call = ["sample", "--model", str(tiny), "--color", "#300000", "--digit", "3", "-o"]
    assert main([*call, "a.png", "-v"]) == 0
    assert (here / "a.png").exists()
    assert main(["sample", "--digit", "10", "--debug"]) == 2
    assert main([*call, "-"]) == 4  # none of these takes bytes
    code = main([*call, "b.png", "--json"])
    if isinstance(sys.stdout, io.StringIO) and not sys.stdout.closed and not isinstance(sys.stdout, Broken):
        assert (code, json.loads(sys.stdout.getvalue().splitlines()[-1])["images"][0]["file"]) == (0, "b.png")
    else:
        assert code == 4


@posix
@pytest.mark.parametrize("arguments", [("sample", "--color", "red", "--digit", "3"), ("bench",)])
@pytest.mark.parametrize("module", ["click.core", "numpy._core._multiarray_umath", "numpy"])
def test_ctrl_c_while_modules_load(process: Process, tiny: Path, module: str, arguments: tuple[str, ...]) -> None:
    model = ("--model", tiny) if arguments[0] == "sample" else (tiny,)
    started = process(*arguments, *model, env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"})
    for line in started.stderr:  # Python names a module when it has loaded it
        if line.decode().rpartition("|")[2].strip() == module:
            break
    started.send_signal(signal.SIGINT)
    out, err = started.communicate()
    assert (started.returncode, out) == (130, b"")
    said = [line for line in err.decode().splitlines() if not line.startswith("import time:")]
    assert said == ["vaegen: interrupted"]


def test_ctrl_c_that_python_drops_comes_again() -> None:
    program = """if True:
        import signal, time
        from vaegen_cli import interrupts
        class Late:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupts.install()
        with interrupts.AtCtrlC(tidy=True):
            try:
                Late()
                time.sleep(60)
            except KeyboardInterrupt:
                print("tidied up", interrupts.came)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "tidied up True\n", "")
