"""Disks that are full or closed: one line, exit code 4, nothing damaged; with room, the same command works."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]
IMAGES = 600


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, and their latents beside it."""
    folder = tmp_path_factory.mktemp("pictures")
    values = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28, 3)).astype(np.uint8)
    (folder / "in").mkdir()
    for number, value in enumerate(values):
        Image.fromarray(value).save(folder / "in" / f"{number:04d}.png")
    np.savez(folder / "latents.npz", latents=np.random.default_rng(1).normal(size=(IMAGES, 23)).astype(np.float32))
    return folder


@pytest.fixture
def disk(mount_disk: Callable[[str], Path]) -> Path:
    return mount_disk("100k")


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def calls(pictures: Path, disk: Path, tiny: Path) -> dict[str, list[object]]:
    """Commands that write more than the disk holds; what they write goes below it."""
    return {
        "sample": ["sample", "--digit", "0-9", "--color", "red", "--count", 60, "-o", f"{disk}/out/"],
        "sheet": ["sample", "--digit", "0-9", "--color", "red", "--count", 60, "-o", disk / "all.npy"],
        "reconstruct": ["reconstruct", pictures / "in", disk / "out"],
        "encode": ["encode", pictures / "in", "--posterior", "-o", disk / "latents.npz"],
        "lines": ["encode", pictures / "in", "--posterior", "-o", disk / "latents.jsonl"],
        "decode": ["decode", pictures / "latents.npz", "-o", f"{disk}/out/"],
    }


NAMES = sorted(calls(Path(), Path(), Path()))


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk(run: Run, disk: Path, tiny: Path, pictures: Path, name: str) -> None:
    call = calls(pictures, disk, tiny)[name]
    (disk / "mine.txt").write_text("years of work")
    result = run("-q", *call, "--model", tiny)
    assert result.code == 4
    *others, last = result.err.splitlines()
    assert "cannot write" in last
    assert all("look unlike digits" in line for line in others)
    assert "No space left on device" in result.err
    assert (disk / "mine.txt").read_text() == "years of work"
    left = [path for path in disk.rglob("*") if path.is_file() and path.suffix in (".png", ".npy", ".npz", ".jsonl")]
    assert all(path.suffix == ".png" for path in left)
    for path in left:
        Image.open(io.BytesIO(path.read_bytes())).load()
    assert list(disk.rglob("*.tmp")) == []
    remount(disk, "size=16m")
    # A folder's run goes on by itself; the others say what is there, and take --force.
    force = ["--force"] if left and name != "reconstruct" else []
    assert run("-q", *call, "--model", tiny, *force).code == 0
    if name in ("sample", "reconstruct", "decode"):
        assert len(list((disk / "out").rglob("*.png"))) == IMAGES


@pytest.mark.parametrize("name", NAMES)
def test_a_read_only_disk(run: Run, disk: Path, tiny: Path, pictures: Path, name: str) -> None:
    remount(disk, "ro")
    result = run("-q", *calls(pictures, disk, tiny)[name], "--model", tiny)
    assert result.code == 4
    *others, last = result.err.splitlines()
    assert "cannot write" in last
    assert all("look unlike digits" in line for line in others)
    assert result.err.startswith("vaegen: cannot ")
    assert str(disk) in result.err
    assert list(disk.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments", [("sample", "--digit", "3", "--color", "red", "-o", "-"), ("encode", "in/0000.png"), ("models",)]
)
def test_a_full_disk_behind_stdout(pictures: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "vaegen_cli", "-q", *arguments]
        done = subprocess.run(command, cwd=pictures, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 4
    *others, last = done.stderr.splitlines()
    assert "cannot write" in last
    assert all("looks unlike digits" in line for line in others)
    assert "No space left on device" in done.stderr
