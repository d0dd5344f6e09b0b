"""What is minimised: the parts of each loss, and the schedules' values at both ends."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from vaegen.spec import KINDS
from vaegen_training.config import ObjectiveConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import kernels, latents
from vaegen_training.models import objective as models
from vaegen_training.models.judge import load_judge, perceptual
from vaegen_training.models.latents import Posterior
from vaegen_training.models.objective import VaeObjective
from vaegen_training.models.vae import FactoredVae, MlpVae, Vae
from vaegen_training.presets import preset
from vaegen_training.runs.run_folder import build_networks

INDEX = torch.arange(32)


def losses(vae: Vae, digits: Mnist, config: TrainConfig, progress: float, seed: int = 0) -> dict[str, Tensor]:
    objective = VaeObjective(vae, digits, config, load_judge())
    objective.prepare(progress)
    return objective(INDEX, torch.Generator().manual_seed(seed))


def losses_of(config: TrainConfig, digits: Mnist, progress: float = 0.5, seed: int = 0) -> dict[str, float]:
    vae, _, _ = build_networks(config)
    found = losses(vae, digits, config, progress, seed)
    return {name: float(value.detach()) for name, value in found.items()}


def test_the_temperature_falls_exponentially_and_then_stays() -> None:
    config = ObjectiveConfig(temperature_start=1.0, temperature_end=0.25, temperature_reached=0.5)
    course = [models.temperature(config, progress) for progress in (0, 0.25, 0.5, 0.75, 1)]
    assert course == pytest.approx([1, 0.5, 0.25, 0.25, 0.25])
    at_once = dataclasses.replace(config, temperature_reached=0.0)
    assert models.temperature(at_once, 0) == 0.25


def test_the_kl_weight_rises_linearly_and_then_stays() -> None:
    config = ObjectiveConfig(kl_weight=0.4, kl_warmup=0.2)
    course = [models.kl_weight(config, progress) for progress in (0, 0.1, 0.2, 1)]
    assert course == pytest.approx([0, 0.2, 0.4, 0.4])
    assert models.kl_weight(ObjectiveConfig(kl_weight=0.4), 0) == 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_has_no_schedules(kind: str) -> None:
    config = preset("seed", kind).objective
    for progress in (0, 0.3, 1):
        assert models.temperature(config, progress) == 1
        assert models.kl_weight(config, progress) == 1


def test_noise_is_as_wide_as_the_latent_and_uniform() -> None:
    z, logits = torch.zeros(1000, 3), torch.zeros(1000, 2, 5)
    for posterior, width in (
        (Posterior(z, z, None), 3),
        (Posterior(None, None, logits), 10),
        (Posterior(z, z, logits), 13),
    ):
        noise = latents.draw_noise(posterior, torch.Generator().manual_seed(0))
        assert noise.shape == (1000, width)
        assert noise.amin() >= 0
        assert noise.amax() < 1
        assert float(noise.mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["seed", "default"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_depends_on_the_generator_and_nothing_else(name: str, kind: str, digits: Mnist) -> None:
    config = preset(name, kind)
    assert losses_of(config, digits) == losses_of(config, digits)
    assert losses_of(config, digits) != losses_of(config, digits, seed=1)


@pytest.mark.parametrize("name", ["seed", "default"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_of_the_loss_are_divergences(name: str, kind: str, digits: Mnist) -> None:
    found = losses_of(preset(name, kind), digits)
    own = {"perceptual"} if name == "default" else set()
    assert set(found) == {"loss", "excess_bce", "kl"} | own | (
        {"other_digit"} if own and kind != "continuous" else set()
    )
    assert found["excess_bce"] > 0
    assert found["kl"] > 0
    assert found["loss"] > found["excess_bce"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_seeds_loss_is_bce_of_each_image_plus_the_whole_kl(kind: str, digits: Mnist) -> None:
    config = preset("seed", kind)
    vae, _, _ = build_networks(config)
    assert isinstance(vae, MlpVae)
    found = losses(vae, digits, config, 0.0)
    random = torch.Generator().manual_seed(0)
    gray = paint.to_float(digits.train_images[INDEX])
    image = paint.paint(gray, paint.random_colors(32, random))  # colors first, then the noise
    posterior = vae.encode(image)
    latent = latents.sample(posterior, latents.draw_noise(posterior, random), 1.0)
    pictures: list[Tensor] = []
    if isinstance(getattr(vae, "continuous_decoder", None), torch.nn.Module):
        pictures.append(torch.sigmoid(vae.continuous_decoder(latent[:, : vae.spec.continuous])))
    if isinstance(getattr(vae, "discrete_decoder", None), torch.nn.Module):
        pictures.append(torch.sigmoid(vae.discrete_decoder(latent[:, vae.spec.continuous :])))
    assert len(pictures) == (2 if kind == "joint" else 1)
    bce = torch.stack([kernels.bce(picture, image) for picture in pictures]).sum(0)
    kl = latents.kl_divergence(posterior)
    torch.testing.assert_close(found["loss"], (bce + kl).mean())
    mean_image = torch.stack(pictures).mean(0)
    excess = kernels.bce(mean_image, image) - kernels.entropy(image)
    torch.testing.assert_close(found["excess_bce"], excess.mean(), rtol=1e-4, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_loss_is_the_bce_of_its_mask_plus_the_weighted_kl(kind: str, digits: Mnist) -> None:
    plain = {"vae.augment": "0", "objective.perceptual_weight": "0", "objective.digit_weight": "0"}
    config = preset("default", kind).override(plain)
    vae, _, _ = build_networks(config)
    assert isinstance(vae, FactoredVae)
    found = losses(vae, digits, config, 0.5)
    random = torch.Generator().manual_seed(0)
    gray = paint.to_float(digits.train_images[INDEX])
    analysis = vae.analyse_painted(gray, paint.random_colors(32, random, margin=paint.COLOR_MARGIN))
    posterior = vae.posterior(analysis._replace(digit=vae.known_digit(digits.train_labels[INDEX])))
    temperature = models.temperature(config.objective, 0.5)
    assert temperature < config.objective.temperature_start
    latent = latents.sample(posterior, latents.draw_noise(posterior, random), temperature)
    if vae.codes_digit:  # the label's, whatever the reader reads
        z = vae.spec.continuous
        assert torch.equal(latent[:, z : z + 10].round(), F.one_hot(digits.train_labels[INDEX], 10).float())
    target = gray / gray.amax(1, keepdim=True)
    bce, kl = kernels.bce(torch.sigmoid(vae.parts(latent)[0]), target), latents.kl_divergence(posterior)
    torch.testing.assert_close(found["loss"], (bce + config.objective.kl_weight * kl).mean())
    torch.testing.assert_close(found["excess_bce"], (bce - kernels.entropy(target)).mean())
    torch.testing.assert_close(found["kl"], kl.mean())


def test_other_digits_are_read_by_the_judge_at_the_weight_asked_for(digits: Mnist) -> None:
    found, without = (
        losses_of(preset("default", "joint").override({"objective.digit_weight": weight}), digits)
        for weight in ("5", "0")
    )
    assert found["other_digit"] == without["other_digit"] > 1  # an untrained decoder draws no digits
    assert found["loss"] == pytest.approx(without["loss"] + 5 * found["other_digit"], rel=1e-5)


def test_codes_are_hard_from_the_configured_moment_on(digits: Mnist) -> None:
    settings = {"objective.temperature_reached": "0", "objective.kl_warmup": "0", "objective.hard_from": "0.75"}
    config = preset("default", "discrete").override(settings)
    soft, hard, end = (losses_of(config, digits, progress) for progress in (0.7499, 0.75, 1.0))
    assert losses_of(config, digits, 0.1) == soft != hard == end


def test_the_perceptual_loss_is_what_the_judge_sees_of_the_decoded_mask(digits: Mnist) -> None:
    config = preset("default", "continuous").override({"vae.augment": "0", "objective.perceptual_weight": "7"})
    vae, _, _ = build_networks(config)
    assert isinstance(vae, FactoredVae)
    found = losses(vae, digits, config, 0.5)
    without = losses_of(config.override({"objective.perceptual_weight": "0"}), digits)
    random = torch.Generator().manual_seed(0)
    gray = paint.to_float(digits.train_images[INDEX])
    posterior = vae.posterior(vae.analyse_painted(gray, paint.random_colors(32, random, margin=0.05)))
    latent = latents.sample(posterior, latents.draw_noise(posterior, random), 1.0)
    judge, mask = load_judge(), torch.sigmoid(1.3 * vae.parts(latent)[0])
    expected = perceptual(judge.activations(mask), judge.activations(gray / gray.amax(1, keepdim=True))).mean()
    torch.testing.assert_close(found["perceptual"], expected)
    assert float(found["loss"].detach()) == pytest.approx(without["loss"] + 7 * float(expected.detach()), rel=1e-5)
    found["loss"].backward()
    assert all(parameter.grad is None for parameter in judge.parameters())
