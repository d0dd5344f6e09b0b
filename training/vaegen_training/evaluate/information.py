"""What a reconstruction costs, in nats, and what the latents carry."""

import math

import numpy as np
import numpy.typing as npt
import torch
import vaegen

from vaegen_training.evaluate import statistics
from vaegen_training.evaluate.statistics import Counts, Figure
from vaegen_training.models import kernels, latents
from vaegen_training.models.latents import Posterior

ACTIVE = 0.01  # variance of the posterior mean over the data
IN_USE = 0.001  # of the images
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


def active_units(means: Floats, seed: int) -> Figure:
    """Return the number of continuous coordinates whose posterior mean varies with the image.

    A coordinate is active when that mean's variance over the data is above 0.01: Burda, Grosse, Salakhutdinov,
    "Importance weighted autoencoders", ICLR 2016, section 5.1.

    Args:
        means: float32 (n, Z).
        seed: Of the bootstrap.
    """
    centered = (means - means.mean(0)).astype(np.float64)

    def statistic(counts: Counts) -> npt.NDArray[np.float64]:
        variance = counts @ centered**2 / len(means) - (counts @ centered / len(means)) ** 2
        active: npt.NDArray[np.float64] = (variance > ACTIVE).sum(1).astype(np.float64)
        return active

    return statistics.bootstrap(statistic, len(means), seed)


def codes_in_use(codes: npt.NDArray[np.int64], classes: int, seed: int) -> tuple[Figure, Figure]:
    """Return the number of classes in use, of all N * K, and the perplexity of a categorical.

    A class is in use when at least 1 in 1,000 images has it; the perplexity is the exponential of the entropy of
    the classes' shares, from 1 to K, averaged over the categoricals.

    Args:
        codes: int64 (n, N), the class of each categorical.
        classes: K.
        seed: Of the bootstrap.
    """
    n, variables = codes.shape
    hits = (codes[:, :, None] == np.arange(classes)).reshape(n, -1).astype(np.float64)  # (n, N * K)

    def in_use(counts: Counts) -> npt.NDArray[np.float64]:
        used: npt.NDArray[np.float64] = (counts @ hits >= IN_USE * n).sum(1).astype(np.float64)
        return used

    def perplexity(counts: Counts) -> npt.NDArray[np.float64]:
        p = (counts @ hits / n).reshape(-1, variables, classes)
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(2)
        result: npt.NDArray[np.float64] = np.exp(entropy).mean(1)
        return result

    return statistics.bootstrap(in_use, n, seed), statistics.bootstrap(perplexity, n, seed)


def soft_codes(posterior: vaegen.Posterior, temperature: float) -> Floats:
    """Return latents (n, L) whose categoricals hold softmax(logits / temperature), as in training, without noise.

    The deterministic path has the one-hot of the largest logit there instead; the continuous part is the same.
    """
    if posterior.logits is None or not math.isfinite(temperature) or temperature <= 0:
        raise ValueError(f"no soft codes without categoricals or at temperature {temperature}")
    soft = (torch.from_numpy(posterior.logits) / temperature).softmax(-1).flatten(1).numpy()
    return soft if posterior.mean is None else np.concatenate([posterior.mean, soft], axis=1)
