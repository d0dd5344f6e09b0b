import math

import numpy as np
import pytest
import torch
import vaegen
from vaegen_training.data import Mnist
from vaegen_training.evaluate import samples
from vaegen_training.gallery import information
from vaegen_training.models import latents
from vaegen_training.models.latents import Posterior


def torch_posterior(n: int = 50, z: int = 4, variables: int = 3, classes: int = 5) -> Posterior:
    random = torch.Generator().manual_seed(0)
    return Posterior(
        torch.randn(n, z, generator=random),
        torch.randn(n, z, generator=random),
        torch.randn(n, variables, classes, generator=random),
    )


def posterior(q: Posterior) -> vaegen.Posterior:
    parts = (None if part is None else part.numpy() for part in q)
    return vaegen.Posterior(latents.deterministic(q).numpy(), *parts)


def test_excess_bce_is_none_for_the_image_itself_and_some_for_any_other(digits: Mnist) -> None:
    colors = samples.random_colors(200, np.random.default_rng(0))
    images = samples.paint(digits.test_images.numpy(), colors)
    exact: information.Floats = images.astype(np.float32) / np.float32(255)
    assert np.abs(information.excess_bce(exact, images)).max() < 0.01
    assert information.excess_bce(exact * np.float32(0.9), images).min() > 0.1


def test_excess_bce_of_a_constant_in_nats() -> None:
    """A white pixel under probability 1/2 costs log 2, and so does a black one."""
    images = np.zeros((2, 28, 28, 3), np.uint8)
    images[1, :14] = 255
    half = np.full((2, 28, 28, 3), 0.5, np.float32)
    assert information.excess_bce(half, images) == pytest.approx(2352 * math.log(2), rel=1e-5)


def test_rates_add_up_to_the_kl_divergence() -> None:
    q = torch_posterior()
    rates = information.rates(posterior(q))
    assert rates.shape == (50, 4 + 3)
    assert rates.sum(1) == pytest.approx(latents.kl_divergence(q).numpy(), rel=1e-5)
    assert information.rates(posterior(Posterior(q.mean, q.log_variance, None))).shape == (50, 4)
    assert information.rates(posterior(Posterior(None, None, q.logits))) == pytest.approx(rates[:, 4:], rel=1e-5)


def test_soft_codes_become_the_deterministic_path_as_the_temperature_falls() -> None:
    q = torch_posterior()
    hard = latents.deterministic(q).numpy()
    assert information.soft_codes(posterior(q), 1e-4) == pytest.approx(hard, abs=1e-3)
    soft = information.soft_codes(posterior(q), 1.0)
    assert soft[:, :4] == pytest.approx(hard[:, :4])
    assert soft[:, 4:].reshape(50, 3, 5).sum(2) == pytest.approx(1, rel=1e-5)
    assert soft[:, 4:].max() < 0.999


def test_soft_codes_need_categoricals_and_a_temperature() -> None:
    q = torch_posterior()
    with pytest.raises(ValueError, match="soft codes"):
        information.soft_codes(posterior(Posterior(q.mean, q.log_variance, None)), 1.0)
    with pytest.raises(ValueError, match="soft codes"):
        information.soft_codes(posterior(q), 0.0)
