"""The painter: gray digits become colored images, on whatever device the digits live.

One uniformly random RGB color per digit on black, as in the report; no Pillow and no loader in the loop.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from vaegen.spec import CHANNELS, SIDE

from vaegen_training.processes import ALONE, Share

# What `strength` 1 of the augmentation means: half-ranges of uniform draws.
ROTATION = 0.15  # radians
SCALING = 0.10  # relative
SHEAR = 0.10  # pixels per pixel
SHIFT = 1.0  # pixels
CONTRAST = 1.3  # about mid-gray: gives back the edge that bilinear resampling takes


def random_colors(n: int, generator: torch.Generator, *, margin: float = 0.0, share: Share = ALONE) -> Tensor:
    """Draw colors uniform over the RGB cube.

    Args:
        n: How many.
        generator: Source of randomness; its device is the result's.
        margin: Draw from a cube larger by this much on each side and clip, so that pure colors such as
            (1, 0, 0), which a person asks for by name, lie inside what is learned and not on its rim.
        share: Which of the colors drawn are this process's n.

    Returns:
        float32 (n, 3) in [0, 1].
    """
    colors = share.rand(n, CHANNELS, random=generator)
    return (colors * (1 + 2 * margin) - margin).clamp_(0, 1)


def paint(gray: Tensor, rgb: Tensor) -> Tensor:
    """Paint digits.

    Args:
        gray: float32 (n, 784) in [0, 1].
        rgb: float32 (n, 3) in [0, 1].

    Returns:
        float32 (n, 3, 28, 28) in [0, 1]: gray times color, black where gray is 0.
    """
    return (rgb[:, :, None] * gray[:, None, :]).reshape(-1, CHANNELS, SIDE, SIDE)


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 (n, 28, 28) into float32 (n, 784) in [0, 1]."""
    return images.reshape(len(images), -1).float().div_(255)


def augment(gray: Tensor, strength: float, generator: torch.Generator, share: Share = ALONE) -> Tensor:
    """Rotate, scale, shear and shift every other digit a little; the rest stay as they were drawn.

    Args:
        gray: float32 (n, 784) in [0, 1].
        strength: Multiple of the half-ranges above; 0 gives the input back.
        generator: Source of randomness, on the digits' device.
        share: Which digits of a whole batch these are.

    Returns:
        float32 (n, 784) in [0, 1].
    """
    if strength == 0:
        return gray
    n = len(gray)
    keep = share.rand(n, 1, random=generator) < 0.5
    draw = share.rand(5, n, random=generator, dim=1).mul_(2 * strength).sub_(strength)
    angle, scale, shear = draw[0] * ROTATION, 1 + draw[1] * SCALING, draw[2] * SHEAR
    shift = draw[3:] * (SHIFT * 2 / SIDE)  # grid coordinates run from -1 to 1
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([cos, shear - sin, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1)], 1)
    grid = F.affine_grid(matrix, [n, 1, SIDE, SIDE], align_corners=False)
    moved = F.grid_sample(gray.reshape(n, 1, SIDE, SIDE), grid, align_corners=False).reshape(n, -1)
    return torch.where(keep, gray, moved.sub_(0.5).mul_(CONTRAST).add_(0.5).clamp_(0, 1))


def fixed_colors(n: int, seed: int = 0) -> Tensor:
    """Colors of the painted test set, the same on every machine.

    Returns:
        float32 (n, 3), uniform over RGB with the brightest channel at least 64/255.
    """
    # A Weyl sequence needs no generator, so that no version of torch can change the test set.
    steps = torch.tensor(
        [1 / 1.2207440846057596, 1 / 1.2207440846057596**2, 1 / 1.2207440846057596**3], dtype=torch.float64
    )
    points = torch.arange(seed + 1, seed + n + 1, dtype=torch.float64)[:, None] * steps
    rgb = (points - points.floor()).float()
    floor = math.nextafter(64 / 255, 1)
    return rgb * (floor / rgb.amax(1, keepdim=True)).clamp_min(1.0)
