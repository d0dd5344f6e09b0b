"""The VAEs: one interface, two architectures, each spanning the continuous, the discrete and the joint model.

An image is analysed into *features* (what the conditional prior models) and, where the architecture has a color
part, its *color*; both together give the posterior; a latent decodes to an image.
"""

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import CHANNELS, SIDE, LatentSpec

from vaegen_training import latents, painter
from vaegen_training.config import ModelConfig
from vaegen_training.latents import Posterior

AREA = SIDE * SIDE  # 784 pixels
SUBPIXELS = AREA * CHANNELS  # 2352 values of an image
_UNIFORM_STD = 0.29  # standard deviation of a uniform channel, 1 / sqrt(12)


class Vae(nn.Module, abc.ABC):
    """What training, the prior and the export know of a model."""

    spec: LatentSpec
    feature_size: int
    """F, the number of features."""
    separate_color: bool
    """Whether the color is coded apart from the features; if not, the features hold it too."""

    @abc.abstractmethod
    def analyse(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Turn (n, 3, 28, 28) in [0, 1] into features (n, F) and color (n, 3) in [0, 1]."""

    @abc.abstractmethod
    def posterior(self, features: Tensor, color: Tensor) -> Posterior:
        """Give q(latent | image) from features (n, F) and color (n, 3)."""

    def encode(self, image: Tensor) -> Posterior:
        """Give q(latent | image) of (n, 3, 28, 28) in [0, 1]."""
        return self.posterior(*self.analyse(image))

    @abc.abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Turn (n, L) into images (n, 3, 28, 28) in [0, 1]."""


class SeedVae(Vae):
    """The report's layers: everything fully connected on the 2,352 values, ReLU between, sigmoid last.

    Continuous: 2352-512-2Z and Z-512-2352. Discrete: 2352-512-256-N*K and back, with a ReLU on the logits too.
    Joint: both side by side, each with its own loss; the image is the mean of the two.
    """

    separate_color = False

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
        """Give the last linear layers' outputs, before the ReLU on the logits; the color is left at 0."""
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
        """Give the image of each of the model's decoders, (n, 2352) in [0, 1]."""
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


class FactoredVae(Vae):
    """A stroke mask times one color, coded apart: the data is made so.

    The encoder measures the color and hands the gray shape, at full contrast, to a fully connected network with
    a narrow bottleneck. The decoder turns the shape latents into a mask, the color latents into a color, and
    multiplies them, so no color can bleed within a stroke.

    The color's code is built, not trained: under the ELBO the color drifts by 0.02 to make up for masks that
    are a little too dim, and a person sees that.
    """

    separate_color = True

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
        """Give what `analyse` finds in the image `paint(gray, rgb)`, without making it: half of a step's time.

        Args:
            gray: float32 (n, 784) in [0, 1].
            rgb: float32 (n, 3) in [0, 1].
        """
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
        """Give the mask's logits (n, 784) and the color (n, 3), not yet clipped to [0, 1]."""
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
        """Give the mask (n, 784) in [0, 1] that images are made with.

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


def color_code(spec: LatentSpec) -> tuple[nn.Linear, nn.Linear]:
    """Build the color's encoder, from 2 * rgb - 1 to posterior parameters, and its decoder, from latents to rgb.

    Continuous: each channel c becomes the coordinate (c - 0.5) / 0.29, of unit variance when c is uniform, with
    a posterior 1.7 gray levels wide. Categorical: variable i is a scalar quantiser of channel i mod 3 with K
    bins; the M quantisers of one channel are staggered by a fraction of a bin, and the decoder takes the mean
    of their bin centers, so the resolution is 1 / (M (K - 1)). A Gaussian's -(c - center)^2 / (2 sigma^2) over
    bins is linear in c up to a constant that the softmax drops, so linear layers hold both codes exactly.

    Args:
        spec: The color latents: continuous 0 or 3, a multiple of 3 categoricals; together not none.
    """
    z, (n, k) = spec.continuous, spec.categorical
    encode, decode = nn.Linear(CHANNELS, _parameters(spec)), nn.Linear(spec.size, CHANNELS)
    codes = (z > 0) + (n > 0)  # where both kinds code the color, their mean is the color
    for layer in (encode, decode):
        layer.requires_grad_(requires_grad=False)
        layer.weight.zero_()
        layer.bias.zero_()
    decode.bias.fill_(0.5)
    for channel in range(z):
        encode.weight[channel, channel] = 0.5 / _UNIFORM_STD
        decode.weight[channel, channel] = _UNIFORM_STD / codes
    encode.bias[z : 2 * z] = math.log((1.7 / 255 / _UNIFORM_STD) ** 2)
    per_channel = n // CHANNELS
    for variable in range(n):
        channel = variable % CHANNELS
        stagger = (variable // CHANNELS + 0.5) / per_channel - 0.5
        sigma = 1 / (6 * (k - 1))  # a sixth of a bin: decided everywhere but near the borders
        for index in range(k):
            # The first and last centers average to exactly 0 and 1: pure red is coded without loss.
            center = (index + stagger) / (k - 1)
            row, u = 2 * z + variable * k + index, 2 * center - 1
            encode.weight[row, channel] = 2 * u / (8 * sigma**2)
            encode.bias[row] = -u * u / (8 * sigma**2)
            decode.weight[channel, z + variable * k + index] = (center - 0.5) / per_channel / codes
    return encode, decode


def measure(image: Tensor) -> tuple[Tensor, Tensor]:
    """Split an image into the gray shape at full contrast and one color.

    The color's hue and saturation are the mean over the stroke, weighted towards its brightest pixels; its
    brightness is that of the brightest one. Painted digits give back their exact paint.

    Args:
        image: float32 (n, 3, 28, 28) in [0, 1].

    Returns:
        gray, float32 (n, 784) in [0, 1], and color, float32 (n, 3) in [0, 1]. Black gives zeros for both.
    """
    pixels = image.flatten(2)  # (n, 3, 784)
    brightness = pixels.amax(dim=1)  # (n, 784)
    peak = brightness.amax(dim=1, keepdim=True)  # (n, 1)
    gray = brightness / peak.clamp_min(1 / 1024)
    weight = gray.square().square()
    total = (pixels * weight[:, None, :]).sum(dim=2)  # (n, 3)
    return gray, total / (brightness * weight).sum(dim=1, keepdim=True).clamp_min(1e-12) * peak


def _hidden(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    # Normalised layers learn in 13 epochs what plain ones learn in 19 (excess BCE of the continuous model).
    return nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU()


def _latent_spec(continuous: int, variables: int, classes: int) -> LatentSpec:
    return LatentSpec(continuous, (variables, classes) if variables else (0, 0))


def _parameters(spec: LatentSpec) -> int:
    return spec.size + spec.continuous  # a mean and a log-variance for each Gaussian coordinate


def analyse(vae: Vae, gray: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Give a model's features (n, F) and colors (n, 3) of digits gray (n, 784) painted in rgb (n, 3)."""
    if isinstance(vae, FactoredVae):
        return vae.analyse_painted(gray, rgb)
    return vae.analyse(painter.paint(gray, rgb))


def build(config: ModelConfig) -> SeedVae | FactoredVae:
    """Build the network that a configuration describes, with fresh weights from torch's global generator."""
    return SeedVae(config) if config.architecture == "seed" else FactoredVae(config)
