"""The color of an image: exact paint is measured exactly, and coded as finely as the latents allow."""

import colorsys

import pytest
import torch
from torch import Tensor
from vaegen.spec import LatentSpec
from vaegen_training.data import Mnist, paint
from vaegen_training.models import latents
from vaegen_training.models.color_code import ColorCode, measure, to_hsv, to_rgb


def cube(steps: int) -> Tensor:
    """All colors of a grid that holds the corners: (steps**3, 3)."""
    axis = torch.linspace(0, 1, steps)
    return torch.cartesian_prod(axis, axis, axis)


# --- measure --------------------------------------------------------------------------------------------------


def test_measure_gives_the_exact_paint_and_shape_back(digits: Mnist) -> None:
    gray = paint.to_float(digits.train_images)
    rgb = paint.random_colors(len(gray), torch.Generator().manual_seed(0), margin=0.05)
    found_gray, found_rgb = measure(paint.paint(gray, rgb))
    peak = gray.amax(1, keepdim=True)
    lit = rgb.amax(1) > 0  # black paint leaves nothing to measure
    torch.testing.assert_close(found_rgb[lit], (rgb * peak)[lit], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found_gray[lit], (gray / peak)[lit], rtol=1e-4, atol=1e-5)


def test_measure_calls_black_black() -> None:
    gray, rgb = measure(torch.zeros(2, 3, 28, 28))
    assert not gray.any()
    assert not rgb.any()


def test_measure_weighs_the_stroke_more_than_its_faint_edge() -> None:
    image = torch.zeros(1, 3, 28, 28)
    image[0, 0, 10:18, 10:18] = 1.0  # a red block
    image[0, 2, 9, 10:18] = 0.2  # with a faint blue rim
    _, rgb = measure(image)
    torch.testing.assert_close(rgb, torch.tensor([[1.0, 0.0, 0.0]]), rtol=0, atol=0.001)


# --- the color code -------------------------------------------------------------------------------------------

CODES = {
    "continuous": LatentSpec(3),
    "one place": LatentSpec(0, (3, 10)),
    "three places": LatentSpec(0, (9, 10)),
    "few classes": LatentSpec(0, (6, 5)),
    "odd classes": LatentSpec(0, (6, 16)),
}


def round_trip(spec: LatentSpec, rgb: Tensor) -> Tensor:
    code = ColorCode(spec)
    return code.decode(latents.deterministic(code.posterior(rgb)))


def test_hue_saturation_and_value_are_those_of_the_standard_library() -> None:
    rgb = cube(9)
    expected = torch.tensor([colorsys.rgb_to_hsv(*color) for color in rgb.tolist()])
    torch.testing.assert_close(to_hsv(rgb), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(to_rgb(expected), rgb, rtol=0, atol=1e-6)


def test_the_hue_goes_around_the_circle_and_the_rest_stops_at_its_ends() -> None:
    hue = torch.linspace(-1, 2, 601)[:, None]
    colors = to_rgb(torch.cat([hue, torch.full_like(hue, 0.8), torch.full_like(hue, 0.9)], dim=1))
    assert (colors[1:] - colors[:-1]).abs().max() < 0.8 * 0.9 * 6 * 0.0051  # no jump, at red neither
    torch.testing.assert_close(colors[:201], colors[400:], rtol=0, atol=1e-5)
    torch.testing.assert_close(to_rgb(torch.tensor([[0.0, 1.4, 1.2]])), torch.tensor([[1.0, 0.0, 0.0]]))


def test_the_continuous_color_code_is_exact_and_sure_to_two_gray_levels() -> None:
    rgb = cube(18)
    torch.testing.assert_close(round_trip(LatentSpec(3), rgb), rgb, rtol=0, atol=1e-6)
    code = ColorCode(LatentSpec(3))
    posterior = code.posterior(torch.tensor([[0.9, 0.1, 0.4]]).expand(5000, 3))
    noise = torch.rand(5000, 3, generator=torch.Generator().manual_seed(0))
    spread = code.decode(latents.sample(posterior, noise, 1.0)).std(0) * 255
    assert spread.amax() < 2.5


@pytest.mark.parametrize("spec", [spec for spec in CODES.values() if spec.continuous == 0])
def test_the_discrete_color_code_is_off_by_half_a_step_at_most(spec: LatentSpec) -> None:
    rgb = torch.cat([cube(12), torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))])
    found, wanted = (to_hsv(colors) for colors in (round_trip(spec, rgb), rgb))
    n, k = spec.categorical
    code = ColorCode(spec)
    lit = found[:, 2] > 0
    torch.testing.assert_close(found[:, 2], wanted[:, 2], rtol=0, atol=0.5 / (k ** (n // 3) - 1) + 1e-5)
    torch.testing.assert_close(found[lit, 1], wanted[lit, 1], rtol=0, atol=0.5 / (k ** (n // 3) - 1) + 1e-4)
    vivid = lit & (found[:, 1] > 0)
    turn = (found[vivid, 0] - wanted[vivid, 0] + 0.5) % 1 - 0.5
    assert turn.abs().max() <= 0.5 / code.hues + 1e-4


@pytest.mark.parametrize("spec", CODES.values(), ids=CODES.keys())
def test_the_corners_of_the_color_cube_are_coded_without_loss(spec: LatentSpec) -> None:
    torch.testing.assert_close(round_trip(spec, cube(2)), cube(2), rtol=0, atol=1e-5)


def test_one_variable_chooses_the_sector_of_the_hue_whatever_the_rest_holds() -> None:
    code = ColorCode(LatentSpec(0, (9, 10)))
    random = torch.Generator().manual_seed(0)
    latent = latents.one_hot_of(torch.randint(10, (2000, 9), generator=random), 10)
    latent[:, 1:3] = latents.one_hot_of(torch.tensor(9), 10)  # vivid and bright
    for sector in range(10):
        latent[:, 0] = latents.one_hot_of(torch.tensor(sector), 10)
        hue = to_hsv(code.decode(latent.flatten(1)))[:, 0]
        away = (hue - sector / 10 + 0.5) % 1 - 0.5
        assert away.abs().max() * 360 < 20
