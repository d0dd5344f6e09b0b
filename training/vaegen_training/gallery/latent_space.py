"""Paths through a latent space: planes, walks, traversals. Knows latents only, no models and no pictures."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from vaegen.spec import LatentSpec

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Plane:
    """Two directions through a latent space: two of its coordinates, or two principal components."""

    origin: Floats
    """(D,)."""
    axes: Floats
    """(2, D), of length 1 and at right angles."""
    names: tuple[str, str]
    """What the axes are."""

    def project(self, points: Floats) -> Floats:
        """Return the places (n, 2) of points (n, D)."""
        return ((points - self.origin) @ self.axes.T).astype(np.float32)

    def lift(self, places: Floats) -> Floats:
        """Return the points (n, D) of places (n, 2)."""
        return (self.origin + places @ self.axes).astype(np.float32)


def plane(points: Floats, what: str) -> Plane:
    """Return the plane that shows the most of some points: the two coordinates if there are two, else by PCA.

    Jolliffe, "Principal component analysis" (2002). Each axis points to where its largest entry is positive, so
    that the same points always give the same picture.

    Args:
        points: float32 (n, D), D at least 1.
        what: What the points are, for the names of the axes.
    """
    n, size = points.shape
    if size <= 2:
        axes = np.eye(2, size, dtype=np.float32)
        return Plane(np.zeros(size, np.float32), axes, (f"{what} 0", f"{what} 1" if size == 2 else ""))
    origin = points.mean(0, dtype=np.float64)
    centered = points - origin
    values, vectors = np.linalg.eigh(centered.T @ centered / n)
    axes = vectors[:, [-1, -2]].T
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])[:, None]
    first, second = (100 * value / max(values.sum(), 1e-12) for value in values[[-1, -2]])
    names = (f"principal component 1 ({first:.0f}% of variance)", f"principal component 2 ({second:.0f}%)")
    return Plane(origin.astype(np.float32), axes.astype(np.float32), names)


def split(latents: Floats, spec: LatentSpec) -> tuple[Floats, Integers]:
    """Split latents (n, L) into coordinates (n, Z) and the class of each categorical, int64 (n, N)."""
    z, (n, k) = spec.continuous, spec.categorical
    classes = latents[:, z:].reshape(len(latents), n, k).argmax(2) if n else np.empty((len(latents), 0), np.int64)
    return latents[:, :z], classes


def join(coordinates: Floats, classes: Integers, spec: LatentSpec) -> Floats:
    """Return latents (n, L) of coordinates (n, Z) and classes (n, N)."""
    n, k = spec.categorical
    one_hots = np.eye(max(k, 1), dtype=np.float32)[classes].reshape(len(coordinates), n * k)
    return np.concatenate([coordinates, one_hots], axis=1, dtype=np.float32)


def walk(start: Floats, end: Floats, steps: int, spec: LatentSpec, seed: int) -> Floats:
    """Go from one latent to another so that every step is a latent that the model could have drawn.

    Coordinates turn from one to the other along an arc, as Gaussian draws in many dimensions all have about the same
    length, which a straight line does not keep: spherical interpolation (Shoemake, "Animating rotation with quaternion
    curves", SIGGRAPH 1985; for latents White, "Sampling generative networks", 2016). Categoricals that differ are
    switched one after the other, evenly spread over the walk and in random order: the decoder is
    never asked for a mixture of two classes elsewhere.

    Args:
        start: float32 (L,).
        end: float32 (L,).
        steps: Latents, the two ends included.
        spec: The latent space.
        seed: Of the order.

    Returns:
        float32 (steps, L).
    """
    (first, last), (codes, others) = split(np.stack([start, end]), spec)
    share = np.linspace(0, 1, steps)
    coordinates = np.stack([_slerp(first, last, t) for t in share]).astype(np.float32)
    different = np.flatnonzero(codes != others)
    order = np.random.default_rng(seed).permutation(different)
    classes = np.repeat(codes[None], steps, axis=0)
    for place, variable in enumerate(order):
        classes[share >= (place + 1) / (len(order) + 1), variable] = others[variable]
    classes[-1] = others
    return join(coordinates, classes, spec)


def _slerp(first: Floats, last: Floats, t: float) -> Floats:
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    if min(lengths) == 0:
        return (1 - t) * first + t * last
    angle = np.arccos(np.clip(first @ last / (lengths[0] * lengths[1]), -1, 1))
    if np.sin(angle) < 1e-4:  # the arc is a line, or undecided
        return (1 - t) * first + t * last
    arc: Floats = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / np.sin(angle)
    return arc


def traversals(anchor: Floats, latents: Floats, coordinates: Integers, steps: int) -> Floats:
    """Move one coordinate at a time through the values it takes, from the 1% to the 99% quantile of real latents.

    Args:
        anchor: float32 (L,), what stays as it is.
        latents: float32 (n, L), of real digits.
        coordinates: int64 (m,), which to move.
        steps: Values of each.

    Returns:
        float32 (m, steps, L).
    """
    found = np.tile(anchor, (len(coordinates), steps, 1))
    for row, coordinate in enumerate(coordinates):
        low, high = np.quantile(latents[:, coordinate], [0.01, 0.99])
        found[row, :, coordinate] = np.linspace(low, high, steps)
    return found


def switches(anchor: Floats, variables: Integers, spec: LatentSpec) -> Floats:
    """Set one categorical at a time to each of its K classes.

    Args:
        anchor: float32 (L,), what stays as it is.
        variables: int64 (m,), which to switch.
        spec: The latent space.

    Returns:
        float32 (m, K, L).
    """
    k = spec.categorical[1]
    found = np.tile(anchor, (len(variables), k, 1))
    for row, variable in enumerate(variables):
        start = spec.continuous + variable * k
        found[row, :, start : start + k] = np.eye(k, dtype=np.float32)
    return found
