"""Sheets of images with labels, and wheels of them, on a dark ground: how the pictures of a report are laid out."""

import functools
import io
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

GROUND = (14, 17, 22)  # behind the images, whose own ground is black: a tile can be told from the sheet
INK = (222, 226, 232)
FAINT = (139, 147, 158)
TEXT = 13  # pixels, height of labels
TITLE = 16
MARGIN = 16
RING_FILL = 0.72  # of its side, the room that an image has on its ring: digits fill the middle of their squares
RING_GAP = 0.88  # of that side, the distance between rings
LARGE = 64_000  # bytes

Images = npt.NDArray[np.uint8]
Label = str | tuple[int, int, int]
"""A word, or a color that is shown as a bar."""


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Give the typeface of all pictures, the one that matplotlib brings."""
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def sheet(
    images: Images,
    *,
    title: str,
    rows: Sequence[Label] = (),
    columns: Sequence[Label] = (),
    scale: int = 2,
    gap: int = 3,
) -> Image.Image:
    """Lay images out in rows and columns.

    Args:
        images: uint8 (rows, columns, height, width, 3).
        title: A line above everything.
        rows: A label for each row, or none.
        columns: A label for each column, or none.
        scale: Each pixel becomes a square of so many.
        gap: Pixels between images.
    """
    down, across, height, width = images.shape[:4]
    cell_h, cell_w = height * scale + gap, width * scale + gap
    text = font(TEXT)
    left = MARGIN + max((_width(label, text) for label in rows), default=0)
    left += 10 if rows else 0
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
            _label(draw, rows[row], (left - 10, y + height * scale // 2), text)
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
        scale: Each pixel becomes a square of so many.
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


def png(picture: Image.Image) -> bytes:
    """Give a picture as a small PNG, the same bytes each time.

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


def _label(draw: ImageDraw.ImageDraw, label: Label, place: tuple[int, int], text: ImageFont.FreeTypeFont) -> None:
    if isinstance(label, str):
        draw.text(place, label, FAINT, text, anchor="rm")
    else:
        x, y = place
        draw.rounded_rectangle((x - 5, y - 18, x, y + 18), 2, label)


def _width(label: Label, text: ImageFont.FreeTypeFont) -> int:
    return math.ceil(text.getlength(label)) if isinstance(label, str) else 6


def _wrap(title: str, text: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a title into lines that fit a width, in pixels."""
    lines: list[str] = []
    for word in title.split():
        if lines and text.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
