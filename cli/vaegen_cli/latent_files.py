"""Latents in files and on the command line: .npz, .npy, JSON lines, and a spelling for people."""

import codecs
import io
import json
import math
import os
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from vaegen.errors import DataError, RequestError
from vaegen.files import open_plain
from vaegen.spec import LatentSpec

from vaegen_cli.console import stdin
from vaegen_cli.output import PIPE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from vaegen import Model

SUFFIXES = (".npz", ".npy", ".jsonl")
MAGIC = {".npz": b"PK", ".npy": b"\x93NUMPY"}
HEAD = 6  # bytes that tell what a file is
MAX_BYTES = 2**30  # of a file and of its arrays; a small .npz can claim terabytes
MAX_NAME = 4096  # characters, as paths of Linux have
MAX_LINE = 2**22  # characters of JSON, which take 20 times as much memory as lists
HEADER = 2**14  # bytes of an array's header; numpy refuses longer ones
DIRECTORY = 2**16  # bytes at the end of a .npz


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents and what they are called."""

    values: "NDArray[np.floating[Any]]"
    """(n, L), as the file has them; the model checks them."""
    names: tuple[str, ...]
    """n names, or none where the file has none."""


def read_latent(text: str, model: "Model") -> list[float]:
    """Read one latent as a person writes it, by names or by numbers; raises RequestError where it is none."""
    return model.latent(parse_names(text))[0].tolist() if "=" in text else parse_latent(text, model.spec.latent)


def parse_latent(text: str, spec: LatentSpec) -> list[float]:
    """Read one latent as a person writes it.

    - `0.3,-1.2`: the Z continuous coordinates;
    - `4:1.5,7:-2`: coordinates 4 and 7, the others 0;
    - `0.3,-1.2;7,0`: after a semicolon, the class of each of the N categoricals, from 0 to K - 1;
    - `;7,0` or `7,0`: the classes alone, for a model without continuous coordinates;
    - all L numbers, one-hots or soft codes written out.

    Returns:
        L numbers.

    Raises:
        RequestError: It is none of these; the message says what this model takes.
    """
    try:
        numbers = _parse(text, spec)
    except ValueError:
        numbers = []
    if len(numbers) != spec.size:
        raise RequestError(f"latent {text!r} does not fit this model, which takes {_spelling(spec)}")
    return numbers


def parse_names(text: str) -> dict[str, float]:
    """Read parts of a latent chosen by name, as "digit=3,hue=0.55"; whole numbers become integers.

    Raises:
        RequestError: A part is no name and number, or a name comes twice.
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            value = int(number) if re.fullmatch(r"[+-]?[0-9]+", number) else float(number)
        except ValueError:
            value = math.nan
        if not name or math.isnan(value):
            raise RequestError(f"latent {text!r} has the part {part!r}; write name=number, such as hue=0.55")
        if name in values:
            raise RequestError(f"latent {text!r} has {name!r} twice")
        values[name] = value
    return values


def _parse(text: str, spec: LatentSpec) -> list[float]:
    """Read one latent; where the text does not fit, return another number of values than L or raise ValueError."""
    z, (n, k) = spec.continuous, spec.categorical
    left, semicolon, right = text.partition(";")
    count = len(left.split(","))
    if not semicolon and not z and count == n:
        left, semicolon, right = "", ";", left
    if not semicolon:
        return _coordinates(left, 0 if n else z)
    classes = [int(part) for part in right.split(",")] if right.strip() else []
    numbers = _coordinates(left, z)
    if len(numbers) != z or len(classes) != n or not all(0 <= one < k for one in classes):
        return []
    return numbers + [float(one == place) for one in classes for place in range(k)]


def _coordinates(text: str, size: int) -> list[float]:
    """Read numbers, or `place:number` pairs of a row of zeros."""
    parts = [part for part in text.split(",") if part.strip()]
    if not any(":" in part for part in parts):
        return [float(part) for part in parts]
    numbers = [0.0] * size
    for part in parts:
        place, _, value = part.partition(":")
        if not 0 <= int(place) < size:
            raise ValueError
        numbers[int(place)] = float(value)
    return numbers


def _spelling(spec: LatentSpec) -> str:
    z, (n, k) = spec.continuous, spec.categorical
    parts = [f"{z} numbers (or place:number pairs, places 0 to {z - 1})"] if z else []
    parts += [f"a semicolon and {n} classes from 0 to {k - 1}"] if n else []
    return ", then ".join(parts) + (f"; or all {spec.size} numbers" if n else "")


def read_latents(path: Path) -> Latents:
    """Read a .npz with `latents` (n, L) and perhaps `names` (n,), a .npy (n, L), or JSON lines with "latent".

    Args:
        path: The file; "-" for stdin, whose content tells which of the three it is.

    Raises:
        RequestError: The name ends in none of SUFFIXES, or stdin is closed.
        DataError: The file is missing or not what its name says.
    """
    suffix = path.suffix.lower()
    piped = str(path) == PIPE
    if suffix not in SUFFIXES and not piped:
        raise RequestError(f"'{path}' does not end in {', '.join(SUFFIXES)}")
    try:
        if piped:
            pipe = stdin("latents")
            head = pipe.read(HEAD)
            suffix = next((suffix for suffix, magic in MAGIC.items() if head.startswith(magic)), ".jsonl")
            if suffix == ".jsonl":
                return _read_lines(path, pipe, head)
            data = head + pipe.read(MAX_BYTES + 1 - HEAD)
            return _read(path, io.BytesIO(data), suffix, len(data))
        with os.fdopen(open_plain(path), "rb") as stream:
            return _read(path, stream, suffix, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror or error}") from error
    except KeyError as error:
        raise DataError(f"cannot read '{path}': it holds no array named 'latents'") from error
    except MemoryError as error:
        raise DataError(f"cannot read '{path}': not enough memory for its arrays") from error
    except (DataError, RequestError):
        raise
    # zipfile, zlib and numpy's reader of headers raise nearly anything on a damaged file.
    except Exception as error:
        raise DataError(f"cannot read '{path}': not a {suffix} file of plain numbers") from error


def _read(path: Path, stream: BinaryIO, suffix: str, size: int) -> Latents:
    """Read a file that can be read in any order."""
    _check_size(path, size, "larger")
    if suffix == ".jsonl":
        return _read_lines(path, stream, stream.read(HEAD))
    if suffix == ".npz":
        return _read_archive(path, stream)
    return _checked(path, _read_array(path, stream, size))


def _check_size(path: Path, size: int, what: str) -> None:
    if size > MAX_BYTES:
        raise DataError(f"cannot read '{path}': {what} than {MAX_BYTES // 2**30} GiB")


def _read_archive(path: Path, stream: BinaryIO) -> Latents:
    """Read a .npz, of whose contents nothing is unpacked before it is known how much it is."""
    # zipfile makes an object for each entry of the directory, however many there are.
    end = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, end - DIRECTORY))
    tail = stream.read()
    if b"PK\6\7" in tail or any(
        int.from_bytes(tail[found.end() + 8 : found.end() + 12], "little") > DIRECTORY
        for found in re.finditer(b"PK\5\6", tail)
    ):
        raise DataError(f"cannot read '{path}': its directory is larger than {DIRECTORY // 2**10} KiB")
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
            raise DataError(f"cannot read '{path}': compressed in a way that numpy does not write")
        _check_size(path, sum(entry.file_size for entry in entries), "unpacked larger")
        found = archive.getinfo("latents.npy")
        with archive.open(found) as member:
            values = _read_array(path, member, found.file_size)
        latents = _checked(path, values)
        if "names.npy" not in archive.namelist():
            return latents
        found = archive.getinfo("names.npy")
        with archive.open(found) as member:
            names = _read_array(path, member, found.file_size, names=len(values))
        return Latents(values, tuple(str(name) for name in names.reshape(-1)))


def _read_array(path: Path, stream: IO[bytes], size: int, names: int | None = None) -> "NDArray[Any]":
    """Read an array once its header asks for no more than the size of its file; of names, for this many short ones."""
    import numpy as np

    head = io.BytesIO(stream.read(HEADER))
    version = np.lib.format.read_magic(head)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(head)
    count = math.prod(shape)
    if names is not None and count != names:
        raise DataError(f"cannot read '{path}': {count} names for {names} latents")
    if names is not None and dtype.itemsize > 4 * MAX_NAME:
        raise DataError(f"cannot read '{path}': names longer than {MAX_NAME} characters")
    if head.tell() + count * dtype.itemsize > size:
        raise DataError(f"cannot read '{path}': its arrays are larger than the file")
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _read_lines(path: Path, stream: BinaryIO, head: bytes) -> Latents:
    """Read the lines that begin with `head` and go on in a stream."""
    if not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _parse_lines(path, head, stream.readline)
    # What PowerShell 5 makes of a program's output.
    encoding = "utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    text = io.TextIOWrapper(stream, encoding, newline="\n")
    try:
        return _parse_lines(path, head[2:].decode(encoding).encode(), lambda most: text.readline(most).encode())
    finally:
        text.detach()


def _parse_lines(path: Path, head: bytes, readline: "Callable[[int], bytes]") -> Latents:
    import numpy as np

    values = bytearray()
    names: list[str] = []
    taken = length = number = 0
    while line := head + readline(MAX_LINE + 1):  # a head with a line break in it is no whole entry
        head = b""
        number += 1
        if len(line) > MAX_LINE:
            raise DataError(f"cannot read '{path}': line {number} is longer than {MAX_LINE} characters")
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            row = np.array(entry["latent"], np.float32)
            names.append(str(entry.get("name", "")))
            length = length or len(row)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DataError(f"cannot read '{path}': line {number} has no usable \"latent\"") from error
        if row.shape != (length,):
            raise DataError(f"cannot read '{path}': latents of several lengths")
        if len(names[-1]) > MAX_NAME:
            raise DataError(f"cannot read '{path}': line {number} has a name of over {MAX_NAME} characters")
        values += row.tobytes()
        taken += row.nbytes + sys.getsizeof(names[-1])
        _check_size(path, taken, "unpacked larger")
    rows = np.frombuffer(values, np.float32).reshape(len(names), length) if values else np.empty(0)
    return Latents(_checked(path, rows).values, tuple(names) if all(names) else ())


def _checked(path: Path, values: "NDArray[Any]") -> Latents:
    if values.ndim == 0 or not len(values):
        raise DataError(f"cannot read '{path}': it holds no latents")
    return Latents(values, ())


def encode_npz(arrays: "dict[str, NDArray[Any]]") -> bytes:
    """Return arrays as the bytes of a .npz file, the same bytes for the same arrays."""
    import numpy as np

    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def encode_lines(arrays: "dict[str, NDArray[Any]]") -> str:
    """Return arrays (n, ...) as n lines of JSON; floats keep the shortest spelling that brings float32 back."""
    from vaegen.encoding import to_lists

    keys = {"names": "name", "latents": "latent"}
    columns = {keys.get(name, name): array for name, array in arrays.items()}
    n = len(arrays["names"])
    rows = ({key: column[row] for key, column in columns.items()} for row in range(n))
    return "".join(
        json.dumps({key: str(value) if key == "name" else to_lists(value) for key, value in row.items()}) + "\n"
        for row in rows
    )
