"""What the VAE minimises, and how its temperature and its KL weight change over a run."""

import torch
from torch import Tensor

from vaegen_training.config import ObjectiveConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import latents
from vaegen_training.models.judge import Judge
from vaegen_training.models.vae import Vae


class VaeObjective:
    """Negative ELBO: BCE of the reconstruction plus the weighted KL divergence; and a perceptual loss, if asked for."""

    def __init__(self, vae: Vae, data: Mnist, config: TrainConfig, judge: Judge) -> None:
        self.vae = vae
        self.judge = judge.eval().requires_grad_(requires_grad=False)
        self.images, self.labels = data.train_images, data.train_labels
        self.augmentation = config.vae.augment
        self.config = config.objective
        self.temperature = torch.ones((), device=data.train_images.device)
        self.kl_weight = torch.ones((), device=data.train_images.device)
        self.hard = False

    def prepare(self, progress: float) -> bool:
        """Set temperature and KL weight; return whether codes are drawn hard."""
        self.temperature.fill_(temperature(self.config, progress))
        self.kl_weight.fill_(kl_weight(self.config, progress))
        self.hard = progress >= self.config.hard_from
        return self.hard

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return loss, excess BCE and KL divergence, nats per image, and what the judge sees; means over the batch."""
        gray, rgb = paint.draw(self.images, index, random, augmentation=self.augmentation, margin=self.vae.color_margin)
        return self.losses(gray, rgb, self.labels[index], random)[0]

    def losses(
        self, gray: Tensor, rgb: Tensor, digit: Tensor, random: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return what a call returns for gray digits (n, 784) in colors (n, 3), and the latents drawn (n, L)."""
        vae = self.vae
        analysis = vae.analyse_painted(gray, rgb)
        posterior = vae.posterior(analysis._replace(digit=vae.known_digit(digit)))
        noise = latents.draw_noise(posterior, random)
        latent = latents.sample(posterior, noise, self.temperature, hard=self.hard)
        bce, excess_bce, seen, other = vae.loss(latent, gray, rgb, self.judge, self.config, random)
        kl = latents.kl_divergence(posterior)
        loss = (bce + self.kl_weight * kl).mean()
        found = {"loss": loss, "excess_bce": excess_bce, "kl": kl.mean()}
        if seen is not None:
            found["loss"] = loss + self.config.perceptual_weight * seen
            found["perceptual"] = seen
        if other is not None:
            found["loss"] = found["loss"] + self.config.digit_weight * other
            found["other_digit"] = other
        return found, latent


def temperature(config: ObjectiveConfig, progress: float) -> float:
    """Return the Gumbel-Softmax temperature at a fraction of the run: exponential from start to end, then constant."""
    if config.temperature_reached == 0:
        return config.temperature_end
    fraction = min(1.0, progress / config.temperature_reached)
    return float(config.temperature_start * (config.temperature_end / config.temperature_start) ** fraction)


def kl_weight(config: ObjectiveConfig, progress: float) -> float:
    """Return the weight of the KL divergence at a fraction of the run: a linear rise, then constant."""
    rise = min(1.0, progress / config.kl_warmup) if config.kl_warmup else 1.0
    return config.kl_weight * rise
