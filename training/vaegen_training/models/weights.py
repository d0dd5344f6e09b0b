"""Tensors in files: safetensors with a JSON description, each replaced atomically."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from vaegen.errors import DataError, shown
from vaegen.files import read_file, write_file

MAX_BYTES = 2**32
_SUM = "crc32"  # of the values, in the description

M = TypeVar("M", bound=nn.Module)


def write(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able description: a kill leaves the old file or the new one.

    Raises:
        OutputError: The file cannot be written.
    """
    cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**meta, _SUM: _sum(save(cpu))}, sort_keys=True)
    write_file(path, save(cpu, {"meta": text}), force=True, sync=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write` wrote; it may come from anybody, so look at the tensors with `check` before use.

    Raises:
        DataError: The file is missing, damaged or no plain file.
    """
    try:
        data = read_file(path, MAX_BYTES)
        tensors = load(data)  # and with it the header is known to be sound
        header = json.loads(data[8 : _start(data)])
        meta = dict(json.loads(header["__metadata__"]["meta"]))
        if meta.pop(_SUM, None) not in (None, _sum(data)):  # vaegen 0.1 wrote none
            raise ValueError("the checksum of its tensors is another")  # noqa: TRY301, all damage is told alike
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else shown(str(error))
        raise DataError(f"{path} is no readable checkpoint ({reason})") from error
    return tensors, meta


def _start(data: bytes) -> int:
    """Return where the values begin: 8 bytes tell the length of the header that comes first."""
    return 8 + int.from_bytes(data[:8], "little")


def _sum(data: bytes) -> int:
    return zlib.crc32(memoryview(data)[_start(data) :])


def check(
    path: Path, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor], stored: torch.dtype | None = None
) -> None:
    """Check that tensors have the names, shapes and types of others, and finite values.

    Args:
        path: Where they were read.
        tensors: What was read.
        like: What they should be like.
        stored: The floating-point type in the file; by default that of `like`.

    Raises:
        DataError: They have not.
    """
    for name in sorted(tensors.keys() ^ like.keys()):
        what = "a" if name in tensors else "no"
        raise DataError(f"{path} is not of this model: it has {what} tensor {shown(name)!r}")
    for name, tensor in tensors.items():
        wanted = like[name]
        dtype = stored if stored and wanted.is_floating_point() else wanted.dtype
        if (tensor.shape, tensor.dtype) != (wanted.shape, dtype):
            found = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise DataError(f"{path} is not of this model: {name} is {found}, not {dtype} {tuple(wanted.shape)}")
        if not tensor.isfinite().all():
            raise DataError(f"{path} is damaged: {name} has values that are no finite numbers")


def load_into(module: M, path: Path, stored: torch.dtype | None = None) -> M:
    """Return a module, now in evaluation mode, with the weights in a file; `stored` as for `check`.

    Raises:
        DataError: The file is missing or damaged, or holds another module's weights.
    """
    tensors, _ = read(path)
    check(path, tensors, module.state_dict(), stored)
    module.load_state_dict(tensors)
    return module.eval()


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
