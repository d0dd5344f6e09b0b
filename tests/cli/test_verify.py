import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_a_good_bundle(run: Run, tiny: Path) -> None:
    result = run("verify", tiny)
    assert result.code == 0
    assert result.err == f"{len(result.paths)} checks passed\n"
    assert {line.split()[0] for line in result.paths} == {"ok"}
    facts = json.loads(run("-q", "verify", tiny, "--json").out)
    assert facts["ok"]
    assert facts["model"]["name"] == "tiny"
    assert len(facts["checks"]) == len(result.paths)


def test_a_tampered_bundle(run: Run, bundle: Path) -> None:
    data = bytearray((bundle / "prior.onnx").read_bytes())
    data[100] ^= 1
    (bundle / "prior.onnx").write_bytes(data)
    result = run("verify", bundle)
    assert result.code == 3
    assert "FAIL  prior.onnx      hash" in result.paths
    assert result.err.startswith("vaegen: prior.onnx: ")
    assert "tampered" in result.err
    assert result.err.count("\n") == 1
    facts = json.loads(run("verify", bundle, "--json").out)
    assert not facts["ok"]
    assert [check["file"] for check in facts["checks"] if check["problem"]] == ["prior.onnx"]


def test_a_folder_without_a_manifest(run: Run, here: Path) -> None:
    (here / "empty").mkdir()
    result = run("verify", "./empty", "--json")
    assert (result.code, json.loads(result.out)["model"]) == (3, None)
    assert run("verify", "./absent").code == 3
    assert run("verify", "jiont").code == 2


def test_verifying_needs_no_onnx_package(tiny: Path) -> None:
    program = "import sys; from vaegen_cli import main; main(sys.argv[1:]); print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, "verify", tiny], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"
