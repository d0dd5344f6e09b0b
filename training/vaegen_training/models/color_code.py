"""The color of an image: measured over the stroke, and coded in latents by layers that are built, not trained."""

import math

from torch import Tensor, nn
from vaegen.spec import CHANNELS, LatentSpec

_UNIFORM_STD = 0.29  # standard deviation of a uniform channel, 1 / sqrt(12)


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
    encode, decode = nn.Linear(CHANNELS, spec.size + spec.continuous), nn.Linear(spec.size, CHANNELS)
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
