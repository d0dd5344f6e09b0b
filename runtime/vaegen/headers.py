"""Image files before a decoder sees them: what decoding takes is checked, and what holds no pixels is left out.

A decoder believes what a file says of itself: 200 bytes can ask for gigabytes, 100 KB for minutes. Each format has a
scan here that runs once over the structure of the file and refuses what goes beyond the budget. The decoder then gets
what the scan has read and nothing else, so texts, thumbnails and animations cost nothing, damaged or not. Of metadata
only the orientation is left, without which a picture would lie on its side, and the color profile.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from vaegen import tiff
from vaegen.errors import ImageError
from vaegen.limits import MAX_PARTS, PASSES, check_size, damaged, reach, too_long, too_many
from vaegen.profiles import MAX_PROFILE
from vaegen.tiff import orientation

MAX_TABLES = 2**18  # bytes of headers in a JPEG file

Buffer = bytes | memoryview  # slices of files are not copied
_Found = tuple[list[Buffer], bytes, bool]


class Stripped(NamedTuple):
    """An image file without what its picture does not need."""

    form: str
    """The format, as Pillow's classes call it: Bmp, Gif, Jpeg, Png, Tiff or WebP."""
    data: bytes
    """The file."""
    profile: bytes
    """Its color profile (ICC), as it is; empty where there is none."""
    inverted: bool
    """Whether white is zero, and the decoder does not know."""


def strip(data: bytes, most: int) -> Stripped:
    """Return an image file without what its picture does not need.

    Args:
        data: The file.
        most: Pixels that may be read. Where they are more than MAX_PIXELS, memory and work may grow in proportion.

    Raises:
        ImageError: The format is none of those known, the file is damaged, or decoding it would take too much.
    """
    for signature, name, scan in _FORMATS:
        if signature.match(data):
            try:
                parts, profile, inverted = scan(data, most)
            except (struct.error, IndexError, OverflowError) as error:
                raise damaged("a header is cut off") from error
            return Stripped(name, b"".join(parts), profile, inverted)
    for signature, name in _OTHERS:
        if signature.match(data):
            raise ImageError(f"{name} images are not read; save it as PNG or JPEG")
    names = [name.upper() for _, name, _ in _FORMATS]
    raise ImageError(f"not a {', '.join(names[:-1])} or {names[-1]} image")


def _png(data: bytes, most: int) -> _Found:
    parts: list[Buffer] = [data[:8]]
    width = height = depth = color = last = 0
    exif = profile = b""
    at = 8
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"IEND")
        body, end = at + 8, at + 12 + length
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack_from(">IIBB", data, body)
        elif kind == b"eXIf":
            exif = orientation(data[body : end - 4])
        elif kind in (b"tEXt", b"zTXt") and data.startswith(b"Raw profile type exif\0", body):
            exif = exif or orientation(_raw_profile(data[body + 22 : end - 4], kind))
        elif kind == b"iTXt" and data.startswith(b"XML:com.adobe.xmp\0", body):
            exif = exif or orientation(b"", data[body : end - 4])
        elif kind == b"iCCP":
            profile = _unfolded(data[data.find(b"\0", body, end) + 2 : end - 4])
        if kind == b"tRNS" and color in (0, 2):
            # In units of the depth, of which Pillow makes 8 bits: 15 of 4 is 255. Higher bits do not count.
            fields = struct.unpack_from(">" + "H" * (1 + color), data, body)
            scale = 255 // (2**depth - 1) if 0 < depth < 8 else 1
            key = b"".join(struct.pack(">H", (field & 2**depth - 1) * scale) for field in fields)
            parts.append(_chunk(kind, key))
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"IEND") or (kind == b"IDAT" and last in (0, at)):
            parts.append(memoryview(data)[at:end])
        if kind == b"IDAT" and last in (0, at):  # data after another chunk is not the picture's
            last = end
            if data[end - 4 : end] != zlib.crc32(memoryview(data)[at + 4 : end - 4]).to_bytes(4, "big") and end <= len(
                data
            ):
                raise damaged("the checksum of its pixels is wrong")
        if kind == b"IEND":
            break
        at = end
    else:
        raise too_many()
    # As Pillow keeps them; 16-bit channels are decoded twice.
    per_pixel = (1 if depth <= 8 else 3) if color in (0, 3) else 4 if depth <= 8 else 8
    check_size(width, height, most, 2 * per_pixel if exif else per_pixel)  # turning a picture makes another
    if exif:
        parts.insert(2, _chunk(b"eXIf", exif))
    return parts, profile, False


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _unfolded(data: bytes, most: int = MAX_PROFILE + 1) -> bytes:
    """Return what is compressed, but no more than `most` bytes of it; nothing where it is damaged."""
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error:
        return b""


def _raw_profile(text: bytes, kind: bytes) -> bytes:
    """Return the EXIF data that ImageMagick writes as text: name and length, then hexadecimal."""
    text = _unfolded(text[1:], 2**18) if kind == b"zTXt" else text
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return b""


_MARKER = re.compile(rb"\xff([^\x00\xff])")
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_SCAN, _END, _JFIF, _ADOBE = 0xDA, 0xD9, 0xE0, 0xEE
_KEPT = {*_FRAMES, _SCAN, 0xC4, 0xCC, 0xDB, 0xDD}  # the last four: tables and restarts
_LEFT_OUT = {0xDC, 0xFE, *range(0xE0, 0xF0)}


def _jpeg(data: bytes, most: int) -> _Found:
    parts: list[Buffer] = [data[:2]]
    exif: list[bytes] = []
    profile: list[bytes] = []
    xmp = b""
    width = height = pixels = components = tables = scans = passes = 0
    coefficients = 0.0
    copies = 1.0  # bytes for each pixel; large pictures are made smaller as they are decoded
    at = 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None or data[found.start() + 1] == _END:
            parts += [found[0]] if found else []
            break
        start, at, marker = found.start(), found.end(), data[found.start() + 1]
        if marker == 0x01 or 0xD0 <= marker < 0xD8:  # these stand alone
            continue
        if marker not in _KEPT and marker not in _LEFT_OUT:
            raise damaged(f"marker {marker:02x}")
        at += max(2, int.from_bytes(data[at : at + 2], "big"))
        body = data[start + 4 : at]
        if marker in _LEFT_OUT:
            if marker == _JFIF and body.startswith(b"JFIF\0") and len(body) >= 14:
                parts.append(b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0")  # colors are YCbCr
            elif marker == _ADOBE and body.startswith(b"Adobe") and len(body) >= 12:
                parts.append(b"\xff\xee\0\x0e" + body[:12])  # which colors they are
            elif marker == 0xE1 and body.startswith(b"Exif\0"):
                exif = [*exif, body[6:]][:4]  # the orientation is in the first
            elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                xmp = body
            elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(profile) <= MAX_PROFILE >> 16:
                profile.append(body[12:])  # number, count, and that part of it
            continue
        parts.append(memoryview(data)[start:at])
        tables += at - start
        if marker in _FRAMES:
            if pixels:
                raise damaged("two frames")
            height, width, components = struct.unpack_from(">HHB", body, 1)
            pixels = width * height
            sampling = [(byte >> 4, byte & 15) for byte in body[7 : 6 + 3 * components : 3]]
            whole = max(across for across, _ in sampling) * max(down for _, down in sampling) if sampling else 1
            coefficients = 2 * sum(across * down for across, down in sampling) / max(1, whole)
            copies += coefficients if marker in _PROGRESSIVE else 0
            check_size(width, height, most, copies)
        elif marker == _SCAN:
            if not scans and pixels and body[0] < components and copies == 1:
                copies += coefficients  # decoders keep all coefficients of several scans
                check_size(width, height, most, copies)
            scans, passes = scans + 1, passes + pixels * body[0]
            end = match.start() if (match := _AFTER_SCAN.search(data, at)) else len(data)
            parts.append(memoryview(data)[at:end])
            if data.find(b"\xff\xff", at, end) >= 0:  # at each new block of the file, libjpeg begins such a run again
                parts[-1] = re.sub(rb"\xff{2,}", b"\xff", parts[-1])
            at = end
        if passes > PASSES * reach(most) or tables > MAX_TABLES:
            raise too_long(f"{scans} scans of {width} x {height} pixels, {tables} bytes of headers")
    else:
        raise too_many()
    if (exif or xmp) and (turned := orientation(b"".join(exif), xmp)):
        parts.insert(1, b"\xff\xe1" + struct.pack(">H", len(turned) + 8) + b"Exif\0\0" + turned)
    profile.sort()
    whole_profile = all(part[:2] == bytes((place, len(profile))) for place, part in enumerate(profile, 1))
    return parts, b"".join(part[2:] for part in profile) if whole_profile else b"", False


def _gif(data: bytes, most: int) -> _Found:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    parts: list[Buffer] = [data[:at]]
    blocks = 0
    while found := re.compile(rb"[!,;]").search(data, at):
        at = found.start()
        if found[0] == b";":
            break
        if found[0] == b",":
            x, y, across, down = struct.unpack_from("<4H", data, at + 1)
            width, height = max(width, x + across), max(height, y + down)
            check_size(width, height, most, 5)
            parts[0] = data[:6] + struct.pack("<HH", width, height) + parts[0][10:]
            return [*parts, memoryview(data)[at:]], b"", False
        end = at + 2
        while data[end] and blocks < MAX_PARTS:
            end, blocks = end + 1 + data[end], blocks + 1
        end, blocks = end + 1, blocks + 1
        if blocks > MAX_PARTS:
            raise too_many()
        if data[at + 1] == 0xF9 and data[at + 2] >= 4:  # which color is transparent
            parts.append(data[at:end])
        at = end
    raise damaged("it holds no picture")


def _webp(data: bytes, most: int) -> _Found:
    first: dict[bytes, memoryview] = {}  # of each kind of chunk
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        first.setdefault(kind, memoryview(data)[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    else:
        raise too_many()
    chunks = [(kind, first[kind]) for kind in first if kind in (b"ALPH", b"VP8 ", b"VP8L")]
    if canvas := bytes(first.get(b"VP8X", b"")):
        width, height = (1 + int.from_bytes(canvas[place : place + 3], "little") for place in (4, 7))
        exif = orientation(bytes(first.get(b"EXIF", b"")))
        if canvas[0] & 2:  # frames, of which one is enough
            chunks = [(b"ANIM", memoryview(bytes(6))), (b"ANMF", first.get(b"ANMF", memoryview(b"")))]
        flags = canvas[0] & 0x12 | (8 if exif else 0)  # frames, transparency, EXIF
        chunks.insert(0, (b"VP8X", memoryview(bytes((flags,)) + canvas[1:10])))
        chunks += [(b"EXIF", memoryview(exif))] if exif else []
    elif b"VP8L" in first:
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    # libwebp has two canvases, a frame and, of lossless ones, its output; Pillow has the picture.
    lossless = b"VP8L" in first or bytes(first.get(b"ANMF", b"")[16:20]) == b"VP8L"
    check_size(width, height, most, 20 if lossless else 16)
    parts: list[Buffer] = []
    for kind, body in chunks:
        parts += [kind, struct.pack("<I", len(body)), body, bytes(len(body) % 2)]
    size = 4 + sum(map(len, parts))
    return [b"RIFF", struct.pack("<I", size), b"WEBP", *parts], bytes(first.get(b"ICCP", b"")), False


def _bmp(data: bytes, most: int) -> _Found:
    if data[14] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height, method = struct.unpack_from("<II4xI", data, 18)
        height = 2**32 - height if height >> 24 == 0xFF else height  # from the top down
        if method in (1, 2) and width * height + 2 * len(data) > reach(most) // 8:
            raise too_long("run-length encoding, which takes Pillow 0.1 us a pixel and 0.2 a byte")
    check_size(width, height, most, 5)
    return [data], b"", False


_FORMATS: tuple[tuple[re.Pattern[bytes], str, Callable[[bytes, int], _Found]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "Png", _png),
    (re.compile(rb"\xff\xd8"), "Jpeg", _jpeg),
    (re.compile(rb"BM"), "Bmp", _bmp),
    (re.compile(rb"GIF8[79]a"), "Gif", _gif),
    (re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL), "WebP", _webp),
    (re.compile(rb"II\*\0|MM\0\*|II\0\*|MM\*\0|II\+\0|MM\0\+"), "Tiff", tiff.scan),
)
# What cameras, phones and programs write besides.
_OTHERS = (
    (re.compile(rb".{4}ftyp(avif|avis)", re.DOTALL), "AVIF"),
    (re.compile(rb".{4}ftyp(hei|hev|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"8BPS"), "Photoshop"),
    (re.compile(rb"%PDF-"), "PDF"),
)
