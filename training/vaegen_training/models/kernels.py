"""Binary cross entropy, its gradient and the entropy of an image, in nats summed over the values of each image."""

from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-6  # probabilities are kept this far from 0 and 1 in logarithms


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
