"""Flow matching: a velocity field that carries noise to the features of a digit.

Source: Lipman et al. 2023, "Flow matching for generative modeling"; Liu et al. 2023, "Flow straight and fast". In our
trials samples from it covered 0.93 of the real digits where affine couplings came to 0.88 to 0.92 (docs/trials.md).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from vaegen.spec import CHANNELS, DIGITS, NO_SLANT, NO_THICKNESS

from vaegen_training.config import PriorConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.data.style import style_of
from vaegen_training.models.vae import Vae

STYLES = 2  # slant and thickness
_CHUNK = 2000  # digits seen at once
_FREQUENCIES = 8  # time enters as sine and cosine of t * pi/2, 2 pi/2, ... 8 pi/2


class FeatureSpace(nn.Module):
    """Mean and scale of each of F features, and the form in which digit, color and style are given to a network."""

    center: Tensor
    scale: Tensor

    def __init__(self, size: int, *, use_color: bool, use_style: bool) -> None:
        super().__init__()
        self.size = size
        """F."""
        self.use_color, self.use_style = use_color, use_style
        self.context_size = DIGITS + (2 * CHANNELS if use_color else 0) + (2 * STYLES if use_style else 0)
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Take mean and standard deviation from features (n, F) of the training set."""
        self.center.copy_(features.mean(0))
        self.scale.copy_(features.std(0).clamp_min(1e-4))

    def standardise(self, features: Tensor) -> Tensor:
        """Scale features (n, F) to zero mean and unit variance."""
        return (features - self.center) / self.scale

    def restore(self, standard: Tensor) -> Tensor:
        """Undo `standardise`."""
        return standard * self.scale + self.center

    def context(self, digit: Tensor, rgb: Tensor, style: Tensor | None = None) -> Tensor:
        """Turn digit int64 (n,), rgb float32 (n, 3) and style (n, 2) into a network's context, float32 (n, C).

        A style has NO_SLANT or more, or NO_THICKNESS or less, where none is given; None gives none at all.
        """
        parts = [(digit[:, None] == torch.arange(DIGITS, device=digit.device)).to(rgb.dtype)]
        if self.use_color:
            # Squares let the first layer bend: the features of a color are not a linear function of it.
            parts += [rgb, rgb.square()]
        if self.use_style:
            if style is None:
                slant, thickness = rgb.new_full((len(rgb), 1), NO_SLANT), rgb.new_full((len(rgb), 1), NO_THICKNESS)
            else:
                slant, thickness = style.split(1, dim=1)
            given = torch.cat([slant < NO_SLANT, thickness > NO_THICKNESS], dim=1).to(rgb.dtype)
            # About standard units: 15 degrees and 0.6 pixels are the standard deviations of MNIST's.
            parts += [given, given * torch.cat([slant / 15, (thickness - 2.4) / 0.6], dim=1)]
        return torch.cat(parts, dim=1)


class Example(NamedTuple):
    """What the prior is fitted to: n training digits, seen through the encoder."""

    features: Tensor
    """float32 (n, F)."""
    digit: Tensor
    """int64 (n,)."""
    rgb: Tensor
    """float32 (n, 3) in [0, 1], the colors that they were painted in."""
    style: Tensor | None
    """float32 (n, 2), where it is told (`given_style`); None where the prior takes no style."""


class Examples:
    """The training digits' features, each time in other colors."""

    def __init__(self, vae: Vae, data: Mnist, config: TrainConfig) -> None:
        self.vae, self.data = vae.eval(), data
        self.augmentation, self.style_given = config.flow_stage.augment, config.prior.style_given
        self.known: tuple[Tensor, Tensor] | None = None
        if vae.separate_color and not self.augmentation:
            # Features that depend on nothing random are computed once: that takes half of a step's time.
            grays = map(paint.to_float, data.train_images.split(_CHUNK))
            parts = [self._look(gray, gray.new_ones(len(gray), CHANNELS)) for gray in grays]
            features, style = (torch.cat(part) for part in zip(*parts, strict=True))
            self.known = features, style

    @torch.no_grad()
    def draw(self, index: Tensor, random: torch.Generator) -> Example:
        """Return training digits `index`, int64 (n,), in colors of their own."""
        if self.known is not None:
            rgb = paint.random_colors(len(index), random, margin=paint.COLOR_MARGIN)
            features, style = (each[index] for each in self.known)
        else:
            gray, rgb = paint.draw(
                self.data.train_images, index, random, augmentation=self.augmentation, margin=paint.COLOR_MARGIN
            )
            features, style = self._look(gray, rgb)
        told = given_style(style, self.style_given, random) if self.style_given else None
        return Example(features, self.data.train_labels[index], rgb, told)

    @torch.no_grad()
    def _look(self, gray: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (n, F) of painted digits, and their style (n, 2), (n, 0) where the prior takes none."""
        return self.vae.analyse_painted(gray, rgb).features, style_of(gray) if self.style_given else gray[:, :0]


def given_style(style: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Return slant and thickness (n, 2), each told of a share of the digits alone."""
    slant, thickness = style.split(1, dim=1)
    hidden = torch.rand(style.shape, generator=random, device=random.device) >= share
    return torch.cat(
        [slant.masked_fill(hidden[:, :1], NO_SLANT), thickness.masked_fill(hidden[:, 1:], NO_THICKNESS)], dim=1
    )


class VelocityField(nn.Module):
    """v(x, t | context): residual blocks over standardised features, time and context."""

    frequencies: Tensor

    def __init__(self, space: FeatureSpace, config: PriorConfig) -> None:
        super().__init__()
        wide = config.field_hidden
        self.first = nn.Linear(space.size + space.context_size + 2 * _FREQUENCIES, wide)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, wide), nn.GELU(), nn.Linear(wide, wide))
            for _ in range(config.blocks)
        )
        self.last = nn.Linear(wide, space.size)
        self.register_buffer("frequencies", torch.arange(1, _FREQUENCIES + 1) * (math.pi / 2), persistent=False)

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """Return the velocity (n, F) at x (n, F), time (n, 1) in [0, 1] from noise to features, and context (n, C)."""
        angle = time * self.frequencies
        hidden: Tensor = self.first(torch.cat([x, context, angle.sin(), angle.cos()], dim=1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        velocity: Tensor = self.last(hidden)
        return velocity

    @torch.no_grad()
    def solve(self, noise: Tensor, context: Tensor, steps: int) -> Tensor:
        """Carry standard normal noise (n, F) to standardised features (n, F).

        Heun's second-order method; the last step is Euler's, as in Karras et al. 2022, algorithm 1.
        """
        x, size = noise, 1 / steps
        for step in range(steps):
            time = torch.full_like(noise[:, :1], step * size)
            velocity = self(x, time, context)
            ahead = x + velocity * size
            if step < steps - 1:
                velocity = (velocity + self(ahead, time + size, context)) / 2
                ahead = x + velocity * size
            x = ahead
        return x


class FlowObjective:
    """Mean squared error of the velocity on straight lines from noise to features (Lipman et al. 2023, eq. 23)."""

    def __init__(self, field: VelocityField, space: FeatureSpace, examples: Examples) -> None:
        self.field, self.space, self.examples = field, space, examples

    def prepare(self, progress: float) -> None:
        """Do nothing: the loss is the same throughout the stage."""

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return the loss, per feature (of standardised features)."""
        example = self.examples.draw(index, random)
        x = self.space.standardise(example.features)
        noise = torch.randn(x.shape, generator=random, device=random.device)
        # Logit-normal times: the middle of the way is the hardest (Esser et al. 2024, section 3.1).
        time = torch.sigmoid(torch.randn(len(x), 1, generator=random, device=random.device))
        context = self.space.context(example.digit, example.rgb, example.style)
        velocity = self.field(torch.lerp(noise, x, time), time, context)
        return {"loss": (velocity - (x - noise)).square().mean()}
