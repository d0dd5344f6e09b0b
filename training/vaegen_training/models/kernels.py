"""Binary cross entropy, its gradient and the entropy of an image, in nats summed over the values of each image."""

from typing import Any

import torch
from torch import Tensor

# Probabilities are kept this far from 0 and 1 in logarithms: half a gray level of 8-bit images for colors,
# where a gradient must survive at the clipped ends, and far less for masks.
COLOR_EPSILON = 1 / 512
EPSILON = 1e-6
# Images that a CPU works on at a time where an operation follows another: what one writes is then still in the cache
# of a core when the next reads it.
BLOCK = 64


def entropy(image: Tensor) -> Tensor:
    """Return the binary entropy of an image, the least BCE that any reconstruction of it can have.

    Args:
        image: float32 (n, ...) in [0, 1].

    Returns:
        float32 (n,), nats.
    """
    flat = image.flatten(1)
    return -(torch.xlogy(flat, flat) + torch.xlogy(1 - flat, 1 - flat)).sum(1)


class _Bce(torch.autograd.Function):
    """BCE with torch's own gradient, bit for bit, and vector logarithms: torch's BCE takes one value at a time."""

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, image: Tensor) -> Tensor:
        p = prediction.clamp(EPSILON, 1 - EPSILON)
        ctx.save_for_backward(prediction, p, image)
        return -_log_likelihood(p.clone(), image).sum(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        prediction, p, image = ctx.saved_tensors
        scale = gradients[0][:, None].expand_as(p)
        slope: Tensor = torch.ops.aten.binary_cross_entropy_backward(scale, p, image, None, 0)  # 0: no reduction
        return slope.masked_fill_(prediction != p, 0), None


def _log_likelihood(p: Tensor, target: Tensor) -> Tensor:
    """Return target log p + (1 - target) log(1 - p), of the same shape; overwrites p."""
    other = torch.neg(p).log1p_()
    return p.log_().sub_(other).mul_(target).add_(other)


def bce(prediction: Tensor, image: Tensor) -> Tensor:
    """Return the binary cross entropy of an image under predicted probabilities (Kingma & Welling 2014, appendix C.1).

    Args:
        prediction: float32 (n, ...) in [0, 1].
        image: float32, the same shape, in [0, 1]; has no gradient.

    Returns:
        float32 (n,), nats, summed over all values. `bce - entropy(image)` is the excess BCE: 0 is perfect.
    """
    result: Tensor = _Bce.apply(prediction.flatten(1), image.flatten(1))
    return result


class _PaintedBce(torch.autograd.Function):
    """BCE of mask times color with its gradient found in the same pass, one channel of a block of images at a time.

    Plain autograd keeps six (n, 3, 784) tensors for the backward pass; this keeps one of (n, 784) and stays in a
    CPU's cache.
    """

    @staticmethod
    def forward(ctx: Any, mask: Tensor, color: Tensor, gray: Tensor, rgb: Tensor) -> Tensor:
        loss = torch.zeros(len(gray), device=gray.device)
        mask_gradient = torch.zeros_like(mask)
        color_gradient = torch.empty_like(color)
        block = BLOCK if gray.device.type == "cpu" else len(gray)
        parts = (each.split(block) for each in (mask, color, gray, rgb, loss, mask_gradient, color_gradient))
        for rows in zip(*parts, strict=True):
            _add_painted(*rows)
        ctx.save_for_backward(mask_gradient, color_gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        mask_gradient, color_gradient = ctx.saved_tensors
        scale = gradients[0][:, None]
        return scale * mask_gradient, scale * color_gradient, None, None


def _add_painted(
    mask: Tensor,
    color: Tensor,
    gray: Tensor,
    rgb: Tensor,
    loss: Tensor,
    mask_gradient: Tensor,
    color_gradient: Tensor,
) -> None:
    """Add the BCE of all channels to `loss` and its gradients to the last two, the color's channel by channel."""
    for channel in range(color.shape[1]):
        c = color[:, channel : channel + 1]  # (n, 1)
        target = gray * rgb[:, channel : channel + 1]  # (n, 784)
        p = (mask * c).clamp_(EPSILON, 1 - EPSILON)
        slope = (p - target).div_((1 - p).mul_(p))  # d BCE / d p
        mask_gradient.addcmul_(slope, c)
        color_gradient[:, channel] = slope.mul_(mask).sum(1)
        loss -= _log_likelihood(p, target).sum(1)


def painted_bce(mask: Tensor, color: Tensor, gray: Tensor, rgb: Tensor) -> Tensor:
    """Return the BCE of a painted digit, gray times rgb, under the prediction mask times color.

    Equal to `bce(mask * color, gray * rgb)` except that the color is kept COLOR_EPSILON inside [0, 1], with the
    gradient of the unclipped color.

    Args:
        mask: float32 (n, 784) in [0, 1].
        color: float32 (n, 3), any value.
        gray: float32 (n, 784) in [0, 1].
        rgb: float32 (n, 3) in [0, 1].

    Returns:
        float32 (n,), nats.
    """
    kept = color + (color.clamp(COLOR_EPSILON, 1 - COLOR_EPSILON) - color).detach()
    result: Tensor = _PaintedBce.apply(mask, kept, gray, rgb)
    return result
