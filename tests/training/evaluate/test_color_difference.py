"""Measuring the color of a stroke, and telling how different two colors look."""

import numpy as np
from vaegen_training.evaluate.color_difference import ciede2000, color_error, lab, stroke_color

# Sharma, Wu, Dalal (2005), table 1: L*, a*, b* of both colors and their difference.
SHARMA = """
50 2.6772 -79.7751   50 0 -82.7485   2.0425
50 3.1571 -77.2803   50 0 -82.7485   2.8615
50 2.8361 -74.0200   50 0 -82.7485   3.4412
50 -1.3802 -84.2814   50 0 -82.7485   1.0000
50 -1.1848 -84.8006   50 0 -82.7485   1.0000
50 -0.9009 -85.5211   50 0 -82.7485   1.0000
50 0 0   50 -1 2   2.3669
50 -1 2   50 0 0   2.3669
50 2.4900 -0.0010   50 -2.4900 0.0009   7.1792
50 2.4900 -0.0010   50 -2.4900 0.0010   7.1792
50 2.4900 -0.0010   50 -2.4900 0.0011   7.2195
50 2.4900 -0.0010   50 -2.4900 0.0012   7.2195
50 -0.0010 2.4900   50 0.0009 -2.4900   4.8045
50 -0.0010 2.4900   50 0.0010 -2.4900   4.8045
50 -0.0010 2.4900   50 0.0011 -2.4900   4.7461
50 2.5 0   50 0 -2.5   4.3065
50 2.5 0   73 25 -18   27.1492
50 2.5 0   61 -5 29   22.8977
50 2.5 0   56 -27 -3   31.9030
50 2.5 0   58 24 15   19.4535
50 2.5 0   50 3.1736 0.5854   1.0000
50 2.5 0   50 3.2972 0   1.0000
50 2.5 0   50 1.8634 0.5757   1.0000
50 2.5 0   50 3.2592 0.3350   1.0000
60.2574 -34.0099 36.2677   60.4626 -34.1751 39.4387   1.2644
63.0109 -31.0961 -5.8663   62.8187 -29.7946 -4.0864   1.2630
61.2901 3.7196 -5.3901   61.4292 2.2480 -4.9620   1.8731
35.0831 -44.1164 3.7933   35.0232 -40.0716 1.5901   1.8645
22.7233 20.0904 -46.6940   23.0331 14.9730 -42.5619   2.0373
36.4612 47.8580 18.3852   36.2715 50.5065 21.2231   1.4146
90.8027 -2.0831 1.4410   91.1528 -1.6435 0.0447   1.4441
90.9257 -0.5406 -0.9208   88.6381 -0.8985 -0.7239   1.5381
6.7747 -0.2908 -2.4247   5.8714 -0.0985 -2.2286   0.6377
2.0776 0.0795 -1.1350   0.9033 -0.0636 -0.5514   0.9082
"""


def test_ciede2000_equals_the_published_pairs() -> None:
    table = np.array([line.split() for line in SHARMA.split("\n") if line], float)
    assert table.shape == (34, 7)
    np.testing.assert_allclose(ciede2000(table[:, :3], table[:, 3:6]), table[:, 6], atol=5.1e-5)
    np.testing.assert_allclose(ciede2000(table[:, 3:6], table[:, :3]), table[:, 6], atol=5.1e-5)


def test_lab_equals_known_values() -> None:
    # CIE L*a*b* (D65) of the sRGB primaries and grays, from the standard's matrices, to two decimals.
    known = {
        (255, 255, 255): (100.00, 0.00, 0.00),
        (0, 0, 0): (0.00, 0.00, 0.00),
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.73, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
        (119, 119, 119): (50.03, 0.00, 0.00),
    }
    np.testing.assert_allclose(lab(list(known)), list(known.values()), atol=0.011)


def test_equal_colors_do_not_differ_and_different_ones_do() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (500, 3))
    assert (color_error(colors, colors) == 0).all()
    assert color_error([255, 0, 0], [0, 255, 0]) > 50
    assert 0 < color_error([255, 0, 0], [250, 0, 0]) < 2


def test_the_stroke_is_the_mean_of_what_is_as_bright_as_its_40th_pixel() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (50, 28, 28, 3)).astype(np.uint8)
    images[generator.random((50, 28, 28)) < 0.8] = 0
    images[:10] = images[:10] // 64 * 64  # many are as bright as the 40th
    images[40:, 2:] = 0  # fewer than 40 are not black
    expected = []
    for image in images:
        pixels = image.reshape(-1, 3).astype(float)
        brightness = pixels.max(1)
        counted = pixels[(brightness >= np.sort(brightness)[-40]) & (brightness > 0)]
        expected.append(counted.sum(0) / max(40, len(counted)))
    np.testing.assert_allclose(stroke_color(images), expected)
    shuffled = generator.permutation(images.reshape(50, 784, 3), axis=1).reshape(images.shape)
    np.testing.assert_allclose(stroke_color(shuffled), expected)


def test_a_painted_stroke_has_its_color() -> None:
    image = np.zeros((1, 28, 28, 3), np.uint8)
    image[0, 5:15, 10:15] = (200, 100, 50)
    np.testing.assert_array_equal(stroke_color(image), [[200, 100, 50]])
    assert stroke_color(np.zeros((0, 28, 28, 3), np.uint8)).shape == (0, 3)
