"""Slant and thickness of a stroke, as Morpho-MNIST measures them (Castro et al. 2019, section 3.1).

Of gray levels, without skeleton or distance map, so that a training step can afford it on digits augmented afresh.
"""

import torch
from torch import Tensor
from vaegen.spec import SIDE, STYLE_SHARES

from vaegen_training.data.mnist import Mnist
from vaegen_training.data.paint import to_float

# Least squares against the reference's thickness on 2,500 test digits; the median difference is then 0.05 pixels.
_FACTOR, _OFFSET = 1.117, -0.100


def measure_style(gray: Tensor) -> Tensor:
    """Return slant and thickness of digits.

    The slant is the angle whose tangent is -mu_11 / mu_02, of the image's central moments. A stroke of length l and
    thickness t has the area t * l and an outline of 2 l, so t is twice the sum of the gray levels over the sum of their
    gradient's length.

    Args:
        gray: float32 (n, 784) in [0, 1], brightest pixel 1, not black.

    Returns:
        float32 (n, 2): slant in degrees, positive to the right as handwriting leans; thickness in pixels.
    """
    image = gray.reshape(-1, SIDE, SIDE)
    place = torch.arange(SIDE, dtype=gray.dtype, device=gray.device)
    area = image.sum((1, 2)).clamp_min(1e-6)
    rows, columns = image.sum(2) / area[:, None], image.sum(1) / area[:, None]  # (n, 28), shares of the whole
    y, x = (share @ place for share in (rows, columns))
    mu_02 = rows @ place.square() - y.square()
    mu_11 = torch.einsum("nyx,y,x->n", image, place, place) / area - x * y
    slant = torch.rad2deg(torch.atan2(-mu_11, mu_02.clamp_min(1e-6)))
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    right, down = padded[:, :-1, 1:] - padded[:, :-1, :-1], padded[:, 1:, :-1] - padded[:, :-1, :-1]
    outline = (right.square() + down.square()).sqrt().sum((1, 2)).clamp_min(1e-6)
    return torch.stack([slant, _FACTOR * 2 * area / outline + _OFFSET], dim=1)


def style_of(gray: Tensor) -> Tensor:
    """Return slant and thickness, float32 (n, 2), of digits (n, 784) in [0, 1] of any contrast."""
    return measure_style(gray / gray.amax(dim=1, keepdim=True).clamp_min(1 / 1024))


def style_quantiles(data: Mnist) -> Tensor:
    """Return the quantiles of the training digits' slant and thickness at STYLE_SHARES, float32 (2, 11)."""
    parts = [style_of(to_float(images)) for images in data.train_images.split(2000)]
    shares = torch.tensor(STYLE_SHARES, device=data.train_images.device)
    return torch.cat(parts).quantile(shares, dim=0).t().contiguous()
