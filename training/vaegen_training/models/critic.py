"""The critic that takes the blur from the decoder, after the VAE has been trained without it.

The BCE asks for the mean of all that a latent leaves open, which is blurred. A network that tells decoded masks from
real digits asks for one of them (Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric";
Esser et al. 2021, "Taming transformers", section 3.1). It is needed in training alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import SIDE

from vaegen_training.config import TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models.judge import Judge
from vaegen_training.models.objective import VaeObjective
from vaegen_training.models.vae import FactoredVae

_DARKEST = 0.25  # brightest channel of the darkest paint in which masks are rounded to 8 bits


class Critic(nn.Module):
    """Three convolutions and a linear score: channels times 1, 2 and 4, the first at full size.

    Normalised over a batch of real and made digits together: without, it stays blind to the few gray levels that tell
    them apart (after 150 steps a loss of 1.0 instead of 0.3, where 1.4 is a guess).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        score = nn.Linear(4 * channels * 49, 1)
        with torch.no_grad():
            score.weight *= 0.1
        self.layers = nn.Sequential(
            *_seen(nn.Conv2d(1, channels, 3, padding=1)),  # (n, channels, 28, 28)
            *_seen(nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1)),  # (n, 2 * channels, 14, 14)
            *_seen(nn.Conv2d(2 * channels, 4 * channels, 4, stride=2, padding=1)),  # (n, 4 * channels, 7, 7)
            nn.Flatten(),
            score,
        )

    def forward(self, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores (n,) and (m,) of real and made masks, (n, 784) and (m, 784) in [0, 1]; higher is real."""
        score = self.layers(torch.cat([real, made]).reshape(-1, 1, SIDE, SIDE)).squeeze(1)
        return score[: len(real)], score[len(real) :]


def _seen(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    nn.init.kaiming_normal_(convolution.weight, 0.2)
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.LeakyReLU(0.2)


class Sharpened(nn.Module):
    """A VAE and its critic, which learn from each other."""

    def __init__(self, vae: FactoredVae, channels: int) -> None:
        super().__init__()
        self.vae = vae
        self.critic = Critic(channels)


class SharpenObjective(VaeObjective):
    """The VAE's loss and that of its critic in one step: the non-saturating game of Goodfellow et al. 2014, section 3.

    Half of each batch are digits as they were drawn, which the critic compares with their reconstructions; the other
    half are augmented, so that the encoder goes on learning from more than the training digits.
    """

    def __init__(self, module: Sharpened, data: Mnist, config: TrainConfig, judge: Judge) -> None:
        super().__init__(module.vae, data, config, judge)
        self.model, self.critic = module.vae, module.critic
        self.augmentation = config.sharpen_stage.augment
        self.critic_weight = config.sharpen.critic_weight
        super().prepare(1.0)

    def prepare(self, progress: float) -> bool:  # noqa: ARG002
        """Do nothing: temperature and KL weight stay where the VAE's own stage ended."""
        return self.hard

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return the sum of both losses, the VAE's own parts, the critic's loss, and the loss of made digits."""
        vae, half = self.model, (len(index) + 1) // 2
        gray = paint.to_float(self.images.index_select(0, index))
        gray = torch.cat([gray[:half], paint.augment(gray[half:], self.augmentation, random)])
        rgb = paint.random_colors(len(gray), random, margin=vae.color_margin)
        found, latent = self.losses(gray, rgb, self.labels[index], random)
        brightness = torch.rand(half, 1, generator=random, device=random.device) * (1 - _DARKEST) + _DARKEST
        real = gray[:half] / gray[:half].amax(dim=1, keepdim=True).clamp_min(1 / 1024)
        made = _rounded(vae.mask(vae.parts(latent[:half])[0]), brightness)
        seen = made.detach().requires_grad_()  # the critic's own loss ends here
        real_score, made_score = self.critic(_rounded(real, brightness), seen)
        critic_loss = F.softplus(-real_score).mean() + F.softplus(made_score).mean()
        unreal = F.softplus(-made_score).mean()
        # Its gradient at the made digits, from the pass that the critic learns from: a second one would take longer.
        (slope,) = torch.autograd.grad(unreal, seen, retain_graph=True)
        unreal = unreal.detach() + ((made - seen.detach()) * slope).sum()
        loss = found["loss"] + self.critic_weight * unreal + critic_loss
        return found | {"loss": loss, "critic": critic_loss, "unreal": unreal}


def _rounded(mask: Tensor, brightness: Tensor) -> Tensor:
    """Return masks (n, 784) as they come out of an image of 8 bits in a paint (n, 1), with the masks' own gradient."""
    return mask + (torch.round(mask * brightness * 255) / (brightness * 255) - mask).detach()
