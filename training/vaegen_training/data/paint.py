"""Painting: gray digits become colored images, on whatever device the digits live.

One uniformly random RGB color per digit on black, as in the report; no Pillow and no loader in the loop.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from vaegen.color import DARKEST_DRAWN
from vaegen.spec import CHANNELS, SIDE

# Half a shade beyond either end, clipped: 9% of the channels are exactly 0 or 1, as in the colors people name.
COLOR_MARGIN = 0.05

# What `strength` 1 of the augmentation means: half-ranges of uniform draws.
ROTATION = 0.15  # radians
SCALING = 0.10  # relative
SHEAR = 0.10  # pixels per pixel
SHIFT = 1.0  # pixels
CONTRAST = 1.3  # about mid-gray: gives back the edge that bilinear resampling takes


def random_colors(n: int, generator: torch.Generator, *, margin: float = 0.0) -> Tensor:
    """Draw colors uniform over the RGB cube.

    Args:
        n: How many.
        generator: Source of randomness; its device is the result's.
        margin: Draw from a cube larger by this much on each side and clip, so that pure colors such as
            (1, 0, 0), which a person asks for by name, lie inside what is learned and not on its rim.

    Returns:
        float32 (n, 3) in [0, 1].
    """
    colors = torch.rand(n, CHANNELS, generator=generator, device=generator.device)
    return (colors * (1 + 2 * margin) - margin).clamp_(0, 1)


def paint(gray: Tensor, rgb: Tensor) -> Tensor:
    """Paint digits.

    Args:
        gray: float32 (n, 784) in [0, 1].
        rgb: float32 (n, 3) in [0, 1].

    Returns:
        float32 (n, 3, 28, 28) in [0, 1]: gray times color, black where gray is 0.
    """
    return rgb[:, :, None, None] * gray.reshape(-1, 1, SIDE, SIDE)


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 (n, 28, 28) into float32 (n, 784) in [0, 1]."""
    return images.reshape(len(images), -1).float().div_(255)


def augment(gray: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Rotate, scale, shear and shift every other digit a little; the rest stay as they were drawn.

    Args:
        gray: float32 (n, 784) in [0, 1].
        strength: Multiple of the half-ranges above; 0 returns the input.
        generator: Source of randomness, on the digits' device.

    Returns:
        float32 (n, 784) in [0, 1].
    """
    if strength == 0:
        return gray
    n = len(gray)
    keep = torch.rand(n, 1, generator=generator, device=gray.device) < 0.5
    draw = torch.rand(5, n, generator=generator, device=gray.device).mul_(2 * strength).sub_(strength)
    angle, scale, shear = draw[0] * ROTATION, 1 + draw[1] * SCALING, draw[2] * SHEAR
    shift = draw[3:] * (SHIFT * 2 / SIDE)  # grid coordinates run from -1 to 1
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([cos, shear - sin, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1)], 1)
    grid = F.affine_grid(matrix, [n, 1, SIDE, SIDE], align_corners=False)
    moved = F.grid_sample(gray.reshape(n, 1, SIDE, SIDE), grid, align_corners=False).reshape(n, -1)
    return torch.where(keep, gray, moved.sub_(0.5).mul_(CONTRAST).add_(0.5).clamp_(0, 1))


def draw(
    images: Tensor, index: Tensor, generator: torch.Generator, *, augmentation: float, margin: float
) -> tuple[Tensor, Tensor]:
    """Draw what a training step shows: some of the digits, augmented, and a random color for each.

    Args:
        images: uint8 (m, 28, 28).
        index: int64 (n,), which of them.
        generator: Source of randomness, on the digits' device.
        augmentation: Strength of `augment`.
        margin: Of `random_colors`.

    Returns:
        gray, float32 (n, 784), and rgb, float32 (n, 3), both in [0, 1].
    """
    gray = augment(to_float(images.index_select(0, index)), augmentation, generator)
    return gray, random_colors(len(gray), generator, margin=margin)


def fixed_colors(n: int, seed: int = 0) -> Tensor:
    """Return the colors of the painted test set, the same on every machine.

    Returns:
        float32 (n, 3), uniform over RGB with the brightest channel at least DARKEST_DRAWN / 255.
    """
    # A Weyl sequence needs no generator, so that no version of torch can change the test set.
    steps = torch.tensor(
        [1 / 1.2207440846057596, 1 / 1.2207440846057596**2, 1 / 1.2207440846057596**3], dtype=torch.float64
    )
    points = torch.arange(seed + 1, seed + n + 1, dtype=torch.float64)[:, None] * steps
    rgb = (points - points.floor()).float()
    floor = math.nextafter(DARKEST_DRAWN / 255, 1)
    return rgb * (floor / rgb.amax(1, keepdim=True)).clamp_min(1.0)
