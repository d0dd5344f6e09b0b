"""MNIST, or data in its format, as four tensors: from torchvision's download, or from a folder of idx files.

The files' own md5 sums are those that torchvision checks; for files that were compressed anew, the sums of the
uncompressed contents decide.
"""

import gzip
import hashlib
import io
import math
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from vaegen.errors import DataError, setting
from vaegen.files import read_file
from vaegen.spec import DIGITS, SIDE

# Uncompressed idx files: name -> (number of items, md5).
CONTENTS = {
    "train-images-idx3-ubyte": (60_000, "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": (60_000, "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": (10_000, "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": (10_000, "27ae3e4e09519cfbb04c329615203637"),
}
_MOST = 60_000 * SIDE * SIDE + 16  # bytes of a file
# idx magic numbers: unsigned bytes in 3 dimensions and in 1; and int32 in 2, whose first column is the class in QMNIST.
_IMAGES, _LABELS, _RECORDS = 0x803, 0x801, 0xC02


@dataclass(frozen=True)
class Mnist:
    """Gray digits, or other images of ten classes, and their labels."""

    train_images: Tensor
    """uint8 (n, 28, 28), 0 background, 255 full stroke."""
    train_labels: Tensor
    """int64 (n,), 0 to 9."""
    test_images: Tensor
    """uint8 (m, 28, 28)."""
    test_labels: Tensor
    """int64 (m,)."""

    @property
    def digest(self) -> str:
        """SHA-256 of all four."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{tuple(tensor.shape)}".encode() + tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    def to(self, device: torch.device) -> "Mnist":
        """Return a copy whose tensors live on `device`; all of MNIST is 47 MB."""
        return Mnist(
            self.train_images.to(device),
            self.train_labels.to(device),
            self.test_images.to(device),
            self.test_labels.to(device),
        )


def load(data_dir: Path | None = None, *, verify: bool = True) -> Mnist:
    """Load MNIST.

    Args:
        data_dir: A folder with the four idx files, gzipped or not, under MNIST's names or QMNIST's, or one in
            torchvision's layout (`MNIST/raw` or `raw` inside it). None downloads MNIST with torchvision into the user's
            cache.
        verify: Compare with the checksums of MNIST; off for other data in the same format.

    Raises:
        DataError: A file is missing, damaged or not MNIST's.
    """
    if data_dir is not None:
        return _load(data_dir, verify=verify)
    root = _download()
    try:
        return _load(root, verify=verify)
    except DataError as error:
        raise DataError(f"{error}; remove {root} to download MNIST again") from error


def _load(data_dir: Path, *, verify: bool) -> Mnist:
    if not data_dir.is_dir():
        raise DataError(
            f"{data_dir} is not a folder; {setting('data_dir')} takes the folder with the four MNIST idx files"
        )
    tensors = [_read(data_dir, name, verify=verify) for name in CONTENTS]
    for images, labels, which in ((tensors[0], tensors[1], "train"), (tensors[2], tensors[3], "t10k")):
        if len(images) != len(labels):
            raise DataError(f"{data_dir}: {which} has {len(images)} images but {len(labels)} labels")
    return Mnist(tensors[0], tensors[1].long(), tensors[2], tensors[3].long())


def _download() -> Path:
    root = Path(torch.hub.get_dir()).parent / "vaegen"
    # With fewer files than four torchvision unpacks them all again, which repairs what a kill cut short; with four
    # it would parse them unchecked.
    if all((root / "MNIST" / "raw" / name).is_file() for name in CONTENTS):
        return root
    # Imported here: torchvision takes a second to load and is needed for the download alone.
    from torchvision.datasets import MNIST

    try:
        MNIST(root, download=True)
    except (RuntimeError, OSError, HTTPException) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"MNIST could not be downloaded to {root} ({reason}); "
            f"without a network, give the folder of its four idx files: {setting('data_dir', 'FOLDER')}"
        ) from error
    return root


def _find(folder: Path, name: str) -> Path:
    for place in (folder, folder / "MNIST" / "raw", folder / "raw"):
        # Some copies spell "train-images.idx3-ubyte"; plain files come first, they need no unpacking.
        for spelling in (name, name.replace("-idx", ".idx"), _qmnist(name)):
            for suffix in ("", ".gz"):
                path = place / (spelling + suffix)
                if path.is_file():
                    return path
    raise DataError(f"{folder} has no {name} or {name}.gz (looked in MNIST/raw too); expected the four MNIST idx files")


def _qmnist(name: str) -> str:
    return f"qmnist-{name.replace('t10k', 'test').replace('labels-idx1-ubyte', 'labels-idx2-int')}"


def _read(folder: Path, name: str, *, verify: bool) -> Tensor:
    path = _find(folder, name)
    _, md5 = CONTENTS[name]
    try:
        raw = read_file(path, _MOST)
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
                raw = stream.read(_MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; get a fresh copy") from error
    if verify and hashlib.md5(raw, usedforsecurity=False).hexdigest() != md5:
        raise DataError(
            f"{path} is not MNIST's {name}: its md5 differs from {md5}; get a fresh copy; "
            "other digits in this format are taken with --no-verify, verify_data=False"
        )
    return _parse(path, raw, _IMAGES if "images" in name else _LABELS)


def _parse(path: Path, raw: bytes, expected: int) -> Tensor:
    """Return images uint8 (n, 28, 28) or labels uint8 (n,)."""
    magic, ndim = int.from_bytes(raw[:4], "big"), raw[3] if len(raw) > 3 else 0
    if raw[:2] != b"\0\0" or not ndim:
        raise DataError(f"{path} is not an idx file: it starts with {raw[:4].hex() or 'nothing'}")
    found = {_IMAGES: "images", _LABELS: "labels", _RECORDS: "labels"}.get(magic)
    wanted = "images" if expected == _IMAGES else "labels"
    if found is None:
        kind = f"idx type {raw[2]:#04x} in {ndim} dimensions"
        raise DataError(f"{path} holds {kind}; {wanted} are unsigned bytes, 0x08, in {expected & 0xFF}")
    if found != wanted:
        raise DataError(f"{path} holds {found}, not {wanted}; give each of the four files its own name")
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(ndim)]
    body, dtype = raw[4 + 4 * ndim :], np.dtype(">i4" if magic == _RECORDS else "u1")
    size = math.prod(shape) * dtype.itemsize
    if size == 0 or len(body) != size:
        raise DataError(f"{path} is damaged: {len(body)} bytes where a shape of {shape} has {size}; get a fresh copy")
    values = np.frombuffer(body, dtype).reshape(shape)
    if magic == _IMAGES and shape[1:] != [SIDE, SIDE]:
        raise DataError(
            f"{path} has images of {shape[1]} x {shape[2]}; make them {SIDE} x {SIDE}, gray, and light on dark"
        )
    if magic != _IMAGES:
        values = values if magic == _LABELS else values[:, 0]
        for label in (int(values.min()), int(values.max())):
            if not 0 <= label < DIGITS:
                raise DataError(f"{path} has the label {label}; a model has ten classes, with labels 0 to {DIGITS - 1}")
    return torch.from_numpy(values.astype(np.uint8))
