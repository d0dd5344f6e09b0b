"""What images look like together: sheets, and the preview on a terminal."""

import itertools
import os
import sys
from typing import TYPE_CHECKING

from vaegen.spec import SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def sheet(images: "NDArray[np.uint8]", rows: int, columns: int) -> "NDArray[np.uint8]":
    """Lay images out on one sheet without gaps.

    Args:
        images: uint8 (rows * columns * count, height, width, 3): row by row, the `count` images of a cell in
            sequence. A cell holds them as a block as near a square as it goes, filled up with black.
        rows: Cells from top to bottom.
        columns: Cells from left to right.

    Returns:
        uint8 (sheet height, sheet width, 3).
    """
    import numpy as np

    n, height, width, channels = images.shape
    count = n // (rows * columns)
    across = int(np.ceil(np.sqrt(count)))
    down = -(-count // across)
    cells = images.reshape(rows, columns, count, height, width, channels)
    full = np.zeros((rows, columns, down * across, height, width, channels), np.uint8)
    full[:, :, :count] = cells
    blocks = full.reshape(rows, columns, down, across, height, width, channels)
    # rows, down and height make the height of the sheet; columns, across and width its width
    return blocks.transpose(0, 2, 4, 1, 3, 5, 6).reshape(rows * down * height, columns * across * width, channels)


def preview(images: "NDArray[np.uint8]") -> str:
    """Draw images side by side for a terminal, as many as fit its width.

    Args:
        images: uint8 (n, 28, 28, 3), n >= 1.

    Returns:
        14 lines of half-block characters in 24-bit color, two pixels a character. Empty where NO_COLOR is set
        (no-color.org) or stderr cannot show them.
    """
    import shutil

    import numpy as np

    half = "\u2580"  # upper half block: foreground above, background below
    try:
        half.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return ""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return ""
    shown = images[: max(shutil.get_terminal_size().columns // SIDE, 1)]
    lines = []
    for row in range(0, SIDE, 2):
        pairs = np.concatenate([shown[:, row], shown[:, row + 1]], axis=2).reshape(-1, 6)  # upper RGB, lower RGB
        # One escape sequence for a run of equal cells: the background is most of the picture.
        runs = ((colors, len(list(cells))) for colors, cells in itertools.groupby(map(tuple, pairs.tolist())))
        cells = ("\x1b[38;2;{};{};{};48;2;{};{};{}m".format(*colors) + half * length for colors, length in runs)
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
