"""Final losses on the test digits."""

import dataclasses

import pytest
import torch
from torch import Tensor
from vaegen_training import figures, latents, losses, painter
from vaegen_training.config import ModelConfig
from vaegen_training.data import Mnist
from vaegen_training.models import FactoredVae, SeedVae
from vaegen_training.presets import preset
from vaegen_training.run import fresh


def test_losses_are_means_over_every_test_digit_whatever_the_batch(digits: Mnist) -> None:
    vae, _, _ = fresh(preset("seed", "joint"))
    found = figures.losses_on_test(vae, digits)
    assert found == pytest.approx(figures.losses_on_test(vae, digits, batch=7), rel=1e-4)
    with torch.no_grad():
        image = painter.paint(painter.to_float(digits.test_images), painter.fixed_colors(200))
        posterior = vae.encode(image)
        excess = losses.bce(vae.decode(latents.deterministic(posterior)), image) - losses.entropy(image)
    expected = {"excess_bce": excess.mean().item(), "kl": latents.kl_divergence(posterior).mean().item(), "n": 200}
    assert found == pytest.approx(expected, rel=1e-4)


class Perfect(FactoredVae):
    """Knows the stroke it is asked to draw."""

    stroke: Tensor

    def parts(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        return torch.logit(self.stroke, eps=1e-6), super().parts(latent)[1]


def test_a_perfect_model_has_no_excess(digits: Mnist) -> None:
    full = dataclasses.replace(digits, test_images=(digits.test_images > 127).byte() * 255)
    vae = Perfect(ModelConfig(continuous=5, color_continuous=3, hidden=8, features=4))
    vae.stroke = painter.to_float(full.test_images)
    assert figures.losses_on_test(vae, full)["excess_bce"] == pytest.approx(0, abs=0.1)


def test_an_untrained_model_has_much(digits: Mnist) -> None:
    vae, _, _ = fresh(preset("seed", "continuous"))
    assert isinstance(vae, SeedVae)
    assert figures.losses_on_test(vae, digits)["excess_bce"] > 1000
