"""Files of latents made to cost time or memory are one clear line, in a process with limits on both."""

import functools
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

SECONDS = 20  # of CPU time, on slow machines too; everything here takes at most 2
MEMORY = 300  # MiB, of addresses too
WIDTH = 32


def npy(shape: str, kind: str = "<f4", data: bytes = b"", padding: int = 0) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(padding)
    return b"\x93NUMPY\x02\0" + struct.pack("<L", len(header)) + header + data


def npz(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


LATENTS = npy(f"(2, {WIDTH})", data=bytes(8 * WIDTH))


def many_entries(count: int) -> bytes:
    """A directory of so many files that are all the same one."""
    data = npz(latents=LATENTS)
    end = data.rindex(b"PK\5\6")
    start = struct.unpack_from("<L", data, end + 16)[0]
    directory = data[start:end] * count
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(directory), start, 0)
    return data[:start] + directory + tail


def long_end() -> bytes:
    """An end of 64 bits whose directory is longer than the one of 32 bits says."""
    data = npz(latents=LATENTS)
    end = data.rindex(b"PK\5\6")
    big = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 10**6, 10**6, 10**8, 0)
    return data[:end] + big + struct.pack("<4sLQL", b"PK\6\7", 0, end, 1) + data[end:]


def line(latent: str, **more: object) -> bytes:
    return f'{{"latent": {latent}, {json.dumps(more)[1:-1] or json.dumps("a") + ": 1"}}}\n'.encode()


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "names.npz": (
        lambda: npz(latents=LATENTS, names=npy("(2,)", "<U26214400", bytes(2 * 4 * 26214400))),
        "names longer than 4096 characters",
    ),
    "count.npz": (
        lambda: npz(latents=LATENTS, names=npy("(50000000,)", "<U1", bytes(2 * 10**8))),
        "50000000 names for 2 latents",
    ),
    "bomb.npz": (lambda: npz(a=bytes(2**28), b=bytes(2**28), c=bytes(2**28), latents=bytes(2**28 + 1)), "unpacked"),
    "claim.npz": (lambda: npz(latents=npy(f"({10**12}, {WIDTH})")), "larger than the file"),
    "claim.npy": (lambda: npy(f"({10**12}, {WIDTH})"), "larger than the file"),
    "header.npy": (lambda: npy(f"(2, {WIDTH})", padding=100_000_000), "not a .npy file"),
    "header.npz": (lambda: npz(latents=npy(f"(2, {WIDTH})", padding=500_000_000)), "not a .npz file"),
    "digits.npy": (lambda: npy("(" + "9" * 9000 + ",)"), "not a .npy file"),
    "element.npy": (lambda: npy("(2,)", "<U500000000"), "larger than the file"),
    "entries.npz": (lambda: many_entries(10**6), "its directory is larger than 64 KiB"),
    "entries64.npz": (long_end, "its directory is larger than 64 KiB"),
    "lzma.npz": (lambda: npz(zipfile.ZIP_LZMA, latents=LATENTS), "compressed in a way"),
    "line.jsonl": (lambda: line("[" + "1," * 20_000_000 + "1]"), "line 1 is longer than 4194304 characters"),
    "lists.jsonl": (lambda: line("[" + "[]," * 1_300_000 + "1]"), "line 1 has no usable"),
    "deep.jsonl": (lambda: line("[" * 2_000_000 + "]" * 2_000_000), "line 1 has no usable"),
    "digits.jsonl": (lambda: line("[" + "9" * 4_000_000 + "]"), "line 1 has no usable"),
    "name.jsonl": (lambda: line("[1]", name="a" * 4_000_000), "line 1 has a name of over 4096 characters"),
    "scalars.jsonl": (lambda: line("1") * 10**6, "line 1 has no usable"),
    "lengths.jsonl": (lambda: line("[1]") + line("[1, 2]") * 10**6, "latents of several lengths"),
}

READER = """
import json, resource, sys, time
from pathlib import Path
from vaegen import VaegenError
from vaegen_cli.latent_files import read_latents
def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(key))
first, memory, *paths = sys.argv[1:]
assert read_latents(Path(first)).values.shape == (2, 32)
most = (status("VmSize") + int(memory)) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for path in paths:
    started = time.process_time()
    try:
        found = f"read {read_latents(Path(path)).values.shape}"
    except VaegenError as error:
        found = str(error)
    print(json.dumps([found, time.process_time() - started]))
"""


@functools.cache
def attacked() -> dict[str, tuple[str, float]]:
    """Read all attacks in another process; return what was wrong, and seconds of CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "first.npy"
        np.save(first, np.zeros((2, WIDTH), np.float32))
        for name, (make, _) in ATTACKS.items():
            (Path(folder) / name).write_bytes(make())
        command = [sys.executable, "-W", "error", "-c", READER, str(first), str(MEMORY)]
        command += [str(Path(folder) / name) for name in ATTACKS]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        limit = 10 * SECONDS
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit, env=environment)
    assert done.stderr == ""
    return dict(zip(ATTACKS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as on Linux")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_one_line(name: str) -> None:
    found, seconds = attacked()[name]
    assert found.startswith("cannot read '")
    assert ATTACKS[name][1] in found
    assert "\n" not in found
    assert seconds < SECONDS


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    from vaegen import DataError
    from vaegen_cli.latent_files import read_latents

    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DataError, match="not a plain file"):
        read_latents(tmp_path / "pipe.npz")
