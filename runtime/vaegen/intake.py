"""From paper to pixels: the digit of a photograph or scan, as the models know digits, a light stroke on black.

NumPy and Pillow do it: OpenCV (65 MB) or scikit-image with SciPy (110 MB) would bring the filters, but neither the
digit's place nor its color.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from vaegen.decoding import Picture
from vaegen.errors import ImageError, setting
from vaegen.paper import Floats, contrast, ground, is_board, is_no_paper, remove_rules, strength
from vaegen.spec import CHANNELS, SIDE

Mask = npt.NDArray[np.bool_]

WORK = 800  # pixels of the longer side of the picture that is examined: a digit of a tenth of it is 3 times MNIST's
LEAST = 240  # likewise: smaller pictures are enlarged to it
REACH = 0.3  # of the longer side: wider than any stroke, narrower than a sheet, its table, a shadow
GRID = 200  # cells of the longer side in which parts of the ink are told apart

BLACK = 8  # of 255: what the channels' mean is at most where a picture counts as black; a dim photograph's is more
DIGIT = 20  # pixels of the longer side of a digit, as in MNIST
FINE = 8  # times finer than MNIST's pixels a stroke is drawn before it is scaled down

BLOB = 0.02  # likeness to a stroke, of a thing that is not one
SCRAPS = 12  # parts of a broken digit, at most

TINT = 0.12  # of the paper's light: how far the channels of colored ink differ, at least
SATURATED = 0.28  # saturation, as in HSV, of colored ink, at least

FAINT = 0.06  # share of the light that ink takes, at least
NOISE = 5.0  # standard deviations of the ground that ink stands out by, at least
PART = 0.35  # of the strength of the strongest ink that other parts of a digit have
SEPARATE = 0.25  # of a digit's height: a gap that wide lies between two digits
HEAVY = 0.2  # of the ink of the largest: likewise
ALIKE = 0.2  # likeness to a stroke: likewise
SAME_PEN = 0.6  # of the strength of the largest: likewise
SIZED = 0.5  # of the height of the largest: at least that of another digit
NEAR = 0.4  # of a digit's size: the reach in which smaller parts belong to it

THIN, THICK = 1.9, 3.6  # MNIST pixels: the width that strokes are brought to, if they are thinner or thicker


def is_light_on_black(pixels: Picture) -> bool:
    """Return whether a picture of 28 pixels, uint8 (h, w, 3), is what the models know: light or nothing on black.

    Its background is black where the median of its pixels, and of those along its edge, is nearly 0.
    """
    red, green, blue = pixels.astype(np.uint16).transpose(2, 0, 1)
    dark = red + green + blue <= CHANNELS * BLACK  # a third of the time of a sum along an axis of 3
    inner = dark[1:-1, 1:-1]
    count, inside = np.count_nonzero(dark), np.count_nonzero(inner)
    return bool(2 * count > dark.size and 2 * (count - inside) > dark.size - inner.size)


class Part(NamedTuple):
    """Connected ink, measured in cells of the grid."""

    label: int
    top: int
    left: int
    bottom: int
    """One past the last row."""
    right: int
    mass: float
    """Sum of the ink's strength."""
    strength: float
    """Of its darkest cells."""
    likeness: float
    """How much it looks like a stroke, which is slender, from BLOB to 1."""

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def size(self) -> int:
        """The larger of both."""
        return max(self.height, self.width)


def working_side(size: tuple[int, int]) -> int:
    """Return the pixels that the longer side of a picture of a size has when it is examined."""
    return min(max(*size, LEAST), WORK)


def stroke_on_black(image: Image.Image) -> Picture | None:
    """Return the digit of a photograph or a scan as a light stroke on black.

    Args:
        image: RGB, upright, of its `working_side`.

    Returns:
        uint8 (28, 28, 3); or None where the picture is neither paper nor board, or shows no stroke.

    Raises:
        ImageError: There is no ink, or more than one digit.
    """
    smooth = np.asarray(image.filter(ImageFilter.GaussianBlur(max(image.size) / WORK)))
    reach = int(REACH * max(image.size))
    dark_ink = not is_board(smooth, reach)
    found = _look(smooth, reach, dark_ink=dark_ink) or _look(smooth, reach, dark_ink=not dark_ink)
    if found is None:
        if is_no_paper(smooth):
            return None
        raise ImageError(f"no ink found; {setting('intake', 'as-is')} reads it as it is")
    if found.parts[0].likeness <= BLOB or len(found.parts) > SCRAPS:
        return None
    if found.digits > 1:
        advice = f"crop to one, or {setting('intake', 'as-is')} reads it as it is"
        raise ImageError(f"{found.digits} separate digits found; {advice}")
    return _drawn(found, smooth)


class Digit(NamedTuple):
    """Where a digit is."""

    digits: int
    """How many there are."""
    parts: tuple[Part, ...]
    """Of the first."""
    labels: npt.NDArray[np.int32]
    """Of the grid."""
    cell: int
    """Pixels to a cell."""
    taken: Floats
    ground: Picture
    dark_ink: bool


def _look(smooth: Picture, reach: int, *, dark_ink: bool) -> Digit | None:
    """Find ink that is darker than the ground, or lighter; None where there is none."""
    under = ground(smooth, reach) if dark_ink else 255 - ground(255 - smooth, reach)
    taken = contrast(smooth, under, dark_ink=dark_ink)
    for across in (taken, taken.swapaxes(0, 1)):
        remove_rules(across)
    cell = max(1, math.ceil(max(taken.shape) / GRID))
    grid = _pooled(strength(taken), cell)
    noise = 1.48 * float(np.median(np.abs(grid - np.median(grid))))
    labels, count = label(grid > max(FAINT, NOISE * noise))
    shade = _pooled(under.mean(2), cell)
    sheet = 0.4 * float(np.quantile(shade, 0.8))
    parts = [
        part
        for part in measure(labels, count, grid)
        if not _is_edge(part, grid.shape) and shade[labels == part.label].mean() > sheet
    ]
    if not parts:
        return None
    main = max(parts, key=lambda part: math.sqrt(part.mass) * part.strength**2 * part.likeness)
    digits, group = _grouped(main, [part for part in parts if part.strength > PART * main.strength])
    return Digit(digits, tuple(group), labels, cell, taken, under, dark_ink)


def _bounds(digit: Digit) -> tuple[int, int, int, int]:
    """Return the first row and column of a digit, and those after its last."""
    tops, lefts, bottoms, rights = zip(*(part[1:5] for part in digit.parts), strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def _pooled(values: Floats, cell: int) -> Floats:
    """Return the mean of each block of `cell` by `cell` pixels."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % cell), (0, -width % cell)), mode="edge")
    pooled: Floats = padded.reshape(padded.shape[0] // cell, cell, -1, cell).mean((1, 3))
    return pooled


def _is_edge(part: Part, shape: tuple[int, ...]) -> bool:
    """Return whether a part is not ink but dust, or what surrounds a sheet."""
    height, width = shape
    touched = (part.top == 0) + (part.left == 0) + (part.bottom == height) + (part.right == width)
    if part.size < 0.04 * max(shape):
        return True
    along = (part.top == 0 or part.bottom == height) and part.width > 3 * part.height
    along |= (part.left == 0 or part.right == width) and part.height > 3 * part.width
    return touched >= 3 or along


def _grouped(main: Part, parts: list[Part]) -> tuple[int, list[Part]]:
    """Return how many digits there are, and the parts that make up the main part's."""
    digits = 1
    group = [main]
    rest = [part for part in parts if part is not main]
    for part in sorted(rest, key=lambda part: -part.mass):
        gap_x = max(part.left - main.right, main.left - part.right, 0)
        gap_y = max(part.top - main.bottom, main.top - part.bottom, 0)
        gap = max(gap_x, gap_y)
        alike = part.mass > HEAVY * main.mass and part.strength > SAME_PEN * main.strength and part.likeness > ALIKE
        if alike and part.height >= SIZED * main.height and gap > SEPARATE * main.height:
            digits += 1
        elif gap <= NEAR * main.size:
            group.append(part)
    return digits, group


def label(mask: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """Number the connected parts of a mask, diagonals included.

    Returns:
        int32 of the mask's shape, 0 outside and 1 to n in the parts; and n.
    """
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(rows, np.arange(height + 1)).tolist()
    begin, end = starts.tolist(), ends.tolist()
    for row in range(1, height):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            if begin[above] <= end[here] and begin[here] <= end[above]:
                parent[root(here)] = root(above)
            if end[above] < end[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(run) for run in range(len(rows))], np.int64)
    _, numbers = np.unique(roots, return_inverse=True)
    labels = np.zeros((height, width), np.int32)
    for row, start, stop, number in zip(rows.tolist(), begin, end, numbers.tolist(), strict=True):
        labels[row, start:stop] = number + 1
    return labels, int(numbers.max(initial=-1)) + 1


def measure(labels: npt.NDArray[np.int32], count: int, grid: Floats) -> list[Part]:
    """Measure the parts of a grid."""
    parts = []
    rows, columns = np.nonzero(labels)
    numbers = labels[rows, columns]
    order = np.argsort(numbers, kind="stable")
    rows, columns, numbers = rows[order], columns[order], numbers[order]
    for number, begin, end in zip(
        range(1, count + 1),
        np.searchsorted(numbers, np.arange(1, count + 1)),
        np.searchsorted(numbers, np.arange(1, count + 1), side="right"),
        strict=True,
    ):
        y, x = rows[begin:end], columns[begin:end]
        top, left, bottom, right = int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1
        values = np.sort(grid[y, x])
        strong = float(values[-max(1, len(values) // 4) :].mean())
        shape = np.pad(labels[top:bottom, left:right] == number, 1)
        likeness = max(BLOB, 1 - 2.5 * stroke_width(shape) / max(bottom - top, right - left))
        parts.append(Part(number, top, left, bottom, right, float(values.sum()), strong, likeness))
    return parts


def _drawn(digit: Digit, smooth: Picture) -> Picture:
    """Draw the digit as MNIST was made: fitted to 20x20, its center of mass in the middle of 28x28."""
    cell, taken = digit.cell, digit.taken
    top, left, bottom, right = _bounds(digit)
    top, left, bottom, right = max(0, top - 2) * cell, max(0, left - 2) * cell, (bottom + 2) * cell, (right + 2) * cell
    box = np.s_[top:bottom, left:right]
    own = np.isin(digit.labels, [part.label for part in digit.parts])
    own = np.asarray(Image.fromarray(own).filter(ImageFilter.MaxFilter(3))) if own.shape[0] > 2 else own
    mine = np.repeat(np.repeat(own, cell, 0), cell, 1)[: taken.shape[0], : taken.shape[1]][box]
    strong = np.where(mine, strength(taken[box]), 0)
    core = strong > 0.7 * np.quantile(strong[strong > 0.5 * strong.max()], 0.8)
    direction = taken[box][core].mean(0)
    share = (taken[box] @ direction) / float(direction @ direction)
    image = Image.fromarray((np.clip(share, 0, 1.25) * 204).astype(np.uint8))
    share = np.asarray(image.filter(ImageFilter.GaussianBlur(max(share.shape) / 100)), np.float32) / 204
    share = np.where(mine, np.clip((share - 0.2) / 0.6, 0, 1), 0).astype(np.float32)
    color = _ink_color(smooth[box][core], digit.ground[box][core] if digit.dark_ink else None)
    gray = _centered(_fitted(share))
    drawn: Picture = np.rint(255 * gray[..., None] * color).astype(np.uint8)
    return drawn


def _ink_color(core: Picture, paper: Picture | None) -> Floats:
    """Return the color of ink, its brightest channel 1; black, gray and chalk become white.

    Where paper is known to lie under it, half of the paper's hue is taken for that of the light.
    """
    ink = np.median(core.astype(np.float32), 0)
    shade = np.ones(CHANNELS) if paper is None else np.maximum(np.median(paper.astype(np.float32), 0), 1)
    full = max(float(ink.max()), float(shade.max()))
    # Gray ink is gray for one of the kinds of light that there may be.
    for kind in (0, 0.5, 1):
        lit = ink / (shade / shade.max()) ** kind
        if lit.max() - lit.min() < TINT * full or lit.min() > (1 - SATURATED) * lit.max():
            return np.ones(CHANNELS, np.float32)
    ink = ink / np.sqrt(shade / shade.max())
    color: Floats = (ink / ink.max()).astype(np.float32)
    return color


def _fitted(share: Floats) -> Floats:
    """Scale the ink until its longer side is 20 pixels; bring its stroke to a width that MNIST has."""
    share = _cropped(share)
    scale = FINE * DIGIT / max(share.shape)
    size = max(1, round(share.shape[1] * scale)), max(1, round(share.shape[0] * scale))
    fine = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BICUBIC))
    fine = np.pad(fine, 2 * FINE).astype(np.float32)
    width = stroke_width(fine > 0.5) / FINE
    target = min(max(width, THIN), THICK)
    change = round((target - width) * FINE / 2)
    if change:
        image = Image.fromarray((np.clip(fine, 0, 1) * 255).astype(np.uint8))
        kind = ImageFilter.MaxFilter if change > 0 else ImageFilter.MinFilter
        image = image.filter(kind(2 * abs(change) + 1)).filter(ImageFilter.GaussianBlur(FINE / 4))
        fine = np.asarray(image, np.float32) / 255
    fine = _cropped(fine)
    scale = DIGIT / max(fine.shape)
    size = max(1, round(fine.shape[1] * scale)), max(1, round(fine.shape[0] * scale))
    fitted: Floats = np.clip(np.asarray(Image.fromarray(fine).resize(size, Image.Resampling.BOX)), 0, 1)
    return fitted


def stroke_width(ink: Mask) -> float:
    """Return the mean width of a stroke in pixels: twice its area over the length of its outline."""
    across = np.count_nonzero(ink[1:] != ink[:-1]) + np.count_nonzero(ink[:, 1:] != ink[:, :-1])
    return 2 * float(ink.sum()) / max(1.0, across * math.pi / 4)


def _cropped(share: npt.NDArray[Any]) -> Floats:
    rows, columns = np.nonzero(share.max(1) > 0.3)[0], np.nonzero(share.max(0) > 0.3)[0]
    if not rows.size:
        return share
    return share[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _centered(fitted: Floats) -> Floats:
    """Lay the digit on 28x28, its center of mass in the middle, as far as it stays inside."""
    height, width = fitted.shape
    total = max(float(fitted.sum()), 1e-6)
    y = float(fitted.sum(1) @ (np.arange(height) + 0.5)) / total
    x = float(fitted.sum(0) @ (np.arange(width) + 0.5)) / total
    top = min(max(round(SIDE / 2 - y), 0), SIDE - height)
    left = min(max(round(SIDE / 2 - x), 0), SIDE - width)
    canvas = np.zeros((SIDE, SIDE), np.float32)
    canvas[top : top + height, left : left + width] = fitted
    return canvas
