"""The color of an image: measured over the stroke, and coded in latents by formulas, not by training."""

import torch
from torch import Tensor, nn
from vaegen.spec import CHANNELS, LatentSpec

from vaegen_training.models.latents import DECIDED, Posterior, one_hot_of

_LEVELS = 1.7 / 255  # of a channel: standard deviation of a color that is drawn from its posterior


class ColorCode(nn.Module):
    """Hue, saturation and value (Smith 1978), each in latents of its own.

    Continuous: three coordinates, hue in turns and the others in [0, 1], as they are; a hue may leave [0, 1), where it
    goes on around the circle, so it turns through red without a jump. A posterior is 1.7 gray levels wide.

    Categorical: each of the three is quantised to K^M levels, the hue to the largest multiple of 6 among them, for six
    pure colors without loss, and written in M digits to the base K. Variable i is a digit of component i mod 3, the
    most significant ones first: the first three choose one of K sectors of the hue, red in the middle of the first
    one, and one of K ranges of saturation and of value.

    Args:
        spec: The color latents: 3 continuous or a multiple of 3 categoricals.
    """

    width: Tensor
    place_values: Tensor

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__()
        self.spec = spec
        self.base, self.places = spec.categorical[1], spec.categorical[0] // CHANNELS
        self.levels = self.base**self.places
        self.hues = self.levels - self.levels % 6
        self.red = self.base ** (self.places - 1) // 2 if self.places else 0  # the middle level of the first sector
        # Made once: a CUDA graph cannot copy numbers to the device.
        width = torch.tensor([_LEVELS / 6, _LEVELS, _LEVELS])  # a sixth of a turn is a channel
        self.register_buffer("width", width, persistent=False)
        values = torch.tensor([float(self.base**place) for place in reversed(range(self.places))])
        self.register_buffer("place_values", values, persistent=False)

    def posterior(self, rgb: Tensor) -> Posterior:
        """Return q(color latents | rgb) of colors (n, 3) in [0, 1]."""
        hsv = to_hsv(rgb)
        if self.spec.continuous:
            return Posterior(hsv, (2 * self.width.log()).expand_as(hsv), None)
        top = self.levels - 1
        hue = (hsv[:, :1] * self.hues + 0.5).floor() + self.red
        hue = hue - self.hues * (hue / self.hues).floor()
        rest = torch.cat([hue, (hsv[:, 1:] * top + 0.5).floor()], dim=1)  # (n, 3), whole numbers
        digits = []
        for place in reversed(range(self.places)):
            digit = (rest / self.base**place).floor()
            rest = rest - digit * self.base**place
            digits.append(digit)
        return Posterior(None, None, DECIDED * one_hot_of(torch.cat(digits, dim=1), self.base))

    def decode(self, latent: Tensor) -> Tensor:
        """Turn color latents (n, L) into rgb (n, 3) in [0, 1]."""
        if self.spec.continuous:
            return to_rgb(latent)
        classes = torch.arange(self.base, dtype=latent.dtype, device=latent.device)
        digits = latent.reshape(-1, self.places, CHANNELS, self.base) @ classes
        value = self.place_values @ digits  # (n, 3), whole numbers
        hue = (value[:, :1] - self.red) / self.hues
        return to_rgb(torch.cat([hue, value[:, 1:] / (self.levels - 1)], dim=1))


def to_hsv(rgb: Tensor) -> Tensor:
    """Return hue in turns, [0, 1), saturation and value of colors (n, 3) in [0, 1]; a gray has the hue of red, 0."""
    red, green, blue = rgb.split(1, dim=1)
    value = rgb.amax(dim=1, keepdim=True)
    chroma = value + (-rgb).amax(dim=1, keepdim=True)
    at_green, at_blue = 2 * chroma + blue - red, 4 * chroma + red - green  # times the chroma, like the next line
    sixths = torch.where(red == value, green - blue, torch.where(green == value, at_green, at_blue))
    hue = sixths / (6 * chroma).clamp_min(1e-12)
    return torch.cat([hue - hue.floor(), chroma / value.clamp_min(1e-12), value], dim=1)


def to_rgb(hsv: Tensor) -> Tensor:
    """Return the color (n, 3) in [0, 1] of a hue in turns, any number, and saturation and value, cut off at 0 and 1."""
    hue, rest = hsv[:, :1], hsv[:, 1:].clamp(0, 1)
    saturation, value = rest.split(1, dim=1)
    turns = hue + torch.arange(5, 0, -2, dtype=hsv.dtype, device=hsv.device) / 6
    sixths = 6 * (turns - turns.floor())
    rgb: Tensor = value * (1 - saturation * torch.minimum(sixths, 4 - sixths).clamp(0, 1))
    return rgb


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
