"""How the verifier learns which samples to accept: to read as the judge does, and to tell real digits from made ones.

Its critic is trained against the finished model's own samples and reconstructions, each beside real digits of the same
class, so that redrawing what it scores low moves what is left towards real handwriting (Azadi et al. 2019,
"Discriminator rejection sampling").
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from vaegen.spec import DIGITS

from vaegen_training.config import TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import latents
from vaegen_training.models.color_code import measure
from vaegen_training.models.judge import Judge
from vaegen_training.models.verifier import REALISM, Verifier
from vaegen_training.prior.conditional import Prior

_REFUSED = 0.04  # share of the model's own samples that score lower than what is accepted
_LEVELLED = 1000  # samples of each digit by which that is set


class VerifierObjective:
    """Cross entropy with the judge's probabilities, and the logistic loss of a critic, on real and made digits."""

    def __init__(self, verifier: Verifier, prior: Prior, judge: Judge, data: Mnist, config: TrainConfig) -> None:
        self.verifier, self.data, self.config = verifier, data, config
        self.prior, self.judge = prior.eval(), judge.eval()
        for module in (prior, judge):
            module.requires_grad_(requires_grad=False)

    def prepare(self, progress: float) -> None:
        """Do nothing: the loss is the same throughout the stage."""

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return the sum of both losses, nats per image, and each of them."""
        digit, half = self.data.train_labels[index], (len(index) + 1) // 2
        gray = paint.to_float(self.data.train_images.index_select(0, index))
        real = gray / gray.amax(dim=1, keepdim=True).clamp_min(1 / 255)
        turned = paint.augment(gray, self.config.verifier_stage.augment, random)
        turned = turned / turned.amax(dim=1, keepdim=True).clamp_min(1 / 255)
        with torch.no_grad():
            made = torch.cat([self.samples(digit[:half], random), self._reconstructions(gray[half:], random)])
            seen = torch.cat([real, made, turned])
            wanted = F.softmax(self.judge.read(seen), dim=1)
        logits, realism = self.verifier.network(seen)
        reading = F.cross_entropy(logits, wanted)
        score = realism[: 2 * len(index)].gather(1, digit.repeat(2)[:, None])
        critic = F.softplus(-score[: len(index)]).mean() + F.softplus(score[len(index) :]).mean()
        return {"loss": reading + critic, "reading": reading, "critic": critic}

    def samples(self, digit: Tensor, random: torch.Generator) -> Tensor:
        """Draw gray samples (n, 784) of digits (n,), as they come out of an image of 8 bits."""
        n, device = len(digit), random.device
        rgb = paint.random_colors(n, random, margin=paint.COLOR_MARGIN)
        uniform = torch.rand(n, self.prior.noise_size, generator=random, device=device).clamp_min(2.0**-25)
        temperature = torch.full((), self.config.prior.temperature, device=device)
        return _gray(self.prior.vae.decode(self.prior(digit, rgb, uniform, temperature)))

    def _reconstructions(self, gray: Tensor, random: torch.Generator) -> Tensor:
        """Reconstruct digits (n, 784) through latents drawn from their posterior."""
        vae = self.prior.vae
        rgb = paint.random_colors(len(gray), random, margin=paint.COLOR_MARGIN)
        posterior = vae.posterior(vae.analyse_painted(gray, rgb))
        noise = latents.draw_noise(posterior, random)
        return _gray(vae.decode(latents.sample(posterior, noise, self.config.objective.temperature_end, hard=True)))


@torch.no_grad()
def level_scores(
    verifier: Verifier, samples: Callable[[Tensor, torch.Generator], Tensor], random: torch.Generator
) -> None:
    """Shift a verifier's scores of each digit so that 4 in 100 of the model's own samples have less than is accepted.

    Real digits would set no bound: the critic has seen those of training again and again, and knows them. With one
    threshold for the scores as they come out of training, some digits would be drawn again more than others.
    """
    bias = verifier.whole.get_parameter("4.bias")
    for digit in range(DIGITS):
        asked = torch.full((_LEVELLED,), digit, device=random.device)
        scores = verifier.network(samples(asked, random))[1]
        bias[DIGITS + digit] += REALISM - scores[:, digit].quantile(_REFUSED)


def _gray(image: Tensor) -> Tensor:
    return measure(torch.round(image * 255) / 255)[0]
