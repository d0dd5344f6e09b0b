"""What images look like together: labels of a sheet, before and after, and the preview on a terminal."""

import contextlib
import itertools
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vaegen.spec import SIDE

from vaegen_cli.console import Console, tell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageFont

LETTERS = 200  # of 255, the gray of labels
LEAST, MOST = 11, 40  # pixels of their height
DRAWN = 6  # likewise in a drawing, where an image has 28
WIDE = 0.62  # of the height, that a letter of a browser's font takes at most on average

COMPARED = 50  # images on a sheet that compares
ENLARGED = 3  # times, on that sheet
GAP, MARGIN = 3, 96  # pixels around its cells, and their gray
CAPTION, CAPITAL = 36, 13  # pixels that captions take above, and their height
CAPTIONS = ("as it is", "as the model\nsaw it", "as remade")


class Labels(NamedTuple):
    """What stands beside the rows of a sheet, and above its columns."""

    rows: Sequence[str]
    """Empty where rows have no label; else of each."""
    columns: Sequence[str]
    """Likewise."""

    def beside(self, picture: "NDArray[np.uint8]", side: int) -> "tuple[NDArray[np.uint8], tuple[int, int]]":
        """Return a sheet with labels, and the pixels that they take on the left and above.

        Args:
            picture: uint8 (height, width, 3).
            side: Pixels of an image on it.
        """
        import numpy as np

        height, width, _ = picture.shape
        size = min(max(side // 5, LEAST), MOST)
        gap = size // 2
        rows, columns = ([_lettered(text, size) for text in texts] for texts in (self.rows, self.columns))
        if any(image.width + 2 > width // len(columns) for image in columns):
            columns = [image.rotate(90, expand=True) for image in columns]
        left = max((image.width + gap for image in rows), default=0)
        top = max((image.height + gap for image in columns), default=0)
        out = np.pad(picture, ((top, 0), (left, 0), (0, 0)))
        for at, image in enumerate(rows):
            _paste(out, image, left - gap // 2 - image.width, top + (2 * at + 1) * height // len(rows) // 2)
        for at, image in enumerate(columns):
            middle = left + (2 * at + 1) * width // len(columns) // 2
            _paste(out, image, middle - image.width // 2, top - gap // 2 - image.height + image.height // 2)
        return out, (left, top)

    def drawn(self, width: int, height: int) -> tuple[tuple[int, int], str]:
        """Return what labels take of a drawing on the left and above, and their elements.

        Args:
            width: Of the sheet, where an image has 28.
            height: Likewise.
        """
        from xml.sax.saxutils import escape

        def extent(texts: Sequence[str]) -> int:
            return math.ceil(max(map(len, texts)) * WIDE * DRAWN) + DRAWN if texts else 0

        left, top = extent(self.rows), 2 * DRAWN if self.columns else 0
        upright = bool(self.columns) and extent(self.columns) > width // len(self.columns) + DRAWN
        if upright:
            top = extent(self.columns)
        texts = []
        for at, text in enumerate(self.rows):
            y = top + (at + 0.5) * height / len(self.rows)
            texts.append(
                f'<text x="{left - DRAWN / 2:g}" y="{y + DRAWN / 3:g}" text-anchor="end">{escape(text)}</text>'
            )
        for at, text in enumerate(self.columns):
            x, y = left + (at + 0.5) * width / len(self.columns), top - DRAWN / 2
            where = f'x="{x:g}" y="{y:g}" text-anchor="middle"'
            if upright:
                where = f'transform="translate({x + DRAWN / 3:g} {y:g}) rotate(-90)"'
            texts.append(f"<text {where}>{escape(text)}</text>")
        letters = f'font-family="sans-serif" font-size="{DRAWN}" fill="#{LETTERS:02x}{LETTERS:02x}{LETTERS:02x}"'
        return (left, top), "<g {}>\n{}\n</g>".format(letters, "\n".join(texts))


def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Return Pillow's own font; of one size, where Pillow was built without FreeType."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size)
    except ImportError:
        return ImageFont.load_default()


def _lettered(text: str, size: int) -> "Image.Image":
    """Return a text of some height in pixels, gray on black."""
    from PIL import Image, ImageDraw

    font = _font(size)
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, _, right, _ = pen.multiline_textbbox((0, 0), text, font=font, spacing=1, align="center")
    tallest = "\n".join("(y" for _ in text.splitlines())  # so that texts side by side stand on one line
    _, top, _, bottom = pen.multiline_textbbox((0, 0), tallest, font=font, spacing=1)
    image = Image.new("L", (math.ceil(right - left) + 2, math.ceil(bottom - top) + 2))
    where = (1 - left, 1 - top)
    ImageDraw.Draw(image).multiline_text(where, text, fill=LETTERS, font=font, spacing=1, align="center")
    return image


def _paste(picture: "NDArray[np.uint8]", image: "Image.Image", left: int, middle: int) -> None:
    """Draw a lettered text into a picture, its middle at a height."""
    import numpy as np

    letters = np.asarray(image)[..., None]
    top = middle - letters.shape[0] // 2
    region = picture[max(top, 0) : top + letters.shape[0], max(left, 0) : left + letters.shape[1]]
    region[:] = np.maximum(region, letters[: region.shape[0], : region.shape[1]])


def comparison(
    pairs: "Sequence[tuple[Path | bytes, Path | NDArray[np.uint8]]]", reading: Mapping[str, Any]
) -> "NDArray[np.uint8]":
    """Lay out images before and after: each as it is, as the model saw it, and as the model remade it.

    Args:
        pairs: Images, and their results: files, or an image's bytes and the pixels of a result.
        reading: How `vaegen.read_image` read them.

    Returns:
        uint8 (height, width, 3), one sheet of cells of three squares each, with captions above. What cannot be read any
        more is left out.
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
    if not cells:
        return blank
    across = math.ceil(math.sqrt(len(cells)))  # as `sheet` has it
    cell = cells[0].shape[1]
    captions = np.zeros((CAPTION, across * cell, 3), np.uint8)
    for at, (square, text) in itertools.product(range(across), enumerate(CAPTIONS)):
        image = _lettered(text, CAPITAL)
        middle = at * cell + GAP + (2 * square + 1) * ENLARGED * SIDE // 2
        _paste(captions, image, middle - image.width // 2, CAPTION // 2)
    return np.concatenate([captions, sheet(np.stack(cells), 1, 1)])


def show(console: Console, images: "NDArray[np.uint8]") -> None:
    """Draw images on stderr, where that is a terminal that can show them."""
    if console.live and (blocks := preview(images)):
        tell(blocks)


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
