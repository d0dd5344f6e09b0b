"""The critic: who learns from what, and what it is shown."""

import pytest
import torch
from torch import Tensor
from vaegen_training.config import TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models.critic import Critic, Sharpened, SharpenObjective
from vaegen_training.models.judge import load_judge
from vaegen_training.models.vae import FactoredVae
from vaegen_training.presets import preset
from vaegen_training.runs.run_folder import build_networks

SMALL = {"model.hidden": "32"}


def gradients(config: TrainConfig, digits: Mnist) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the losses of one step, and the gradient of each weight."""
    vae, _, _ = build_networks(config)
    assert isinstance(vae, FactoredVae)
    module = Sharpened(vae, 8)
    objective = SharpenObjective(module, digits, config, load_judge())
    found = objective(torch.arange(65), torch.Generator().manual_seed(0))
    found["loss"].backward()
    assert all(parameter.requires_grad for parameter in module.critic.parameters())
    named = {name: each.grad for name, each in module.named_parameters() if each.grad is not None}
    return {name: value.detach() for name, value in found.items()}, named


@pytest.mark.parametrize("kind", ["continuous", "joint"])
def test_the_critic_learns_from_its_own_loss_and_the_vae_from_the_others(kind: str, digits: Mnist) -> None:
    config = preset("default", kind).override(SMALL)
    weak = config.override({"sharpen.critic_weight": "0.001"})
    losses, strong_gradients = gradients(config, digits)
    _, weak_gradients = gradients(weak, digits)
    for name, gradient in strong_gradients.items():
        same = torch.allclose(gradient, weak_gradients[name], rtol=1e-5, atol=1e-7)
        decoder = name.startswith("vae.decoder")
        assert same if name.startswith("critic.") else (not same or not decoder), name
    assert {"critic", "unreal", "excess_bce", "kl", "perceptual"} <= set(losses)
    assert 1 < float(losses["critic"]) < 2  # 1.39, twice the logarithm of 2, before it has learned anything


def test_a_critic_that_is_trained_alone_tells_blurred_digits_from_real_ones(digits: Mnist) -> None:
    torch.manual_seed(0)
    critic = Critic(16)
    gray = paint.to_float(digits.train_images)
    blurred = torch.nn.functional.avg_pool2d(gray.reshape(-1, 1, 28, 28), 3, 1, 1).flatten(1)
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3)
    for start in range(0, 1000, 50):
        real, made = critic(gray[start : start + 50], blurred[start : start + 50])
        loss = torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(made).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        real, made = critic(gray, blurred)
    assert real.mean() > made.mean() + 1
