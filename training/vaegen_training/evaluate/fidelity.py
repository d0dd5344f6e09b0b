"""How close images come to what they should be: each to the color asked for, all of them to real digits.

Density and coverage are a few lines here because the authors' package `prdc` needs scikit-learn for one function.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaegen_training.evaluate import evaluation_judge, statistics
from vaegen_training.evaluate.color_difference import color_error, lab, stroke_color
from vaegen_training.evaluate.statistics import Figure

K = 5  # nearest neighbours whose distance is a ball's radius
FRECHET_RESAMPLES = 100
CHUNK = 10_000  # training digits that distances are compared at a time
STROKE = 0.5  # of the brightest pixel; a darker pixel is the soft edge of a stroke
STROKES = 500  # images whose strokes are looked at in one go
LEAST_CHROMA = 20.0  # C*ab; below it a color is near gray, and its hue says little

Images = npt.NDArray[np.uint8]  # (n, 28, 28, 3)
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def hue_errors(images: Images, colors: npt.NDArray[np.uint8]) -> Doubles:
    """Return the angles between the hues of n images and of the colors (n, 3) asked for, in CIE L*a*b*.

    Returns:
        float64 (m,), degrees from 0 to 180, of the m images whose request has a chroma of LEAST_CHROMA or more.
    """
    wanted = lab(colors)
    vivid = np.hypot(wanted[:, 1], wanted[:, 2]) >= LEAST_CHROMA
    found = lab(stroke_color(images[vivid]))
    turn = np.arctan2(found[:, 2], found[:, 1]) - np.arctan2(wanted[vivid, 2], wanted[vivid, 1])
    degrees: Doubles = np.abs((np.degrees(turn) + 180) % 360 - 180)
    return degrees


def bleeding(images: Images) -> Doubles:
    """Return how much the color varies within the stroke of each image, (n,): 0 where all pixels are shades of one.

    Each pixel of the stroke, brought to full brightness, is compared with the stroke's mean color, brought to full
    brightness too; the mean of the CIEDE2000 differences counts.
    """
    parts = [_bleeding(images[start : start + STROKES]) for start in range(0, len(images), STROKES)]
    return np.concatenate(parts)


def _bleeding(images: Images) -> Doubles:
    n = len(images)
    brightness = images.max(3)  # (n, 28, 28)
    stroke = brightness >= np.maximum(STROKE * brightness.max((1, 2), keepdims=True), 1)
    owner = np.nonzero(stroke)[0]  # (p,), the image that each stroke pixel belongs to
    pixels = images[stroke].astype(np.float64)  # (p, 3)
    sums: Doubles = np.stack([np.bincount(owner, pixels[:, channel], n) for channel in range(3)], axis=1)
    differences = color_error(_full(pixels), _full(sums)[owner])
    mean: Doubles = np.bincount(owner, differences, n) / np.maximum(np.bincount(owner, minlength=n), 1)
    return mean


def _full(rgb: Doubles) -> Doubles:
    """Return colors (..., 3) at full brightness: the largest channel becomes 255."""
    full: Doubles = rgb * (255 / np.maximum(rgb.max(-1, keepdims=True), 1))
    return full


def density_and_coverage(features: Floats, real: Floats, seed: int) -> tuple[Figure, Figure]:
    """Return density and coverage.

    Naeem, Oh, Uh, Choi, Yoo, "Reliable fidelity and diversity metrics for generative models", ICML 2020, equations
    4 and 5. Around each real item lies a ball that reaches to its K-th nearest other real item. Density is the
    number of balls that an item lies in, over K, on average; coverage the share of balls that hold an item.
    The coverage's interval takes the balls as independent.

    Args:
        features: float32 (m, F), of the images to measure.
        real: float32 (n, F), n > K, of real images. m = n makes figures comparable.
        seed: Of the density's bootstrap.
    """
    balls = torch.from_numpy(real)
    within = _distances(balls, balls)
    radius = within.kthvalue(K + 1, dim=1).values  # the nearest is the item itself
    inside = _distances(balls, torch.from_numpy(features)) <= radius[:, None]  # (n, m)
    density = statistics.mean((inside.sum(0) / K).numpy(), seed)
    return density, statistics.share(inside.any(1).numpy())


def _distances(first: Tensor, second: Tensor) -> Tensor:
    # By a matrix product, rounding would put an item at some distance from itself.
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def frechet(features: Floats, real: Floats, seed: int) -> Figure:
    """Return the squared Frechet distance of two Gaussians fitted to features.

    |mu_1 - mu_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)): Heusel et al., "GANs trained by a two time-scale update rule
    converge to a local Nash equilibrium", NeurIPS 2017, equation 6. Figures compare only for the same features and
    the same numbers of images. Resampled sets lie further apart than the sets themselves, so the interval is the
    value plus and minus 1.96 standard deviations of the resamples.

    Args:
        features: float32 (m, F).
        real: float32 (n, F).
        seed: Of the bootstrap.
    """
    first, second = (torch.from_numpy(value).double() for value in (features, real))
    value = _frechet(_gaussian(first), _gaussian(second))
    pairs = zip(
        statistics.resamples(len(first), seed, FRECHET_RESAMPLES),
        statistics.resamples(len(second), seed + 1, FRECHET_RESAMPLES),
        strict=True,
    )
    values = [
        _frechet(_gaussian(first, torch.from_numpy(left)), _gaussian(second, torch.from_numpy(right)))
        for lefts, rights in pairs
        for left, right in zip(lefts, rights, strict=True)
    ]
    half = statistics.Z * float(np.std(values))
    return Figure(value, max(0.0, value - half), value + half, len(features))


def _gaussian(features: Tensor, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return mean (F,) and covariance (F, F) of features (n, F), each item as often as `counts` (n,) says."""
    n = len(features)
    weights = torch.ones(n, dtype=features.dtype) if counts is None else counts
    mean = weights @ features / n
    centered = features - mean
    return mean, (centered * weights[:, None]).T @ centered / (n - 1)


def _frechet(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> float:
    values, vectors = torch.linalg.eigh(first[1])
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    # tr (C_1 C_2)^(1/2) = tr (C_1^(1/2) C_2 C_1^(1/2))^(1/2), whose matrix is symmetric.
    shared = torch.linalg.eigvalsh(root @ second[1] @ root).clamp_min(0).sqrt().sum()
    distance = (first[0] - second[0]).square().sum() + first[1].trace() + second[1].trace() - 2 * shared
    return max(0.0, float(distance))


def nearest(images: Images, training: Images) -> Floats:
    """Return the distance of each image to the nearest training digit, both without color.

    Args:
        images: uint8 (n, 28, 28, 3).
        training: uint8 (m, 28, 28), not empty.

    Returns:
        float32 (n,), Euclidean distance over the 784 pixels.
    """
    rows = _rows(images)
    best = torch.full((len(rows),), float("inf"))
    place = torch.zeros(len(rows), dtype=torch.int64)
    for start in range(0, len(training), CHUNK):
        others = _rows(training[start : start + CHUNK])
        squares, index = (others.square().sum(1) - 2 * rows @ others.T).min(1)  # less the row's own square
        better = squares < best
        best, place = torch.where(better, squares, best), torch.where(better, index + start, place)
    # The product finds the nearest; its rounding is too coarse for the distance of a copy.
    distance: Floats = (rows - _rows(training[place.numpy()])).norm(dim=1).numpy()
    return distance


def _rows(images: Images) -> Tensor:
    return torch.from_numpy(evaluation_judge.normalised(images)).flatten(1)
