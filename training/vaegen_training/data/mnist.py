"""MNIST as four tensors: from torchvision's download, or from a folder of idx files.

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

import torch
from torch import Tensor
from vaegen.errors import DataError
from vaegen.files import read_file
from vaegen.spec import DIGITS, SIDE

# Uncompressed idx files: name -> (number of items, md5).
CONTENTS = {
    "train-images-idx3-ubyte": (60_000, "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": (60_000, "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": (10_000, "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": (10_000, "27ae3e4e09519cfbb04c329615203637"),
}
_IMAGES, _LABELS = 0x803, 0x801  # idx magic numbers: unsigned bytes in 3 dimensions, in 1


@dataclass(frozen=True)
class Mnist:
    """Gray digits and their labels."""

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
        data_dir: A folder with the four idx files, gzipped or not, or one in torchvision's layout
            (`MNIST/raw` inside it). None downloads with torchvision into the user's cache.
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
        raise DataError(f"{data_dir} is not a folder; --data-dir takes the folder with the four MNIST idx files")
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
            "without a network, give the folder of its four idx files: --data-dir FOLDER"
        ) from error
    return root


def _find(folder: Path, name: str) -> Path:
    for place in (folder, folder / "MNIST" / "raw", folder / "raw"):
        # Some copies spell "train-images.idx3-ubyte"; plain files come first, they need no unpacking.
        for spelling in (name, name.replace("-idx", ".idx")):
            for suffix in ("", ".gz"):
                path = place / (spelling + suffix)
                if path.is_file():
                    return path
    raise DataError(f"{folder} has no {name} or {name}.gz (looked in MNIST/raw too); expected the four MNIST idx files")


def _read(folder: Path, name: str, *, verify: bool) -> Tensor:
    path = _find(folder, name)
    count, md5 = CONTENTS[name]
    limit = count * SIDE * SIDE + 16  # bytes; a file that unpacks to more is not MNIST's
    try:
        raw = read_file(path, limit)
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
                raw = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; get a fresh copy") from error
    if verify and hashlib.md5(raw, usedforsecurity=False).hexdigest() != md5:
        raise DataError(f"{path} is not MNIST's {name}: its md5 differs from {md5}; get a fresh copy")
    return _parse(path, raw, _IMAGES if "images" in name else _LABELS)


def _parse(path: Path, raw: bytes, expected: int) -> Tensor:
    magic = int.from_bytes(raw[:4], "big")
    if magic not in (_IMAGES, _LABELS):
        raise DataError(f"{path} is not an idx file: it starts with {raw[:4].hex() or 'nothing'}")
    if magic != expected:
        found, wanted = ("labels", "images") if magic == _LABELS else ("images", "labels")
        raise DataError(f"{path} holds {found}, not {wanted}; give each of the four files its own name")
    ndim = magic & 0xFF  # 3 or 1
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(ndim)]
    body = raw[4 + 4 * ndim :]
    size = math.prod(shape)
    if size == 0 or len(body) != size or shape[1:] not in ([], [SIDE, SIDE]):
        raise DataError(f"{path} is damaged: {len(body)} bytes for shape {shape}; images must be {SIDE} x {SIDE}")
    if magic == _LABELS and max(body) >= DIGITS:
        raise DataError(f"{path} has the label {max(body)}; labels must be 0 to {DIGITS - 1}")
    return torch.frombuffer(bytearray(body), dtype=torch.uint8).reshape(shape)
