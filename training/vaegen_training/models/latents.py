"""Posteriors over the latent space: their parameters, how they are sampled, their KL divergences.

Everything random takes its noise as an argument, uniform on (0, 1), so that training, export and every client
in another language compute the same thing from the same numbers.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from vaegen.spec import LatentSpec

LOG_VARIANCE_RANGE = (-14.0, 4.0)
"""Bounds of the predicted log-variance: standard deviations of 0.0009 to 7.4."""

DECIDED = 30.0
"""Logit of a class that is known, beside 0 for the others: noise draws another in one of 10^12 draws."""

FEW = 8
"""Classes that are too few for a CPU's vectors, which run along them: laid first, they take a fifth of the time."""


class Posterior(NamedTuple):
    """Parameters of q(latent | image)."""

    mean: Tensor | None
    """float32 (n, Z); None when Z is 0."""
    log_variance: Tensor | None
    """float32 (n, Z), natural logarithm of the variance; None when Z is 0."""
    logits: Tensor | None
    """float32 (n, N, K), unnormalised log-probabilities; None when N is 0."""


def split(parameters: Tensor, spec: LatentSpec) -> Posterior:
    """Read a posterior from the output of a linear layer.

    Args:
        parameters: float32 (n, 2Z + N*K): means, log-variances, logits.
        spec: The latent space.
    """
    z, (n, k) = spec.continuous, spec.categorical
    mean, log_variance, logits = parameters.split([z, z, n * k], dim=1)
    return Posterior(
        mean if z else None,
        log_variance.clamp(*LOG_VARIANCE_RANGE) if z else None,
        logits.unflatten(1, (n, k)) if n else None,
    )


def join(first: Posterior, second: Posterior) -> Posterior:
    """Put two posteriors side by side: coordinates and variables of `first` come first in each part."""
    return Posterior(*(_cat(a, b) for a, b in zip(first, second, strict=True)))


def _cat(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return torch.cat([first, second], dim=1)


def normal(uniform: Tensor) -> Tensor:
    """Turn uniform into standard normal variates: the quantile function of N(0, 1).

    Wichura (1988), "Algorithm AS 241: The percentage points of the normal distribution", PPND7: relative
    accuracy 1e-7. ONNX has no inverse error function; these are plain multiplications. The third branch of
    the algorithm (probabilities below 1e-11) cannot be reached with 24-bit uniforms and is left out.

    Args:
        uniform: float32, any shape, in (0, 1).

    Returns:
        float32 of the same shape.
    """
    centered = uniform - 0.5
    r = 0.180625 - centered * centered
    middle = centered * (
        (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179)
        / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0)
    )
    r = torch.sqrt(-torch.log(torch.minimum(uniform, 1 - uniform).clamp_min(2.0**-25))) - 1.6
    tail = (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) / (
        (0.12021132975 * r + 0.73700164250) * r + 1.0
    )
    return torch.where(centered.abs() <= 0.425, middle, torch.sign(centered) * tail)


def gumbel(uniform: Tensor) -> Tensor:
    """Turn uniform on (0, 1) into standard Gumbel variates, -log(-log u) (Jang et al. 2017)."""
    return -torch.log(-torch.log(uniform.clamp(2.0**-25, 1 - 2.0**-24)))


def one_hot(logits: Tensor) -> Tensor:
    """Turn (n, N, K) logits into float32 one-hots of their largest entries, laid end to end: (n, N*K)."""
    return one_hot_of(logits.argmax(dim=-1), logits.shape[-1]).to(logits.dtype).flatten(1)


def one_hot_of(index: Tensor, classes: int) -> Tensor:
    """Turn whole numbers (n, N), of any type, below `classes` into float32 one-hots (n, N, classes)."""
    # The comparison exports to plain ops; argmax breaks a tie for the first class.
    return (index[..., None] == torch.arange(classes, device=index.device)).float()


def deterministic(posterior: Posterior) -> Tensor:
    """Return the latent of the deterministic path: the mean and the one-hot argmax of the logits, (n, L)."""
    parts = [] if posterior.mean is None else [posterior.mean]
    if posterior.logits is not None:
        parts.append(one_hot(posterior.logits))
    return torch.cat(parts, dim=1)


def draw_noise(posterior: Posterior, random: torch.Generator) -> Tensor:
    """Draw the uniforms that `sample` needs for a posterior, float32 (n, Z + N*K) in [0, 1), on its device."""
    z = 0 if posterior.mean is None else posterior.mean.shape[1]
    codes = 0 if posterior.logits is None else posterior.logits[0].numel()
    first = posterior.logits if posterior.mean is None else posterior.mean
    assert first is not None
    return torch.rand(len(first), z + codes, generator=random, device=random.device)


def sample(posterior: Posterior, uniform: Tensor, temperature: float | Tensor, *, hard: bool = False) -> Tensor:
    """Draw a latent with the reparameterisation trick and Gumbel-Softmax.

    z = mean + exp(log_variance / 2) * eps (Kingma & Welling 2014, eq. 10);
    y = softmax((logits + g) / temperature) (Jang et al. 2017, eq. 2).

    Args:
        posterior: Parameters for n images.
        uniform: float32 (n, Z + N*K) in (0, 1), the noise.
        temperature: Of the Gumbel-Softmax, above 0; a number or a 0-dim tensor.
        hard: Emit one-hots forward and the soft sample's gradient backward (straight-through).

    Returns:
        float32 (n, L).
    """
    parts = []
    z = 0
    if posterior.mean is not None and posterior.log_variance is not None:
        z = posterior.mean.shape[1]
        parts.append(posterior.mean + torch.exp(0.5 * posterior.log_variance) * normal(uniform[:, :z]))
    if posterior.logits is not None:
        noisy = posterior.logits + gumbel(uniform[:, z:].reshape(posterior.logits.shape))
        soft = F.softmax(noisy / temperature, dim=-1).flatten(1)
        parts.append(soft + (one_hot(noisy) - soft).detach() if hard else soft)
    return torch.cat(parts, dim=1)


def kl_divergence(posterior: Posterior) -> Tensor:
    """Return KL(q || prior) in nats, against N(0, I) and the uniform categorical, summed over the latents.

    Gaussian: (mean^2 + var - 1 - log var) / 2 (Kingma & Welling 2014, appendix B);
    categorical: sum_k q_k log(q_k K) (Jang et al. 2017).

    Returns:
        float32 (n,), never negative.
    """
    parts = []
    if posterior.mean is not None and posterior.log_variance is not None:
        log_variance = posterior.log_variance
        parts.append(0.5 * (posterior.mean.square() + log_variance.exp() - 1 - log_variance).sum(1))
    if posterior.logits is not None:
        log_q = _log_softmax(posterior.logits)
        parts.append((log_q.exp() * (log_q + math.log(log_q.shape[-1]))).sum((1, 2)))
    return torch.stack(parts).sum(0)


def _log_softmax(logits: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the last dimension of (n, N, K)."""
    if logits.device.type != "cpu" or logits.shape[-1] > FEW:
        return F.log_softmax(logits, dim=-1)
    classes_first = logits.flatten(0, 1).t().contiguous()  # (K, n*N)
    return F.log_softmax(classes_first, dim=0).t().reshape(logits.shape)
