"""The strokes of a 28 x 28 image as a smooth function of the place, from which `enlarge` and `outline` draw.

An image of two colors, as every digit here is, has a mask: how much of each pixel the stroke covers. A surface of cubic
B-splines is bent until its contour at one half covers as much of each pixel, in the manner of back-projection (Irani
and Peleg, Improving Resolution by Image Registration, 1991): what a pixel lacks is added, smoothed, to the surface
there. Small differences are left alone, for a contour that met all of them would ripple.
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaegen.decoding import Picture
from vaegen.spec import SIDE

Plane = npt.NDArray[np.float32]

FINE = 3 * SIDE  # samples along a side while the surface is bent
BENDS, FIRST_BEND, FADING = 20, 0.6, 0.93  # steps, how far the first one goes, and each next one of the one before it
STRAY = 12 / 255  # by how much what a contour encloses, or leaves out, may differ from its shade
REACH = 0.35  # by which a coefficient may differ from its pixel
FLAT = 0.15  # a slope, per pixel, below which gray is no edge
ALONE = 2**18 - 1  # multiplications that OpenBLAS leaves to one thread
FAINT = 0.35  # of the brightest stroke: fainter ones are no strokes


class Ink(NamedTuple):
    """Two colors, and how much each pixel has of the second."""

    mask: Plane
    """(28, 28), 0 to 1."""
    ground: npt.NDArray[np.float32]
    """(channels,), 0 to 255, the color at the image's border."""
    stroke: npt.NDArray[np.float32]
    """(channels,), 0 to 255."""


class Surface(NamedTuple):
    """A function of the place whose contour at one half is the strokes' outline."""

    coefficients: Plane
    """(28, 28), of cubic B-splines around the middles of the pixels."""
    strength: Plane
    """(28, 28), the same for how bright the strokes are there, 0 to 1."""


def ink(image: Picture) -> Ink:
    """Return the two colors of an image that come nearest to it: its border's, and the one farthest from that.

    Args:
        image: uint8 (28, 28, channels).
    """
    pixels = image.astype(np.float32)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    ground = np.median(border, axis=0)
    apart = pixels - ground
    farthest = apart.reshape(-1, image.shape[2])[np.square(apart).sum(2).argmax()]
    direction = np.tensordot(apart @ farthest, apart, 2)  # one step to the first principal axis
    length = float(np.sqrt(direction @ direction))
    if length == 0:
        return Ink(np.zeros((SIDE, SIDE), np.float32), ground, ground)
    direction /= length
    along = np.maximum(apart @ direction, 0)
    return Ink(along / along.max(), ground, np.clip(ground + along.max() * direction, 0, 255))


def surface(mask: Plane, faint: float = FAINT) -> Surface:
    """Return a surface whose contour covers each pixel as its mask says.

    Args:
        mask: (28, 28), 0 to 1.
        faint: The least strength; with 1 all strokes are drawn as bright as the brightest.
    """
    strength = smoothed(smoothed(np.maximum(_largest(mask), np.float32(faint))))
    cover = np.minimum(mask / strength, 1)
    bend = np.zeros_like(cover)
    step = FIRST_BEND
    for _ in range(BENDS):
        covered = means(edges(cover + bend, FINE), FINE)
        # What it encloses can be shaded, and what it leaves out lightened, but not where there is little of that.
        missing = cover - covered
        missing -= np.clip(missing, -STRAY * covered, STRAY * (1 - covered))
        bend = np.clip(bend + np.float32(step / 2) * (missing + smoothed(missing)), -REACH, REACH)
        step *= FADING
    return Surface(cover + bend, strength)


def edges(coefficients: Plane, size: int, rows: slice = slice(None), width: float = 1.0) -> Plane:
    """Return how much of each pixel a surface's contour encloses, 0 to 1.

    Args:
        coefficients: (28, 28), of the surface.
        size: Pixels of a side.
        rows: Those of its rows that are wanted.
        width: Pixels from one side of an edge to the other.

    Returns:
        (rows, size). The distance to the contour is the height over the slope (Taubin, Distance Approximations for
        Rasterizing Implicit Curves, 1994).
    """
    across, slopes = splines(size), splines(size, slope=True)
    height = spread(coefficients, across[rows], across)
    slope = np.square(spread(coefficients, across[rows], slopes))
    slope += np.square(spread(coefficients, slopes[rows], across))
    np.sqrt(slope, out=slope)
    np.maximum(slope, np.float32(FLAT), out=slope)
    slope *= np.float32(width * SIDE / size)
    height -= np.float32(0.5)
    height /= slope
    height += np.float32(0.5)
    return np.clip(height, 0, 1, out=height)


def spread(coefficients: Plane, down: Plane, across: Plane) -> Plane:
    """Return functions' sum, (rows, columns), by its coefficients and their values (rows, 28) and (columns, 28)."""
    return _product(down, _product(coefficients, across.T))


def _product(left: Plane, right: Plane) -> Plane:
    """Return the product of two matrices, in parts that OpenBLAS doesn't divide among threads.

    Those wait for each other without sleep, so that on a busy machine the whole takes ten times as long.
    """
    rows = max(ALONE // right.size, 1)
    if rows >= len(left):
        whole: Plane = left @ right
        return whole
    out = np.empty((len(left), right.shape[1]), np.float32)
    for at in range(0, len(left), rows):
        np.matmul(left[at : at + rows], right, out=out[at : at + rows])
    return out


@functools.lru_cache(maxsize=16)
def splines(size: int, *, slope: bool = False) -> Plane:
    """Return the cubic B-splines around a side's 28 pixels, or their slopes, at `size` places, (size, 28)."""
    return _folded(cubic(_offsets(size), slope=slope))


def cubic(offset: npt.NDArray[np.floating], *, slope: bool = False) -> npt.NDArray[np.floating]:
    """Return the cubic B-spline of unit steps, or its slope, at distances from its middle."""
    away = np.abs(offset)
    if slope:
        near, far = 1.5 * away**2 - 2 * away, -0.5 * (2 - away) ** 2
        slopes: npt.NDArray[np.floating] = np.sign(offset) * np.where(away < 1, near, np.where(away < 2, far, 0))
        return slopes
    near, far = 2 / 3 - away**2 + away**3 / 2, (2 - away) ** 3 / 6
    return np.where(away < 1, near, np.where(away < 2, far, 0))


@functools.lru_cache(maxsize=8)
def bumps(size: int) -> Plane:
    """Return the 28 quadratic B-splines around a side's pixels at `size` places, (size, 28)."""
    away = np.abs(_offsets(size))
    return _folded(np.where(away < 0.5, 0.75 - away**2, np.where(away < 1.5, (1.5 - away) ** 2 / 2, 0)))


def _offsets(size: int) -> npt.NDArray[np.floating]:
    """Return how far `size` places of a side are from the middles of its pixels and of one more on either end."""
    return ((np.arange(size) + 0.5) * SIDE / size - 0.5)[:, None] - np.arange(-1, SIDE + 1)


def _folded(values: npt.NDArray[np.floating]) -> Plane:
    """Return values for 28 pixels, of which the outermost go on beyond the border."""
    values[:, 1] += values[:, 0]
    values[:, -2] += values[:, -1]
    return values[:, 1:-1].astype(np.float32)


def sources(size: int) -> npt.NDArray[np.intp]:
    """Return the pixel of 28 in which the middle of each of `size` pixels lies, on a border the one before it."""
    return (((2 * np.arange(size) + 1) * SIDE - 1) // (2 * size)).astype(np.intp)


def means(plane: Plane, size: int, rows: slice = slice(None)) -> Plane:
    """Return a plane's mean in each of the pixels of 28 it was made of, as Pillow's BOX takes it.

    Args:
        plane: (rows, size), those of `size` rows.
        size: Pixels of a side.
        rows: Which; they begin and end with a pixel of 28.
    """
    down, across = _boxes(size)
    own = sources(size)[rows]
    down = down[own[0] : own[-1] + 1, rows]
    if down.size * size <= ALONE:
        sums = down @ plane
    else:
        starts = np.flatnonzero(np.diff(own, prepend=-1)).tolist()
        pairs = zip(starts, [*starts[1:], len(own)], strict=True)
        sums = np.stack([np.add.reduce(plane[start:stop]) / np.float32(stop - start) for start, stop in pairs])
    return _product(sums, across)


@functools.lru_cache(maxsize=16)
def _boxes(size: int) -> tuple[Plane, Plane]:
    """Return the weights of an area filter from `size` pixels to 28, (28, size), and the same transposed."""
    weights = (sources(size) == np.arange(SIDE)[:, None]).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    return weights, np.ascontiguousarray(weights.T)


def beyond(values: Plane, allowed: float) -> Plane:
    """Return by how much values exceed what is allowed on either side of 0."""
    return values - np.clip(values, -allowed, allowed)


def smoothed(plane: Plane) -> Plane:
    """Return a plane after a filter of 1, 2, 1 in both directions."""
    padded = np.pad(plane, 1, mode="edge")
    padded = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    smooth: Plane = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / np.float32(16)
    return smooth


def _largest(plane: Plane) -> Plane:
    """Return the largest value around each pixel, at most two pixels away."""
    padded = np.pad(plane, 2, mode="edge")
    padded = np.maximum.reduce([padded[at : at + SIDE] for at in range(5)])
    largest: Plane = np.maximum.reduce([padded[:, at : at + SIDE] for at in range(5)])
    return largest
