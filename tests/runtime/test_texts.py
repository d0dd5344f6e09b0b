"""Texts of digits: read as people write them, in one hand, each digit right."""

from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen.texts import plan_text, write

TINY = Path(__file__).parents[1] / "assets" / "tiny"


def planned(text: str, *colors: str) -> list[tuple[int, str]]:
    return [(one.digit, one.color.text) for one in plan_text(text, colors, seed=0, start=0)]


def test_a_text_has_one_color_or_a_list_that_begins_again_or_a_rainbow() -> None:
    assert planned("2026", "teal") == [(2, "teal"), (0, "teal"), (2, "teal"), (6, "teal")]
    assert planned("007", "red,gold") == [(0, "red"), (0, "gold"), (7, "red")]
    assert planned("007", "red", "hsl(200, 100%, 50%)")[1] == (0, "hsl(200, 100%, 50%)")
    assert [color for _, color in planned("123", "Rainbow")] == ["#ff0000", "#00ff55", "#aa00ff"]
    assert planned("1", "rainbow") == [(1, "#ff0000")]
    drawn = {color for _, color in planned("2026")}
    assert len(drawn) == 1
    assert drawn != {one.color.text for one in plan_text("2026", (), seed=1, start=0)}


@pytest.mark.parametrize("text", ["", " ", "20 26", "2.5", "-1", "1e3", "MMXXVI", "٢٠٢٦", "²", "1\n"])
def test_a_text_is_of_digits(text: str) -> None:
    with pytest.raises(vaegen.RequestError, match="is not made of digits alone; give 1 to 64 digits, such as 2026"):
        planned(text, "red")


def test_a_text_has_at_most_64_digits() -> None:
    assert len(planned("0" * 64)) == 64
    with pytest.raises(vaegen.RequestError, match="a text of 65 digits is too long; give at most 64"):
        planned("0" * 65)


@pytest.mark.parametrize("color", ["rde", "red,rainbow", "#000"])
def test_its_colors_are_colors(color: str) -> None:
    with pytest.raises(vaegen.RequestError, match="color"):
        planned("12", color)


@pytest.mark.parametrize("name", ["continuous", "discrete", "joint"])
def test_a_text_is_in_one_hand_that_brings_it_back(name: str) -> None:
    if name not in vaegen.models():
        pytest.skip(f"this installation ships no model {name!r}")
    with vaegen.load(name) as model:
        plan = plan_text("0123456789", ["red"], seed=4, start=2)
        text = write(model, plan, seed=4, start=2, hand=None)
        assert text.draw.accepted is not None
        assert text.draw.accepted.all()
        assert text.draw.judged is not None
        assert text.draw.judged.tolist() == list(range(10))
        again = write(model, plan, seed=4, start=2, hand=text.hand)
        assert (again.draw.images == text.draw.images).all()
        digits = [model.sample(i, "red", seed=4, start=item, hand=text.hand)[0] for i, item in enumerate(text.items)]
        assert (text.draw.images == np.stack(digits)).all()
        assert write(model, plan, seed=5, start=2, hand=None).hand != text.hand


def test_the_surest_draw_of_a_digit_is_taken() -> None:
    with vaegen.load("discrete") as model:
        sure = [write(model, plan_text("7" * 6, ["red"], seed=s, start=0), seed=s, start=0, hand=s) for s in range(6)]
        first = [model.draw([7] * 24, "red", seed=s, hand=s) for s in range(6)]
    for text, each in zip(sure, first, strict=True):
        assert text.draw.confidence is not None
        assert each.confidence is not None
        assert each.accepted is not None
        best = np.where(each.accepted, each.confidence, 0).reshape(6, 4).max(1)
        assert (text.draw.confidence >= np.minimum(best, 0.99)).all()


def test_unchecked_digits_are_the_first_ones() -> None:
    with vaegen.load(TINY) as model:
        text = write(model, plan_text("31", ["red"], seed=0, start=5), seed=0, start=5, hand=8, tries=1)
        assert (text.draw.images == model.sample([3, 1], "red", start=5, hand=8, tries=1)).all()
        assert text.items == [5, 6]
