"""What `vaegen sample` and `vaegen serve` are asked to show, image by image, and what both say of the result."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from vaegen import __version__
from vaegen.errors import RequestError
from vaegen.spec import DIGITS

if TYPE_CHECKING:
    from vaegen.manifest import Manifest
    from vaegen.sampling import Draw

PREFIX = "vaegen:"  # of the text chunks in a file
_TRIPLE = re.compile("(?<![^,])[0-9]{1,3}(?:,[0-9]{1,3}){2}(?![^,])")  # one color, not three


class Color(NamedTuple):
    """A color as the user wrote it and as the model gets it."""

    text: str
    """The request: "red", "#ff8000", "hsl(30,100%,50%)"."""
    rgb: tuple[int, int, int]
    """0 to 255 each."""

    @classmethod
    def of(cls, rgb: tuple[int, int, int]) -> Self:
        """Return a color that nobody wrote, as "#rrggbb"."""
        return cls("#{:02x}{:02x}{:02x}".format(*rgb), rgb)


class Subject(NamedTuple):
    """What one image is to show."""

    digit: int
    """0 to 9."""
    color: Color
    number: int
    """Counts the images of one combination of a digit and a color, from 0."""


def read_digits(texts: Sequence[str]) -> list[int]:
    """Read digits as people write them: "3", "0-9", "1,3,5" or a mixture.

    Raises:
        RequestError: A part is none of these.
    """
    digits: list[int] = []
    for part in ",".join(texts).split(",") if texts else []:
        match = re.fullmatch(r"\s*([0-9])\s*(?:-\s*([0-9])\s*)?", part, flags=re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            several = re.fullmatch(r"[0-9]{2,}", part.strip(), flags=re.ASCII)
            advice = f"; {','.join(part.strip())} makes an image of each" if several else ", such as 3, 0-9 or 1,3,5"
            raise RequestError(f"digit {part.strip()!r} does not exist; choose from 0 to {DIGITS - 1}{advice}")
        digits.extend(range(first, last + 1))
    return digits


def read_colors(texts: Sequence[str]) -> list[Color]:
    """Read colors as people write them: "red", "red,#ff8000", "hsl(30,100%,50%),blue" or "255,128,0".

    Raises:
        RequestError: A part is not a color, or not one that can be drawn.
    """
    from vaegen.color import parse_color

    texts = [_TRIPLE.sub(r"rgb(\g<0>)", text) for text in texts]
    parts = [part.strip() for text in texts for part in _outside_parentheses(text)]
    return [Color(part, parse_color(part)) for part in parts]


def _outside_parentheses(text: str) -> list[str]:
    """Split a text at its commas, but for those of rgb(), hsl() and hsv()."""
    parts, inside = [""], False
    for piece in re.split(r"([,()])", text):
        if piece == "," and not inside:
            parts.append("")
            continue
        inside = piece == "(" or (inside and piece != ")")
        parts[-1] += piece
    return parts


def count_subjects(digits: Sequence[int], colors: Sequence[Color], count: int) -> int:
    """Return how many images `plan_subjects` would plan."""
    return max(len(digits), 1) * max(len(colors), 1) * count


def plan_subjects(
    digits: Sequence[int], colors: Sequence[Color], count: int, *, seed: int, start: int
) -> list[Subject]:
    """Combine every digit with every color, `count` images each: digit by digit, color by color.

    Where no digits or no colors are given, one is drawn for each image, from the seed and the image's item.
    """
    if digits and colors:
        return [Subject(*combination) for combination in itertools.product(digits, colors, range(count))]
    from vaegen.sampling import random_subjects

    subjects = []
    total = count_subjects(digits, colors, count)
    for item, (digit, rgb) in enumerate(zip(*random_subjects(total, seed, start), strict=True)):
        combination, number = divmod(item, count)  # only one of the two lists has entries
        color = colors[combination] if colors else Color.of(rgb)
        subjects.append(Subject(digits[combination] if digits else digit, color, number))
    return subjects


def call_facts(
    manifest: "Manifest",
    *,
    seed: int,
    temperature: float | None,
    tries: int | None,
    best: int | None,
    slant: float | None,
    thickness: float | None,
    hand: int | None,
) -> dict[str, Any]:
    """Return what all images of one call have in common, as PNG files and JSON tell it."""
    from vaegen.sampling import TRIES

    draws = {"tries": TRIES if tries is None else tries} if best is None else {"best": best}
    style = {"slant": slant, "thickness": thickness, "hand": hand}
    return {
        **model_facts(manifest),
        "seed": seed,
        "temperature": manifest.model.prior_temperature if temperature is None else temperature,
        **draws,
        **{name: value for name, value in style.items() if value is not None},
    }


def model_facts(manifest: "Manifest") -> dict[str, Any]:
    """Return what made the images of one call, as PNG files and JSON tell it."""
    return {"model": manifest.model.name, "bundle": manifest.identity, "version": __version__}


def text_chunks(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what is known of a picture as the text chunks of its file, keyword to text."""
    return {f"{PREFIX}{name}": str(value) for name, value in facts.items()}


def picture_facts(index: int, digits: Sequence[int], colors: Sequence[Color]) -> dict[str, Any]:
    """Return what a picture is of; --digit and --color read its digits and colors."""
    lists = {"digit": ",".join(map(str, digits)), "color": ",".join(color.text for color in colors)}
    return {"index": index, **lists}


def sheet_facts(
    index: int, digits: Sequence[int], colors: Sequence[Color], subjects: Sequence[Subject]
) -> dict[str, Any]:
    """Return what a sheet or an array is of: the digits and colors asked for, or those drawn from the seed.

    With them go its rows and columns, and the images of a cell.
    """
    rows, columns = max(len(digits), 1), max(len(colors), 1)
    of = picture_facts(index, digits or [one.digit for one in subjects], colors or [one.color for one in subjects])
    return {**of, "grid": f"{rows}x{columns}", "count": len(subjects) // (rows * columns)}


def file_stem(subject: Subject) -> str:
    """Name an image by what was asked for: "red-3", "ff8000-3", "hsl-30-100-50-3"."""
    word = re.sub(r"[^A-Za-z0-9.]+", "-", subject.color.text.removeprefix("#")).strip("-")
    return f"{word}-{subject.digit}"


def describe(draw: "Draw", row: int, subject: Subject) -> dict[str, Any]:
    """Return what is known of one image; what was not checked is None."""
    return {
        "digit": subject.digit,
        "color": subject.color.text,
        "rgb": subject.color.rgb,
        "tries_used": int(draw.tries_used[row]),
        "judged": None if draw.judged is None else int(draw.judged[row]),
        "confidence": None if draw.confidence is None else round(float(draw.confidence[row]), 4),
        "measured": None if draw.measured is None else [round(value, 1) for value in draw.measured[row].tolist()],
        "color_error": None if draw.color_error is None else round(float(draw.color_error[row]), 3),
        "realism": None if draw.realism is None else round(float(draw.realism[row]), 3),
        "accepted": None if draw.accepted is None else bool(draw.accepted[row]),
        "rank": None if draw.rank is None else round(float(draw.rank[row]), 3),
    }
