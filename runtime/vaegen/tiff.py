"""The first directory of a TIFF file, which describes its picture; EXIF data has the same form."""

import re
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from vaegen.errors import ImageError
from vaegen.limits import MAX_PARTS, PASSES, check_size, damaged, reach, too_long

_CODES = {1: "s", 2: "s", 3: "H", 4: "L", 5: "Q", 6: "b", 7: "s", 8: "h", 9: "l", 10: "Q", 11: "f", 12: "d", 13: "L"}
_CODES |= {16: "Q"}  # 5 and 10 are fractions, which only need to be of the right size here

# What the picture depends on, and how many values there may be.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _MEANING, _TURNED, _SAMPLES, _ROWS = 256, 257, 258, 259, 262, 274, 277, 278
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 279, 322, 323, 324, 325
_FILLED, _PLANAR, _EXTRA, _NUMBERS, _XMP, _PROFILE = 266, 284, 338, 339, 700, 34675
_TAGS = dict.fromkeys((256, 257, 259, 262, 266, 274, 277, 278, 284, 292, 293, 317, 322, 323, 332), 1)
_TAGS |= {258: 8, 320: 768, 338: 8, 339: 8, 347: 2**16, 529: 3, 530: 2, 531: 1, 532: 6, 700: 2**27, 34675: 2**27}
_TAGS |= dict.fromkeys((512, 513, 514, 515), 1) | dict.fromkeys((519, 520, 521), 8)  # of the older JPEG in TIFF
_TAGS |= dict.fromkeys((_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES), MAX_PARTS)
_BESIDE = frozenset({_TURNED, _XMP, _PROFILE})  # without these there is a picture too
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _YCBCR = 0, 1, 6
_UNSPECIFIED, _ASSOCIATED = 0, 1


@dataclass
class Directory:
    """Some tags of a directory."""

    values: dict[int, tuple[Any, ...]]
    entries: dict[int, bytes]
    """As they are in the file; the values that do not fit in them lie elsewhere."""
    order: str
    """Of bytes, as `struct` names it."""
    wide: bool
    """Whether it has 64-bit offsets (BigTIFF)."""

    def set(self, tag: int, value: int) -> None:
        """Set a tag to one value below 2**16."""
        head = struct.pack(self.order + ("HHQ" if self.wide else "HHL"), tag, 3, 1)
        self.entries[tag] = head + struct.pack(self.order + "H", value).ljust(8 if self.wide else 4, b"\0")

    def remove(self, tag: int) -> None:
        """Remove a tag, if it is there."""
        self.values.pop(tag, None)
        self.entries.pop(tag, None)

    def encode(self) -> bytes:
        """Return it as bytes, sorted, with no directory after it."""
        count = struct.pack(self.order + ("Q" if self.wide else "H"), len(self.entries))
        return count + b"".join(self.entries[tag] for tag in sorted(self.entries)) + bytes(8 if self.wide else 4)


def _directory(data: bytes, tags: Mapping[int, int], beside: Collection[int]) -> Directory:
    """Read the first directory of a file; of a tag that comes twice the first that is readable, as Pillow and libtiff.

    Args:
        data: The file.
        tags: Those that are read, and how many values each may have.
        beside: Those that are left out where they are broken. Where all are, the directory may be cut off.

    Raises:
        ImageError: Another tag is broken.
        struct.error: Another tag is cut off.
    """
    order = "<" if data[:2] == b"II" else ">"
    wide = data[2] == 43  # of the 64-bit ones Pillow reads one order
    offset, form = ("Q", "HHQ8s") if wide else ("L", "HHL4s")
    inline = struct.calcsize("=" + offset)
    (start,) = struct.unpack_from(order + offset, data, inline)
    counter = order + ("Q" if wide else "H")
    (count,) = struct.unpack_from(counter, data, start)
    found = Directory({}, {}, order, wide)
    first, length = start + struct.calcsize(counter), 4 + 2 * inline
    if all(tag in beside for tag in tags):
        count = min(count, (len(data) - first) // length)
    taken = 0
    for at in range(first, first + min(count, MAX_PARTS) * length, length):
        tag, kind, n, place = struct.unpack_from(order + form, data, at)
        if tag not in tags or tag in found.values or kind not in _CODES or not n:
            continue
        try:
            if n > tags[tag]:
                raise damaged(f"tag {tag} has {n} values")
            code = f"{order}{n}{_CODES[kind]}"
            size = struct.calcsize(code)
            if taken + size > len(data):  # each is inside the file, but they share it
                raise damaged("its tags are larger than the file")
            inside = size <= inline
            found.values[tag] = struct.unpack_from(
                code, data, at + length - inline if inside else struct.unpack(order + offset, place)[0]
            )
        except (struct.error, OverflowError, ImageError):
            if tag not in beside:
                raise
        else:
            taken += size
            found.entries[tag] = data[at : at + length]
    return found


def orientation(exif: bytes, xmp: bytes = b"") -> bytes:
    """Return EXIF data that holds the orientation alone, that of XMP where EXIF has none; nothing where neither has."""
    try:
        exif = re.sub(rb"^(Exif\0.){1,2}", b"", exif, flags=re.DOTALL)
        values = _directory(exif, {_TURNED: 2}, {_TURNED}).values if exif[:2] in (b"II", b"MM") else {}
    except (struct.error, IndexError, OverflowError):
        values = {}
    match = re.search(rb'tiff:Orientation(?:="|>)([0-9])', xmp)
    value = values[_TURNED][0] if _TURNED in values else int(match[1]) if match else 0
    value = value[0] if isinstance(value, bytes) else value
    return struct.pack("<2sHLHHHLHHL", b"II", 42, 8, 1, _TURNED, 3, 1, value, 0, 0) if value in range(1, 9) else b""


def scan(data: bytes, most: int) -> tuple[list[bytes | memoryview], bytes, bool]:
    """Check a TIFF file.

    Args:
        data: The file.
        most: Pixels that may be read.

    Returns:
        The file's parts, with what its picture needs and can be decoded; its color profile; and whether the picture
        comes out inverted, because in it white is zero in a way that Pillow does not read.

    Raises:
        ImageError: It is damaged, or decoding it would take too much.
        struct.error: It is cut off.
    """
    tags = _directory(data, _TAGS, _BESIDE)
    if tags.values.get(_TURNED, (1,))[0] not in range(1, 9):
        tags.remove(_TURNED)

    def number(tag: int, default: int = 0, least: int = 1) -> int:
        value = tags.values.get(tag, (default,))[0]
        if not isinstance(value, int) or value < least:
            raise damaged(f"tag {tag} is {value!r:.20}")
        return value

    width, height, samples = number(_WIDTH), number(_HEIGHT), number(_SAMPLES, 1)
    tiled = _TILE_WIDTH in tags.values
    across = number(_TILE_WIDTH) if tiled else width
    down = number(_TILE_HEIGHT) if tiled else min(height, number(_ROWS, height))
    planes = samples if number(_PLANAR, 1) == 2 else 1
    parts = -(-width // across) * -(-height // down)
    bits, numbers = max(tags.values.get(_BITS, (1,))), max(tags.values.get(_NUMBERS, (1,)))
    if bits > 16 or numbers in (2, 3):
        kind = {2: "signed", 3: "floating-point"}.get(numbers, f"{bits}-bit")
        raise ImageError(f"{kind} pixels have no agreed range; save it with 8 or 16 bits a channel")
    meaning = number(_MEANING, _WHITE_IS_ZERO, 0)
    inverted = meaning == _WHITE_IS_ZERO and samples == 1 and (bits > 8 or (bits == 8 and number(_FILLED, 1) == 2))
    if inverted:
        tags.set(_MEANING, _BLACK_IS_ZERO)
    if tags.values.get(_EXTRA) == (_ASSOCIATED,) and planes == 1:
        tags.set(_EXTRA, _UNSPECIFIED)  # such colors are laid on black already
    # Strips and tiles are decoded whole, however little of them is in the picture; YCbCr as 4 bytes.
    block = across * down * (4 if meaning == _YCBCR else -(-bits * samples // 8))
    per_pixel = (1 if bits <= 8 else 3) if samples == 1 and meaning != _YCBCR else 4 if bits <= 8 else 8
    turns = number(_TURNED, 1) > 1 or _XMP in tags.values
    check_size(width, height, most, 2 * per_pixel if turns else per_pixel, block)
    places = tags.values.get(_STRIPS) or tags.values.get(_TILES, ())
    sizes = tags.values.get(_STRIP_BYTES) or tags.values.get(_TILE_BYTES, ())
    if parts * planes > MAX_PARTS or len(places) > parts * planes or parts * across * down > 2 * reach(most):
        raise too_long(f"{len(places)} strips or tiles of {across} x {down} pixels")
    method = number(_COMPRESSION, 1)
    if method != 1 and (sum(sizes) > len(data) or len(sizes) < parts * planes > 1):
        raise damaged("its strips or tiles are larger than the file")
    if method in (6, 7):
        scans = sum(data.count(b"\xff\xda", at, at + size) for at, size in zip(places, sizes, strict=False))
        if scans * across * down * samples > PASSES * reach(most):
            raise too_long(f"{scans} scans")
    profile = tags.values.get(_PROFILE, (b"",))[0]
    tags.remove(_PROFILE)
    view, inline = memoryview(data), 8 if tags.wide else 4
    place = struct.pack(tags.order + ("Q" if tags.wide else "L"), len(data) + len(data) % 2)
    kept: list[bytes | memoryview] = [view[:inline], place, view[2 * inline :], bytes(len(data) % 2), tags.encode()]
    return kept, profile if isinstance(profile, bytes) else b"", bool(inverted)
