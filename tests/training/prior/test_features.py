"""What the prior models: features of painted digits, standardised, given digit and color."""

import pytest
import torch
from vaegen_training.data import Mnist
from vaegen_training.presets import preset
from vaegen_training.prior import FeatureSpace
from vaegen_training.prior.features import painted
from vaegen_training.run import fresh


def test_fit_takes_mean_and_deviation_and_survives_a_dead_feature() -> None:
    space = FeatureSpace(2, use_color=False)
    features = torch.stack([torch.linspace(0, 4, 101), torch.full((101,), 7.0)], dim=1)
    space.fit(features)
    assert space.center.tolist() == pytest.approx([2, 7])
    assert space.scale.tolist() == pytest.approx([float(features[:, 0].std()), 1e-4])
    standard = space.standardise(features)
    assert standard.mean(0).tolist() == pytest.approx([0, 0], abs=1e-5)
    torch.testing.assert_close(space.restore(standard), features)


def test_the_context_tells_digits_apart_and_colors_where_they_matter() -> None:
    digit, rgb = torch.arange(10), torch.rand(10, 3, generator=torch.Generator().manual_seed(0))
    blind, seeing = FeatureSpace(4, use_color=False), FeatureSpace(4, use_color=True)
    assert torch.equal(blind.context(digit, rgb), torch.eye(10))
    assert torch.equal(blind.context(digit, rgb), blind.context(digit, 1 - rgb))
    found = seeing.context(digit, rgb)
    assert found.shape == (10, seeing.context_size)
    assert not torch.equal(found, seeing.context(digit, 1 - rgb))
    assert torch.equal(found[:, :10], torch.eye(10))


@pytest.mark.parametrize(("name", "size"), [("seed", 64), ("default", 44)])
def test_features_are_those_of_the_painted_digits_and_leave_the_vae_alone(name: str, size: int, digits: Mnist) -> None:
    config = preset(name, "joint").override({"flow_stage.augment": "0"})
    vae, _, _ = fresh(config)
    index = torch.arange(20)
    features, rgb = painted(vae, digits, config, index, torch.Generator().manual_seed(0))
    assert features.shape == (20, size)
    assert rgb.shape == (20, 3)
    assert not features.requires_grad
    gray = digits.train_images[:20].reshape(20, 784).float() / 255
    image = (rgb[:, :, None] * gray[:, None]).reshape(20, 3, 28, 28)
    torch.testing.assert_close(features, vae.analyse(image)[0].detach(), rtol=1e-3, atol=1e-3)
