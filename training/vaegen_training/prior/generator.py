"""The generator: one pass from noise to features, taught by the velocity field's solutions.

Source: Luhman and Luhman 2021, "Knowledge distillation in iterative generative models". A field of 900,000 weights
that is evaluated nine times an image becomes a network of 330,000 that is evaluated once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm
from vaegen.spec import DIGITS

from vaegen_training import latents, painter
from vaegen_training.config import PriorConfig, TrainConfig
from vaegen_training.judge import Judge
from vaegen_training.models import Vae
from vaegen_training.objectives import COLOR_MARGIN, noise_for
from vaegen_training.prior.features import FeatureSpace
from vaegen_training.prior.flow import VelocityField
from vaegen_training.processes import ALONE, Share
from vaegen_training.randomness import generator
from vaegen_training.step import Objective

GUIDED = 256  # examples of each step that the judge reads
GUIDED_FROM = 0.5  # fraction of the stage from which it does: first learn the field's solutions
_CHUNK = 2000  # examples solved at once


class FeatureGenerator(nn.Module):
    """Features from noise and context: a fully connected network beside a linear map."""

    def __init__(self, space: FeatureSpace, config: PriorConfig) -> None:
        super().__init__()
        self.space = space
        inputs, wide = space.size + space.context_size, config.hidden
        layers: list[nn.Module] = [nn.Linear(inputs, wide), nn.GELU()]
        for _ in range(config.layers - 1):
            layers += [nn.Linear(wide, wide), nn.GELU()]
        self.bent = nn.Sequential(*layers, nn.Linear(wide, space.size))
        self.straight = nn.Linear(inputs, space.size)

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """Turn standard normal noise (n, F) and context (n, C) into standardised features (n, F)."""
        joined = torch.cat([noise, context], dim=1)
        result: Tensor = self.bent(joined) + self.straight(joined)
        return result


@dataclass(frozen=True)
class Examples:
    """What the generator learns from: P requests with their noise and the field's answers."""

    noise: Tensor
    """float32 (P, F)."""
    digit: Tensor
    """int64 (P,)."""
    rgb: Tensor
    """float32 (P, 3)."""
    target: Tensor
    """float32 (P, F), standardised features."""


def examples(
    field: VelocityField,
    space: FeatureSpace,
    config: TrainConfig,
    device: torch.device,
    target: Tensor | None = None,
    *,
    share: Share = ALONE,
    progress: bool = False,
) -> Examples:
    """Draw the requests of a run and answer them, unless `target` (P, F) holds the answers already.

    Several processes answer a chunk each in turn: the same chunks as one process, so the same answers to the bit.
    """
    noise, digit, rgb = (torch.cat(parts) for parts in zip(*_requests(space, config, device), strict=True))
    if target is None:
        solved = []
        with tqdm(
            total=len(digit), desc="examples", unit=" examples", unit_scale=True, disable=None if progress else True
        ) as bar:
            chunks = zip(noise.split(_CHUNK), digit.split(_CHUNK), rgb.split(_CHUNK), strict=True)
            for number, (x, d, c) in enumerate(chunks):
                mine = number % share.size == share.rank
                answer = field.solve(x, space.context(d, c), config.prior.steps) if mine else torch.empty_like(x)
                # Half precision is enough for answers of about 1, and what a resumed run reads back from its file.
                solved.append(answer.half())
                bar.update(len(d))
        target = torch.cat(share.gather(solved))
    return Examples(noise, digit, rgb, target.to(device).float())


def _requests(
    space: FeatureSpace, config: TrainConfig, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    for start in range(0, config.prior.examples, _CHUNK):
        n = min(_CHUNK, config.prior.examples - start)
        random = generator(device, config.seed, "examples", start)
        # Noise of all the strengths that a sampling temperature asks for, most of it near full strength.
        temperature = 1 - 0.7 * torch.rand(n, 1, generator=random, device=device).square()
        noise = torch.randn(n, space.size, generator=random, device=device) * temperature
        digit = torch.arange(start, start + n, device=device) % DIGITS
        yield noise, digit, painter.random_colors(n, random, margin=COLOR_MARGIN)


class GeneratorObjective(Objective):
    """Mean squared error to the field's answers, and the judge's cross entropy on the images that come of them."""

    def __init__(
        self,
        vae: Vae,
        network: FeatureGenerator,
        judge: Judge,
        known: Examples,
        config: TrainConfig,
        share: Share = ALONE,
    ) -> None:
        self.vae = vae.eval()
        self.network = network
        self.judge = judge.eval()
        self.known = known
        self.guidance = config.prior.guidance
        self.temperature = config.objective.temperature_end
        self.share = share
        self.guided = False
        for module in (vae, judge):
            module.requires_grad_(requires_grad=False)

    def prepare(self, progress: float) -> bool:
        """Let the judge join in half-way."""
        self.guided = progress >= GUIDED_FROM
        return self.guided

    def compute(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Give the loss, the error per feature (of standardised features) and, where it is used, the cross entropy."""
        known, space = self.known, self.network.space
        digit, rgb = known.digit[index], known.rgb[index]
        found = self.network(known.noise[index], space.context(digit, rgb))
        error = (found - known.target[index]).square().mean()
        if not self.guidance:
            return {"loss": error, "error": error}
        cross_entropy = error.new_zeros(())
        if self.guided:
            n = min(GUIDED, len(index) * self.share.size)
            part = self.share.count(n)
            posterior = self.vae.posterior(space.restore(found[:part]), rgb[:part])
            noise = noise_for(posterior, random, self.share, n)
            logits = self.judge(self.vae.decode(latents.sample(posterior, noise, self.temperature, hard=True)))
            cross_entropy = F.cross_entropy(logits, digit[:part], label_smoothing=0.02)
            cross_entropy = self.share.weigh(cross_entropy, part, n)
        return {"loss": error + self.guidance * cross_entropy, "error": error, "cross_entropy": cross_entropy}
