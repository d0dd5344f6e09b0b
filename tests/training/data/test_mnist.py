"""MNIST's files in every layout, every kind of damage as one clear line, and torchvision's download for real."""

import functools
import gzip
import hashlib
import http.server
import os
import runpy
import shutil
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from vaegen.errors import DataError
from vaegen_training.data import Mnist, mnist

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = mnist.CONTENTS


@pytest.fixture
def copy(digits_dir: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may damage: unpacked idx files."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in mnist.CONTENTS:
        (folder / name).write_bytes(gzip.decompress((digits_dir / f"{name}.gz").read_bytes()))
    return folder


def same(first: Mnist, second: Mnist) -> bool:
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in first.__dataclass_fields__)


def refusal(folder: Path | None, *, verify: bool = False) -> str:
    """Load what cannot be loaded; give the message."""
    with pytest.raises(DataError) as caught:
        mnist.load(folder, verify=verify)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is accepted -----------------------------------------------------------------------------------------


def test_the_sample_is_real_digits_with_their_labels(digits: Mnist) -> None:
    assert digits.train_images.shape == (1000, 28, 28)
    assert digits.test_images.shape == (200, 28, 28)
    assert digits.train_images.dtype == torch.uint8
    assert digits.train_labels.dtype == torch.int64
    assert torch.bincount(digits.train_labels).tolist() == [100] * 10
    assert torch.bincount(digits.test_labels).tolist() == [20] * 10
    assert digits.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # as MNIST begins
    assert digits.train_images.amax((1, 2)).amin() > 200


def test_plain_files_load_as_gzipped_ones_do(digits: Mnist, copy: Path) -> None:
    assert same(mnist.load(copy, verify=False), digits)


@pytest.mark.parametrize("place", ["MNIST/raw", "raw"])
def test_torchvisions_layout_loads(digits: Mnist, copy: Path, place: str) -> None:
    root = copy.parent / "root"
    shutil.copytree(copy, root / place)
    assert same(mnist.load(root, verify=False), digits)


def test_the_other_spelling_of_the_names_loads(digits: Mnist, copy: Path) -> None:
    for path in copy.iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert same(mnist.load(copy, verify=False), digits)


def test_tensors_can_be_moved(digits: Mnist) -> None:
    moved = digits.to(torch.device("meta"))
    assert {getattr(moved, name).device.type for name in moved.__dataclass_fields__} == {"meta"}


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(mnist.CONTENTS))
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    message = refusal(copy)
    assert name in message
    assert str(copy) in message


def test_a_missing_folder_and_a_file_instead_of_one_are_named(tmp_path: Path, copy: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert "is not a folder" in refusal(copy / IMAGES)


def test_other_digits_than_mnists_are_refused_unless_asked_for(digits_dir: Path, copy: Path) -> None:
    for folder in (digits_dir, copy):
        message = refusal(folder, verify=True)
        assert IMAGES in message
        assert "md5" in message


@pytest.mark.parametrize("name", [IMAGES, LABELS])
@pytest.mark.parametrize("keep", [0, 3, 6, 900, -1])
def test_a_truncated_file_is_refused(copy: Path, name: str, keep: int) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[:keep])
    assert str(path) in refusal(copy)


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_truncated_gzip_file_is_refused(copy: Path, keep: int) -> None:
    path = copy / f"{IMAGES}.gz"
    path.write_bytes(gzip.compress((copy / IMAGES).read_bytes())[:keep])
    (copy / IMAGES).unlink()
    assert str(path) in refusal(copy)


@pytest.mark.parametrize("place", [0, 10, 5000, -6])  # gzip's header, deflate's, the data, the checksum
def test_a_damaged_byte_in_a_gzip_file_is_refused(copy: Path, place: int) -> None:
    path = copy / f"{IMAGES}.gz"
    packed = bytearray(gzip.compress((copy / IMAGES).read_bytes()))
    packed[place] ^= 0xFF
    path.write_bytes(packed)
    (copy / IMAGES).unlink()
    message = refusal(copy)
    assert f"{path} cannot be read" in message
    assert "get a fresh copy" in message


def test_a_file_that_is_no_gzip_or_no_idx_is_refused(copy: Path) -> None:
    (copy / IMAGES).write_bytes(b"<html>Not found</html>")
    assert "is not an idx file" in refusal(copy)
    (copy / IMAGES).rename(copy / f"{IMAGES}.gz")
    assert "cannot be read" in refusal(copy)


def test_a_gzip_bomb_is_not_unpacked(copy: Path) -> None:
    (copy / LABELS).unlink()
    (copy / f"{LABELS}.gz").write_bytes(gzip.compress(bytes(300_000_000), compresslevel=1))
    tracemalloc.start()
    message = refusal(copy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert LABELS in message
    assert peak < 200_000_000  # bytes; the largest true file has 47 million


def test_images_of_another_size_are_refused(copy: Path) -> None:
    raw = bytearray((copy / IMAGES).read_bytes())
    raw[4:16] = b"".join(size.to_bytes(4, "big") for size in (4000, 14, 14))
    (copy / IMAGES).write_bytes(raw)
    assert "28 x 28" in refusal(copy)


def test_a_file_under_anothers_name_is_refused(copy: Path) -> None:
    shutil.copy(copy / LABELS, copy / IMAGES)
    message = refusal(copy)
    assert str(copy / IMAGES) in message
    assert "labels" in message


def test_images_and_labels_that_do_not_match_are_refused(copy: Path) -> None:
    shutil.copy(copy / TEST_LABELS, copy / LABELS)
    assert "1000 images but 200 labels" in refusal(copy)


def test_a_label_that_is_no_digit_is_refused(copy: Path) -> None:
    raw = bytearray((copy / LABELS).read_bytes())
    raw[-1] = 26  # as in data sets of letters
    (copy / LABELS).write_bytes(raw)
    message = refusal(copy)
    assert "26" in message
    assert "0 to 9" in message


# --- torchvision's download -----------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def mirror(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A mirror of MNIST on this machine that torchvision downloads from, and a cache of this test's own."""
    from torchvision.datasets import MNIST

    served = tmp_path / "served"
    served.mkdir()
    resources = []
    for path in copy.iterdir():
        packed = gzip.compress(path.read_bytes(), mtime=0)
        (served / f"{path.name}.gz").write_bytes(packed)
        resources.append((f"{path.name}.gz", hashlib.md5(packed, usedforsecurity=False).hexdigest()))
    handler = functools.partial(Quiet, directory=os.fspath(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(MNIST, "resources", resources)
        monkeypatch.setenv("TORCH_HOME", os.fspath(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield served
        server.shutdown()


def test_without_a_folder_mnist_is_downloaded_once(
    digits: Mnist, mirror: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert same(mnist.load(verify=False), digits)
    assert list((tmp_path / "cache").rglob(IMAGES))
    for path in mirror.iterdir():
        path.unlink()
    assert same(mnist.load(verify=False), digits)  # from the cache
    assert capfd.readouterr().out == ""  # stdout is for results


def test_an_interrupted_download_is_done_again(digits: Mnist, mirror: Path, tmp_path: Path) -> None:
    raw = tmp_path / "cache" / "vaegen" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    packed = (mirror / f"{IMAGES}.gz").read_bytes()
    (raw / f"{IMAGES}.gz").write_bytes(packed[: len(packed) // 2])
    (raw / IMAGES).write_bytes(b"unpacked half way")
    assert same(mnist.load(verify=False), digits)


def test_without_a_network_the_reason_and_the_way_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST

    with socket.create_server(("127.0.0.1", 0)) as server:  # a port where nobody listens any more
        port = server.getsockname()[1]
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{port}/"])
    monkeypatch.setenv("TORCH_HOME", os.fspath(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    message = refusal(None)
    assert "could not be downloaded" in message
    assert "refused" in message
    assert "data_dir='FOLDER'" in message


def test_a_damaged_download_is_refused(mirror: Path) -> None:
    (mirror / f"{IMAGES}.gz").write_bytes(b"something else")
    assert "corrupted" in refusal(None)


@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_a_damaged_cache_says_what_to_remove(mirror: Path, tmp_path: Path, keep: int) -> None:
    mnist.load(verify=False)
    (path,) = (tmp_path / "cache").rglob(IMAGES)
    path.write_bytes(path.read_bytes()[:keep])
    message = refusal(None)
    assert f"remove {path.parents[2]} to download MNIST again" in message
    shutil.rmtree(path.parents[2])
    mnist.load(verify=False)


# --- all of MNIST ---------------------------------------------------------------------------------------------


@pytest.mark.mnist
def test_all_of_mnist_is_verified_and_loads(mnist_dir: Path) -> None:
    found = mnist.load(mnist_dir)
    assert found.train_images.shape == (60_000, 28, 28)
    assert found.test_images.shape == (10_000, 28, 28)
    assert torch.bincount(found.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(found.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert float(found.train_images.float().mean()) / 255 == pytest.approx(0.1307, abs=1e-4)


@pytest.mark.mnist
def test_torchvisions_cache_is_used_and_verified(
    mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", os.fspath(tmp_path))
    raw = tmp_path / "vaegen" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in mnist.CONTENTS:
        plain, packed = mnist_dir / name, mnist_dir / f"{name}.gz"
        content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
        (raw / name).write_bytes(content)
    assert mnist.load().train_images.shape == (60_000, 28, 28)
    with (raw / TEST_IMAGES).open("r+b") as file:
        file.seek(100_000)
        file.write(b"\x01")
    message = refusal(None, verify=True)
    assert TEST_IMAGES in message
    assert "md5" in message


@pytest.mark.mnist
def test_the_sample_is_what_its_script_makes(digits_dir: Path, mnist_dir: Path, tmp_path: Path) -> None:
    make = runpy.run_path(os.fspath(digits_dir.parent / "make_digits.py"))["make"]
    make(mnist_dir, tmp_path)
    for name in mnist.CONTENTS:
        made, committed = ((folder / f"{name}.gz").read_bytes() for folder in (tmp_path, digits_dir))
        assert gzip.decompress(made) == gzip.decompress(committed)  # zlib's builds do not all pack alike
        assert made[:10] == committed[:10]  # the header: no name, no time
