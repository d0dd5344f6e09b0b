"""How the pictures of a report are laid out, on a dark ground: sheets of images with labels, wheels, scatter plots."""

import functools
import io
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from vaegen.spec import DIGITS

GROUND = (14, 17, 22)  # not black, so that the images' own ground stands out from the sheet
INK = (222, 226, 232)
FAINT = (139, 147, 158)
TEXT = 13  # pixels, height of labels
TITLE = 16
MARGIN = 16
GAP = 3  # between images
RING_FILL = 0.72  # of its side, the room of an image on its ring: digits fill only the middle of their squares
RING_GAP = 0.88  # of that side, the distance between rings
LARGE = 64_000  # bytes
PLOT = (9.6, 4.9)  # inches at DPI dots
DPI = 80
POINTS = 3000  # of a scatter, at most; more hide each other

Images = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the typeface of all pictures, one that matplotlib brings."""
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def sheet(
    images: Images,
    *,
    title: str,
    rows: Sequence[str] = (),
    columns: Sequence[str | RGB] = (),
    scale: int = 2,
    gap: int = GAP,
) -> Image.Image:
    """Lay images out in rows and columns.

    Args:
        images: uint8 (rows, columns, height, width, 3).
        title: A line above everything.
        rows: A label for each row, or none.
        columns: A label for each column, or a color shown as a bar, or none.
        scale: Pixels that each pixel becomes, in both directions.
        gap: Pixels between images.
    """
    down, across, height, width = images.shape[:4]
    cell_h, cell_w = height * scale + gap, width * scale + gap
    text = font(TEXT)
    left = MARGIN + max((math.ceil(text.getlength(label)) + 10 for label in rows), default=0)
    top = MARGIN + TITLE + 12 + (TEXT + 7 if columns else 0)
    body = across * cell_w - gap
    heading = _wrap(title, font(TITLE), left + body - MARGIN)
    top += (len(heading) - 1) * (TITLE + 6)
    size = (left + body + MARGIN, top + down * cell_h - gap + MARGIN)
    canvas = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(canvas)
    for line, words in enumerate(heading):
        draw.text((MARGIN, MARGIN - 4 + line * (TITLE + 6)), words, INK, font(TITLE))
    for column, label in enumerate(columns):
        x = left + column * cell_w
        if isinstance(label, str):
            draw.text((x + (cell_w - gap) / 2, top - 7), label, FAINT, text, anchor="ms")
        else:
            draw.rounded_rectangle((x + 4, top - 12, x + cell_w - gap - 5, top - 7), 2, label)
    y = top
    for row in range(down):
        if rows:
            draw.text((left - 10, y + height * scale // 2), rows[row], FAINT, text, anchor="rm")
        for column in range(across):
            tile = images[row, column].repeat(scale, axis=0).repeat(scale, axis=1)
            canvas.paste(Image.fromarray(tile), (left + column * cell_w, y))
        y += cell_h
    return canvas


def wheel(rings: Sequence[Images], *, scale: int = 2) -> Image.Image:
    """Lay images out in rings on black: each begins at the top and goes clockwise.

    Args:
        rings: From the middle outwards, uint8 (n, height, width, 3) each, their ground black; a ring of one image is
            the middle itself.
        scale: Pixels that each pixel becomes, in both directions.
    """
    side = max(rings[0].shape[1:3]) * scale
    radii: list[float] = []
    for images in rings:
        # Wide enough for its own images, and clear of the ring within.
        around = side * len(images) / (2 * math.pi) * RING_FILL if len(images) > 1 else 0.0
        radii.append(max(around, radii[-1] + side * RING_GAP) if radii else around)
    extent = math.ceil(2 * radii[-1] + side + 2 * MARGIN)
    ground = np.zeros((extent, extent, 3), np.uint8)
    for images, radius in zip(rings, radii, strict=True):
        for index, image in enumerate(images):
            angle = 2 * math.pi * index / len(images)
            tile = image.repeat(scale, axis=0).repeat(scale, axis=1)
            top = round(extent / 2 - radius * math.cos(angle) - tile.shape[0] / 2)
            left = round(extent / 2 + radius * math.sin(angle) - tile.shape[1] / 2)
            place = ground[top : top + tile.shape[0], left : left + tile.shape[1]]
            np.maximum(place, tile, out=place)  # corners overlap; they are black
    return Image.fromarray(ground)


def scatter(
    places: npt.NDArray[np.float32],
    digits: npt.NDArray[np.int64],
    colors: npt.NDArray[np.uint8],
    names: tuple[str, str],
    label: str,
) -> bytes:
    """Draw points twice, by digit and in their own paint.

    Args:
        places: float32 (n, 2).
        digits: int64 (n,), 0 to 9.
        colors: uint8 (n, 3).
        names: Of the axes.
        label: Of the model.

    Returns:
        The bytes of a PNG.
    """
    # Without pyplot, which keeps state and would look for a display.
    figure = Figure(PLOT, DPI, facecolor=_hex(GROUND), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    shown = places[:POINTS]
    palette = np.asarray(colormaps["tab10"](np.arange(DIGITS)), np.float64)
    # Each digit is written where it lies: ten hues alone can hardly be told apart.
    left.scatter(*shown.T, s=14, linewidths=0, c=palette[digits[:POINTS]], alpha=0.8)
    right.scatter(*shown.T, s=14, linewidths=0, c=colors[:POINTS] / 255)
    for digit in range(DIGITS):
        mine = places[digits == digit]
        if len(mine):
            x, y = np.median(mine, axis=0)
            box = {"boxstyle": "circle,pad=0.25", "fc": _hex(GROUND), "ec": palette[digit], "lw": 1.5}
            left.text(x, y, str(digit), color="white", fontsize=9, weight="bold", ha="center", va="center", bbox=box)
    for axes, title in ((left, "by digit"), (right, "in their own paint")):
        axes.set_title(f"{label}: test digits {title}", color=_hex(INK), fontsize=10.5)
        axes.set_facecolor("black")
        axes.set_xlabel(names[0], color=_hex(FAINT), fontsize=8.5)
        axes.tick_params(colors=_hex(FAINT), labelsize=7.5, length=2)
        for spine in axes.spines.values():
            spine.set_color("#30363d")
    left.set_ylabel(names[1], color=_hex(FAINT), fontsize=8.5)
    low, high = np.quantile(places, [0.002, 0.998], axis=0)
    margin = 0.06 * (high - low) + 1e-6
    left.set_xlim(low[0] - margin[0], high[0] + margin[0])
    left.set_ylim(low[1] - margin[1], high[1] + margin[1])
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return png(Image.open(stream))


def png(picture: Image.Image) -> bytes:
    """Return a picture as a small PNG, the same bytes each time.

    Small ones keep every color. Large ones are reduced to 256, without dithering, which takes a third of the bytes.
    """
    rgb = picture.convert("RGB")
    data = _encode(rgb)
    if len(data) > LARGE:
        data = _encode(rgb.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
    return data


def _encode(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _wrap(title: str, text: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a title into lines that fit a width, in pixels."""
    lines: list[str] = []
    for word in title.split():
        if lines and text.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _hex(rgb: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
