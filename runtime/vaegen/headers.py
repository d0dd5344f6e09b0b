"""Image files before a decoder sees them: what decoding takes is checked, and what holds no pixels is left out.

A decoder believes what a file says of itself: 200 bytes can ask for gigabytes, 100 KB for minutes. Each format has a
scan here that runs once over the structure of the file and refuses what goes beyond the budget. The decoder then gets
what the scan has read and nothing else, so texts, profiles, thumbnails and animations cost nothing. Of metadata only
the orientation is left, without which a picture would lie on its side.
"""

import re
import struct
import zlib
from collections.abc import Callable, Mapping

from vaegen.errors import ImageError
from vaegen.spec import SIDE

MAX_PARTS = 2**16  # chunks, segments, blocks, strips or tiles of a file
MAX_TABLES = 2**18  # bytes of headers in a JPEG file
# What may be spent for each pixel of the largest picture: the bytes that Pillow's RGB takes and half as much again, and
# 2 to 3 times what the progressive JPEG files of cameras take in passes over components.
MEMORY, PASSES = 6, 32

Buffer = bytes | memoryview  # slices of files are not copied


def strip(data: bytes, most: int) -> tuple[str, bytes]:
    """Return Pillow's name of an image file's format, and the file without what its picture does not need.

    Args:
        data: The file.
        most: Pixels that may be read. Memory and work are bounded in proportion.

    Raises:
        ImageError: The format is none of those known, the file is damaged, or decoding it would take too much.
    """
    for signature, name, scan in _FORMATS:
        if signature.match(data):
            try:
                return name, b"".join(scan(data, most))
            except (struct.error, IndexError, OverflowError) as error:
                raise _damaged("a header is cut off") from error
    raise unknown()


def unknown() -> ImageError:
    """Return what says that a file has none of the formats."""
    names = [name for _, name, _ in _FORMATS]
    return ImageError(f"not a {', '.join(names[:-1])} or {names[-1]} image")


def _check(width: int, height: int, most: int, per_pixel: int = 4, more: int = 0) -> None:
    """Check the size of a picture, and the memory that a decoder takes: bytes for each pixel, and some more."""
    if width * height > most:
        raise ImageError(f"{width} x {height} pixels are more than the {most} that are read")
    per_pixel += 4 if width < 2 * SIDE else 0  # it is scaled in two steps, and the first hardly makes this one smaller
    if (size := width * height * per_pixel + more) > MEMORY * most:
        raise ImageError(f"decoding it takes {size // 10**6} MB, more than the {MEMORY * most // 10**6} for one file")


def _damaged(reason: str) -> ImageError:
    return ImageError(f"damaged or unsupported ({reason})")


def _long(reason: str) -> ImageError:
    return ImageError(f"decoding it takes too long ({reason})")


def _many() -> ImageError:
    return _long(f"more than {MAX_PARTS} chunks, segments, blocks, strips or tiles")


def _png(data: bytes, most: int) -> list[Buffer]:
    parts: list[Buffer] = [data[:8]]
    width = height = last = 0
    exif, at = b"", 8
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"IEND")
        body, end = at + 8, at + 12 + length
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", data, body)
            _check(width, height, most)
        elif kind == b"eXIf":
            exif = _orientation(data[body : end - 4])
        elif kind in (b"tEXt", b"zTXt") and data.startswith(b"Raw profile type exif\0", body):
            exif = exif or _orientation(_raw_profile(data[body + 22 : end - 4], kind))
        elif kind == b"iTXt" and data.startswith(b"XML:com.adobe.xmp\0", body):
            exif = exif or _orientation(b"", data[body : end - 4])
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IEND") or (kind == b"IDAT" and last in (0, at)):
            parts.append(memoryview(data)[at:end])
            last = end if kind == b"IDAT" else last  # data after another chunk is not the picture's
        if kind == b"IEND":
            break
        at = end
    else:
        raise _many()
    if exif:
        _check(width, height, most, 8)  # turning a picture makes another
        chunk = b"eXIf" + exif
        parts.insert(2, struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk)))
    return parts


def _raw_profile(text: bytes, kind: bytes) -> bytes:
    """Return the EXIF data that ImageMagick writes as text: name and length, then hexadecimal."""
    try:
        text = zlib.decompressobj().decompress(text[1:], 2**18) if kind == b"zTXt" else text
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except (ValueError, zlib.error):
        return b""


_MARKER = re.compile(rb"\xff([^\x00\xff])")
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9
_KEPT = {*_FRAMES, _SCAN, 0xC4, 0xCC, 0xDB, 0xDD, 0xE0, 0xEE}  # the last six: tables, restarts, JFIF and Adobe
_LEFT_OUT = {0xDC, 0xFE, *range(0xE1, 0xF0)}


def _jpeg(data: bytes, most: int) -> list[Buffer]:
    parts: list[Buffer] = [data[:2]]
    exif: list[bytes] = []
    xmp = b""
    width = height = pixels = tables = scans = passes = 0
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
            raise _damaged(f"marker {marker:02x}")
        at += max(2, int.from_bytes(data[at : at + 2], "big"))
        body = data[start + 4 : at]
        if marker in _LEFT_OUT:
            if marker == 0xE1 and body.startswith(b"Exif\0\0"):
                exif = [*exif, body[6:]][:4]  # the orientation is in the first
            elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
                xmp = body
            continue
        parts.append(memoryview(data)[start:at])
        tables += at - start
        if marker in _FRAMES:
            if pixels:
                raise _damaged("two frames")
            height, width, components = struct.unpack_from(">HHB", body, 1)
            pixels = width * height
            _check(width, height, most, 2 * components)  # decoders keep all coefficients of several scans
        elif marker == _SCAN:
            scans, passes = scans + 1, passes + pixels * body[0]
            end = match.start() if (match := _AFTER_SCAN.search(data, at)) else len(data)
            parts.append(memoryview(data)[at:end])
            if data.find(b"\xff\xff", at, end) >= 0:  # at each new block of the file, libjpeg begins such a run again
                parts[-1] = re.sub(rb"\xff{2,}", b"\xff", parts[-1])
            at = end
        if passes > PASSES * most or tables > MAX_TABLES:
            raise _long(f"{scans} scans of {width} x {height} pixels, {tables} bytes of headers")
    else:
        raise _many()
    if (exif or xmp) and (turned := _orientation(b"".join(exif), xmp)):
        parts.insert(1, b"\xff\xe1" + struct.pack(">H", len(turned) + 8) + b"Exif\0\0" + turned)
    return parts


def _gif(data: bytes, most: int) -> list[Buffer]:
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
            _check(max(width, x + across), max(height, y + down), most)
            return [*parts, memoryview(data)[at:]]
        end = at + 2
        while data[end] and blocks < MAX_PARTS:
            end, blocks = end + 1 + data[end], blocks + 1
        end, blocks = end + 1, blocks + 1
        if blocks > MAX_PARTS:
            raise _many()
        if data[at + 1] == 0xF9 and data[at + 2] >= 4:  # which color is transparent
            parts.append(data[at:end])
        at = end
    raise _damaged("it holds no picture")


def _webp(data: bytes, most: int) -> list[Buffer]:
    if data[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    _check(width, height, most, 20)  # libwebp has two canvases, a frame and its output, and Pillow the picture
    parts: list[Buffer] = [data[:12]]
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return parts
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        if kind == b"EXIF":
            # In its place and of its length, so that the sizes above it stay right; without the orientation, unnamed.
            turned = _orientation(data[at + 8 : end])
            kind = kind if 0 < len(turned) <= length else b"NONE"
            parts += [kind, data[at + 4 : at + 8], turned[: end - at - 8].ljust(end - at - 8, b"\0")]
        else:
            parts.append(memoryview(data)[at:end])
        at = end
    raise _many()


def _bmp(data: bytes, most: int) -> list[Buffer]:
    if data[14] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height, method = struct.unpack_from("<II4xI", data, 18)
        height = 2**32 - height if height >> 24 == 0xFF else height  # from the top down
        if method in (1, 2) and width * height + 2 * len(data) > most // 2:
            raise _long("run-length encoding, which takes Pillow 0.1 us a pixel and 0.2 a byte")
    _check(width, height, most)
    return [data]


# What a TIFF picture depends on, and how many values there may be.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _TURNED, _SAMPLES, _ROWS, _PLANAR = 256, 257, 258, 259, 274, 277, 278, 284
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _XMP = 273, 279, 322, 323, 324, 325, 700
_TAGS = dict.fromkeys((254, 255, 256, 257, 259, 262, 266, 274, 277, 278, 284, 292, 293, 317, 322, 323, 332), 1)
_TAGS |= {258: 8, 320: 768, 338: 8, 339: 8, 347: 2**16, 529: 3, 530: 2, 531: 1, 532: 6, 700: 2**27}
_TAGS |= dict.fromkeys((512, 513, 514, 515), 1) | dict.fromkeys((519, 520, 521), 8)  # of the older JPEG in TIFF
_TAGS |= dict.fromkeys((_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES), MAX_PARTS)
_CODES = {1: "s", 2: "s", 3: "H", 4: "L", 5: "Q", 6: "b", 7: "s", 8: "h", 9: "l", 10: "Q", 11: "f", 12: "d", 13: "L"}
_CODES |= {16: "Q"}  # 5 and 10 are fractions, which only need to be of the right size here


def _directory(data: bytes, tags: Mapping[int, int]) -> tuple[dict[int, tuple[int, ...]], int, bytes]:
    """Read the first directory of a TIFF file, whose form EXIF has too; of a tag that comes twice the first, as Pillow.

    Returns:
        The values of some tags, the directory's offset, and its bytes with these tags alone.
    """
    order = "<" if data[:2] == b"II" else ">"
    offset, form = ("Q", "HHQ8s") if data[2] == 43 else ("L", "HHL4s")  # 64 bits; of these Pillow reads one order
    inline = struct.calcsize("=" + offset)
    (start,) = struct.unpack_from(order + offset, data, inline)
    counter = order + (offset if inline == 8 else "H")
    (count,) = struct.unpack_from(counter, data, start)
    found: dict[int, tuple[int, ...]] = {}
    raw: list[bytes] = []
    taken = 0
    at = start + struct.calcsize(counter)
    for _ in range(min(count, MAX_PARTS)):
        tag, kind, n, place = struct.unpack_from(order + form, data, at)
        end = at + 4 + 2 * inline
        if tag in tags and n and kind in _CODES and tag not in found:
            code = f"{order}{n}{_CODES[kind]}"
            if n > tags[tag]:
                raise _damaged(f"tag {tag} has {n} values")
            inside = struct.calcsize(code) <= inline
            taken += struct.calcsize(code)
            if taken > len(data):  # each is inside the file, but they share it
                raise _damaged("its tags are larger than the file")
            found[tag] = struct.unpack_from(
                code, data, end - inline if inside else struct.unpack(order + offset, place)[0]
            )
            raw.append(data[at:end])
        at = end
    return found, start, struct.pack(counter, len(raw)) + b"".join(raw) + bytes(inline)


def _orientation(exif: bytes, xmp: bytes = b"") -> bytes:
    """Return EXIF data that holds the orientation alone, that of XMP where EXIF has none; nothing where neither has."""
    try:
        tags, _, _ = _directory(re.sub(rb"^(Exif\0\0){1,2}", b"", exif), {_TURNED: 1})
    except (struct.error, IndexError, OverflowError, ImageError):
        tags = {}
    match = re.search(rb'tiff:Orientation(?:="|>)([0-9])', xmp)
    value = tags[_TURNED][0] if _TURNED in tags else int(match[1]) if match else 0
    return struct.pack("<2sHLHHHLHHL", b"II", 42, 8, 1, _TURNED, 3, 1, value, 0, 0) if value in range(1, 9) else b""


def _tiff(data: bytes, most: int) -> list[Buffer]:
    tags, start, table = _directory(data, _TAGS)

    def number(tag: int, default: int = 0) -> int:
        value = tags.get(tag, (default,))[0]
        if not isinstance(value, int) or value < 1:
            raise _damaged(f"tag {tag} is {value!r:.20}")
        return value

    width, height, samples = number(_WIDTH), number(_HEIGHT), number(_SAMPLES, 1)
    tiled = _TILE_WIDTH in tags
    across = number(_TILE_WIDTH) if tiled else width
    down = number(_TILE_HEIGHT) if tiled else min(height, number(_ROWS, height))
    planes = samples if number(_PLANAR, 1) == 2 else 1
    parts = -(-width // across) * -(-height // down)
    bits = max(tags.get(_BITS, (1,)))
    turned = number(_TURNED, 1) > 1 or _XMP in tags
    # Strips and tiles are decoded whole, however little of them is in the picture; YCbCr as 4 bytes.
    block = across * down * max(4, -(-bits * samples // 8))
    _check(width, height, most, 8 if turned else 4, block)
    places = tags.get(_STRIPS) or tags.get(_TILES, ())
    sizes = tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES, ())
    if parts * planes > MAX_PARTS or len(places) > parts * planes or parts * across * down > 2 * most:
        raise _long(f"{len(places)} strips or tiles of {across} x {down} pixels")
    method = number(_COMPRESSION, 1)
    if method != 1 and (sum(sizes) > len(data) or len(sizes) < parts * planes > 1):
        raise _damaged("its strips or tiles are larger than the file")
    if method in (6, 7):
        scans = sum(data.count(b"\xff\xda", at, at + size) for at, size in zip(places, sizes, strict=False))
        if scans * across * down * samples > PASSES * most:
            raise _long(f"{scans} scans")
    return [memoryview(data)[:start], table, memoryview(data)[start + len(table) :]]


_FORMATS: tuple[tuple[re.Pattern[bytes], str, Callable[[bytes, int], list[Buffer]]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG", _png),
    (re.compile(rb"\xff\xd8\xff"), "JPEG", _jpeg),
    (re.compile(rb"BM"), "BMP", _bmp),
    (re.compile(rb"GIF8[79]a"), "GIF", _gif),
    (re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL), "WEBP", _webp),
    (re.compile(rb"II\*\0|MM\0\*|II\0\*|MM\*\0|II\+\0|MM\0\+"), "TIFF", _tiff),
)
