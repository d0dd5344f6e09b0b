"""The VAEs: one interface, two architectures, each spanning the continuous, the discrete and the joint model.

An image is analysed into *features* (what the conditional prior models) and, where the architecture has parts for
them, its *color* and its *digit*; together they give the posterior; a latent decodes to an image.
"""

import abc
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import CHANNELS, DIGITS, SIDE, LatentNames, LatentSpec

from vaegen_training.config import ModelConfig, ObjectiveConfig
from vaegen_training.data import paint
from vaegen_training.models import kernels, latents
from vaegen_training.models.color_code import ColorCode, measure
from vaegen_training.models.judge import READ, SMOOTHING, Judge, perceptual
from vaegen_training.models.latents import DECIDED, Posterior, one_hot_of

AREA = SIDE * SIDE  # 784 pixels
SUBPIXELS = AREA * CHANNELS  # 2352 values of an image
# Images of each batch whose entropy is taken for the logged excess BCE: a step's time is worth more than digits.
SHOWN = 32
# Images of each batch that the judge looks at, as they are and as other digits: a quarter of the default batch.
JUDGED = 64


class Analysis(NamedTuple):
    """What an image is taken apart into; each part has latents of its own."""

    features: Tensor
    """float32 (n, F), of the shape, and of the color where it has no part of its own."""
    color: Tensor
    """float32 (n, 3) in [0, 1]."""
    digit: Tensor | None = None
    """float32 (n, 10), logits; None where no categorical is the digit."""


class ReconstructionLoss(NamedTuple):
    """What it costs that decoded images are not the painted digits."""

    bce: Tensor
    """float32 (n,), nats."""
    excess_bce: Tensor
    """0-dim: BCE less the entropy of the image, nats, mean over the first SHOWN images."""
    perceptual: Tensor | None = None
    """0-dim, mean over the first JUDGED images; None where it has no weight."""
    other_digit: Tensor | None = None
    """0-dim, nats: the judge's cross entropy where the first JUDGED images are decoded as digits drawn at random;
    None where no categorical is the digit."""


class Vae(nn.Module, abc.ABC):
    """What training, the prior and the export know of a model."""

    spec: LatentSpec
    feature_size: int
    """F, the number of features."""
    separate_color: bool
    """Whether the color is coded apart from the features; if not, the features hold it too."""
    color_margin: float
    """Margin of `paint.random_colors` for the digits that it is trained on."""
    codes_digit = False
    """Whether the first categorical is the digit."""

    @property
    def latent_names(self) -> LatentNames:
        """What each Gaussian coordinate and each categorical is called."""
        return LatentNames(
            tuple(f"shape {i}" for i in range(self.spec.continuous)),
            tuple(f"code {i}" for i in range(self.spec.categorical[0])),
        )

    @abc.abstractmethod
    def analyse(self, image: Tensor) -> Analysis:
        """Take images (n, 3, 28, 28) in [0, 1] apart."""

    def analyse_painted(self, gray: Tensor, rgb: Tensor) -> Analysis:
        """Return what `analyse` finds in the image `paint(gray, rgb)`.

        Args:
            gray: float32 (n, 784) in [0, 1].
            rgb: float32 (n, 3) in [0, 1].
        """
        return self.analyse(paint.paint(gray, rgb))

    @abc.abstractmethod
    def posterior(self, analysis: Analysis) -> Posterior:
        """Return q(latent | image) of n images that are taken apart."""

    def known_digit(self, digit: Tensor) -> Tensor | None:
        """Return the logits of an analysis (n, 10) of known digits, int64 (n,); None where no categorical is one."""
        return DECIDED * one_hot_of(digit, DIGITS) if self.codes_digit else None

    def encode(self, image: Tensor) -> Posterior:
        """Return q(latent | image) of (n, 3, 28, 28) in [0, 1]."""
        return self.posterior(self.analyse(image))

    @abc.abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Turn (n, L) into images (n, 3, 28, 28) in [0, 1]."""

    @abc.abstractmethod
    def loss(
        self, latent: Tensor, gray: Tensor, rgb: Tensor, judge: Judge, config: ObjectiveConfig, random: torch.Generator
    ) -> ReconstructionLoss:
        """Return the loss of the images that latents decode to.

        Args:
            latent: float32 (n, L).
            gray: float32 (n, 784) in [0, 1], the digits that should come out.
            rgb: float32 (n, 3) in [0, 1], their colors.
            judge: Whose layers give the perceptual loss.
            config: The weights of the parts.
            random: Draws other digits, where a categorical is the digit.
        """


class MlpVae(Vae):
    """The report's layers: everything fully connected on the 2,352 values, ReLU between, sigmoid last.

    Continuous: 2352-512-2Z and Z-512-2352. Discrete: 2352-512-256-N*K and back, with a ReLU on the logits too.
    Joint: both side by side, each with its own loss; the image is the mean of the two.
    """

    separate_color = False
    color_margin = 0.0

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.spec = config.latent
        z, codes = self.spec.continuous, self.spec.size - self.spec.continuous
        self.feature_size = 2 * z + codes
        if z:
            self.continuous_encoder = nn.Sequential(nn.Linear(SUBPIXELS, 512), nn.ReLU(), nn.Linear(512, 2 * z))
            self.continuous_decoder = nn.Sequential(nn.Linear(z, 512), nn.ReLU(), nn.Linear(512, SUBPIXELS))
        if codes:
            self.discrete_encoder = nn.Sequential(
                nn.Linear(SUBPIXELS, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, codes)
            )
            self.discrete_decoder = nn.Sequential(
                nn.Linear(codes, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, SUBPIXELS)
            )

    def analyse(self, image: Tensor) -> Analysis:
        """Return the last linear layers' outputs, before the ReLU on the logits; the color is left at 0."""
        flat = image.flatten(1)
        parts = []
        if self.spec.continuous:
            parts.append(self.continuous_encoder(flat))
        if self.spec.categorical[0]:
            parts.append(self.discrete_encoder(flat))
        return Analysis(torch.cat(parts, dim=1), flat[:, :CHANNELS] * 0)

    def posterior(self, analysis: Analysis) -> Posterior:
        """Read the posterior off the features; the color is in them."""
        posterior = latents.split(analysis.features, self.spec)
        logits = None if posterior.logits is None else F.relu(posterior.logits)
        return Posterior(posterior.mean, posterior.log_variance, logits)

    def images(self, latent: Tensor) -> list[Tensor]:
        """Return the image of each of the model's decoders, (n, 2352) in [0, 1]."""
        z = self.spec.continuous
        images = []
        if z:
            images.append(torch.sigmoid(self.continuous_decoder(latent[:, :z])))
        if self.spec.categorical[0]:
            images.append(torch.sigmoid(self.discrete_decoder(latent[:, z:])))
        return images

    def decode(self, latent: Tensor) -> Tensor:
        """Decode; the joint model's image is the mean of its two."""
        images = self.images(latent)
        return (sum(images[1:], images[0]) / len(images)).reshape(-1, CHANNELS, SIDE, SIDE)

    def loss(
        self,
        latent: Tensor,
        gray: Tensor,
        rgb: Tensor,
        judge: Judge,  # noqa: ARG002 - the report has no perceptual loss
        config: ObjectiveConfig,  # noqa: ARG002
        random: torch.Generator,  # noqa: ARG002
    ) -> ReconstructionLoss:
        """Return the report's loss: the joint model adds up those of its two images, each against the target."""
        image = paint.paint(gray, rgb)
        images = self.images(latent)
        bce = torch.stack([kernels.bce(each, image) for each in images]).sum(0)
        mean = torch.stack(images)[:, :SHOWN].mean(0)
        excess = kernels.bce(mean, image[:SHOWN]) - kernels.entropy(image[:SHOWN])
        return ReconstructionLoss(bce, excess.mean())


class FactoredVae(Vae):
    """A stroke mask times one color, coded apart, as the images are painted.

    The encoder measures the color and hands the gray shape, at full contrast, to a fully connected network with
    a narrow bottleneck, beside what a digit classifier makes of it: its features, because convolutions carry over to
    digits that they have not seen better than a fully connected layer does. The decoder turns the shape latents into
    a mask, the color latents into a color, and multiplies them, so no color can bleed within a stroke.

    The color's code is built, not trained: under the ELBO the color drifts by 0.02 to make up for masks that
    are a little too dim, and a person sees that. Where a categorical is the digit, its posterior is the classifier's,
    and labels take its place in training (Kingma et al. 2014, "Semi-supervised learning with deep generative models",
    model M2).
    """

    separate_color = True
    color_margin = paint.COLOR_MARGIN

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.spec = config.latent
        self.codes_digit = config.digit_variables > 0
        n, k = self.spec.categorical
        colored = config.color_variables
        self.shape_spec = _latent_spec(
            self.spec.continuous - config.color_continuous, n - colored - config.digit_variables, k
        )
        self.color_spec = _latent_spec(config.color_continuous, colored, k)
        self.feature_size = config.features
        self.brightness, self.blackness = config.brightness, config.blackness
        wide, narrow = config.hidden, config.hidden // 2
        self.reader = Judge().requires_grad_(requires_grad=False)
        self.encoder = nn.Sequential(
            *_hidden(AREA + READ, wide), *_hidden(wide, narrow), nn.Linear(narrow, config.features)
        )
        self.shape_head = nn.Linear(config.features, _parameters(self.shape_spec))
        inputs = self.shape_spec.size + DIGITS * config.digit_variables
        self.decoder = nn.Sequential(*_hidden(inputs, narrow), *_hidden(narrow, wide), nn.Linear(wide, AREA))
        with torch.no_grad():
            self.shape_head.weight[2 * self.shape_spec.continuous :] *= config.logit_gain
        self.color = ColorCode(self.color_spec)

    @property
    def latent_names(self) -> LatentNames:
        """Shapes, codes, and the parts of the color; of its categoricals 0 is the most significant digit."""
        color = ("hue", "saturation", "value")
        z = self.shape_spec.continuous
        n, colored = self.spec.categorical[0], self.color_spec.categorical[0]
        return LatentNames(
            (*(f"shape {i}" for i in range(z)), *color[: self.spec.continuous - z]),
            (
                *(("digit",) if self.codes_digit else ()),
                *(f"code {i}" for i in range(n - colored - self.codes_digit)),
                *(f"{color[i % CHANNELS]} {i // CHANNELS}" for i in range(colored)),
            ),
        )

    def analyse(self, image: Tensor) -> Analysis:
        """Measure the color, encode the shape and read the digit."""
        gray, color = measure(image)
        return self._analyse_shape(gray, color)

    def analyse_painted(self, gray: Tensor, rgb: Tensor) -> Analysis:
        """Return what `analyse` finds in the image, without painting it, which would take half of a step's time."""
        peak = gray.amax(dim=1, keepdim=True)
        return self._analyse_shape(gray / peak.clamp_min(1 / 1024), rgb * peak)

    def _analyse_shape(self, gray: Tensor, color: Tensor) -> Analysis:
        """Analyse gray shapes at full contrast (n, 784) beside their colors."""
        seen = self.reader.see(gray)
        features = self.encoder(torch.cat([gray - 0.13, seen], dim=1))  # 0.13 is the mean gray of a digit
        return Analysis(features, color, self.reader.classify(seen) if self.codes_digit else None)

    def posterior(self, analysis: Analysis) -> Posterior:
        """Put the posteriors of digit, shape and color side by side."""
        shape = latents.split(self.shape_head(analysis.features), self.shape_spec)
        if analysis.digit is not None:
            shape = latents.join(Posterior(None, None, analysis.digit[:, None, :]), shape)
        return latents.join(shape, self.color.posterior(analysis.color))

    def parts(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mask's logits (n, 784) and the color (n, 3) in [0, 1]."""
        z, z_color = self.shape_spec.continuous, self.color_spec.continuous
        c_color = self.color_spec.size - z_color
        sizes = [z, z_color, self.spec.size - z - z_color - c_color, c_color]
        z_shape, z_color_part, c_shape, c_color_part = latent.split(sizes, dim=1)
        logits = self.decoder(torch.cat([z_shape, c_shape], dim=1))
        return logits, self.color.decode(torch.cat([z_color_part, c_color_part], dim=1))

    def as_digit(self, latent: Tensor, digit: Tensor) -> Tensor:
        """Return latents (n, L) whose categorical for the digit is another one's, int64 (n,)."""
        z = self.spec.continuous
        return torch.cat([latent[:, :z], one_hot_of(digit, DIGITS), latent[:, z + DIGITS :]], dim=1)

    def mask(self, logits: Tensor) -> Tensor:
        """Return the mask (n, 784) in [0, 1] that images are made with.

        A sigmoid only comes near the black and the full stroke that most pixels of a digit have; stretched beyond
        both ends and cut off, it reaches them.
        """
        return ((self.brightness + self.blackness) * torch.sigmoid(logits) - self.blackness).clamp(0, 1)

    def decode(self, latent: Tensor) -> Tensor:
        """Multiply mask and color."""
        logits, color = self.parts(latent)
        return paint.paint(self.mask(logits), color)

    def loss(
        self,
        latent: Tensor,
        gray: Tensor,
        rgb: Tensor,  # noqa: ARG002
        judge: Judge,
        config: ObjectiveConfig,
        random: torch.Generator,
    ) -> ReconstructionLoss:
        """Return the BCE of the mask, how far the judge sees it from the digit, and how other digits in its style read.

        The color is exact, so the painted image's BCE adds nothing to learn from.
        """
        target = gray / gray.amax(dim=1, keepdim=True).clamp_min(1 / 1024)
        logits, _ = self.parts(latent)
        bce = kernels.bce(torch.sigmoid(logits), target)
        excess = (bce[:SHOWN] - kernels.entropy(target[:SHOWN])).mean()
        seen = other = None
        if config.perceptual_weight:
            with torch.no_grad():
                wanted = judge.activations(target[:JUDGED])
            mask = torch.sigmoid(config.perceptual_contrast * logits[:JUDGED])
            seen = perceptual(judge.activations(mask), wanted).mean()
        if self.codes_digit:
            digit = torch.randint(DIGITS, (len(latent[:JUDGED]),), generator=random, device=latent.device)
            logits, _ = self.parts(self.as_digit(latent[:JUDGED], digit))
            read = judge.read(torch.sigmoid(config.perceptual_contrast * logits))
            other = F.cross_entropy(read, digit, label_smoothing=SMOOTHING)
        return ReconstructionLoss(bce, excess, seen, other)


def build(config: ModelConfig) -> Vae:
    """Build the network that a configuration describes, with fresh weights from torch's global generator."""
    return MlpVae(config) if config.architecture == "seed" else FactoredVae(config)


def _hidden(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    # Normalised layers learn in 13 epochs what plain ones learn in 19 (excess BCE of the continuous model).
    return nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU()


def _latent_spec(continuous: int, variables: int, classes: int) -> LatentSpec:
    return LatentSpec(continuous, (variables, classes) if variables else (0, 0))


def _parameters(spec: LatentSpec) -> int:
    return spec.size + spec.continuous  # a mean and a log-variance for each Gaussian coordinate
