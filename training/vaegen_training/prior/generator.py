"""The generator: one pass from noise to features, distilled from the velocity field.

Source: Luhman and Luhman 2021, "Knowledge distillation in iterative generative models". A field of 900,000 weights
that is evaluated nine times an image becomes a network of 330,000 that is evaluated once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import DIGITS

from vaegen_training.config import PriorConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.data.style import style_of
from vaegen_training.models import latents
from vaegen_training.models.judge import SMOOTHING, Judge
from vaegen_training.models.vae import Analysis, Vae
from vaegen_training.prior.flow import Examples, FeatureSpace, VelocityField, given_style

GUIDED = 256  # examples of each step that the judge reads
GUIDED_FROM = 0.5  # fraction of the stage from which it does: first learn the field's solutions
COMPARED = 512  # training digits of each step that the critic compares with as many drawn ones
_CRITIC = 512  # units of each of its layers
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


class FeatureCritic(nn.Module):
    """Scores standardised features (n, F) beside a context (n, C): higher is more like a training digit's, (n,)."""

    def __init__(self, space: FeatureSpace) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(space.size + space.context_size, _CRITIC), nn.LeakyReLU(0.2)),
            *(nn.Linear(_CRITIC, _CRITIC), nn.LeakyReLU(0.2)),
            *(nn.Linear(_CRITIC, _CRITIC), nn.LeakyReLU(0.2)),
            nn.Linear(_CRITIC, 1),
        )

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """Return the scores."""
        score: Tensor = self.layers(torch.cat([features, context], dim=1)).squeeze(1)
        return score


class Contest(nn.Module):
    """A generator and its critic, which learn from each other."""

    def __init__(self, network: FeatureGenerator) -> None:
        super().__init__()
        self.network = network
        self.critic = FeatureCritic(network.space)


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
    advance: Callable[[int], None] = lambda _: None,
) -> DistillationPairs:
    """Draw a run's requests and solve them.

    Args:
        field: The velocity field.
        space: Its features.
        data: Training digits, with whose styles styles are asked for.
        config: Number of requests, and of steps to solve them in.
        generator: Returns the source of randomness of the chunk that begins with a request, on the field's device.
        target: The solutions (P, F), if they are known already.
        advance: Is told how many more are solved.
    """
    chunks = []
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
            gray = paint.to_float(data.train_images[model])
            style = given_style(style_of(gray), config.style_given, random)
        context = space.context(digit, rgb, style)
        known = None if target is None else target[start : start + n].to(device)
        solved = field.solve(noise, context, config.steps) if known is None else known
        # Half precision is enough for values of about 1, and what a resumed run reads back from its file.
        chunks.append((noise, digit, rgb, context, solved.half().float()))
        advance(n)
    return DistillationPairs(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


class GeneratorObjective:
    """Mean squared error to the field's solutions, the score of a critic, and later the judge's cross entropy.

    A network of one pass cannot follow the field everywhere. The critic tells it which of its errors show: it sees
    training digits' features beside drawn ones for the same digit, color and style, and the two play a relativistic
    game with penalties on the critic's gradient at both (Huang et al. 2024, "The GAN is dead; long live the GAN!").
    """

    def __init__(
        self,
        vae: Vae,
        network: FeatureGenerator | Contest,
        judge: Judge,
        pairs: DistillationPairs,
        examples: Examples,
        config: TrainConfig,
    ) -> None:
        self.vae = vae.eval()
        self.critic = network.critic if isinstance(network, Contest) else None
        self.network = network.network if isinstance(network, Contest) else network
        self.judge = judge.eval()
        self.pairs, self.examples = pairs, examples
        self.config = config.prior
        self.temperature = config.objective.temperature_end
        self.guided = False
        for module in (vae, judge):
            module.requires_grad_(requires_grad=False)

    def prepare(self, progress: float) -> bool:
        """Let the judge join in half-way; return whether it does."""
        self.guided = progress >= GUIDED_FROM
        return self.guided

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return the loss, the error per feature (standardised) and, where they are used, the others' losses."""
        pairs = self.pairs
        found = self.network(pairs.noise[index], pairs.context[index])
        error = (found - pairs.target[index]).square().mean()
        losses = {"loss": error, "error": error}
        if self.config.guidance:
            cross_entropy = error.new_zeros(())
            if self.guided:
                seen = index[:GUIDED]
                cross_entropy = self._cross_entropy(found[:GUIDED], pairs.digit[seen], pairs.rgb[seen], random)
            losses["loss"] = losses["loss"] + self.config.guidance * cross_entropy
            losses["cross_entropy"] = cross_entropy
        if self.critic is not None:
            critic, unreal = self._compare(self.critic, random)
            losses["loss"] = losses["loss"] + critic + self.config.critic_weight * unreal
            losses |= {"critic": critic, "unreal": unreal}
        return losses

    def _cross_entropy(self, standard: Tensor, digit: Tensor, rgb: Tensor, random: torch.Generator) -> Tensor:
        """Return the judge's cross entropy on the images of standardised features (n, F)."""
        features = self.network.space.restore(standard)
        posterior = self.vae.posterior(Analysis(features, rgb, self.vae.known_digit(digit)))
        noise = latents.draw_noise(posterior, random)
        logits = self.judge(self.vae.decode(latents.sample(posterior, noise, self.temperature, hard=True)))
        return F.cross_entropy(logits, digit, label_smoothing=SMOOTHING)

    def _compare(self, critic: FeatureCritic, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the critic's loss, with its penalties, and the generator's."""
        device, space, labels = random.device, self.network.space, self.examples.data.train_labels
        index = torch.randint(len(labels), (COMPARED,), generator=random, device=device)
        example = self.examples.draw(index, random)
        context = space.context(example.digit, example.rgb, example.style)
        real = space.standardise(example.features).requires_grad_()
        made = self.network(torch.randn(real.shape, generator=random, device=device), context)
        fixed = made.detach().requires_grad_()
        real_score, made_score = critic(real, context), critic(fixed, context)
        slopes = torch.autograd.grad(real_score.sum() + made_score.sum(), (real, fixed), create_graph=True)
        penalty = sum(slope.square().sum(1).mean() for slope in slopes) / 2
        loss = F.softplus(made_score - real_score).mean() + self.config.critic_penalty * penalty
        critic.requires_grad_(requires_grad=False)  # from here on it judges, and does not learn
        unreal = F.softplus(real_score.detach() - critic(made, context)).mean()
        critic.requires_grad_(requires_grad=True)
        return loss, unreal
