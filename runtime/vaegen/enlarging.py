"""Images at any size with smooth strokes, which scaled down again are the images that they were made of."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.decoding import Picture
from vaegen.limits import MAX_SIZE
from vaegen.request import check_images, check_integer
from vaegen.spec import CHANNELS, SIDE
from vaegen.strokes import (
    FINE,
    Plane,
    Surface,
    beyond,
    bumps,
    edges,
    ink,
    means,
    smoothed,
    sources,
    splines,
    spread,
    surface,
)

EDGE = 1.0  # pixels from one side of an edge to the other, as where each pixel has its share of the stroke
TWO_COLORS = 1.2  # of 255: what is farther from its mask times two colors has more
ROUNDS, STEP = 10, 1.2  # of the correction after the contour
LEAST = 0.2  # of a pixel that must be able to get lighter or darker
EXACT = 0.9 / 255  # of its color by which a pixel's mean may differ before it's rounded
STRIP = 2**16  # pixels that are drawn at a time
BLOCK = 4  # pixels along a source pixel's side from which on its correction fades towards its border


def enlarge(images: npt.ArrayLike, size: int) -> Picture:
    """Return images at another size, with smooth strokes.

    Args:
        images: uint8 (n, 28, 28, 3) or (28, 28, 3), RGB.
        size: Pixels of a side, 28 to 4096.

    Returns:
        uint8 (n, size, size, 3) or (size, size, 3). Scaled down again by an area filter (Pillow's BOX) each channel of
        each pixel is within 2 of what it was. An image of two colors, such as a digit on black, has edges of 1.6
        pixels from 10% to 90%; in one of more, where colors meet, they run into one another.

    Raises:
        RequestError: The images have another type or shape, or there is no such size.
    """
    check_size(size)
    array: Any = np.asarray(images)
    single = array.ndim == 3
    pictures = check_images(array[None] if single else array)
    if size == SIDE:
        return pictures[0].copy() if single else pictures.copy()
    out = np.empty((len(pictures), size, size, CHANNELS), np.uint8)
    for picture, large in zip(pictures, out, strict=True):
        _draw(picture, large)
    return out[0] if single else out


def enlarge_sheet(picture: Picture, size: int) -> Picture:
    """Return a sheet of images, uint8 (28 rows, 28 columns, 3), with cells of another size, each enlarged by itself."""
    rows, columns = picture.shape[0] // SIDE, picture.shape[1] // SIDE
    out = np.empty((rows * size, columns * size, CHANNELS), np.uint8)
    for row in range(rows):
        for column in range(columns):
            cell = picture[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            out[row * size : (row + 1) * size, column * size : (column + 1) * size] = enlarge(cell, size)
    return out


def check_size(size: Any) -> int:
    """Return a size; raises RequestError where it isn't an integer from 28 to 4096."""
    return check_integer("size", size, SIDE, MAX_SIZE)


def _draw(picture: Picture, out: Picture) -> None:
    """Draw a picture into `out`, (size, size, 3)."""
    whole = ink(picture)
    if not whole.mask.any():
        out[:] = whole.ground.astype(np.uint8)
        return
    again = whole.ground + whole.mask[..., None] * (whole.stroke - whole.ground)
    if np.abs(again - picture).max() <= TWO_COLORS:
        _draw_mask(whole.mask, surface(whole.mask), np.float32(0), out, whole.ground, whole.stroke)
        return
    # Of more colors: the strokes are all that differs from the ground, and each channel has its own strength in them.
    apart = picture.astype(np.float32) - whole.ground
    mask: Plane = np.sqrt(np.square(apart).sum(2))
    mask /= mask.max()
    shape = surface(mask)
    around = _blurred(mask) + np.float32(1e-3)
    black, white = np.zeros(1, np.float32), np.full(1, 255, np.float32)
    for channel in range(CHANNELS):
        own = (_blurred(apart[..., channel]) / around * shape.strength / 255).astype(np.float32)
        target, ground = (picture[..., channel] / 255).astype(np.float32), np.float32(whole.ground[channel] / 255)
        _draw_mask(target, shape._replace(strength=own), ground, out[..., channel : channel + 1], black, white)


def _draw_mask(
    mask: Plane,
    shape: Surface,
    ground: np.float32,
    out: Picture,
    zero: npt.NDArray[np.float32],
    one: npt.NDArray[np.float32],
) -> None:
    """Draw a mask into `out`, a few rows at a time.

    Args:
        mask: (28, 28), 0 to 1.
        shape: Its strokes, whose strength may be negative.
        ground: What the mask has beside them.
        out: uint8 (size, size, channels).
        zero: (channels,), the color where the mask is 0.
        one: Where it is 1.
    """
    size = len(out)
    shades = _shades(mask, shape, ground)
    finer = math.ceil(FINE / size)  # below FINE, edges are drawn finer and averaged
    down = -(-STRIP * SIDE // size**2)  # rows of the source at a time
    owner = sources(size)
    for first in range(0, SIDE, down):
        start, stop = np.searchsorted(owner, (first, first + down)).tolist()
        fine = _strip(shape, ground, shades, size * finer, slice(start * finer, stop * finer))
        drawn = fine.reshape(stop - start, finer, size, finer).mean((1, 3)) if finer > 1 else fine
        drawn = _met(drawn, mask, slice(start, stop), size)
        for channel, (least, most) in enumerate(zip(zero, one, strict=True)):
            out[start:stop, :, channel] = drawn * (most - least) + (least + np.float32(0.5))


def _strip(shape: Surface, ground: np.float32, shades: Plane, size: int, rows: slice) -> Plane:
    """Return some rows of a mask that is drawn with `size` pixels a side."""
    across, wide = splines(size), bumps(size)
    drawn = edges(shape.coefficients, size, rows, EDGE)
    drawn *= spread(shape.strength, across[rows], across)
    drawn += ground
    drawn += spread(shades, wide[rows], wide)
    return np.clip(drawn, 0, 1, out=drawn)


def _shades(mask: Plane, shape: Surface, ground: np.float32) -> Plane:
    """Return what to add to a contour's inside and outside, as coefficients of bumps, so that pixels get their means.

    It is a faint gradient where the mask is too blurred, or its strokes are too uneven, for a smooth contour.
    """
    across, wide, owner = splines(FINE), bumps(FINE), sources(FINE)
    plain = edges(shape.coefficients, FINE) * spread(shape.strength, across, across) + ground
    shades, shaded = np.zeros_like(mask), plain
    for _ in range(ROUNDS):
        missing = beyond(mask - means(np.clip(shaded, 0, 1), FINE), EXACT)
        if not missing.any():
            break
        free = means(np.where((missing > 0)[owner][:, owner], shaded < 1, shaded > 0).astype(np.float32), FINE)
        missing /= np.maximum(free, np.float32(LEAST))
        missing += 2 * (missing - smoothed(missing))  # bumps blur
        shades = np.clip(shades + np.float32(STEP) * missing, -1, 1)
        shaded = plain + spread(shades, wide, wide)
    return shades


def _blurred(plane: Plane) -> Plane:
    """Return a plane in which each pixel is the mean around it, weighted."""
    return smoothed(smoothed(plane))


def _met(drawn: Plane, mask: Plane, rows: slice, size: int) -> Plane:
    """Return some rows of a drawn mask, in which each source pixel has the mean that it should have."""
    owner = sources(size)
    down = owner[rows] - owner[rows.start]
    wanted = mask[owner[rows.start] : owner[rows.stop - 1] + 1]
    place = (np.arange(size) + 0.5) * SIDE / size % 1
    faded = 1 - (2 * place - 1) ** 4 if size >= BLOCK * SIDE else np.ones(size)  # no step at the pixel's border
    for window in (faded.astype(np.float32), np.ones(size, np.float32)):
        missing = beyond(wanted - means(drawn, size, rows), EXACT)
        if not missing.any():
            break
        change = np.where(missing[down][:, owner] > 0, 1 - drawn, -drawn) * (window[rows, None] * window)
        share = np.clip(missing / np.where(missing == 0, 1, means(change, size, rows)), 0, 1)
        drawn = drawn + change * share[down][:, owner]
    return drawn
