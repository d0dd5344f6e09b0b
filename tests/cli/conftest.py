import functools
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from vaegen_cli import main

TINY = Path(__file__).parents[1] / "assets" / "tiny"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def paths(self) -> list[str]:
        return self.out.splitlines()


Run = Callable[..., Result]


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The committed bundle; read only."""
    return TINY


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the committed bundle, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, in an empty current folder."""

    def call(*arguments: object) -> Result:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def sample(run: Run) -> Run:
    """Run `vaegen sample` with the committed bundle."""
    return lambda *arguments: run("sample", "--model", TINY, *arguments)


@pytest.fixture
def process(here: Path) -> Callable[..., "subprocess.Popen[bytes]"]:
    """Start the command line in a process of its own."""

    def start(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "vaegen_cli", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        # A shell that runs the tests in the background has them, and so their children, ignore Ctrl-C.
        ctrl_c = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(command, cwd=here, preexec_fn=ctrl_c, **pipes)  # type: ignore[call-overload,no-any-return]

    return start
