"""Tensors in files: what is written is read back, and a kill at any moment leaves a whole file."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file
from vaegen.errors import DataError
from vaegen_training.models import weights


def test_tensors_and_description_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {
        "weight": torch.randn(3, 4, requires_grad=True),
        "columns": torch.arange(12).reshape(3, 4).T,  # not contiguous
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "half": torch.tensor([0.1]).half(),
        "scalar": torch.tensor(7.5),
    }
    weights.write(tmp_path / "x.safetensors", tensors, {"step": 3, "list": [1, "two"]})
    found, meta = weights.read(tmp_path / "x.safetensors")
    assert meta == {"step": 3, "list": [1, "two"]}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = torch.ones(2), torch.zeros(3)
    weights.write(tmp_path / "a", {"x": first, "y": second}, {"b": 1, "a": 2})
    weights.write(tmp_path / "b", {"y": second, "x": first}, {"a": 2, "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_new_checkpoint_replaces_the_old_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for step in (1, 2):
        weights.write(tmp_path / "x", {"x": torch.full((5,), float(step))}, {"step": step})
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    found, meta = weights.read(tmp_path / "x")
    assert meta == {"step": 2}
    assert found["x"].tolist() == [2] * 5


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(OSError, match="folder"):
        weights.write_atomically(tmp_path / "folder", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "header", "other"])
def test_a_damaged_checkpoint_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "vae.checkpoint.safetensors"
    weights.write(path, {"x": torch.ones(100)}, {"step": 1})
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        save_file({"x": torch.ones(3)}, path)  # sound, but without a description
    else:
        path.write_bytes({"empty": b"", "cut": whole[:-7], "header": b"\xff" * 8 + whole[8:]}[damage])
    with pytest.raises(DataError, match="no readable checkpoint") as caught:
        weights.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


WRITER = """
import sys
from pathlib import Path
import torch
from vaegen_training.models import weights
step = 0
while True:
    step += 1
    weights.write(Path(sys.argv[1]), {"x": torch.full((1_000_000,), float(step))}, {"step": step})
"""


def test_the_file_is_whole_at_every_moment_and_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    seen: set[int] = set()
    try:
        deadline = time.monotonic() + 60
        while len(seen) < 50 and time.monotonic() < deadline:
            if path.exists():
                x = load(path.read_bytes())["x"]  # raises on a torn file
                assert (x == x[0]).all()
                seen.add(int(x[0]))
    finally:
        writer.kill()
        writer.wait()
    found, meta = weights.read(path)
    assert meta["step"] >= max(seen) >= 50
    assert (found["x"] == meta["step"]).all()
