"""What images look like together: before and after on a sheet, and the preview on a terminal."""

import contextlib
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaegen.spec import SIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


COMPARED = 50  # images on a sheet that compares
ENLARGED = 3  # times, on that sheet
GAP, MARGIN = 3, 96  # pixels around its cells, and their gray


def comparison(
    pairs: "Sequence[tuple[Path | bytes, Path | NDArray[np.uint8]]]", reading: Mapping[str, Any]
) -> "NDArray[np.uint8]":
    """Lay out images before and after: each as it is, as the model saw it, and as the model remade it.

    Args:
        pairs: Images, and their results: files, or an image's bytes and the pixels of a result.
        reading: How `vaegen.read_image` read them.

    Returns:
        uint8 (height, width, 3), one sheet of cells of three squares each. What cannot be read any more is left out.
    """
    import numpy as np
    from vaegen import ImageError
    from vaegen.encoding import sheet
    from vaegen.images import look_at, read_picture

    cells = []
    for source, result in pairs:
        with contextlib.suppress(ImageError):
            seen = read_picture(source, **reading).pixels
            again = look_at(result, SIDE) if isinstance(result, Path) else result
            before = look_at(source, ENLARGED * SIDE, max_pixels=reading["max_pixels"])
            row = [before, *(np.repeat(np.repeat(image, ENLARGED, 0), ENLARGED, 1) for image in (seen, again))]
            cells.append(np.pad(np.concatenate(row, 1), ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=MARGIN))
    blank = np.zeros((2 * GAP, 2 * GAP, 3), np.uint8)
    return sheet(np.stack(cells), 1, 1) if cells else blank


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
