"""Cut tests/assets/digits, a small sample of real digits, out of MNIST.

    python tests/assets/make_digits.py FOLDER_OF_MNIST     # rewrites tests/assets/digits, byte for byte the same

The first 100 training and the first 20 test digits of each class, in MNIST's own order, in MNIST's own format.
"""

import argparse
import gzip
import io
from pathlib import Path

import torch
from torch import Tensor
from vaegen.spec import DIGITS
from vaegen_training.data.mnist import CONTENTS, load

TRAIN, TEST = 100, 20  # digits of each class
TARGET = Path(__file__).with_name("digits")


def first_of_each(labels: Tensor, count: int) -> Tensor:
    """Return the indices of the first `count` items of each class, in rising order: int64 (10 * count,)."""
    chosen = [(labels == digit).nonzero().flatten()[:count] for digit in range(DIGITS)]
    return torch.cat(chosen).sort().values


def idx(values: Tensor) -> bytes:
    """Return the idx form of a uint8 tensor."""
    header = [0x0800 + values.ndim, *values.shape]
    return b"".join(number.to_bytes(4, "big") for number in header) + values.contiguous().numpy().tobytes()


def compress(content: bytes) -> bytes:
    """Gzip without a name and a time, so that the same content gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def make(source: Path, target: Path) -> None:
    """Write the four files of the sample."""
    mnist = load(source)
    train, test = first_of_each(mnist.train_labels, TRAIN), first_of_each(mnist.test_labels, TEST)
    parts = (
        mnist.train_images[train],
        mnist.train_labels[train].byte(),
        mnist.test_images[test],
        mnist.test_labels[test].byte(),
    )
    for name, values in zip(CONTENTS, parts, strict=True):
        (target / f"{name}.gz").write_bytes(compress(idx(values)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with MNIST's four idx files")
    make(parser.parse_args().source, TARGET)
