"""The color of an image: exact paint is measured exactly, and coded as finely as the latents allow."""

import pytest
import torch
from torch import Tensor
from vaegen.spec import LatentSpec
from vaegen_training.data import Mnist, paint
from vaegen_training.models import latents
from vaegen_training.models.color_code import color_code, measure


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
    "one quantiser": LatentSpec(0, (3, 16)),
    "four quantisers": LatentSpec(0, (12, 16)),
    "few classes": LatentSpec(0, (6, 5)),
    "both": LatentSpec(3, (6, 16)),
}


def round_trip(spec: LatentSpec, rgb: Tensor) -> Tensor:
    encode, decode = color_code(spec)
    result: Tensor = decode(latents.deterministic(latents.split(encode(2 * rgb - 1), spec)))
    return result


def test_the_continuous_color_code_is_exact_and_of_unit_variance() -> None:
    rgb = cube(18)
    torch.testing.assert_close(round_trip(LatentSpec(3), rgb), rgb, rtol=0, atol=1e-6)
    encode, _ = color_code(LatentSpec(3))
    uniform = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))
    mean = latents.split(encode(2 * uniform - 1), LatentSpec(3)).mean
    assert mean is not None
    assert (mean.std(0) - 1).abs().max() < 0.02


def test_the_continuous_color_code_is_sure_to_two_gray_levels() -> None:
    encode, decode = color_code(LatentSpec(3))
    posterior = latents.split(encode(torch.zeros(5000, 3)), LatentSpec(3))
    noise = torch.rand(5000, 3, generator=torch.Generator().manual_seed(0))
    spread = decode(latents.sample(posterior, noise, 1.0)).std(0) * 255
    torch.testing.assert_close(spread, torch.full((3,), 1.7), rtol=0.05, atol=0)


@pytest.mark.parametrize(("variables", "classes"), [(3, 16), (6, 16), (12, 16), (6, 5), (3, 2)])
def test_the_discrete_color_code_is_off_by_half_a_step_at_most(variables: int, classes: int) -> None:
    rgb = torch.cat([cube(12), torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))])
    error = (round_trip(LatentSpec(0, (variables, classes)), rgb) - rgb).abs()
    assert error.max() <= 0.5 / (variables / 3 * (classes - 1)) + 1e-4


@pytest.mark.parametrize("spec", CODES.values(), ids=CODES.keys())
def test_the_corners_of_the_color_cube_are_coded_without_loss(spec: LatentSpec) -> None:
    torch.testing.assert_close(round_trip(spec, cube(2)), cube(2), rtol=0, atol=1e-5)
