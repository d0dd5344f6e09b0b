"""What the public calls ask for, checked once at the door so that the rest can trust it."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.color import NO_SEQUENCE, RGB, parse_color
from vaegen.errors import RequestError, first_line, quoted
from vaegen.spec import CHANNELS, DIGITS, NO_SLANT, NO_THICKNESS, SIDE

MAX_COUNT = 10**9  # images in one call
MAX_START = 2**62  # item numbers stay below 2**63
MAX_TRIES = 1000
MAX_TEMPERATURE = 10.0  # far above 1, where a prior gives what it was fitted to
MAX_LATENT = 1e6  # far outside any latent space, and far from where float32 arithmetic overflows

SLANTS = (-60.0, 60.0)  # degrees; hardly any digit leans further than 35
THICKNESSES = (0.5, 8.0)  # pixels; hardly any stroke is thinner than 1 or thicker than 5

Integers = npt.NDArray[np.integer[Any]]
Digit = int | Sequence[int] | Integers
# One sequence instead of two: type checkers infer a list of names and triples only where they have no choice.
Color = str | Sequence[int | str | Sequence[int]] | Integers
Numbers = float | Sequence[float] | npt.NDArray[np.integer[Any] | np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Request:
    """What one call asks for, checked."""

    digits: npt.NDArray[np.int64]
    """(n,), 0 to 9."""
    colors: npt.NDArray[np.uint8]
    """(n, 3)."""
    style: npt.NDArray[np.float32]
    """(n, 2), slant in degrees and thickness in pixels; NO_SLANT and NO_THICKNESS where none is asked for."""
    seed: int
    """0 to 2**64 - 1."""
    hand: int | None
    """The seed of what all images have in common; None for nothing."""
    start: int
    """Image i is item start + i of the seed."""
    temperature: npt.NDArray[np.float32]
    """(), of the prior, above 0."""
    tries: int
    """Draws an image may take, 1 or more."""
    best: bool
    """Whether each takes all of them, and the best is kept."""


def parse_subjects(
    digit: Digit, color: Color, count: int | None, longest: int = 1
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Turn one or many digits and colors into one of each per image.

    Args:
        digit: 0 to 9, or a sequence of them.
        color: What `vaegen.color.parse_color` reads, or a sequence of that. Three integers are one color.
        count: Images in all; None for the length of the longest sequence.
        longest: The length of the longest of other sequences.

    Returns:
        Digits (n,) and colors (n, 3).

    Raises:
        RequestError: A digit or color does not exist, or a sequence has neither one entry nor one per image.
    """
    digits = _parse_digits(entries_of(digit))
    colors = _parse_colors(_colors(color))
    n = max(len(digits), len(colors), longest) if count is None else check_integer("count", count, 1, MAX_COUNT)
    for name, entries in (("digits", digits), ("colors", colors)):
        if not entries or len(entries) not in (1, n):
            raise RequestError(f"{len(entries)} {name} for {n} images; give one, or one for each image")
    all_digits, all_colors = np.empty(n, np.int64), np.empty((n, 3), np.uint8)
    all_digits[:], all_colors[:] = digits, colors
    return all_digits, all_colors


def parse_style(slants: list[Any] | None, thicknesses: list[Any] | None, n: int) -> npt.NDArray[np.float32]:
    """Turn slants in degrees and thicknesses in pixels, one of each or n, into a style for each image, (n, 2).

    Raises:
        RequestError: One is out of range, or a sequence has neither one entry nor n.
    """
    style = np.empty((n, 2), np.float32)
    style[:, 0] = _parse_numbers("slant", slants, n, SLANTS, "degrees", NO_SLANT)
    style[:, 1] = _parse_numbers("thickness", thicknesses, n, THICKNESSES, "pixels", NO_THICKNESS)
    return style


def _parse_numbers(
    name: str, entries: list[Any] | None, n: int, ends: tuple[float, float], unit: str, nothing: float
) -> list[float]:
    if entries is None:
        return [nothing]
    numbers = [check_number(name, entry, *ends, unit) for entry in entries]
    if len(numbers) not in (1, n):
        raise RequestError(f"{len(numbers)} numbers of {name} for {n} images; give one, or one for each image")
    return numbers


def _parse_digits(entries: list[Any]) -> list[int]:
    # Plain integers, the usual case by far, are checked all at once.
    if set(map(type, entries)) == {int} and min(entries) >= 0 and max(entries) < DIGITS:
        return entries
    return [check_integer("digit", one, 0, DIGITS - 1) for one in entries]


def _parse_colors(entries: list[Any]) -> list[RGB]:
    named: dict[str, RGB] = {}  # each text is read once, however many images have it
    colors = []
    for entry in entries:
        found = named.get(entry) if isinstance(entry, str) else None
        if found is None:
            found = parse_color(entry)
            if isinstance(entry, str):
                named[entry] = found
        colors.append(found)
    return colors


def _colors(color: Color) -> list[Any]:
    entries = entries_of(color)
    # Three integers are a color; anything else in a row is a row of colors.
    is_one = not isinstance(color, str) and entries and all(isinstance(e, int | float | np.number) for e in entries)
    return [entries] if is_one else entries


def entries_of(value: Any) -> list[Any]:
    """Return the entries of a sequence or array; whatever else there is, is its own only entry."""
    if isinstance(value, NO_SEQUENCE):
        return [value]
    if hasattr(value, "tolist"):  # an array of numpy, torch or others
        value = value.tolist()
    try:
        return list(value)
    except TypeError:
        return [value]


def check_integer(name: str, value: Any, least: int, most: int) -> int:
    """Return a plain integer from `least` to `most`.

    Raises:
        RequestError: It is something else.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise RequestError(f"{name} {quoted(value)} is not usable; choose an integer from {least} to {most}")
    return number


def check_number(name: str, value: Any, least: float, most: float, unit: str = "") -> float:
    """Return a plain number from `least` to `most`.

    Raises:
        RequestError: It is something else.
    """
    if not _is_number(value) or not least <= value <= most:
        choices = f"a number from {least:g} to {most:g} {unit}".rstrip()
        raise RequestError(f"{name} {quoted(value)} is not usable; choose {choices}")
    return float(value)


def check_temperature(value: Any) -> float:
    """Return a temperature as a plain number.

    Raises:
        RequestError: It is not above 0 and at most MAX_TEMPERATURE.
    """
    if not _is_number(value) or not 0 < value <= MAX_TEMPERATURE:
        raise RequestError(
            f"temperature {quoted(value)} is not usable; choose a number above 0, at most {MAX_TEMPERATURE:g}"
        )
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def check_items(n: int, start: int, items: Sequence[int] | None) -> Sequence[int]:
    """Return the item of each of n rows: those asked for, or n from `start` on.

    Raises:
        RequestError: A number is out of range, or there are more or fewer items than rows.
    """
    if items is None:
        start = check_integer("start", start, 0, MAX_START)
        return range(start, start + n)
    entries = entries_of(items)
    if len(entries) != n:
        raise RequestError(f"{len(entries)} items for {n} images; give one for each")
    return [check_integer("item", item, 0, MAX_START) for item in entries]


def check_images(images: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return images as an array, uint8 (n, 28, 28, 3).

    Raises:
        RequestError: They have another type or shape.
    """
    array = _as_array("images", images)
    if array.dtype != np.uint8:
        raise RequestError(f"images are {array.dtype}; they must be uint8, 0 to 255")
    if array.ndim != 4 or array.shape[1:] != (SIDE, SIDE, CHANNELS):
        hint = "; use images[None] for a single one" if array.shape == (SIDE, SIDE, CHANNELS) else ""
        raise RequestError(f"images have shape {array.shape}; it must be (n, {SIDE}, {SIDE}, {CHANNELS}){hint}")
    return array


def check_latents(latents: npt.ArrayLike, size: int) -> npt.NDArray[np.floating[Any]]:
    """Return latents as an array (n, size) of floats of any width.

    Raises:
        RequestError: They have another shape, are not floating-point numbers, or one is not within MAX_LATENT.
    """
    array = _as_array("latents", latents)
    if not np.issubdtype(array.dtype, np.floating):
        raise RequestError(f"latents are {array.dtype}; they must be float32")
    if array.ndim != 2 or array.shape[1] != size:
        raise RequestError(f"latents have shape {array.shape}; it must be (n, {size})")
    check_finite("latents", array)
    return array


def check_finite(name: str, array: npt.NDArray[np.floating[Any]]) -> None:
    """Check that all numbers of an array are within MAX_LATENT.

    Raises:
        RequestError: One is not.
    """
    # Compared as Python's own floats, for half precision does not know MAX_LATENT, and written so that NaN, for which
    # every comparison is false, is refused too.
    if array.size and not (float(array.min()) >= -MAX_LATENT and float(array.max()) <= MAX_LATENT):
        raise RequestError(f"{name} must be finite numbers within {MAX_LATENT:g}; at least one is not")


def _as_array(name: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise RequestError(f"{name} do not have one common shape") from error
    except (TypeError, RuntimeError) as error:  # a tensor on another device, or one that asks for gradients
        raise RequestError(f"{name} cannot be read as an array: {first_line(error)}") from error
    if type(value) not in (np.ndarray, list) and isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise RequestError(f"{name} have masked values; fill them first")
    return array
