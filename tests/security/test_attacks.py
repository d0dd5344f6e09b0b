"""Of hostile bundles with right checksums, each is refused: unread where it can be, else by what it does in a child."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import vaegen
from vaegen import BundleError, verification
from vaegen.manifest import GRAPHS
from vaegen.verification import verify
from vaegen_cli import main

from tests.security.attacks import SECRET, TINY, Attack, apply, attacks

ALL = list(attacks())


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: f"{attack.kind}: {attack.name}")
def test_it_is_refused(attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    apply(attack, bundle)
    (tmp_path / SECRET).write_bytes(b"-----BEGIN PRIVATE KEY-----" + bytes(200))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verification, "SECONDS", 6)
    began = time.process_time()
    (check,) = verify(bundle).problems
    assert check.problem is not None
    assert attack.refused in f"{check.file}: {check.problem}"
    assert (check.file.partition(".")[0], check.name) == (attack.graph, attack.step)
    assert check.problem.isprintable()
    assert len(check.problem) < 1000
    if attack.step in ("format", "schema") and not attack.loads:
        with pytest.raises(BundleError) as refusal:
            vaegen.load(bundle, warm_up=GRAPHS)
        assert str(refusal.value).isprintable()
        assert time.process_time() - began < 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its address space")
def test_millions_of_parts_are_refused_in_little_memory(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    (attack,) = [one for one in ALL if (one.kind, one.name) == ("millions of parts", "empty nodes")]
    apply(attack, bundle)
    code = """
import resource, sys, vaegen
import onnxruntime
resource.setrlimit(resource.RLIMIT_DATA, (2**29, 2**29))  # the file is 2**26 bytes
try:
    vaegen.load(sys.argv[1], warm_up=["judge"])
except vaegen.BundleError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, bundle], capture_output=True, text=True, check=True)
    assert "more than 65,536 parts" in done.stdout


def test_verify_says_in_one_line_what_ended_the_run_and_exits_with_3(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    monkeypatch.setattr(verification, "SECONDS", 0.01)
    assert main(["verify", str(bundle)]) == 3
    out, err = capfd.readouterr()
    assert "FAIL  encoder.onnx    tensors" in out
    assert err == "vaegen: encoder.onnx: the process that ran it was stopped after 0.01 s\n"


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such limit")
def test_a_signal_that_ends_the_run_is_a_failed_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    # Endless work, and the system's clock in place of ours; SIGXCPU stands for SIGSEGV and whatever else there is.
    (attack,) = [one for one in ALL if one.name == "products that take hours"]
    apply(attack, bundle)
    monkeypatch.setattr(verification, "LIMITS", verification.LIMITS | {"RLIMIT_CPU": 2})
    (check,) = verify(bundle).problems
    assert (check.file, check.name) == ("judge.onnx", "tensors")
    assert check.problem in [f"the process that ran it was ended by {name}" for name in ("SIGXCPU", "SIGKILL")]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have fewer limits")
def test_the_run_is_in_an_empty_folder_and_within_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import os, resource, sys
sys.path[:] = sys.argv[1:]
from vaegen import trial
limits = [resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE]
tell = lambda *_: trial._tell("judge", "tensors", f"{os.listdir()} {[resource.getrlimit(one)[1] for one in limits]}")
trial._try_out = tell
trial.main()
"""
    monkeypatch.setattr(verification, "_PROGRAM", program)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (check,) = verify(TINY).problems
    assert check.problem == f"[] {[4 * 2**30, 2**20, 0]}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("", "ended with exit code 0"),
        ("[]", "gave no answer that can be read"),
        ('["judge", "\\u001b[2K", null]', "gave no answer that can be read"),
        ('["judge", "tensors", "\\u001b[2K36 checks passed\\n"]', "\\x1b[2K36 checks passed\\n"),
    ],
)
def test_what_the_run_says_is_not_believed_blindly(said: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = 'print(\'["", "done", null]\')' if said.startswith('["judge", "tensors"') else ""
    monkeypatch.setattr(verification, "_PROGRAM", f"print({said!r})\n{done}" if said else "pass")
    (check,) = verify(TINY).problems
    assert problem in (check.problem or "")
    assert (check.problem or "").isprintable()
    assert check.name == "tensors"
