"""The VAEs: one interface, two architectures, each spanning the continuous, the discrete and the joint model.

An image is analysed into *features* (what the conditional prior models) and, where the architecture has a color
part, its *color*; both together give the posterior; a latent decodes to an image.
"""

import abc
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import CHANNELS, SIDE, LatentSpec

from vaegen_training.config import ModelConfig, ObjectiveConfig, TrainConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import kernels, latents
from vaegen_training.models.color_code import color_code, measure
from vaegen_training.models.judge import Judge, perceptual
from vaegen_training.models.latents import Posterior

AREA = SIDE * SIDE  # 784 pixels
SUBPIXELS = AREA * CHANNELS  # 2352 values of an image
# Images of each batch whose entropy is taken for the logged excess BCE: a step's time is worth more than digits.
SHOWN = 32
# Images of each batch that the judge looks at for the perceptual loss: a quarter of the default batch.
JUDGED = 64


class ReconstructionLoss(NamedTuple):
    """What it costs that decoded images are not the painted digits."""

    bce: Tensor
    """float32 (n,), nats."""
    excess_bce: Tensor
    """0-dim: BCE less the entropy of the image, nats, mean over the first SHOWN images."""
    perceptual: Tensor | None = None
    """0-dim, mean over the first JUDGED images; None where it has no weight."""


class Vae(nn.Module, abc.ABC):
    """What training, the prior and the export know of a model."""

    spec: LatentSpec
    feature_size: int
    """F, the number of features."""
    separate_color: bool
    """Whether the color is coded apart from the features; if not, the features hold it too."""
    color_margin: float
    """Margin of `paint.random_colors` for the digits that it is trained on."""

    @abc.abstractmethod
    def analyse(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Turn (n, 3, 28, 28) in [0, 1] into features (n, F) and color (n, 3) in [0, 1]."""

    def analyse_painted(self, gray: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `analyse` finds in the image `paint(gray, rgb)`.

        Args:
            gray: float32 (n, 784) in [0, 1].
            rgb: float32 (n, 3) in [0, 1].
        """
        return self.analyse(paint.paint(gray, rgb))

    @abc.abstractmethod
    def posterior(self, features: Tensor, color: Tensor) -> Posterior:
        """Return q(latent | image) from features (n, F) and color (n, 3)."""

    def encode(self, image: Tensor) -> Posterior:
        """Return q(latent | image) of (n, 3, 28, 28) in [0, 1]."""
        return self.posterior(*self.analyse(image))

    @abc.abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Turn (n, L) into images (n, 3, 28, 28) in [0, 1]."""

    @abc.abstractmethod
    def loss(
        self, latent: Tensor, gray: Tensor, rgb: Tensor, judge: Judge, config: ObjectiveConfig
    ) -> ReconstructionLoss:
        """Return the loss of the images that latents decode to.

        Args:
            latent: float32 (n, L).
            gray: float32 (n, 784) in [0, 1], the digits that should come out.
            rgb: float32 (n, 3) in [0, 1], their colors.
            judge: Whose layers give the perceptual loss.
            config: The weights of the parts.
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

    def analyse(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last linear layers' outputs, before the ReLU on the logits; the color is left at 0."""
        flat = image.flatten(1)
        parts = []
        if self.spec.continuous:
            parts.append(self.continuous_encoder(flat))
        if self.spec.categorical[0]:
            parts.append(self.discrete_encoder(flat))
        return torch.cat(parts, dim=1), flat[:, :CHANNELS] * 0

    def posterior(self, features: Tensor, color: Tensor) -> Posterior:  # noqa: ARG002
        """Read the posterior off the features; the color is in them."""
        posterior = latents.split(features, self.spec)
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
    a narrow bottleneck. The decoder turns the shape latents into a mask, the color latents into a color, and
    multiplies them, so no color can bleed within a stroke.

    The color's code is built, not trained: under the ELBO the color drifts by 0.02 to make up for masks that
    are a little too dim, and a person sees that.
    """

    separate_color = True
    color_margin = paint.COLOR_MARGIN

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.spec = config.latent
        n, k = self.spec.categorical
        colored = config.color_variables
        self.shape_spec = _latent_spec(self.spec.continuous - config.color_continuous, n - colored, k)
        self.color_spec = _latent_spec(config.color_continuous, colored, k)
        self.feature_size = config.features
        self.brightness = config.brightness
        wide, narrow = config.hidden, config.hidden // 2
        self.encoder = nn.Sequential(*_hidden(AREA, wide), *_hidden(wide, narrow), nn.Linear(narrow, config.features))
        self.shape_head = nn.Linear(config.features, _parameters(self.shape_spec))
        self.decoder = nn.Sequential(
            *_hidden(self.shape_spec.size, narrow), *_hidden(narrow, wide), nn.Linear(wide, AREA)
        )
        with torch.no_grad():
            self.shape_head.weight[2 * self.shape_spec.continuous :] *= config.logit_gain
        self.color_head, self.color_decoder = color_code(self.color_spec)

    def analyse(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Measure the color and encode the shape."""
        gray, color = measure(image)
        return self.features(gray), color

    def analyse_painted(self, gray: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `analyse` finds in the image, without painting it, which would take half of a step's time."""
        peak = gray.amax(dim=1, keepdim=True)
        return self.features(gray / peak.clamp_min(1 / 1024)), rgb * peak

    def features(self, gray: Tensor) -> Tensor:
        """Turn gray shapes at full contrast (n, 784) into features (n, F)."""
        result: Tensor = self.encoder(gray - 0.13)  # 0.13 is the mean gray of a digit
        return result

    def posterior(self, features: Tensor, color: Tensor) -> Posterior:
        """Put the posterior of the shape, from the features, beside that of the color."""
        shape = latents.split(self.shape_head(features), self.shape_spec)
        return latents.join(shape, latents.split(self.color_head(2 * color - 1), self.color_spec))

    def parts(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mask's logits (n, 784) and the color (n, 3), not yet clipped to [0, 1]."""
        sizes = [
            self.shape_spec.continuous,
            self.color_spec.continuous,
            self.shape_spec.size - self.shape_spec.continuous,
            self.color_spec.size - self.color_spec.continuous,
        ]
        z_shape, z_color, c_shape, c_color = latent.split(sizes, dim=1)
        logits = self.decoder(torch.cat([z_shape, c_shape], dim=1))
        return logits, self.color_decoder(torch.cat([z_color, c_color], dim=1))

    def mask(self, logits: Tensor) -> Tensor:
        """Return the mask (n, 784) in [0, 1] that images are made with.

        The mask with the least BCE is the mean over all that a latent leaves open, a little dimmer than a stroke,
        most of whose pixels are at full brightness.
        """
        return (self.brightness * torch.sigmoid(logits)).clamp(max=1)

    def decode(self, latent: Tensor) -> Tensor:
        """Multiply mask and color."""
        logits, color = self.parts(latent)
        mask = self.mask(logits)
        image = color.clamp(0, 1)[:, :, None] * mask[:, None, :]
        return image.reshape(-1, CHANNELS, SIDE, SIDE)

    def loss(
        self, latent: Tensor, gray: Tensor, rgb: Tensor, judge: Judge, config: ObjectiveConfig
    ) -> ReconstructionLoss:
        """Return the BCE of mask times color, and the distance of the mask from the digit as the judge sees both."""
        logits, color = self.parts(latent)
        bce = kernels.painted_bce(torch.sigmoid(logits), color, gray, rgb)
        excess = bce[:SHOWN] - kernels.entropy(paint.paint(gray[:SHOWN], rgb[:SHOWN]))
        if not config.perceptual_weight:
            return ReconstructionLoss(bce, excess.mean())
        with torch.no_grad():
            target = judge.activations(gray[:JUDGED])
        mask = torch.sigmoid(config.perceptual_contrast * logits[:JUDGED])
        return ReconstructionLoss(bce, excess.mean(), perceptual(judge.activations(mask), target).mean())


class VaeObjective:
    """Negative ELBO: BCE of the reconstruction plus the weighted KL divergence; and a perceptual loss, if asked for."""

    def __init__(self, vae: Vae, data: Mnist, config: TrainConfig, judge: Judge) -> None:
        self.vae = vae
        self.judge = judge.eval().requires_grad_(requires_grad=False)
        self.images = data.train_images
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
        """Return loss, excess BCE and KL divergence, nats per image, and the perceptual loss; means over the batch."""
        vae = self.vae
        gray, rgb = paint.draw(self.images, index, random, augmentation=self.augmentation, margin=vae.color_margin)
        posterior = vae.posterior(*vae.analyse_painted(gray, rgb))
        noise = latents.draw_noise(posterior, random)
        latent = latents.sample(posterior, noise, self.temperature, hard=self.hard)
        bce, excess_bce, seen = vae.loss(latent, gray, rgb, self.judge, self.config)
        kl = latents.kl_divergence(posterior)
        loss = (bce + self.kl_weight * kl).mean()
        found = {"loss": loss, "excess_bce": excess_bce, "kl": kl.mean()}
        if seen is not None:
            found["loss"] = loss + self.config.perceptual_weight * seen
            found["perceptual"] = seen
        return found


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
