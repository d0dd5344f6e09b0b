"""Slant and thickness: of drawn bars, of sheared digits, and of digits that Morpho-MNIST's own code has measured."""

import math

import pytest
import torch
from torch import Tensor
from vaegen_training.data import Mnist, paint
from vaegen_training.data.style import measure_style


def bar(angle: float, thickness: float, length: float = 16.0) -> Tensor:
    """A bar with soft edges that leans to the right by `angle` degrees: (1, 784)."""
    place = torch.arange(28.0) - 13.5
    y, x = torch.meshgrid(place, place, indexing="ij")
    across = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
    along = y * math.cos(math.radians(angle)) - x * math.sin(math.radians(angle))
    inside = torch.minimum(thickness / 2 - across.abs(), length / 2 - along.abs())
    return (inside + 0.5).clamp(0, 1).reshape(1, 784)


@pytest.mark.parametrize("angle", [-30.0, 0.0, 12.0, 40.0])
def test_a_bar_leans_as_it_was_drawn(angle: float) -> None:
    assert measure_style(bar(angle, 2))[0, 0].item() == pytest.approx(angle, abs=1.5)


@pytest.mark.parametrize("thickness", [2.0, 3.0])
def test_a_bar_is_as_thick_as_it_was_drawn(thickness: float) -> None:
    assert measure_style(bar(10, thickness))[0, 1].item() == pytest.approx(thickness, abs=0.35)


def test_a_shear_adds_to_the_tangent_of_the_slant_and_brightness_adds_nothing(digits: Mnist) -> None:
    gray = paint.to_float(digits.test_images)
    slant = measure_style(gray)[:, 0].deg2rad().tan()
    torch.testing.assert_close(measure_style(gray * 0.5)[:, 0].deg2rad().tan(), slant, rtol=1e-4, atol=1e-4)
    image = gray.reshape(-1, 28, 28)
    moved = torch.stack([image[:, y].roll((13 - y) // 2, dims=1) for y in range(28)], dim=1)  # a pixel in two rows
    added = measure_style(moved.reshape(-1, 784))[:, 0].deg2rad().tan() - slant
    assert float(added.median()) == pytest.approx(0.5, abs=0.02)
