"""What a PNG file says of how vaegen made its picture, read back, so that it can be made anew.

The texts are those of `vaegen.subjects`, as chunks named vaegen:... A file may come from anywhere, so that nothing in
it is believed: texts are read up to a limit, checked before they are used, and never name a file.
"""

import math
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar

from vaegen.errors import ImageError, RequestError, quoted
from vaegen.files import open_plain
from vaegen.limits import MAX_PARTS
from vaegen.spec import SIDE
from vaegen.subjects import PREFIX, Color, plan_subjects, read_colors, read_digits

if TYPE_CHECKING:
    from vaegen.decoding import Picture
    from vaegen.model import Model

Entry = TypeVar("Entry")

MAX_TEXT = 2**21  # bytes of all texts; the colors of a sheet of 100,000 images take less
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MADE_BY = ("model", "bundle", "version", "index")
SAMPLED = (
    *(*_MADE_BY, "seed", "temperature", "tries", "best", "slant", "thickness", "hand"),
    *("digit", "color", "grid", "count", "size", "labels", "text", "walk", "frames", "frame"),
)
"""The texts of a picture of `vaegen sample`."""
DECODED = (*_MADE_BY, "latent", "size")
"""Those of `vaegen decode`; `latent` only where it was typed."""


class Facts(NamedTuple):
    """What a file says."""

    width: int
    height: int
    texts: dict[str, str]
    """By their names without PREFIX, in the order of the file; empty where vaegen has written none."""


def read_facts(path: str | os.PathLike[str]) -> Facts:
    """Read the texts of a PNG file, and its size; its pixels are not looked at.

    Raises:
        ImageError: It is missing, no PNG file, or damaged; or its texts are larger than MAX_TEXT, or come twice.
    """
    try:
        with os.fdopen(open_plain(path), "rb") as stream:
            return _facts(stream)
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {error.strerror or error}") from error
    except (ImageError, struct.error) as error:
        reason = "damaged: it ends too early" if isinstance(error, struct.error) else error
        raise ImageError(f"cannot read '{path}': {reason}") from error


def _facts(stream: BinaryIO) -> Facts:
    if stream.read(len(SIGNATURE)) != SIGNATURE:
        raise ImageError("not a PNG file, which alone says how vaegen made it; of a bundle give the folder")
    texts: dict[str, str] = {}
    width = height = taken = 0
    for kind, content in _chunks(stream):
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", content)
            continue
        keyword, _, rest = content.partition(b"\0")
        if not keyword.startswith(PREFIX.encode()):
            continue
        taken += len(content)
        if taken > MAX_TEXT:
            raise ImageError(f"its texts are larger than {MAX_TEXT // 2**20} MiB")
        name = keyword.decode("latin-1").removeprefix(PREFIX)
        if name in texts:
            raise ImageError(f"it has the text {quoted(PREFIX + name)} twice")
        if kind == b"tEXt":
            texts[name] = rest.decode("latin-1")
        elif rest[:1] == b"\0":  # not compressed, as vaegen writes it; then language and translated keyword
            texts[name] = rest[2:].split(b"\0", 2)[-1].decode("utf-8", "backslashreplace")
    return Facts(width, height, texts)


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and content of the header and of each text that is not larger than all may be."""
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"IEND":
            return
        if kind not in (b"IHDR", b"tEXt", b"iTXt"):
            stream.seek(length + 4, os.SEEK_CUR)
            continue
        content = stream.read(min(length, MAX_TEXT + 1))
        if len(content) < length and len(content) > MAX_TEXT:
            stream.seek(length - len(content), os.SEEK_CUR)
        (checksum,) = struct.unpack(">I", stream.read(4))
        if len(content) == length and checksum != zlib.crc32(kind + content):
            raise ImageError("damaged: the checksum of a text is wrong")
        yield kind, content
    raise ImageError(f"more than {MAX_PARTS} chunks")


@dataclass(frozen=True)
class Recipe:
    """A request of `vaegen sample`, as a picture's texts have it, checked."""

    digits: list[int]
    """Empty where each image's was drawn from the seed."""
    colors: list[Color]
    """Likewise."""
    count: int
    """Images of a digit in a color."""
    grid: bool
    """Whether it is a sheet."""
    seed: int
    start: int
    temperature: float
    tries: int | None
    best: int | None
    slant: float | None
    thickness: float | None
    hand: int | None
    text: str | None = None
    """Of digits side by side, in place of `digits`; then `color_text` is in place of `colors`."""
    color_text: str | None = None
    ends: tuple[str, str] | None = None
    """Of a walk, likewise, with their colors."""
    frames: int | None = None

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height, before it is enlarged."""
        if self.text is not None:
            return SIDE * len(self.text), SIDE
        across = math.ceil(math.sqrt(self.count))
        down = -(-self.count // across)
        return SIDE * across * max(len(self.colors), 1), SIDE * down * max(len(self.digits), 1)


def read_recipe(texts: Mapping[str, str]) -> Recipe:
    """Read the texts of a picture that `vaegen sample` made.

    Raises:
        RequestError: One is missing, unknown, or not what vaegen writes there.
    """
    from vaegen.noise import MAX_SEED
    from vaegen.request import MAX_COUNT, MAX_START, MAX_TEMPERATURE, MAX_TRIES, SLANTS, THICKNESSES

    check_names(texts, SAMPLED)
    rows, columns = _grid(texts) if "grid" in texts else (1, 1)
    count = _integer(texts, "count", 1, MAX_COUNT) if "grid" in texts else 1
    digits: list[int] = []
    colors: list[Color] = []
    if not {"text", "walk"} & set(texts):
        digits = _listed(texts, "digit", read_digits, rows, rows * columns * count)
        colors = _listed(texts, "color", read_colors, columns, rows * columns * count)
    draws = [name for name in ("tries", "best") if name in texts]
    if len(draws) != 1:
        raise RequestError(f"it has {' and '.join(draws) or 'neither tries nor best'} among its texts")

    def integer(name: str, most: int, least: int = 0) -> int | None:
        return _integer(texts, name, least, most) if name in texts else None

    def number(name: str, ends: tuple[float, float]) -> float | None:
        return _number(texts, name, *ends) if name in texts else None

    return Recipe(
        digits,
        colors,
        count,
        "grid" in texts,
        seed=_integer(texts, "seed", 0, MAX_SEED),
        start=_integer(texts, "index", 0, MAX_START),
        temperature=_number(texts, "temperature", 0, MAX_TEMPERATURE),
        tries=integer("tries", MAX_TRIES, 1),
        best=integer("best", MAX_TRIES, 1),
        slant=number("slant", SLANTS),
        thickness=number("thickness", THICKNESSES),
        hand=integer("hand", MAX_SEED),
        **_in_place_of_digits(texts),
    )


def _in_place_of_digits(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return what a picture of a text, or a walk, has in place of digits and colors."""
    try:
        if "text" in texts:
            from vaegen.texts import plan_text

            plan_text(texts["text"], [_text(texts, "color")], seed=0, start=0)
            return {"text": texts["text"], "color_text": texts["color"]}
        if "walk" in texts:
            from vaegen.moves import FRAMES, read_ends

            first, _, second = texts["walk"].partition(" to ")
            read_ends((first, second), (), 0, 0)
            return {"ends": (first, second), "frames": _integer(texts, "frames", *FRAMES)}
    except RequestError as error:
        name = "text" if "text" in texts else "walk"
        raise RequestError(f"its {PREFIX}{name}: {error}") from error
    return {}


def read_size(texts: Mapping[str, str]) -> int | None:
    """Return the pixels of a side that each image was enlarged to, smoothly; None where it was not.

    Raises:
        RequestError: It is no such number.
    """
    from vaegen.limits import MAX_SIZE

    return _integer(texts, "size", SIDE, MAX_SIZE) if "size" in texts else None


def read_margin(texts: Mapping[str, str]) -> tuple[int, int]:
    """Return the pixels that labels take on the left and above; raises RequestError where that is something else."""
    text = texts.get("labels", "0x0")
    found = re.fullmatch("([0-9]{1,4})x([0-9]{1,4})", text)
    if found is None:
        raise RequestError(f"its {PREFIX}labels is {quoted(text)}, and not pixels on the left and above such as 20x40")
    return int(found[1]), int(found[2])


def check_names(texts: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Check that a picture has no texts but those that are known; raises RequestError."""
    for name in texts:
        if name not in known:
            raise RequestError(f"its text {quoted(PREFIX + name)} is not known to this version of vaegen")


def _text(texts: Mapping[str, str], name: str) -> str:
    if name not in texts:
        raise RequestError(f"it has no text {PREFIX}{name}")
    return texts[name]


def _integer(texts: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = _text(texts, name)
    if not re.fullmatch("[0-9]{1,20}", text) or not least <= int(text) <= most:
        raise RequestError(f"its {PREFIX}{name} is {quoted(text)}, no integer from {least} to {most}")
    return int(text)


def _number(texts: Mapping[str, str], name: str, least: float, most: float) -> float:
    text = _text(texts, name)
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?(e-[0-9]{1,3})?", text) or not least <= float(text) <= most:
        raise RequestError(f"its {PREFIX}{name} is {quoted(text)}, no number from {least:g} to {most:g}")
    return float(text)


def _grid(texts: Mapping[str, str]) -> tuple[int, int]:
    text = texts["grid"]
    found = re.fullmatch("([1-9][0-9]{0,5})x([1-9][0-9]{0,5})", text)
    if found is None:
        raise RequestError(f"its {PREFIX}grid is {quoted(text)}, and not rows and columns such as 10x3")
    return int(found[1]), int(found[2])


def _listed(
    texts: Mapping[str, str], name: str, read: Callable[[Sequence[str]], list[Entry]], wanted: int, n: int
) -> list[Entry]:
    """Return the entries of a list, one for each row or column; nothing where there is one for each of n images."""
    try:
        entries = read([_text(texts, name)])
    except RequestError as error:
        raise RequestError(f"its {PREFIX}{name}: {error}") from error
    if len(entries) not in (wanted, n):
        raise RequestError(f"its {PREFIX}{name} has {len(entries)} entries; {wanted} would fit")
    return entries if len(entries) == wanted else []


def remake(model: "Model", recipe: Recipe) -> "Picture":
    """Make a picture anew, uint8 (height, width, 3), not enlarged.

    Raises:
        RequestError: The model does not take what is asked for.
        BundleError: A graph cannot be used.
    """
    from vaegen.encoding import sheet

    names = ("seed", "start", "temperature", "tries", "best", "slant", "thickness", "hand")
    how = {name: getattr(recipe, name) for name in names}
    if recipe.text is not None:
        from vaegen.texts import plan_text, write

        plan = plan_text(recipe.text, [recipe.color_text or ""], seed=recipe.seed, start=recipe.start)
        return sheet(write(model, plan, **how).draw.images, 1, len(plan))
    subjects = plan_subjects(recipe.digits, recipe.colors, recipe.count, seed=recipe.seed, start=recipe.start)
    images = model.sample([one.digit for one in subjects], [one.color.rgb for one in subjects], **how)
    return sheet(images, max(len(recipe.digits), 1), max(len(recipe.colors), 1))
