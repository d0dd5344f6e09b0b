"""Digits in a row, such as a year: all in one hand, and each read right."""

import colorsys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vaegen.color import RAINBOW, RGB
from vaegen.errors import RequestError, quoted
from vaegen.model import Model
from vaegen.noise import uniform
from vaegen.sampling import Draw, random_subjects
from vaegen.subjects import Color, Subject, read_colors

LONGEST = 64  # digits of a text

_DRAWS = 4  # of each digit, of which the one that the judge is surest of is taken
_SURE = 0.99  # probability of a digit from which on none is surer than another
_HANDS = 8  # looked at for a text that names none
_NUMBERS = 10**6  # of hands, so few that they are soon typed again
_CHOICE_STREAM = 2**64 - 3  # an attempt that no redraw gets to, next to those of vaegen.sampling
_VIOLET = 280 / 360  # turns; a rainbow ends before it is red again


class Written(NamedTuple):
    """A text that was drawn."""

    draw: Draw
    """A row for each digit."""
    items: list[int]
    """Of the seed, those that the digits are."""
    hand: int | None
    """That of all digits; None of a model that knows none."""


def plan_text(text: str, color_texts: Sequence[str], *, seed: int, start: int) -> list[Subject]:
    """Return what each digit of a text is to be.

    Args:
        text: Such as "2026" or "007".
        color_texts: As people write colors; they go from digit to digit and begin again. Or the one word RAINBOW.
            Where there are none, all digits have one color, drawn from the seed.
        seed: 0 to 2**64 - 1.
        start: The item whose color is drawn.

    Raises:
        RequestError: The text has something else in it, no digit, or more than LONGEST; or a color is none.
    """
    if not text.isascii() or not text.isdigit():
        raise RequestError(f"text {quoted(text)} is not made of digits alone; give 1 to {LONGEST} digits, such as 2026")
    if len(text) > LONGEST:
        raise RequestError(f"a text of {len(text)} digits is too long; give at most {LONGEST}")
    digits = [int(sign) for sign in text]
    if is_rainbow(color_texts):
        colors = [Color.of(rgb) for rgb in _rainbow(len(digits))]
    elif color_texts:
        colors = read_colors(color_texts)
    else:
        (rgb,) = random_subjects(1, seed, start)[1]
        colors = [Color.of(rgb)]
    return [Subject(digit, colors[at % len(colors)], 0) for at, digit in enumerate(digits)]


def is_rainbow(color_texts: Sequence[str]) -> bool:
    """Return whether colors are the one word RAINBOW."""
    return [each.strip().lower() for each in color_texts] == [RAINBOW]


def write(model: Model, subjects: Sequence[Subject], *, seed: int, start: int, hand: int | None, **how: Any) -> Written:
    """Draw digits in one hand.

    Of _DRAWS draws of a digit the first is taken that comes out as asked and that the judge is sure of; if there is
    none, the best. Draw k of digit i is item start + _DRAWS * i + k of the seed.

    Args:
        model: The model.
        subjects: The digits.
        seed: 0 to 2**64 - 1.
        start: The first item.
        hand: 0 to 2**64 - 1. None for one that the seed draws: of _HANDS the first in which all digits come out as
            asked and sure, or the one whose worst digit is best.
        how: What else `Model.draw` takes.

    Raises:
        RequestError: `Model.draw` refuses the request.
        BundleError: A graph cannot be used.
    """
    hands: list[int | None] = [hand]
    if hand is None and model.spec.style is not None:
        hands = [
            int(share * _NUMBERS) for share in uniform(seed, _CHOICE_STREAM, range(start, start + _HANDS), 1)[:, 0]
        ]
    draws = 1 if how.get("tries") == 1 else _DRAWS
    many = [one for one in subjects for _ in range(draws)]
    digits, colors = [one.digit for one in many], [one.color.rgb for one in many]
    found: list[tuple[float, Written]] = []
    for one in hands:
        drawn = model.draw(digits, colors, seed=seed, start=start, hand=one, **how)
        if drawn.accepted is None or drawn.confidence is None or drawn.rank is None:
            return Written(drawn, list(range(start, start + len(drawn))), one)
        sure = drawn.accepted & (drawn.confidence >= _SURE)
        # What is accepted ranks above 10, by how real it looks; that says nothing of how well it reads.
        merits = np.where(drawn.accepted, 20 + np.minimum(drawn.confidence, _SURE), drawn.rank).reshape(-1, draws)
        rows = merits.argmax(1) + draws * np.arange(len(subjects))
        found.append((float(merits.max(1).min()), Written(drawn.take(rows), (start + rows).tolist(), one)))
        if sure[rows].all():
            break
    return max(found, key=lambda each: each[0])[1]


def _rainbow(n: int) -> list[RGB]:
    """Return n colors from red over yellow, green and blue to violet, at even distances of hue; of one, red."""
    hues = (_VIOLET * at / max(n - 1, 1) for at in range(n))
    rows = ([round(255 * part) for part in colorsys.hsv_to_rgb(hue, 1, 1)] for hue in hues)
    return [(red, green, blue) for red, green, blue in rows]
