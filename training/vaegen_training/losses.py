"""Losses in nats: sums over pixels and latents, means over the batch are taken by the caller."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Probabilities are kept this far from 0 and 1 in logarithms: half a gray level of 8-bit images for colors,
# where a gradient must survive at the clipped ends, and far less for masks.
COLOR_MARGIN = 1 / 512
MARGIN = 1e-6


def entropy(image: Tensor) -> Tensor:
    """Binary entropy of an image, the least BCE that any reconstruction of it can have.

    Args:
        image: float32 (n, ...) in [0, 1].

    Returns:
        float32 (n,), nats.
    """
    flat = image.flatten(1)
    return -(torch.xlogy(flat, flat) + torch.xlogy(1 - flat, 1 - flat)).sum(1)


def bce(prediction: Tensor, image: Tensor) -> Tensor:
    """Binary cross entropy of an image under predicted probabilities (Kingma & Welling 2014, appendix C.1).

    Args:
        prediction: float32 (n, ...) in [0, 1].
        image: float32, the same shape, in [0, 1].

    Returns:
        float32 (n,), nats, summed over all values. `bce - entropy(image)` is the excess BCE: 0 is perfect.
    """
    probability = prediction.flatten(1).clamp(MARGIN, 1 - MARGIN)
    return F.binary_cross_entropy(probability, image.flatten(1), reduction="none").sum(1)


class _PaintedBce(torch.autograd.Function):
    """BCE of mask times color with its gradient found in the same pass, one channel at a time.

    Plain autograd keeps six (n, 3, 784) tensors for the backward pass; this keeps one of (n, 784) and stays in a
    CPU's cache.
    """

    @staticmethod
    def forward(ctx: Any, mask: Tensor, color: Tensor, gray: Tensor, rgb: Tensor) -> Tensor:
        loss = torch.zeros(len(gray), device=gray.device)
        mask_gradient = torch.zeros_like(mask)
        color_gradient = torch.empty_like(color)
        for channel in range(color.shape[1]):
            c = color[:, channel : channel + 1]  # (n, 1)
            target = gray * rgb[:, channel : channel + 1]  # (n, 784)
            p = (mask * c).clamp_(MARGIN, 1 - MARGIN)
            slope = (p - target).div_(p * (1 - p))  # d BCE / d p
            mask_gradient.addcmul_(slope, c)
            color_gradient[:, channel] = slope.mul_(mask).sum(1)
            loss -= (target * p.log() + (1 - target) * torch.log1p(-p)).sum(1)
        ctx.save_for_backward(mask_gradient, color_gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        mask_gradient, color_gradient = ctx.saved_tensors
        scale = gradients[0][:, None]
        return scale * mask_gradient, scale * color_gradient, None, None


def painted_bce(mask: Tensor, color: Tensor, gray: Tensor, rgb: Tensor) -> Tensor:
    """BCE of a painted digit, gray times rgb, under the prediction mask times color.

    Equal to `bce(mask * color, gray * rgb)` except that the color is kept COLOR_MARGIN inside [0, 1], with the
    gradient of the unclipped color.

    Args:
        mask: float32 (n, 784) in [0, 1].
        color: float32 (n, 3), any value.
        gray: float32 (n, 784) in [0, 1].
        rgb: float32 (n, 3) in [0, 1].

    Returns:
        float32 (n,), nats.
    """
    kept = color + (color.clamp(COLOR_MARGIN, 1 - COLOR_MARGIN) - color).detach()
    result: Tensor = _PaintedBce.apply(mask, kept, gray, rgb)
    return result


def perceptual(activations: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Distance between two images as a classifier's layers see them (Johnson et al. 2016, eq. 2).

    Each layer's mean squared difference is divided by its variance over the batch, so that all layers count alike.

    Args:
        activations: Of each layer, float32 (n, ...).
        target: The same of the images that should have come out.

    Returns:
        float32 (n,); each layer gives 0 for equal images and about 2 for unrelated ones.
    """
    parts = []
    for found, wanted in zip(activations, target, strict=True):
        variance = wanted.var(0, correction=0).mean().clamp_min(1e-6)
        parts.append((found - wanted).square().flatten(1).mean(1) / variance)
    return torch.stack(parts).sum(0)
