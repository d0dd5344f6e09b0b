"""What users' type checkers see of vaegen."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import vaegen

CONSUMER = Path(__file__).with_name("consumer.py")
RUNTIME = Path(vaegen.__file__).parents[1]


def test_mypy_in_strict_mode(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the checker itself")
    # Of a program of their own, checked from another folder with no settings of ours.
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unreachable", "--follow-imports=silent", str(CONSUMER)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ | {"MYPYPATH": str(RUNTIME)}
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_in_strict_mode(tmp_path: Path) -> None:
    program = shutil.which("pyright", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("pyright is not installed")
    settings: dict[str, object] = {"typeCheckingMode": "strict", "extraPaths": [str(RUNTIME)]}
    settings |= {"reportUnnecessaryTypeIgnoreComment": True, "enableTypeIgnoreComments": False}
    shutil.copy(CONSUMER, tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [program, "--project", str(tmp_path), "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        pytest.skip("pyright cannot start, most likely for want of Node.js or a network")
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == 1
