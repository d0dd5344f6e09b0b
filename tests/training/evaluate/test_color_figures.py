import numpy as np
import pytest
from vaegen.color import color_error
from vaegen_training.data import Mnist
from vaegen_training.evaluation import color, gather

RED, ORANGE = (255, 0, 0), (255, 128, 0)


def bars(rgb: tuple[int, int, int], n: int = 3) -> gather.Images:
    """A stroke of 100 pixels in one color."""
    images = np.zeros((n, 28, 28, 3), np.uint8)
    images[:, 10:14, 1:26] = rgb
    return images


def asked(rgb: tuple[int, int, int], n: int = 3) -> gather.Images:
    return np.tile(np.array(rgb, np.uint8), (n, 1))


def test_exact_paint_has_no_error() -> None:
    images = bars(ORANGE)
    assert (color.errors(images, asked(ORANGE)) == 0).all()
    assert (color.hue_errors(images, asked(ORANGE)) == 0).all()
    assert (color.bleeding(images) == 0).all()


def test_an_error_is_the_ciede2000_of_the_two_colors() -> None:
    assert color.errors(bars(RED), asked(ORANGE)) == pytest.approx(float(color_error(RED, ORANGE)))
    assert (color.errors(bars((250, 0, 0)), asked(RED)) < 1.5).all()


def test_hue_goes_the_short_way_round_and_ignores_brightness_and_gray() -> None:
    assert color.hue_errors(bars((128, 0, 0)), asked(RED)).max() < 2
    assert color.hue_errors(bars((0, 255, 255)), asked(RED)).min() > 120
    one, other = (0, 255, 200), (0, 255, 255)  # on either side of 180 degrees, where the angle's sign turns
    for rgb, wanted in ((one, other), (other, one)):
        assert 0 < color.hue_errors(bars(rgb), asked(wanted)).max() < 60
    assert len(color.hue_errors(bars((200, 200, 200)), asked((200, 200, 200)))) == 0


def test_shades_of_one_color_do_not_bleed_and_two_colors_do() -> None:
    images = bars(RED)
    images[:, 12:14] //= 2  # half as bright, the same hue
    assert color.bleeding(images).max() < 0.5
    images[:, 12:14, 1:26] = (0, 0, 255)  # half red, half blue
    assert color.bleeding(images).min() > 10


def test_bleeding_is_each_image_s_own() -> None:
    images = np.concatenate([bars(RED, 1), bars(ORANGE, 1), bars(RED, 1)])
    images[1, 12:14] = (0, 0, 255)
    found = color.bleeding(images)
    assert found[0] == found[2] == 0
    assert found[1] > 10


def test_a_black_image_is_measured_too() -> None:
    assert np.isfinite(color.bleeding(np.zeros((2, 28, 28, 3), np.uint8))).all()


def test_painted_digits_are_the_known_mark(digits: Mnist) -> None:
    """Real digits in real paint, measured the same way: a median of 0.4, for thin strokes are dim at their edges."""
    colors = gather.random_colors(200, np.random.default_rng(0))
    images = gather.paint(digits.test_images.numpy(), colors)
    assert np.median(color.errors(images, colors)) < 0.8
    assert np.median(color.bleeding(images)) < 0.2
