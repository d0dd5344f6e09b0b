"""Prove that a large folder with bad files in it is reconstructed, in constant memory, and every bad file named.

    python tests/proofs/hostile.py                          # 1,000 and 100,000 files, by one process and by two
    python tests/proofs/hostile.py --files 300 --workers 1

Makes folders in which one file in a hundred is hostile or strange, runs `vaegen reconstruct` on them and checks that
every good file is reconstructed, every bad one is in the report with its reason, and so is what was left out, and that
the exit code is 1. Prints the peak memory of each process, as Linux counts it (VmHWM), and files per second.
`--in FOLDER` should be in memory, such as /dev/shm: 100,000 files take about 400 MB there, and are removed at the end.
"""

import argparse
import functools
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

IN_FOLDER = 1000
TWIN = "000000"
LEFT_OUT = ("loop", "._000000.png", "Thumbs.db", "notes.txt")  # in each folder

# Root reads any file; without these two rights it is refused like anybody.
AS_ANYBODY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]

Write = Callable[[Path], object]


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def png(header: bytes, content: bytes) -> bytes:
    """Return a PNG of any header and pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(content)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@functools.cache
def kinds() -> list[tuple[str, str, Write, str | None]]:
    """List what is hostile or strange: a name, a suffix, how it is made, and the reason to be told where it is bad."""
    digit = np.random.default_rng(1).integers(0, 256, (28, 28, 3)).astype(np.uint8)
    rgb, gray16 = Image.fromarray(digit), Image.fromarray(digit.astype(np.uint16)[:, :, 0] * 257)
    exif = Image.Exif()
    exif[274] = 6
    whole = saved(rgb, "PNG")

    def data(content: bytes) -> Write:
        return lambda path: path.write_bytes(content)

    def closed(path: Path) -> None:
        path.write_bytes(whole)
        path.chmod(0)

    frames = {"save_all": True, "append_images": [rgb.rotate(90)]}
    # The first ten are in a folder of 1,000 too, and use all that takes memory: every reader of Pillow's.
    bomb = png(struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0), b"\0" * 100_000)
    return [
        ("truncated", ".jpg", data(saved(rgb.resize((200, 200)), "JPEG")[:-2000]), "damaged or unsupported"),
        ("bomb", ".png", data(bomb), "pixels"),
        ("gray-16-bit", ".tif", data(saved(gray16, "TIFF")), None),
        ("cmyk", ".jpeg", data(saved(rgb.convert("CMYK"), "JPEG")), None),
        ("animated", ".gif", data(saved(rgb, "GIF", **frames)), None),
        ("animated", ".webp", data(saved(rgb, "WEBP", **frames)), None),
        ("1x1", ".bmp", data(saved(rgb.resize((1, 1)), "BMP")), None),
        ("1x10000", ".png", data(saved(rgb.resize((1, 10000)), "PNG")), None),
        ("truncated", ".png", data(whole[: len(whole) // 2]), "damaged or unsupported"),
        ("closed", ".png", closed, "Permission denied"),
        ("no-image", ".png", data(b"this is a text\n"), "not a PNG"),
        ("jpeg-inside", ".png", data(saved(rgb, "JPEG")), None),
        ("empty", ".png", data(b""), "not a PNG"),
        ("gray-16-bit", ".png", data(saved(gray16, "PNG")), None),
        ("floating-point", ".tiff", data(saved(rgb.convert("F"), "TIFF")), "floating-point"),
        ("turned", ".jpg", data(saved(rgb, "JPEG", exif=exif)), None),
        ("dangling-link", ".png", lambda path: path.symlink_to("nowhere"), "No such file"),
        ("link-to-itself", ".png", lambda path: path.symlink_to(path.name), "symbolic link"),
        ("pipe", ".png", os.mkfifo, "not a plain file"),
        ("two\nlines", ".png", data(whole), None),
        (os.fsdecode(b"no-utf-8-\xff\xfe"), ".PNG", data(whole), None),
        ("caf\u00e9 \u4e2d\u6587 \U0001f600", ".png", data(whole), None),
        ("-q --force; $(reboot)", ".png", data(whole), None),
    ]


def make(root: Path, files: int, every: int) -> Iterator[tuple[str, str | None]]:
    """Make a folder of images; gives the name of each, and its reason if it is bad."""
    pictures = np.random.default_rng(0).integers(0, 256, (100, 28, 28, 3)).astype(np.uint8)
    contents = [saved(Image.fromarray(picture), "PNG") for picture in pictures]
    for number in range(files):
        folder = root / f"{number // IN_FOLDER:04d}"
        if number % IN_FOLDER == 0:
            folder.mkdir(parents=True)
            # A loop of folders: links are not followed.
            (folder / "loop").symlink_to("..", target_is_directory=True)
            for name in LEFT_OUT[1:]:
                (folder / name).write_bytes(b"")
        name, write, reason = f"{number:06d}.png", None, None
        if number % every == every - 1:
            kind, suffix, write, reason = kinds()[number // every % len(kinds())]
            name = f"{number:06d} {kind}{suffix}"
        if write is None:
            (folder / name).write_bytes(contents[number % len(contents)])
        else:
            write(folder / name)
        yield f"{folder.name}/{name}", reason


class Peaks:
    """The peak memory of a process and of its children, as long as they live."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.kib: dict[int, int] = {}

    def look(self) -> None:
        for pid in (self.pid, *_children(self.pid)):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            peak = re.search(r"VmHWM:\s*(\d+)", status)
            # Workers, and not multiprocessing's own small helper, nor what is about to become one of them.
            if peak and (pid == self.pid or b"spawn_main" in command):
                self.kib[pid] = max(self.kib.get(pid, 0), int(peak[1]))

    def megabytes(self) -> list[float]:
        """Return the peaks in MB (10^6 bytes), the command's own first."""
        return [round(kib * 1024 / 1e6, 1) for _, kib in sorted(self.kib.items())]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def run(arguments: list[str]) -> tuple[int, str, list[float], float]:
    """Run the command; gives its exit code, its stderr, the peaks and the seconds."""
    command = [*(AS_ANYBODY if os.geteuid() == 0 else []), sys.executable, "-m", "vaegen_cli", *arguments]
    began = time.monotonic()
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        peaks = Peaks(process.pid)
        while process.poll() is None:
            peaks.look()
            time.sleep(0.02)
        seconds = time.monotonic() - began
        stderr.seek(0)
        return process.returncode, stderr.read().decode(), peaks.megabytes(), seconds


def result_of(name: str) -> str:
    """Return the place of a result; that of the twins is their whole name."""
    return f"{name}.png" if Path(name).stem == TWIN else str(Path(name).with_suffix(".png"))


def prove(home: Path, files: int, every: int, workers: list[int], model: str) -> Iterator[dict[str, Any]]:
    """Make a folder and run the proof on it, once for each number of workers; gives the figures.

    Raises:
        AssertionError: A promise is broken.
    """
    source, target, report = home / "in", home / "out", home / "report.jsonl"
    expected = dict(make(source, files, every))
    bad = {name for name, reason in expected.items() if reason is not None}
    arguments = [
        "-q",
        "reconstruct",
        str(source),
        str(target),
        "--intake",
        "as-is",
        "--model",
        model,
        "--report",
        str(report),
    ]

    # Two images that would become one file.
    (source / "0000" / f"{TWIN}.jpg").write_bytes(saved(Image.new("RGB", (28, 28)), "JPEG"))
    expected[f"0000/{TWIN}.jpg"] = None
    left_out = {f"{folder.name}/{name}" for folder in source.iterdir() for name in LEFT_OUT}

    for count in workers:
        code, told, peaks, seconds = run([*arguments, "--workers", str(count)])
        assert code == 1, (code, told[-2000:])
        found, ignored = {}, set()
        with report.open(encoding="ascii") as lines:
            for line in lines:
                entry = json.loads(line)
                if entry["status"] == "ignored":
                    ignored.add(entry["path"])
                else:
                    found[entry["path"]] = entry["reason"]
        assert ignored == left_out
        assert found.keys() == expected.keys()
        assert {name for name, reason in found.items() if reason is not None} == bad
        for name, reason in expected.items():
            told_reason = found[name]
            assert reason is None or reason in told_reason, (name, told_reason)
        assert "Traceback" not in told
        failures = [line for line in told.splitlines() if "look unlike digits" not in line]
        assert len(failures) == min(len(bad), 20) + (len(bad) > 20), told[:2000]
        written = 0
        for folder, _, names in os.walk(target):
            for name in names:
                with Image.open(Path(folder, name)) as image:
                    image.load()
                    assert image.size == (28, 28)
                written += 1
        assert written == len(expected) - len(bad)
        assert all((target / result_of(name)).is_file() for name in expected if name not in bad)
        yield {
            "files": files,
            "bad": len(bad),
            "workers": count,
            "peak MB": peaks,
            "files/s": round(files / seconds),
        }
        shutil.rmtree(target)
        report.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description="Prove that large folders with bad files in them are no trouble.")
    parser.add_argument("--files", default="1000,100000", help="sizes of the folders")
    parser.add_argument("--every", type=int, default=100, help="one file in so many is hostile or strange")
    parser.add_argument("--workers", default="1,2", help="numbers of processes")
    parser.add_argument("--model", default="continuous")
    parser.add_argument("--in", dest="home", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    arguments = parser.parse_args()
    workers = [int(one) for one in arguments.workers.split(",")]
    for files in map(int, arguments.files.split(",")):
        with tempfile.TemporaryDirectory(dir=arguments.home) as home:
            for figures in prove(Path(home), files, arguments.every, workers, arguments.model):
                print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
