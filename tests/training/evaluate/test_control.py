"""Whether single latents and styles do as they are told, on models that are a few lines of NumPy and torch."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import vaegen
from vaegen.spec import LatentNames, LatentSpec
from vaegen_training.data import Mnist
from vaegen_training.evaluate import control, evaluation_judge, samples
from vaegen_training.evaluate.samples import Painted
from vaegen_training.models.color_code import ColorCode
from vaegen_training.models.latents import deterministic

JUDGE = evaluation_judge.load()[0]
COORDINATES = ("hue", "saturation", "value")
PLACES = tuple(f"{name} {place}" for place in range(3) for name in COORDINATES)


@pytest.fixture(scope="module")
def test(digits: Mnist) -> Painted:
    return samples.real_digits(digits, 200, 60, seed=0).test


class Painter:
    """A model without shape: its latents are those of the color alone, which it decodes to a square."""

    def __init__(self, names: LatentNames) -> None:
        spec = LatentSpec(len(names.continuous), (len(names.categorical), 10) if names.categorical else (0, 0))
        self.spec = SimpleNamespace(latent=spec, names=names, style=None)
        self.code = ColorCode(spec)

    def encode(self, images: samples.Images) -> Any:
        return deterministic(self.code.posterior(torch.from_numpy(images).amax((1, 2)) / 255)).numpy()

    def decode(self, latents: Any) -> samples.Images:
        colors = np.rint(self.code.decode(torch.from_numpy(latents)).numpy() * 255).astype(np.uint8)
        return samples.paint(np.full((len(colors), 28, 28), 255, np.uint8), colors)


@pytest.mark.parametrize("names", [LatentNames(COORDINATES, ()), LatentNames((), PLACES)])
def test_a_latent_for_the_hue_decides_it_and_another_does_not(names: LatentNames, test: Painted) -> None:
    for order, least, most in ((1, 0.98, 1), (-1, 0, 0.4)):
        model: Any = Painter(LatentNames(names.continuous[::order], names.categorical[::order]))
        found = control.by_one_latent(model, JUDGE, test, seed=0)
        assert list(found) == ["hue"]
        assert least <= found["hue"].value <= most


def test_a_latent_for_the_digit_decides_it(tiny: Any, test: Painted) -> None:
    """Of the hand-made font, the judge reads most."""
    with vaegen.load(tiny) as model:
        found = control.by_one_latent(model, JUDGE, test, seed=0)
        assert list(found) == ["digit"]
        read = JUDGE.read(model.sample(range(10), "white", seed=0))[0]
    assert found["digit"].value == pytest.approx((read == np.arange(10)).mean(), abs=0.3)
    assert found["digit"].n == 200


def test_styles_are_compared_with_those_asked_for(test: Painted) -> None:
    """A model that draws the digit whose style is asked for is right; one that draws the next digit is not."""

    class Copier:
        spec = SimpleNamespace(style="any")
        ahead = 0

        def draw(self, digits: Any, colors: Any, **asked: Any) -> SimpleNamespace:
            assert (digits == test.digits).all()
            assert (colors == test.colors).all()
            assert asked["slant"].shape == asked["thickness"].shape == (200,)
            return SimpleNamespace(images=np.roll(test.images, self.ahead, 0))

    model: Any = Copier()
    found = control.style_error(model, test, seed=0)
    assert {name: figure.value for name, figure in found.items()} == {"slant": 0, "thickness": 0}
    model.ahead = 1
    found = control.style_error(model, test, seed=0)
    assert 3 < found["slant"].value < 40
    assert 0.1 < found["thickness"].value < 2
    assert found["slant"].n == 200
