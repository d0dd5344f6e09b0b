"""The generator: one pass from noise to features, distilled from the velocity field.

Source: Luhman and Luhman 2021, "Knowledge distillation in iterative generative models". A field of 900,000 weights
that is evaluated nine times an image becomes a network of 330,000 that is evaluated once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm
from vaegen.spec import DIGITS

from vaegen_training.config import PriorConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import latents
from vaegen_training.models.judge import SMOOTHING, Judge
from vaegen_training.models.vae import Analysis, Vae
from vaegen_training.prior.flow import FeatureSpace, VelocityField, given_style

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
class DistillationPairs:
    """What the generator learns from: P requests with their noise, and the field's solutions."""

    noise: Tensor
    """float32 (P, F)."""
    digit: Tensor
    """int64 (P,)."""
    rgb: Tensor
    """float32 (P, 3)."""
    context: Tensor
    """float32 (P, C), what the networks are told: digit, color and style."""
    target: Tensor
    """float32 (P, F), standardised features."""


def distillation_pairs(
    field: VelocityField,
    space: FeatureSpace,
    data: Mnist,
    config: PriorConfig,
    generator: Callable[[int], torch.Generator],
    target: Tensor | None = None,
    *,
    progress: bool = False,
) -> DistillationPairs:
    """Draw a run's requests and solve them.

    Args:
        field: The velocity field.
        space: Its features.
        data: Training digits, with whose styles styles are asked for.
        config: Number of requests, and of steps to solve them in.
        generator: Returns the source of randomness of the chunk that begins with a request, on the field's device.
        target: The solutions (P, F), if they are known already.
        progress: Show a bar on stderr, if that is a terminal.
    """
    chunks = []
    hidden = None if progress and target is None else True
    with tqdm(total=config.examples, desc="examples", unit=" examples", unit_scale=True, disable=hidden) as bar:
        for start in range(0, config.examples, _CHUNK):
            n = min(_CHUNK, config.examples - start)
            random = generator(start)
            device = random.device
            # Noise of all the strengths that a sampling temperature asks for, most of it near full strength.
            temperature = 1 - 0.7 * torch.rand(n, 1, generator=random, device=device).square()
            noise = torch.randn(n, space.size, generator=random, device=device) * temperature
            digit = torch.arange(start, start + n, device=device) % DIGITS
            rgb = paint.random_colors(n, random, margin=paint.COLOR_MARGIN)
            style = None
            if config.style_given:
                model = torch.randint(len(data.train_images), (n,), generator=random, device=device)
                digit = data.train_labels[model]
                style = given_style(paint.to_float(data.train_images[model]), config.style_given, random)
            context = space.context(digit, rgb, style)
            known = None if target is None else target[start : start + n].to(device)
            solved = field.solve(noise, context, config.steps) if known is None else known
            # Half precision is enough for values of about 1, and what a resumed run reads back from its file.
            chunks.append((noise, digit, rgb, context, solved.half().float()))
            bar.update(n)
    return DistillationPairs(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


class GeneratorObjective:
    """Mean squared error to the field's solutions, and the judge's cross entropy on the images that come of them."""

    def __init__(
        self, vae: Vae, network: FeatureGenerator, judge: Judge, pairs: DistillationPairs, config: TrainConfig
    ) -> None:
        self.vae = vae.eval()
        self.network = network
        self.judge = judge.eval()
        self.pairs = pairs
        self.guidance = config.prior.guidance
        self.temperature = config.objective.temperature_end
        self.guided = False
        for module in (vae, judge):
            module.requires_grad_(requires_grad=False)

    def prepare(self, progress: float) -> bool:
        """Let the judge join in half-way; return whether it does."""
        self.guided = progress >= GUIDED_FROM
        return self.guided

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return the loss, the error per feature (standardised) and, where it is used, the cross entropy."""
        pairs, space = self.pairs, self.network.space
        digit, rgb = pairs.digit[index], pairs.rgb[index]
        found = self.network(pairs.noise[index], pairs.context[index])
        error = (found - pairs.target[index]).square().mean()
        if not self.guidance:
            return {"loss": error, "error": error}
        cross_entropy = error.new_zeros(())
        if self.guided:
            known = self.vae.known_digit(digit[:GUIDED])
            posterior = self.vae.posterior(Analysis(space.restore(found[:GUIDED]), rgb[:GUIDED], known))
            noise = latents.draw_noise(posterior, random)
            logits = self.judge(self.vae.decode(latents.sample(posterior, noise, self.temperature, hard=True)))
            cross_entropy = F.cross_entropy(logits, digit[:GUIDED], label_smoothing=SMOOTHING)
        return {"loss": error + self.guidance * cross_entropy, "error": error, "cross_entropy": cross_entropy}
