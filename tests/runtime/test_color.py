"""Colors as people write them."""

import numpy as np
import pytest
from PIL import ImageColor
from vaegen import RequestError
from vaegen.color import DARKEST, parse_color


@pytest.mark.parametrize(
    ("color", "rgb"),
    [
        ("red", (255, 0, 0)),
        (" RED ", (255, 0, 0)),
        ("#ff8000", (255, 128, 0)),
        ("#f80", (255, 136, 0)),
        ("rgb(1, 2, 99)", (1, 2, 99)),
        ("rgb(0%, 50%, 100%)", (0, 128, 255)),
        ("hsl(120, 100%, 50%)", (0, 255, 0)),
        ("hsv(240, 100%, 100%)", (0, 0, 255)),
        ("#ff8000ff", (255, 128, 0)),
        ("rgba(1, 2, 99, 255)", (1, 2, 99)),
        ("ff8000", (255, 128, 0)),
        ("120099", (18, 0, 153)),
        ("255, 128,0", (255, 128, 0)),
        ("rgb(10 200 100)", (10, 200, 100)),
        ("hsl( 120 100%  50% )", (0, 255, 0)),
        ((0, 200, 7), (0, 200, 7)),
        ([0, 200, 7], (0, 200, 7)),
        (np.array([0, 200, 7], np.uint8), (0, 200, 7)),
        ((DARKEST, 0, 0), (DARKEST, 0, 0)),
    ],
)
def test_colors_that_can_be_read(color: str, rgb: tuple[int, int, int]) -> None:
    result = parse_color(color)
    assert result == rgb
    assert all(type(value) is int for value in result)


def test_every_css_name_is_read_or_too_dark() -> None:
    for name in ImageColor.colormap:
        red, green, blue = ImageColor.getrgb(name)[:3]
        if max(red, green, blue) >= DARKEST:
            assert parse_color(name) == (red, green, blue)


@pytest.mark.parametrize(
    ("color", "message"),
    [
        ("redd", "unknown color 'redd'; did you mean red"),
        ("light blue", "did you mean lightblue"),
        ("qqqq", "unknown color 'qqqq'; use a CSS name"),
        ("", "unknown color ''"),
        ("#ff", "unknown color '#ff'"),
        ("#ff000080", "alpha"),
        ("rgba(255, 0, 0, 9)", "alpha"),
        ((255, 0, 0, 255), "alpha"),
        ("rgb(300, 0, 0)", "0 to 255"),
        ((-1, 40, 40), "0 to 255"),
        ((40, 40), "integers"),
        ((1.0, 0.5, 0.5), "integers"),
        ((True, 200, 200), "integers"),
        (None, "a name or three integers"),
        ((), "a name or three integers"),
        ("black", "too dark.*is 0;.*at least 32 of 255"),
        ((31, 31, 31), "too dark.*is 31;"),
    ],
)
def test_colors_that_are_refused_say_why(color: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as refusal:
        parse_color(color)
    assert "\n" not in str(refusal.value)
