import numpy as np
import pytest
from vaegen.color import color_error, stroke_color
from vaegen_training.data import Mnist
from vaegen_training.evaluate import color_figures, samples

RED, ORANGE = (255, 0, 0), (255, 128, 0)


def bars(rgb: tuple[int, int, int], n: int = 3) -> samples.Images:
    """A stroke of 100 pixels in one color."""
    images = np.zeros((n, 28, 28, 3), np.uint8)
    images[:, 10:14, 1:26] = rgb
    return images


def asked(rgb: tuple[int, int, int], n: int = 3) -> samples.Images:
    return np.tile(np.array(rgb, np.uint8), (n, 1))


def flat(colors: object) -> samples.Images:
    """Images all of one color each."""
    rgb = np.asarray(colors, np.uint8)
    return np.broadcast_to(rgb[:, None, None, :], (len(rgb), 28, 28, 3)).copy()


def test_exact_paint_has_no_error() -> None:
    images = bars(ORANGE)
    assert (color_figures.hue_errors(images, asked(ORANGE)) == 0).all()
    assert (color_figures.bleeding(images) == 0).all()


def test_hue_goes_the_short_way_round_and_ignores_brightness_and_gray() -> None:
    assert color_figures.hue_errors(bars((128, 0, 0)), asked(RED)).max() < 2
    assert color_figures.hue_errors(bars((0, 255, 255)), asked(RED)).min() > 120
    one, other = (0, 255, 200), (0, 255, 255)  # on either side of 180 degrees, where the angle's sign turns
    for rgb, wanted in ((one, other), (other, one)):
        assert 0 < color_figures.hue_errors(bars(rgb), asked(wanted)).max() < 60
    assert len(color_figures.hue_errors(bars((200, 200, 200)), asked((200, 200, 200)))) == 0


def test_shades_of_one_color_do_not_bleed_and_two_colors_do() -> None:
    images = bars(RED)
    images[:, 12:14] //= 2  # half as bright, the same hue
    assert color_figures.bleeding(images).max() < 0.5
    images[:, 12:14, 1:26] = (0, 0, 255)  # half red, half blue
    assert color_figures.bleeding(images).min() > 10


def test_bleeding_is_each_image_s_own() -> None:
    images = np.concatenate([bars(RED, 1), bars(ORANGE, 1), bars(RED, 1)])
    images[1, 12:14] = (0, 0, 255)
    found = color_figures.bleeding(images)
    assert found[0] == found[2] == 0
    assert found[1] > 10


def test_a_black_image_is_measured_too() -> None:
    assert np.isfinite(color_figures.bleeding(np.zeros((2, 28, 28, 3), np.uint8))).all()


def test_painted_digits_are_the_known_mark(digits: Mnist) -> None:
    """Real digits in real paint, measured the same way: a median of 0.4, for thin strokes are dim at their edges."""
    colors = samples.random_colors(200, np.random.default_rng(0))
    images = samples.paint(digits.test_images.numpy(), colors)
    assert np.median(color_error(stroke_color(images), colors)) < 0.8
    assert np.median(color_figures.bleeding(images)) < 0.2


def test_saturation_is_that_of_hsv() -> None:
    images = flat([[255, 0, 0], [128, 128, 128], [200, 100, 150], [0, 0, 0]])
    np.testing.assert_allclose(color_figures.saturation(images), [1, 0, 0.5, 0])


def test_color_kept_is_1_for_the_paint_itself_and_0_for_its_mean() -> None:
    colors = samples.random_colors(500, np.random.default_rng(0))
    assert color_figures.color_kept(flat(colors), colors, 0).value == pytest.approx(1, abs=1e-6)
    gray = color_figures.color_kept(flat([[128, 128, 128]] * 500), colors, 0)
    assert -0.2 < gray.low <= gray.value < 0.05
    assert color_figures.color_kept(flat(colors[::-1]), colors, 0).high < -0.5


def test_the_spread_of_colors_is_their_distance_from_their_mean() -> None:
    assert color_figures.color_spread(flat([[90, 80, 200]] * 50), 0).value == pytest.approx(0, abs=1e-3)
    # Black and white in equal shares: L* 0 and 100, each 50 from the mean.
    both = color_figures.color_spread(flat([[0, 0, 0], [255, 255, 255]] * 100), 0)
    assert both.value == pytest.approx(50, abs=0.1)
    assert both.low <= both.value <= both.high


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 0, 0), "red"),
        ((255, 0, 60), "red"),
        ((250, 240, 10), "yellow"),
        ((10, 200, 30), "green"),
        ((0, 220, 240), "cyan"),
        ((20, 30, 255), "blue"),
        ((250, 0, 220), "magenta"),
    ],
)
def test_hues_are_sixths_of_the_circle(rgb: tuple[int, int, int], name: str) -> None:
    assert color_figures.HUES[color_figures.hue_class(flat([rgb]))[0]] == name


def test_grays_have_no_hue() -> None:
    assert color_figures.hue_class(flat([[100, 100, 100], [255, 240, 230]])).tolist() == [color_figures.GRAY] * 2
