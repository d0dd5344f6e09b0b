"""Pictures made to cost time or memory: refused before they unfold, or read as if the attack was not there.

Each attack is a function that makes a file. It is read in a process of its own, with limits on memory and time.
"""

import functools
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vaegen.images import decode_image

RED = (200, 40, 20)
MEMORY = 900  # MiB that reading may add, of addresses too; what is accepted takes 770 and its file
SECONDS = 20  # of CPU time, on slow machines too; everything here takes less than 1
READ = None


def saved(file_format: str, width: int = 28, height: int = 28, mode: str = "RGB", **options: object) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (width, height), RED).convert(mode).save(stream, file_format, **options)
    return stream.getvalue()


# --- PNG ----------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*before: bytes, after: bytes = b"", width: int = 28, height: int = 28) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress((b"\0" + bytes(RED) * 28) * 28))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + rows + after + chunk(b"IEND")


def unfolding(head: bytes = b"") -> bytes:
    """16 MiB in 16 KiB."""
    return head + zlib.compress(bytes(2**24))


def png_animation(frames: int) -> bytes:
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 28, 28, 0, 0, 1, 1, 0, 0))
    return png(chunk(b"acTL", struct.pack(">II", frames, 0)), after=frame * frames)


def png_profile() -> bytes:
    text = b"\nexif\n99\n" + b"00" * 2**23
    return png(*[chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))] * 9)


# --- JPEG ---------------------------------------------------------------------------------------------------------


def segment(marker: int, data: bytes = b"") -> bytes:
    return bytes((255, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg(inserted: bytes, *, progressive: bool = False) -> bytes:
    data = saved("JPEG", quality=95, progressive=progressive)
    return data[:2] + inserted + data[2:]


def jpeg_scans(count: int, side: int) -> bytes:
    data = saved("JPEG", side, side, progressive=True, subsampling=0)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def jpeg_ended(inserted: bytes) -> bytes:
    """With bytes before its end."""
    data = saved("JPEG", quality=95)
    return data[:-2] + inserted + data[-2:]


def jpeg_frame(width: int, height: int, components: int, marker: int = 0xC2) -> bytes:
    frame = b"".join(bytes((number, 0x11, 0)) for number in range(components))
    head = segment(marker, struct.pack(">BHHB", 8, height, width, components) + frame)
    return b"\xff\xd8" + head + segment(0xDA, bytes((components,)) + bytes(2 * components + 3)) + b"\xff\xd9"


def exif(count: int, entries: int = 1) -> bytes:
    """A directory whose tags say that they have so many values."""
    tags = b"".join(struct.pack("<HHLL", 0x9000 + place % 999, 4, count, 8) for place in range(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + tags + bytes(4)


# --- GIF, WebP, BMP -----------------------------------------------------------------------------------------------


def gif(inserted: bytes = b"", screen: tuple[int, int] = (28, 28), picture: tuple[int, int] = (28, 28)) -> bytes:
    data = saved("GIF")
    at = data.index(b",\0\0\0\0")
    size = struct.pack("<HH", *picture)
    return data[:6] + struct.pack("<HH", *screen) + data[10:at] + inserted + data[at : at + 5] + size + data[at + 9 :]


def gif_codes() -> bytes:
    """Nothing but codes that begin the table anew."""
    data = b"GIF89a" + struct.pack("<HHBBB", 8000, 8000, 0, 0, 0) + b"," + struct.pack("<4HB", 0, 0, 8000, 8000, 0)
    return data + b"\x08" + (b"\xff" + bytes((0, 1, 2, 4, 8, 16, 32, 64, 128)) * 28 + b"\0\1\2") * 2**17 + b"\0;"


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def webp_canvas(width: int, height: int, flags: int = 0, *chunks: bytes) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(riff_chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size), *(chunks or [saved("WEBP")[12:]]))


def webp_animation(frames: int) -> bytes:
    picture = saved("WEBP", 1, 1)[12:]
    frame = riff_chunk(b"ANMF", bytes(16) + picture)
    return webp_canvas(28, 28, 2, riff_chunk(b"ANIM", bytes(6)), frame * frames)


def bmp(width: int, height: int, method: int = 0, data: bytes = b"") -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, method, len(data), 0, 0, 256, 0)
    palette = bytes(range(1, 256)) * 4 + bytes(4)
    return b"BM" + struct.pack("<IHHI", 1078 + len(data), 0, 0, 1078) + head + palette + data


# --- TIFF ---------------------------------------------------------------------------------------------------------


def tiff(*tags: tuple[int, int | list[int]], data: bytes = bytes(784), loop: bool = False, entries: int = 0) -> bytes:
    """A gray picture of 28x28 with some tags that are others; `data` begins at 8."""
    usual: dict[int, int | list[int]] = {
        256: 28,
        257: 28,
        258: 8,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 28,
        279: len(data),
    }
    given = usual | dict(tags)
    start = 8 + len(data)
    rest = b""
    table = b""
    for tag, value in sorted(given.items()):
        values = value if isinstance(value, list) else [value]
        place = struct.pack("<L", values[0])
        if len(values) > 1:
            place = struct.pack("<L", start + 6 + 12 * (len(given) + entries) + len(rest))
            rest += struct.pack(f"<{len(values)}L", *values)
        table += struct.pack("<HHL", tag, 4, len(values)) + place
    table += struct.pack("<HHLL", 65000, 4, 2**32 - 1, 8) * entries
    after = struct.pack("<L", start if loop else 0)
    head = b"II*\0" + struct.pack("<L", start)
    return head + data + struct.pack("<H", len(given) + entries) + table + after + rest


def tiff_tile() -> bytes:
    data = zlib.compress(bytes(1000))
    return tiff((259, 8), (322, 46336), (323, 46336), (324, 8), (325, len(data)), data=data)


def tiff_shared() -> bytes:
    """Two tags that both have the whole file as their values."""
    data = bytearray(tiff((347, 8), (700, 8), data=bytes(100_000)))
    for tag in (347, 700):
        struct.pack_into("<L", data, data.rindex(struct.pack("<HHL", tag, 4, 1)) + 4, 15_000)
    return bytes(data)


def tiff_overlapping() -> bytes:
    """7,000 strips that are all the same 1 MiB of data."""
    data = zlib.compress(os.urandom(2**20))
    places, sizes = [8] * 7000, [len(data)] * 7000
    return tiff((256, 8000), (257, 7000), (259, 8), (278, 1), (273, places), (279, sizes), data=data)


def tiff_scans() -> bytes:
    data = jpeg_scans(90, 4096)
    return tiff((256, 4096), (257, 4096), (258, [8, 8, 8]), (259, 7), (262, 6), (277, 3), (278, 4096), data=data)


def tiff_pages(pages: int) -> bytes:
    return saved("TIFF", save_all=True, append_images=[Image.new("RGB", (28, 28), RED)] * pages)


def tiff_count(count: int) -> bytes:
    """The width as a list of so many numbers."""
    data = bytearray(tiff(data=bytes(4 * count)))
    struct.pack_into("<LL", data, data.rindex(struct.pack("<HHL", 256, 4, 1)) + 4, count, 8)
    return bytes(data)


def big_tiff() -> bytes:
    return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63) + bytes(100)


PIXELS = "pixels are more than the 268435456 that are read"
MANY = "more than 65536 chunks, segments, blocks, strips or tiles"
LONG = "takes too long"
ATTACKS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "png, 2 billion pixels": (lambda: png(width=46336, height=46336), PIXELS),
    "png, 2^62 pixels": (lambda: png(width=2**31, height=2**31), PIXELS),
    "png, a million chunks": (lambda: png(chunk(b"prVt") * 10**6), MANY),
    "png, a million empty chunks of pixels": (lambda: png(chunk(b"IDAT") * 10**6), MANY),
    "png, a chunk of 60 MB": (lambda: png(chunk(b"prVt", bytes(60_000_000))), READ),
    "png, compressed texts": (lambda: png(*[chunk(b"zTXt", unfolding(b"a\0\0"))] * 50), READ),
    "png, compressed international texts": (lambda: png(*[chunk(b"iTXt", unfolding(b"a\0\1\0\0\0"))] * 50), READ),
    "png, a compressed profile": (lambda: png(chunk(b"iCCP", unfolding(b"a\0\0"))), READ),
    "png, EXIF as compressed text": (png_profile, READ),
    "png, EXIF with huge counts": (lambda: png(chunk(b"eXIf", exif(2**32 - 1, 65535))), READ),
    "png, 60,000 frames": (lambda: png_animation(60_000), READ),
    "png, a million frames": (lambda: png_animation(10**6), MANY),
    "jpeg, a thousand scans": (lambda: jpeg_scans(1000, 2560), LONG),
    "jpeg, 4 billion pixels": (lambda: jpeg_frame(65535, 65535, 3), PIXELS),
    "jpeg, coefficients of 800 MB": (lambda: jpeg_frame(10000, 10000, 4), "takes 900 MB"),
    "jpeg, a million comments": (lambda: jpeg(segment(0xFE) * 10**6), MANY),
    "jpeg, 60,000 comments": (lambda: jpeg(segment(0xFE, b"hello") * 60_000), READ),
    "jpeg, 30 million fill bytes": (lambda: jpeg(b"\xff" * 30_000_000), READ),
    "jpeg, 30 million fill bytes in its pixels": (lambda: jpeg_ended(b"\xff" * 30_000_000), READ),
    "jpeg, 30 million bytes of junk": (lambda: jpeg(segment(0xFE) + bytes(30_000_000)), READ),
    "jpeg, millions of restarts": (lambda: jpeg_ended(b"\xff\xd0" * 10_000_000), READ),
    "jpeg, millions of restarts in its headers": (lambda: jpeg(b"\xff\xd0" * 10_000_000), MANY),
    "jpeg, tables of 6 MB": (lambda: jpeg(segment(0xDB, (b"\0" + b"\1" * 64) * 1000) * 100), LONG),
    "jpeg, two frames": (lambda: jpeg(jpeg_frame(28, 28, 3)[2:-2], progressive=True), "two frames"),
    "jpeg, a profile of 60 MB": (lambda: jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(65000)) * 900), READ),
    "jpeg, EXIF of 60 MB": (lambda: jpeg(segment(0xE1, b"Exif\0\0" + exif(2**32 - 1, 5400)) * 900), READ),
    "jpeg, a broken index of pictures": (lambda: jpeg(segment(0xE2, b"MPF\0no index")), READ),
    "gif, 4 billion pixels": (lambda: gif(screen=(65535, 65535)), PIXELS),
    "gif, a picture of 4 billion pixels": (lambda: gif(picture=(65535, 65535)), PIXELS),
    "gif, millions of blocks": (lambda: gif(b"!\xfe" + b"\1a" * 5_000_000 + b"\0"), MANY),
    "gif, millions of comments": (lambda: gif(b"!\xfe\1a\0" * 5_000_000), MANY),
    "gif, 30 million bytes of junk": (lambda: gif(bytes(30_000_000)), READ),
    "gif, codes without pixels": (gif_codes, "damaged"),
    "webp, a canvas of 2^48 pixels": (lambda: webp_canvas(2**24, 2**24), PIXELS),
    "webp, a canvas of 60 million pixels": (lambda: webp_canvas(8000, 7500), "takes 960 MB"),
    "webp, 200,000 frames": (lambda: webp_animation(200_000), MANY),
    "webp, EXIF with huge counts": (
        lambda: webp_canvas(28, 28, 8, saved("WEBP")[12:], riff_chunk(b"EXIF", exif(2**32 - 1, 65535))),
        READ,
    ),
    "bmp, 2^62 pixels": (lambda: bmp(2**31 - 1, 2**31 - 1), PIXELS),
    "bmp, runs without pixels": (lambda: bmp(2000, 2000, 1, b"\1\1" * 2000 + b"\1\1" * 20_000_000), LONG),
    "bmp, 50 million pixels in runs": (lambda: bmp(7000, 7000, 1, b"\1\1\0\0" * 7000), LONG),
    "tiff, a tile of 2 GB": (tiff_tile, "takes 2147 MB"),
    "tiff, 4 billion pixels": (lambda: tiff((256, 2**16), (257, 2**16)), PIXELS),
    "tiff, a strip of 268 million samples of 16 bits": (
        lambda: tiff((256, 16384), (257, 16384), (258, 16), (278, 16384)),
        "takes 1342 MB",
    ),
    "tiff, 2^32 values in a tag": (lambda: tiff(entries=1), READ),
    "tiff, 65,000 tags": (lambda: tiff(entries=65_000), READ),
    "tiff, a width of 5 million numbers": (lambda: tiff_count(5_000_000), "tag 256 has 5000000 values"),
    "tiff, tags that share their values": (tiff_shared, READ),
    "tiff, tags without end": (big_tiff, "cut off"),
    "tiff, a directory that is its own next": (lambda: tiff(loop=True), READ),
    "tiff, 300 pages": (lambda: tiff_pages(300), READ),
    "tiff, a tile for each pixel": (
        lambda: tiff((256, 8000), (257, 8000), (322, 1), (323, 1), (324, 8), (325, 1)),
        LONG,
    ),
    "tiff, thousands of large tiles": (
        lambda: tiff((256, 4096), (257, 16), (322, 16), (323, 2**20), (324, [8] * 256), (325, [784] * 256)),
        LONG,
    ),
    "tiff, strips of one picture a thousand times": (
        lambda: tiff((256, 4096), (257, 4096), (278, 2048), (273, [8, 9] * 500), (279, [784] * 1000)),
        LONG,
    ),
    "tiff, strips that overlap": (tiff_overlapping, "larger than the file"),
    "tiff, JPEG of a hundred scans": (tiff_scans, LONG),
}

READER = """
import json, resource, sys, time
from vaegen import ImageError
from vaegen.images import read_image
def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(key))
first, memory, *paths = sys.argv[1:]
read_image(first)
most = (status("VmSize") + int(memory)) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for path in paths:
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before, started = status("VmHWM"), time.process_time()
    try:
        found = read_image(path)[14, 14].tolist()
    except ImageError as error:
        found = str(error)
    print(json.dumps([found, time.process_time() - started, status("VmHWM") - before]))
"""


def costs(files: dict[str, bytes]) -> dict[str, tuple[list[int] | str, float, int]]:
    """Read files in another process; return the middle pixel or what was wrong, seconds of CPU time, and MiB."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{place}.png" for place in range(len(files) + 1)]
        for path, data in zip(paths, [png(), *files.values()], strict=True):
            path.write_bytes(data)
        command = [sys.executable, "-W", "error", "-c", READER, str(paths[0]), str(MEMORY), *map(str, paths[1:])]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        limit = 10 * SECONDS
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit, env=environment)
    assert done.stderr == ""
    return dict(zip(files, map(json.loads, done.stdout.splitlines()), strict=True))


@functools.cache
def attacked(kind: str) -> dict[str, tuple[list[int] | str, float, int]]:
    """Read all attacks of one kind."""
    return costs({name: make() for name, (make, _) in ATTACKS.items() if name.startswith(kind)})


linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, and limited")


@linux
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_little(name: str) -> None:
    message = ATTACKS[name][1]
    found, seconds, taken = attacked(name.partition(",")[0])[name]
    if message is READ:
        plain = (0, 0, 0) if name.startswith("tiff, ") and "pages" not in name else RED
        assert isinstance(found, list), found
        assert max(abs(ours - right) for ours, right in zip(found, plain, strict=True)) <= 6
    else:
        assert isinstance(found, str)
        assert message in found
        assert "\n" not in found
    assert seconds < SECONDS
    assert taken < 140  # the file, up to 60 MB, and what is left of it; the budget is for pixels


LARGE: dict[str, tuple[Callable[[], bytes], int]] = {
    "jpeg, 48 megapixels": (lambda: saved("JPEG", 8000, 6000), 60),
    "jpeg, 48 megapixels in 10 scans": (lambda: saved("JPEG", 8000, 6000, progressive=True, subsampling=0), 400),
    "png, A4 at 600 dpi": (lambda: saved("PNG", 4960, 7016, compress_level=1), 250),
    "jpeg, 102 megapixels": (lambda: saved("JPEG", 11648, 8736), 60),
    "tiff, A4 at 1200 dpi, bilevel": (lambda: saved("TIFF", 9921, 14031, "1", compression="group4"), 260),
    "tiff, A4 at 600 dpi": (lambda: saved("TIFF", 4960, 7016), 400),
    "tiff, A4 at 600 dpi, gray, LZW": (lambda: saved("TIFF", 4960, 7016, "L", compression="tiff_lzw"), 150),
}


@linux
@pytest.mark.parametrize("name", LARGE)
def test_everyday_large_pictures_are_read(name: str) -> None:
    make, memory = LARGE[name]
    found, seconds, taken = costs({name: make()})[name]
    assert isinstance(found, list), found
    assert max(found) - min(found) > 100 or "gray" in name or "bilevel" in name
    assert seconds < SECONDS
    assert taken < memory


def test_one_slow_picture_does_not_hold_other_threads() -> None:
    slow, small = jpeg_scans(80, 2048), png()
    thread = threading.Thread(target=decode_image, args=(slow,))
    thread.start()
    read = 0
    started = time.perf_counter()
    while thread.is_alive():
        np.testing.assert_array_equal(decode_image(small)[14, 14], RED)
        read += 1
        assert time.perf_counter() - started < 10 * SECONDS
    assert read > 20  # of hundreds; behind a lock, one or two
