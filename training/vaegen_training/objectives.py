"""What the VAE minimises, on digits painted afresh for each step."""

import torch
from torch import Tensor

from vaegen_training import latents, losses, painter
from vaegen_training.config import ObjectiveConfig, TrainConfig
from vaegen_training.data import Mnist
from vaegen_training.judge import Judge
from vaegen_training.latents import Posterior
from vaegen_training.models import FactoredVae, SeedVae, analyse
from vaegen_training.processes import ALONE, Share
from vaegen_training.step import Objective

# Half a shade beyond either end, clipped: 9% of the channels are exactly 0 or 1, as in the colors people name.
COLOR_MARGIN = 0.05
# Images of each batch whose entropy is taken for the logged excess BCE: a step's time is worth more than digits.
SHOWN = 32
# Images of each batch that the judge looks at for the perceptual loss: a quarter of the default batch.
LOOKED_AT = 64


class VaeObjective(Objective):
    """Negative ELBO: BCE of the reconstruction plus the weighted KL divergence; and a perceptual loss, if asked for."""

    def __init__(
        self, vae: SeedVae | FactoredVae, data: Mnist, config: TrainConfig, judge: Judge, share: Share = ALONE
    ) -> None:
        self.vae = vae
        self.judge = judge.eval().requires_grad_(requires_grad=False)
        self.images = data.train_images
        self.stage = config.vae
        self.objective = config.objective
        self.share = share
        self.temperature = torch.ones((), device=data.train_images.device)
        self.kl_weight = torch.ones((), device=data.train_images.device)
        self.hard = False

    def prepare(self, progress: float) -> bool:
        """Set temperature and KL weight; codes are hard, or not yet."""
        self.temperature.fill_(temperature(self.objective, progress))
        self.kl_weight.fill_(kl_weight(self.objective, progress))
        self.hard = progress >= self.objective.hard_from
        return self.hard

    def compute(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Give loss, excess BCE and KL divergence, nats per image, and the perceptual loss; means over the batch."""
        share = self.share
        n = len(index) * share.size  # images of the whole batch
        shown, looked_at = share.count(min(SHOWN, n)), share.count(min(LOOKED_AT, n))
        gray = painter.augment(painter.to_float(self.images.index_select(0, index)), self.stage.augment, random, share)
        factored = isinstance(self.vae, FactoredVae)
        rgb = painter.random_colors(len(gray), random, margin=COLOR_MARGIN if factored else 0.0, share=share)
        posterior = self.vae.posterior(*analyse(self.vae, gray, rgb))
        noise = noise_for(posterior, random, share)
        latent = latents.sample(posterior, noise, self.temperature, hard=self.hard)
        if isinstance(self.vae, FactoredVae):
            logits, color = self.vae.parts(latent)
            bce = losses.painted_bce(torch.sigmoid(logits), color, gray, rgb)
            excess = bce[:shown] - losses.entropy(painter.paint(gray[:shown], rgb[:shown]))
        else:
            # The report's joint model adds up the losses of its two images, each against the target.
            image = painter.paint(gray, rgb)
            images = self.vae.images(latent)
            bce = torch.stack([losses.bce(each, image) for each in images]).sum(0)
            mean = torch.stack(images)[:, :shown].mean(0)
            excess = losses.bce(mean, image[:shown]) - losses.entropy(image[:shown])
        kl = latents.kl_divergence(posterior)
        found = {
            "loss": (bce + self.kl_weight * kl).mean(),
            "excess_bce": share.weigh(excess.mean(), shown, min(SHOWN, n)),
            "kl": kl.mean(),
        }
        if isinstance(self.vae, FactoredVae) and self.objective.perceptual_weight:
            with torch.no_grad():
                seen = self.judge.activations(gray[:looked_at])
            mask = torch.sigmoid(self.objective.perceptual_contrast * logits[:looked_at])
            perceptual = losses.perceptual(self.judge.activations(mask), seen, share).mean()
            perceptual = share.weigh(perceptual, looked_at, min(LOOKED_AT, n))
            found["loss"] = found["loss"] + self.objective.perceptual_weight * perceptual
            found["perceptual"] = perceptual
        return found


def noise_for(posterior: Posterior, random: torch.Generator, share: Share = ALONE, n: int | None = None) -> Tensor:
    """Draw the uniforms that `latents.sample` needs for a posterior: one row for each of its own, Z + N*K in [0, 1).

    Args:
        posterior: Of this process's images.
        random: Source of randomness, on the posterior's device.
        share: Which part of a whole batch they are.
        n: Images of the whole batch; None where all processes have as many.
    """
    z = 0 if posterior.mean is None else posterior.mean.shape[1]
    codes = 0 if posterior.logits is None else posterior.logits[0].numel()
    first = posterior.logits if posterior.mean is None else posterior.mean
    assert first is not None
    return share.rand(len(first), z + codes, random=random, n=n)


def temperature(config: ObjectiveConfig, progress: float) -> float:
    """Gumbel-Softmax temperature at a fraction of the run: exponential from start to end, then constant."""
    if config.temperature_reached == 0:
        return config.temperature_end
    fraction = min(1.0, progress / config.temperature_reached)
    return float(config.temperature_start * (config.temperature_end / config.temperature_start) ** fraction)


def kl_weight(config: ObjectiveConfig, progress: float) -> float:
    """Weight of the KL divergence at a fraction of the run: a linear rise, then constant."""
    rise = min(1.0, progress / config.kl_warmup) if config.kl_warmup else 1.0
    return config.kl_weight * rise
