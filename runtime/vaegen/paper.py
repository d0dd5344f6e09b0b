"""What ink lies on: paper in any light, a board; and the rules on it."""

import numpy as np
import numpy.typing as npt

from vaegen.decoding import Picture

Floats = npt.NDArray[np.float32]

BOARD = 95  # of 255: a board is darker nearly everywhere
CHALK, SURE = 1.35, 2.2  # times the light of the board: chalk, at least; and chalk that may cover more than MOST
MOST = 0.3  # of a picture: what other chalk covers, at most
DARK = 2  # of 255: added on both sides of a ratio, so that nothing is divided by black
WHITE = 3.0  # times the light of the board: usual chalk
COLORED = 0.45  # saturation, as in HSV: above that of kraft paper
LIT = 40  # of 255: the light of the darkest paper
STRIP = 8  # pixels: the length of pieces in which rules are looked for
STEEPEST = 14  # degrees that rules may be turned by
COVERED = 0.55  # of a picture's width, that a rule is seen on


def is_board(smooth: Picture, reach: int) -> bool:
    """Return whether a picture is dark except for narrow, far lighter strokes that cover little of it."""
    few = smooth[::4, ::4].mean(2, keepdims=True).astype(np.uint8)
    lightest = max(1.0, float(np.quantile(255 - _closed(255 - few, reach // 4), 0.95)))
    darkest, brightest = np.quantile(few, (0.01, 0.998))
    bright = float((few > (darkest + brightest) / 2).mean())
    chalk = float(few.max()) / lightest
    return lightest < BOARD and chalk > CHALK and (bright < MOST or chalk > SURE)


def is_no_paper(smooth: Picture) -> bool:
    """Return whether a picture without ink is more colorful than paper, or darker."""
    red, green, blue = np.median(smooth[::4, ::4], axis=(0, 1)).tolist()
    most, least = max(red, green, blue), min(red, green, blue)
    return bool(most - least > COLORED * most or most < LIT)


def _spread(values: Picture, reach: int, axis: int, *, largest: bool) -> Picture:
    """Return the largest, or smallest, value within `reach` before and after each place; edges go on outside."""
    widths = [(0, 0)] * values.ndim
    widths[axis] = (reach, reach)
    padded = np.moveaxis(np.pad(values, widths, mode="edge"), axis, 0)
    choose = np.maximum if largest else np.minimum
    span, have = 2 * reach + 1, 1
    while have < span:  # windows of twice the length, each from two that overlap
        step = min(have, span - have)
        padded = choose(padded[:-step], padded[step:])
        have += step
    return np.moveaxis(padded, 0, axis)


def _filtered(values: Picture, reach: int, *, largest: bool) -> Picture:
    return _spread(_spread(values, reach, 0, largest=largest), reach, 1, largest=largest)


def _closed(values: Picture, reach: int) -> Picture:
    """Return the ground without dark ink: what is dark and narrower than `reach` is filled (morphological closing).

    Edges of sheets and shadows stay where they are.
    """
    half, line = max(1, reach // 2), reach // 64
    padded = np.pad(values, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    # Rules lighter than their sheet would make all of it lighter.
    if line:
        padded = _filtered(_filtered(padded, line, largest=False), line, largest=True)
    closed = _filtered(_filtered(padded, half, largest=True), half, largest=False)
    return closed[reach:-reach, reach:-reach]


def ground(values: Picture, reach: int) -> Picture:
    """Return the ground without dark ink, in each channel.

    What is dark as a whole is left out first: purple ink has more blue than brown paper.
    """
    gray = values.mean(2, keepdims=True).astype(np.uint8)
    return _closed(np.where(gray < 0.85 * _closed(gray, reach), 0, values).astype(np.uint8), reach)


def contrast(smooth: Picture, ground: Picture, *, dark_ink: bool) -> Floats:
    """Return how far each pixel is from the ground, float32 (h, w, 3): 0 without ink, 1 for black ink or white chalk.

    It is linear in the share that ink covers, and the same in light and shadow.
    """
    ratio = (smooth.astype(np.float32) + DARK) / (ground.astype(np.float32) + DARK)
    ratio /= np.median(ratio[::3, ::3], axis=(0, 1))
    taken: Floats = 1 - ratio if dark_ink else (ratio - 1) / WHITE
    return taken


def strength(taken: Floats) -> Floats:
    """Return how strong ink is in any color, float32 (h, w)."""
    strong: Floats = 0.5 * taken.max(2) + 0.5 * taken.mean(2)
    return strong


def remove_rules(taken: Floats) -> None:
    """Remove the thin lines that run across a sheet, more or less level, and keep the ink that crosses them.

    A line is looked for at every height and slope: strip by strip, it is darker than what lies a little above and
    below. There, as much ink is left as above or below.
    """
    height, width, _ = taken.shape
    thin = max(2, max(height, width) // 200)
    strips = width // STRIP
    if strips < 8 or height < 8 * thin:
        return
    strong = strength(taken)[:, : strips * STRIP].reshape(height, strips, STRIP).mean(2)
    around = np.maximum(strong[: -2 * thin], strong[2 * thin :])
    rise = strong[thin:-thin] - around  # (height - 2 * thin, strips)
    noise = 1.48 * float(np.median(np.abs(rise - np.median(rise))))
    least = max(0.015, 0.7 * noise)
    rise = np.clip(rise, 0, 4 * least)
    rows = len(rise)
    columns = (np.arange(strips) + 0.5) * STRIP - width / 2
    best, covered, slope_of = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    for slope in np.tan(np.radians(np.arange(-STEEPEST, STEEPEST + 0.1, 0.25))):
        at = np.arange(rows)[:, None] + np.rint(slope * columns).astype(np.int64)  # (rows, strips)
        inside = (at >= 0) & (at < rows)
        along = rise[np.clip(at, 0, rows - 1), np.arange(strips)] * inside
        score = along.sum(1) / np.maximum(inside.sum(1), strips // 3)
        better = score > best
        best[better], slope_of[better] = score[better], slope
        covered[better] = ((along > least).sum(1) / np.maximum(inside.sum(1), strips // 3))[better]
    best[covered < COVERED] = 0
    x = np.arange(width)
    for row in np.argsort(-best):
        if best[row] == 0:
            continue
        best[max(0, row - thin) : row + thin + 1] = 0
        middle = np.rint(row + thin + slope_of[row] * (x - width / 2)).astype(np.int64)
        keep = (middle >= 0) & (middle < height)
        y, columns_kept = middle[keep], x[keep]
        above, below = np.clip(y - thin - 1, 0, height - 1), np.clip(y + thin + 1, 0, height - 1)
        left = np.maximum(taken[above, columns_kept], taken[below, columns_kept])
        for shift in range(-thin, thin + 1):
            place = np.clip(y + shift, 0, height - 1), columns_kept
            taken[place] = np.minimum(taken[place], left)
