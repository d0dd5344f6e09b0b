"""What a reconstruction costs, in nats, and what the latents carry."""

import math

import numpy as np
import numpy.typing as npt
import torch
import vaegen

from vaegen_training.models import kernels, latents
from vaegen_training.models.latents import Posterior

CHUNK = 1000  # images looked at in one go

Floats = npt.NDArray[np.float32]


def excess_bce(predictions: Floats, images: npt.NDArray[np.uint8]) -> Floats:
    """Return the binary cross entropy of images under their reconstructions, less the images' own entropy.

    Args:
        predictions: float32 (n, 28, 28, 3) in [0, 1], the decoder's output before it is rounded to 8 bits.
        images: uint8 (n, 28, 28, 3).

    Returns:
        float32 (n,), nats: 0 is perfect.
    """
    parts = []
    for start in range(0, len(images), CHUNK):
        rows = slice(start, start + CHUNK)
        # Channels first, as in training: the order in which float32 sums are added.
        image = torch.from_numpy(images[rows] / np.float32(255)).permute(0, 3, 1, 2)
        prediction = torch.from_numpy(predictions[rows]).permute(0, 3, 1, 2)
        parts.append((kernels.bce(prediction, image) - kernels.entropy(image)).numpy())
    return np.concatenate(parts)


def rates(posterior: vaegen.Posterior) -> Floats:
    """Return the KL divergence of each latent from N(0, 1) or the uniform categorical.

    Returns:
        float32 (n, Z + N), nats: continuous coordinates first, then categoricals. A row's sum is its image's KL.
    """
    columns = []
    if posterior.mean is not None and posterior.log_variance is not None:
        mean, log_variance = torch.from_numpy(posterior.mean), torch.from_numpy(posterior.log_variance)
        pairs = zip(mean.split(1, dim=1), log_variance.split(1, dim=1), strict=True)
        columns += [latents.kl_divergence(Posterior(*pair, None)) for pair in pairs]
    if posterior.logits is not None:
        variables = torch.from_numpy(posterior.logits).split(1, dim=1)
        columns += [latents.kl_divergence(Posterior(None, None, logits)) for logits in variables]
    return torch.stack(columns, dim=1).numpy()


def soft_codes(posterior: vaegen.Posterior, temperature: float) -> Floats:
    """Return latents (n, L) whose categoricals hold softmax(logits / temperature), as in training, without noise.

    The deterministic path has the one-hot of the largest logit there instead; the continuous part is the same.
    """
    if posterior.logits is None or not math.isfinite(temperature) or temperature <= 0:
        raise ValueError(f"no soft codes without categoricals or at temperature {temperature}")
    soft = (torch.from_numpy(posterior.logits) / temperature).softmax(-1).flatten(1).numpy()
    return soft if posterior.mean is None else np.concatenate([posterior.mean, soft], axis=1)
