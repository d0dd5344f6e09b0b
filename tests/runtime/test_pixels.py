"""The pixels that other decoders show: depths, transparency, color profiles, and faults beside the pixels.

Files are made here byte by byte, so that nothing but the code under test decides what they mean.
"""

import io
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from vaegen import ImageError
from vaegen.images import decode_image, fit

SIDE = 28
ORDERS = {"<": b"II", ">": b"MM"}


def random(*shape: int, most: int = 255) -> np.ndarray:
    return np.random.default_rng(0).integers(0, most + 1, (SIDE, SIDE, *shape))


def eight(values: np.ndarray, most: int) -> np.ndarray:
    """Levels from 0 to `most` as 0 to 255, rounded."""
    return np.floor(values * 255 / most + 0.5).astype(int)


def gray(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels[..., None], 3, -1)


def packed(values: np.ndarray, depth: int, order: str = ">") -> list[bytes]:
    """Rows of samples, each row ending with a whole byte."""
    if depth in (8, 16):
        return [row.astype(f"{order}u{depth // 8}").tobytes() for row in values]
    bits = ["".join(f"{value:0{depth}b}" for value in row) for row in values]
    return [int(row, 2).to_bytes(len(row) // 8, "big") for row in (row + "0" * (-len(row) % 8) for row in bits)]


def chunk(kind: bytes, data: bytes, *, right: bool = True) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ (not right))


def png(depth: int, color: int, values: np.ndarray, *chunks: bytes, after: bytes = b"", right: bool = True) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, depth, color, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + row for row in packed(values, depth)))
    body = b"".join(chunks) + chunk(b"IDAT", rows, right=right) + after
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


Tags = dict[int, tuple[int, list[int]]]  # types and values


def tiff(strips: list[bytes], order: str = "<", more: Tags | None = None, extra: bytes = b"") -> bytes:
    """A TIFF file of some strips, gray of 8 bits if no tags say otherwise; `extra` is entries as they are."""
    data = b"".join(strips) + bytes(sum(map(len, strips)) % 2)
    places = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    tags: Tags = {256: (4, [SIDE]), 257: (4, [SIDE]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
    tags |= {278: (4, [SIDE // len(strips)]), 273: (4, places), 279: (4, [len(strip) for strip in strips])}
    tags |= more or {}
    start = 8 + len(data)
    rest, entries = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        value = struct.pack(f"{order}{len(values)}{'HL'[kind - 3]}", *values)
        if len(value) > 4:
            place = start + 2 + 12 * len(tags) + len(extra) + 4 + len(rest)
            rest, value = rest + value + bytes(len(value) % 2), struct.pack(order + "L", place)
        entries += struct.pack(order + "HHL", tag, kind, len(values)) + value.ljust(4, b"\0")
    count = struct.pack(order + "H", len(tags) + len(extra) // 12)
    return ORDERS[order] + struct.pack(order + "HL", 42, start) + data + count + entries + extra + bytes(4) + rest


def bmp(bits: int, rows: bytes, masks: bytes = b"") -> bytes:
    size = 40 + len(masks)
    head = struct.pack("<IiiHHIIiiII", size, SIDE, SIDE, 1, bits, 3 if masks else 0, len(rows), 0, 0, 0, 0) + masks
    return b"BM" + struct.pack("<IHHI", 14 + size + len(rows), 0, 0, 14 + size) + head + rows


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


# --- Depths and meanings ------------------------------------------------------------------------------------------


def pictures() -> Iterator[tuple[str, bytes, np.ndarray, float]]:
    """Yield names, files, their pixels on black, and how far from these may be what is read."""
    for depth in (1, 2, 4, 8, 16):
        most = 2**depth - 1
        values = random(most=most)
        levels = eight(values, most)
        key = int(values[3, 3])
        transparent = chunk(b"tRNS", struct.pack(">H", key | (1 << depth) % 2**16))  # the higher bits do not count
        yield f"png gray {depth}", png(depth, 0, values), gray(levels), 0
        yield f"png gray {depth} tRNS", png(depth, 0, values, transparent), gray(np.where(values == key, 0, levels)), 0
        if depth <= 8:
            palette: np.ndarray = np.random.default_rng(1).integers(0, 256, (most + 1, 4))
            chunks = [chunk(b"PLTE", palette[:, :3].astype(np.uint8).tobytes())]
            chunks += [chunk(b"tRNS", palette[:, 3].astype(np.uint8).tobytes())]
            yield (
                f"png palette {depth}",
                png(depth, 3, values, *chunks),
                (palette[:, :3] * palette[:, 3:] / 255)[values],
                1,
            )
            table: Tags = {258: (3, [depth]), 262: (3, [3]), 320: (3, (palette[:, :3].T * 257).ravel().tolist())}
            yield f"tiff palette {depth}", tiff(packed(values, depth), more=table), palette[values][..., :3], 0
        for order in "<>":
            for white_is_zero in (False, True):
                rows = packed(values, depth, order)
                tags: Tags = {258: (3, [depth]), 262: (3, [1 - white_is_zero])}
                right = gray(255 - levels if white_is_zero else levels)
                name = f"tiff gray {depth} {order} {white_is_zero}"
                yield name, tiff(rows, order, tags), right, 0
                deflated = [zlib.compress(b"".join(rows))]
                yield f"{name} deflate", tiff(deflated, order, tags | {259: (3, [8])}), right, 0
                if depth <= 8:
                    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
                    filled: Tags = {266: (3, [2])}
                    yield f"{name} fill", tiff([row.translate(turned) for row in rows], order, tags | filled), right, 0
    for depth in (8, 16):
        most = 2**depth - 1
        values = random(4, most=most)
        color, alpha = values[..., :3], values[..., 3:] / most
        levels = eight(color, most)
        key = color[4, 4]
        keyed = chunk(b"tRNS", struct.pack(">HHH", *key))
        flat = {count: values[..., :count].reshape(SIDE, -1) for count in (2, 3, 4)}
        yield f"png rgb {depth}", png(depth, 2, flat[3]), levels, 0
        yield f"png rgb {depth} tRNS", png(depth, 2, flat[3], keyed), levels * (color != key).any(-1, keepdims=True), 0
        yield f"png rgba {depth}", png(depth, 6, flat[4]), color * alpha * 255 / most, 1.5
        yield f"png la {depth}", png(depth, 4, flat[2]), gray(color[..., 0] * color[..., 1] / most * 255 / most), 1.5
        for order in "<>":
            tags = {258: (3, [depth] * 3), 262: (3, [2]), 277: (3, [3])}
            yield f"tiff rgb {depth} {order}", tiff(packed(flat[3], depth, order), order, tags), levels, 0
            planes = [b"".join(packed(color[..., place], depth, order)) for place in range(3)]
            tags |= {278: (4, [SIDE]), 284: (3, [2])}
            yield f"tiff planes {depth} {order}", tiff(planes, order, tags), levels, 0
            tags = {258: (3, [depth] * 4), 262: (3, [2]), 277: (3, [4])}
            file = packed(flat[4], depth, order)
            yield (
                f"tiff rgba {depth} {order}",
                tiff(file, order, tags | {338: (3, [2])}),
                color * alpha * 255 / most,
                1.5,
            )
            yield f"tiff premultiplied {depth} {order}", tiff(file, order, tags | {338: (3, [1])}), levels, 0
            ink = color / most
            right = (1 - ink) * (1 - alpha) * 255
            yield f"tiff cmyk {depth} {order}", tiff(file, order, tags | {262: (3, [5])}), right, 2
    color = random(4).astype(np.uint8)
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for name, alpha in (("never filled", 0), ("full", 255), ("half", 128)):
        color[..., 3] = alpha
        right = color[..., :3] if alpha != 128 else color[..., :3] * (128 / 255)
        yield f"bmp alpha {name}", bmp(32, color[::-1, :, [2, 1, 0, 3]].tobytes(), masks), right, 1
    yield "gif frame", *gif_frame(), 0


def gif_frame() -> tuple[bytes, np.ndarray]:
    """A first frame that is smaller than the canvas, whose background color no viewer shows."""
    image = Image.new("P", (10, 12), 1)
    image.putpalette([90, 90, 90, 200, 40, 20])
    data = saved(image, "GIF")
    at = data.index(b",\0\0\0\0")
    right = np.zeros((SIDE, SIDE, 3))
    right[6:18, 5:15] = (200, 40, 20)
    return data[:6] + struct.pack("<HH", SIDE, SIDE) + data[10:at] + b",\5\0\6\0" + data[at + 5 :], right


UNLIKE = "bmp|gif|tiff (gray|palette) [24]|png.*tRNS|png palette|16 . True|planes 16|premultiplied|tiff rgba 8|cmyk"
PICTURES = {name: (data, right, slack) for name, data, right, slack in pictures()}


@pytest.mark.parametrize("name", PICTURES)
def test_pixels_are_what_their_numbers_mean(name: str) -> None:
    data, right, slack = PICTURES[name]
    assert abs(decode_image(data) - right).max() <= slack


# Of what it leaves out, OpenCV reads no 2 and 4 bits in TIFF, ignores a transparent gray, white that is zero with 16
# bits and the alpha of BMP, and has its own mind about alpha in TIFF.
@pytest.mark.parametrize("name", [name for name in PICTURES if not re.search(UNLIKE, name)])
def test_another_decoder_shows_the_same_pixels(name: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV, the other decoder, is not installed")
    data = PICTURES[name][0]
    mode = cv2.IMREAD_COLOR if "palette" in name else cv2.IMREAD_UNCHANGED
    other = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    levels = other.reshape(SIDE, SIDE, -1).astype(float) * 255 / np.iinfo(other.dtype).max
    color = levels[..., 2::-1] if levels.shape[2] > 2 else levels[..., [0, 0, 0]]
    color = color * levels[..., 3:] / 255 if levels.shape[2] == 4 else color
    assert abs(decode_image(data) - color).max() <= 2


@pytest.mark.parametrize(
    ("kind", "sample_format", "bits"), [("signed", 2, 16), ("floating-point", 3, 32), ("32-bit", 1, 32)]
)
def test_numbers_without_an_agreed_range_are_refused(kind: str, sample_format: int, bits: int) -> None:
    tags: Tags = {258: (3, [bits]), 339: (3, [sample_format])}
    with pytest.raises(ImageError, match=f"{kind} pixels have no agreed range; save it with 8 or 16 bits"):
        decode_image(tiff([bytes(SIDE * SIDE * bits // 8)], more=tags))


# --- Color profiles -----------------------------------------------------------------------------------------------

# The columns of the matrices to XYZ, D50: rounded from the profiles of their makers.
P3 = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]
ADOBE = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(matrix: list[tuple[float, float, float]], gamma: float) -> bytes:
    """A profile of a display (ICC.1:2022, 8.3.3); of gray where there is no matrix."""
    white = (0.9642, 1, 0.8249)
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(*white)}
    for letter, column in zip(b"rgb", matrix, strict=False):
        tags |= {bytes([letter]) + b"XYZ": b"XYZ " + bytes(4) + fixed(*column), bytes([letter]) + b"TRC": curve}
    tags |= {} if matrix else {b"kTRC": curve}
    at = 132 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(content), len(value))
        content += value
    head = struct.pack(">I4sI", at + len(content), b"test", 0x02100000) + b"mntr" + (b"RGB " if matrix else b"GRAY")
    head += b"XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(*white)
    return head.ljust(128, b"\0") + table + content


def in_srgb(values: np.ndarray, matrix: list[tuple[float, float, float]], gamma: float) -> np.ndarray:
    """IEC 61966-2-1, with Bradford's adaptation to D50 in the matrix."""
    to_linear = [(3.1339, -1.6169, -0.4906), (-0.9788, 1.9161, 0.0335), (0.0719, -0.2290, 1.4052)]
    linear = (values / 255) ** gamma
    linear = linear @ np.array(matrix) @ np.array(to_linear).T if matrix else linear
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("matrix", "gamma"), [(P3, 2.2), (ADOBE, 2.2), ([], 1.8)])
def test_color_profiles_are_converted_to_srgb(
    file_format: str, matrix: list[tuple[float, float, float]], gamma: float
) -> None:
    levels = np.kron(random(3)[:4, :4], np.ones((7, 7, 1))).astype(np.uint8)
    levels = levels if matrix else gray(levels[..., 0])
    image = Image.fromarray(levels if matrix or file_format == "WEBP" else levels[..., 0])
    if file_format == "WEBP" and not matrix:
        pytest.skip("WebP has no gray pictures")
    every: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}
    options = every.get(file_format, {})
    if file_format == "JPEG" and matrix:
        options["subsampling"] = 0
    found = decode_image(saved(image, file_format, icc_profile=profile(matrix, gamma), **options))
    assert abs(found - in_srgb(levels, matrix, gamma)).max() <= (9 if file_format == "JPEG" else 3)
    assert abs(found.astype(int) - levels).max() > 9


def test_a_profile_with_transparency_and_palettes() -> None:
    flat = Image.new("RGB", (SIDE, SIDE), (200, 40, 20))
    right = in_srgb(np.array((200, 40, 20)), P3, 2.2)
    for image in (flat, flat.quantize(4), flat.convert("RGBA")):
        assert abs(decode_image(saved(image, "PNG", icc_profile=profile(P3, 2.2)))[5, 5] - right).max() <= 3
    flat.putalpha(128)
    assert abs(decode_image(saved(flat, "PNG", icc_profile=profile(P3, 2.2)))[5, 5] - right * 128 / 255).max() <= 3


@pytest.mark.parametrize(
    "broken",
    [
        SRGB,
        b"",
        b"junk",
        profile(P3, 2.2)[:-40],
        profile([], 1.8),
        profile(P3, 2.2).replace(b"mntr", b"link"),
        profile(P3, 2.2) + bytes(2**22),
        profile(P3, 2.2).replace(b"rTRC", b"xTRC"),
    ],
    ids=["sRGB", "empty", "junk", "cut off", "gray", "of a link", "too large", "without a curve"],
)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_profile_that_cannot_be_used_changes_nothing(broken: bytes, file_format: str) -> None:
    image = Image.fromarray(random(3).astype(np.uint8))
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    with_profile = saved(image, file_format, icc_profile=broken, **options)
    np.testing.assert_array_equal(decode_image(with_profile), decode_image(saved(image, file_format, **options)))


# --- Faults beside the pixels -------------------------------------------------------------------------------------

UPPER, LOWER = (200, 40, 20), (20, 40, 200)
BOTH = np.zeros((SIDE, SIDE, 3), np.uint8)
BOTH[:14], BOTH[14:] = UPPER, LOWER
TURNED = np.rot90(BOTH, -1)
ORIENTATION = struct.pack("<HHLL", 274, 3, 1, 6)


def exif(*entries: bytes, count: int | None = None, after: bytes = bytes(4)) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count or len(entries)) + b"".join(entries) + after


EXIF: dict[str, tuple[bytes, bool]] = {
    "right": (exif(ORIENTATION), True),
    "a text past the end": (exif(struct.pack("<HHLL", 271, 2, 44, 5000), ORIENTATION), True),
    "a text of 4 GB": (exif(ORIENTATION, struct.pack("<HHLL", 305, 2, 2**32 - 1, 2**31)), True),
    "a type that nobody knows": (exif(struct.pack("<HHLL", 256, 99, 1, 3), ORIENTATION), True),
    "cut off after the orientation": (exif(ORIENTATION, count=9, after=b"\1\2\3"), True),
    "directories past the end": (exif(ORIENTATION, struct.pack("<HHLL", 34853, 4, 1, 2**31)), True),
    "a next directory that is this": (exif(ORIENTATION, after=b"\x08\0\0\0"), True),
    "two orientations": (exif(ORIENTATION, struct.pack("<HHLL", 274, 3, 1, 3)), True),
    "unsorted": (exif(struct.pack("<HHLL", 305, 2, 1, 0), ORIENTATION), True),
    "an orientation that is none": (exif(struct.pack("<HHLL", 274, 3, 1, 99)), False),
    "an orientation far away": (exif(struct.pack("<HHLL", 274, 3, 2000, 2**31)), False),
    "nothing": (b"", False),
    "junk": (b"junk" * 9, False),
}


def segment(marker: int, data: bytes) -> bytes:
    return bytes((255, marker)) + struct.pack(">H", len(data) + 2) + data


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for k, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


PNG = png(8, 2, BOTH.reshape(SIDE, -1))
JPEG = saved(Image.fromarray(BOTH), "JPEG", quality=95, subsampling=0)
WEBP = saved(Image.fromarray(BOTH), "WEBP", lossless=True)
CANVAS = b"\0\0\0" + 2 * (SIDE - 1).to_bytes(3, "little")  # after the flags
RGB: Tags = {258: (3, [8, 8, 8]), 262: (3, [2]), 277: (3, [3])}
STRIPS = [BOTH.tobytes()]


@pytest.mark.parametrize("name", EXIF)
def test_a_readable_orientation_counts_in_broken_exif(name: str) -> None:
    data, turns = EXIF[name]
    right = TURNED if turns else BOTH
    in_jpeg = JPEG[:2] + segment(0xE1, b"Exif\0\0" + data) + JPEG[2:]
    assert abs(decode_image(in_jpeg).astype(int) - right).max() <= 6
    for intact in (True, False):
        np.testing.assert_array_equal(decode_image(PNG[:33] + chunk(b"eXIf", data, right=intact) + PNG[33:]), right)
    for before in (b"", b"Exif\0\0"):
        file = riff((b"VP8X", b"\x08" + CANVAS), (b"VP8L", WEBP[20:]), (b"EXIF", before + data))
        np.testing.assert_array_equal(decode_image(file), right)


def faults() -> Iterator[tuple[str, bytes]]:
    """Yield files in which something is wrong that holds no pixels."""
    for kind, content in {
        b"iCCP": b"p\0\0junk", b"tEXt": b"no end", b"zTXt": b"w\0\0" + zlib.compress(bytes(2**21)), b"iTXt": b"a",
        b"pHYs": b"12", b"gAMA": b"", b"cHRM": b"1", b"sRGB": b"\xff", b"bKGD": b"", b"tIME": b"", b"sPLT": b"",
        b"acTL": bytes(8), b"fcTL": b"1", b"fdAT": b"2", b"cICP": b"\1", b"tRNS": b"\0", b"prVt": b"x",
    }.items():  # fmt: skip
        for intact in (True, False) if kind != b"tRNS" else (True,):
            broken = chunk(kind, content, right=intact)
            yield f"png {kind!r} {intact}", PNG[:33] + broken + PNG[33:]
            yield f"png {kind!r} {intact} after", PNG[:-12] + broken + PNG[-12:]
    yield "png end", PNG[:-12]
    yield "png garbage", PNG + b"garbage"
    for name, content in {
        "MPF": segment(0xE2, b"MPF\0no index"), "ICC": segment(0xE2, b"ICC_PROFILE\0\1\5junk"),
        "FlashPix": segment(0xE2, b"FPXR\0"), "Photoshop": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\xff\xff"),
        "thumbnail": segment(0xE0, b"JFXX\0\x10junk"), "JFIF cut off": segment(0xE0, b"JFIF\0"),
        "density": segment(0xE0, b"JFIF\0\7\7\7" + bytes(6)), "Adobe cut off": segment(0xEE, b"Adobe"),
        "comment": segment(0xFE, b"\xff\xfe"), "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<"),
        "junk": b"\0junk", "fill": b"\xff" * 30,
    }.items():  # fmt: skip
        for at in (2, JPEG.index(b"\xff\xdb"), JPEG.index(b"\xff\xda")):
            yield f"jpeg {name} at {at}", JPEG[:at] + content + JPEG[at:]
    yield "jpeg garbage", JPEG + b"\0garbage" * 99
    pixels = (b"VP8L", WEBP[20:])
    yield "webp profile", riff((b"VP8X", b" " + CANVAS), (b"ICCP", b"junk"), pixels)
    yield "webp profile that is not there", riff((b"VP8X", b" " + CANVAS), pixels)
    yield "webp unknown chunks", riff((b"VP8X", b"\0" + CANVAS), (b"abcd", b"1"), pixels, (b"efgh", b"2"))
    yield "webp size", WEBP[:4] + b"\xff\xff\xff\0" + WEBP[8:]
    frames = saved(
        Image.fromarray(BOTH), "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (28, 28))]
    )
    yield "webp later frame", frames[: frames.rindex(b"ANMF") + 24] + bytes(50)
    yield "webp ANIM", riff((b"VP8X", b"\2" + CANVAS), (b"ANIM", b"1")) + frames[frames.index(b"ANMF") :]
    for name, entry in {
        "a tag twice": struct.pack("<HHLL", 256, 4, 1, 5), "unknown type": struct.pack("<HHLL", 65000, 99, 1, 0),
        "unknown tag past the end": struct.pack("<HHLL", 65000, 4, 1000, 2**32 - 16),
        "text past the end": struct.pack("<HHLL", 270, 2, 4000, 2**20),
        "profile past the end": struct.pack("<HHLL", 34675, 7, 400, 2**20),
        "XMP past the end": struct.pack("<HHLL", 700, 1, 4000, 2**20),
        "EXIF past the end": struct.pack("<HHLL", 34665, 4, 1, 2**20),
        "orientation 0": struct.pack("<HHLL", 274, 3, 1, 0), "orientation 99": struct.pack("<HHLL", 274, 3, 1, 99),
        "orientation past the end": struct.pack("<HHLL", 274, 3, 2000, 2**20),
        "resolution past the end": struct.pack("<HHLL", 282, 5, 1, 2**32 - 1),
    }.items():  # fmt: skip
        yield f"tiff {name}", tiff(STRIPS, more=RGB, extra=entry)


FAULTS = dict(faults())


@pytest.mark.parametrize("name", FAULTS)
def test_faults_beside_the_pixels_cost_nothing(name: str) -> None:
    slack = 6 if name.startswith("jpeg") else 0
    assert abs(decode_image(FAULTS[name]).astype(int) - BOTH).max() <= slack


def test_a_tiff_is_turned() -> None:
    np.testing.assert_array_equal(decode_image(tiff(STRIPS, more=RGB, extra=ORIENTATION)), TURNED)


@pytest.mark.parametrize(
    "data",
    [
        png(8, 2, BOTH.reshape(SIDE, -1), right=False),
        PNG[:70],
        WEBP[:-20],
        tiff([zlib.compress(BOTH.tobytes())[:-30]], more=RGB | {259: (3, [8])}),
        bmp(24, BOTH.tobytes())[:1000],
    ],
    ids=["png checksum", "png cut off", "webp cut off", "tiff cut off", "bmp cut off"],
)
def test_faults_in_the_pixels_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="damaged"):
        decode_image(data)


def test_a_host_may_make_warnings_errors_and_forbid_large_pictures(tmp_path: Path) -> None:
    Image.new("1", (12000, 8000), 1).save(tmp_path / "large.png")
    (tmp_path / "exif.jpg").write_bytes(FAULTS["jpeg MPF at 2"])
    program = (
        "import sys, warnings, numpy; from PIL import Image; Image.MAX_IMAGE_PIXELS = 2**21; import vaegen;"
        "before = list(warnings.filters); [vaegen.read_image(path, intake='as-is') for path in sys.argv[1:]];"
        "assert warnings.filters == before"
    )
    files = [str(tmp_path / name) for name in ("large.png", "exif.jpg")]
    subprocess.run([sys.executable, "-W", "error", "-c", program, *files], check=True)


# --- Reduced decoding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 0, 255), (0, 0, 0)])
@pytest.mark.parametrize("period", [2, 4, 8])
def test_line_art_is_as_close_to_whole_decoding_as_the_docs_say(color: tuple[int, int, int], period: int) -> None:
    lines = np.full((1000, 1000, 3), 255, np.uint8)
    lines[::period] = color
    data = saved(Image.fromarray(lines), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as whole:
        assert abs(fit(whole).astype(int) - decode_image(data)).max() <= 60
