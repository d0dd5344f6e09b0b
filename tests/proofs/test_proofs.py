"""The proofs that take minutes, for seconds: what they promise holds, and they have not rotted."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TINY = HERE.parent / "assets" / "tiny"

linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def run(script: str, *arguments: object) -> list[dict[str, Any]]:
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
def test_kills() -> None:
    (figures,) = run("kills.py", "--kills", 2, "--files", 300)
    assert figures["kills"] == 2
    assert figures["finished runs"] >= 1


@linux
def test_a_hostile_folder(tmp_path: Path) -> None:
    # Every tenth file, so that all kinds are among few.
    (figures,) = run("hostile.py", "--files", 240, "--every", 10, "--workers", 1, "--model", TINY, "--in", tmp_path)
    assert figures["bad"] == 11
    (peak,) = figures["peak MB"]
    assert peak < 150


@linux
def test_many_clients() -> None:
    pytest.importorskip("starlette", reason="needs the extra 'serve'")
    (figures,) = run("serve.py", "--clients", 16, "--seconds", 2, "--rounds", 2, "--model", TINY)
    assert (figures["errors"], figures["other bytes"], figures["exit code"]) == (0, 0, 0)
    assert figures["requests"] > 50
    assert figures["MB at the end"] < figures["MB after the first round"] + 10


def test_texts_and_walks_are_legible() -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    drawn, given, walks = run("legible.py", "--texts", 25, "--walks", 6, "--model", "joint")
    assert drawn["read right"] == drawn["all digits accepted"] == 1
    assert given["read right"] >= 0.95
    assert walks["unclear, most"] < 10


def test_enlarged_images_are_the_images() -> None:
    (figures,) = run("shapes.py", "--samples", 20, "--model", "joint")
    assert set(figures["images by largest deviation"]) <= {"0", "1", "2"}
    assert figures["edge, median"] < 2
    assert figures["edges of at most 2 pixels"] > 0.8
    assert figures["svg, most bytes"] < 4096
