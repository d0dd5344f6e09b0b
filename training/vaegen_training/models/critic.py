"""The critic of patches: it takes the blur from the decoder, after the VAE has been trained without it.

The BCE asks for the mean of all that a latent leaves open, which is blurred. A network that tells patches of decoded
masks from patches of real digits asks for one of them (Larsen et al. 2016, "Autoencoding beyond pixels using a learned
similarity metric"; Esser et al. 2021, "Taming transformers", section 3.1). It is needed in training alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from vaegen.spec import DIGITS, SIDE

from vaegen_training.config import TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models.judge import Judge
from vaegen_training.models.vae import FactoredVae, VaeObjective

_SWAPPED = 32  # images of each batch that are also shown to the critic as another digit in the same style
_DARKEST = 0.25  # brightest channel of the darkest paint in which masks are rounded to 8 bits


class PatchCritic(nn.Module):
    """Three convolutions and a score for each of 49 patches of 18 x 18 pixels: 1-16-32-64 channels.

    Spectral norm keeps its slope below 1 (Miyato et al. 2018).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(1, 16, 4, stride=2, padding=1)),  # (n, 16, 14, 14)
                spectral_norm(nn.Conv2d(16, 32, 4, stride=2, padding=1)),  # (n, 32, 7, 7)
                spectral_norm(nn.Conv2d(32, 64, 3, padding=1)),
            ]
        )
        self.score = spectral_norm(nn.Conv2d(64, 1, 1))

    def forward(self, mask: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the scores (n, 49) of masks (n, 784) in [0, 1], higher for real ones, and what each layer sees."""
        x, seen = mask.reshape(-1, 1, SIDE, SIDE) * 2 - 1, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            seen.append(x)
        return self.score(x).flatten(1), seen


class Sharpened(nn.Module):
    """A VAE and its critic, which learn from each other."""

    def __init__(self, vae: FactoredVae) -> None:
        super().__init__()
        self.vae = vae
        self.critic = PatchCritic()


class SharpenObjective(VaeObjective):
    """The VAE's loss and that of its critic, hinge against hinge (Lim and Ye 2017), in one step.

    Half of each batch are digits as they were drawn, which the critic compares with their reconstructions; the other
    half are augmented, so that the encoder goes on learning from more than the training digits.
    """

    def __init__(self, module: Sharpened, data: Mnist, config: TrainConfig, judge: Judge) -> None:
        super().__init__(module.vae, data, config, judge)
        self.model, self.critic = module.vae, module.critic
        self.augmentation = config.sharpen_stage.augment
        self.critic_weight, self.match_weight = config.sharpen.critic_weight, config.sharpen.match_weight
        super().prepare(1.0)

    def prepare(self, progress: float) -> bool:  # noqa: ARG002
        """Do nothing: temperature and KL weight stay where the VAE's own stage ended."""
        return self.hard

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return the sum of both losses, the VAE's own parts, the critic's loss and the mismatch of its layers."""
        vae, half = self.model, (len(index) + 1) // 2
        gray = paint.to_float(self.images.index_select(0, index))
        gray = torch.cat([gray[:half], paint.augment(gray[half:], self.augmentation, random)])
        rgb = paint.random_colors(len(gray), random, margin=vae.color_margin)
        found, latent = self.losses(gray, rgb, self.labels[index], random)
        drawn = latent[:half]
        if vae.codes_digit:
            some = latent[:_SWAPPED]
            digit = torch.randint(DIGITS, (len(some),), generator=random, device=random.device)
            drawn = torch.cat([drawn, vae.as_digit(some, digit)])
        paint_of = torch.rand(len(drawn), 1, generator=random, device=random.device) * (1 - _DARKEST) + _DARKEST
        real = gray[:half] / gray[:half].amax(dim=1, keepdim=True).clamp_min(1 / 1024)
        real, made = _rounded(real, paint_of[:half]), _rounded(vae.mask(vae.parts(drawn)[0]), paint_of)
        real_score, wanted = self.critic(real)
        critic_loss = F.relu(1 - real_score).mean() + F.relu(1 + self.critic(made.detach())[0]).mean()
        self.critic.requires_grad_(requires_grad=False)  # from here on it judges, and does not learn
        score, seen = self.critic(made)
        self.critic.requires_grad_(requires_grad=True)
        mismatch = torch.stack(
            [(a[:half] - b.detach()).abs().mean() for a, b in zip(seen, wanted, strict=True)]
        ).sum()  # feature matching: Larsen et al. 2016, equation 7
        loss = found["loss"] - self.critic_weight * score.mean() + self.match_weight * mismatch + critic_loss
        return found | {"loss": loss, "critic": critic_loss, "mismatch": mismatch}


def _rounded(mask: Tensor, brightness: Tensor) -> Tensor:
    """Return masks (n, 784) as they come out of an image of 8 bits in a paint (n, 1), with the masks' own gradient."""
    return mask + (torch.round(mask * brightness * 255) / (brightness * 255) - mask).detach()
