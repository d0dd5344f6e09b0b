"""Images as drawings: the outline of the strokes, in SVG."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from vaegen.decoding import Picture
from vaegen.request import check_images
from vaegen.spec import SIDE
from vaegen.strokes import Plane, cubic, ink, surface

Points = npt.NDArray[np.float64]

SVG = "http://www.w3.org/2000/svg"
PAD = 3  # pixels around the image, in which an outline that meets the border turns back; the view cuts them off
NODES = 3  # samples along a pixel's side, between which an outline is looked for
STRETCH = 8  # of the found points that a curve spans at first
NEAR = 0.04  # pixels that a curve may be off the outline
SPECK = 0.2  # square pixels; what is smaller is no stroke
PRECISION = 100  # steps in a pixel


def svg(image: npt.ArrayLike, text: Mapping[str, Any] | None = None) -> str:
    """Return an image as an SVG file: the strokes' outline, filled with their color, on the color of the ground.

    Args:
        image: uint8 (28, 28, 3), RGB, of two colors: shades between them become either one or the other.
        text: Facts to carry in its <metadata>, as JSON.

    Returns:
        The file, about 2 KB, with the view box 0 0 28 28 and no size of its own. It has one path, of cubic curves,
        whose holes are open by the rule evenodd.

    Raises:
        RequestError: The image has another type or shape.
    """
    (picture,) = check_images(np.asarray(image)[None])
    return svg_sheet(picture, text or {})


def svg_sheet(
    picture: Picture,
    text: Mapping[str, Any],
    size: int | None = None,
    margin: tuple[int, int] = (0, 0),
    label: str = "",
) -> str:
    """Return a sheet of images, uint8 (28 rows, 28 columns, 3), as an SVG file.

    Args:
        picture: The sheet; a single image is one of one cell.
        text: Facts to carry.
        size: Pixels of a cell's side where the file is shown; None leaves it to its place.
        margin: Pixels of the model to leave free on the left and above.
        label: Elements to draw there.
    """
    rows, columns = picture.shape[0] // SIDE, picture.shape[1] // SIDE
    width, height = SIDE * columns + margin[0], SIDE * rows + margin[1]
    places = [(row, column) for row in range(rows) for column in range(columns)]
    cells = [
        _shapes(picture[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]) for row, column in places
    ]
    if (width, height) != (SIDE, SIDE):  # an element <svg> shows nothing beyond its edges, to which outlines may lead
        cells = [
            f'<svg x="{margin[0] + SIDE * column}" y="{margin[1] + SIDE * row}" width="28" height="28">\n{cell}</svg>'
            for (row, column), cell in zip(places, cells, strict=True)
        ]
    shown = "" if size is None else f' width="{width * size / SIDE:g}" height="{height * size / SIDE:g}"'
    facts = f"<metadata>{escape(json.dumps(text, ensure_ascii=False))}</metadata>\n" if text else ""
    content = "\n".join(cells) + label
    if len(cells) > 1 or label:  # so that no seams show
        content = f'<rect width="{width}" height="{height}"/>\n{content}'
    return f'<svg xmlns="{SVG}"{shown} viewBox="0 0 {width} {height}">\n{facts}{content}\n</svg>\n'


def _shapes(picture: Picture) -> str:
    """Return a picture's ground and strokes, uint8 (28, 28, 3), as elements of SVG."""
    colors = ink(picture)
    path = "".join(_path(loop) for loop in outlines(colors.mask))
    ground, stroke = (
        "#{:02x}{:02x}{:02x}".format(*color.round().astype(int).tolist()) for color in (colors.ground, colors.stroke)
    )
    strokes = f'\n<path fill="{stroke}" fill-rule="evenodd" d="{path}"/>' if path else ""
    return f'<rect width="{SIDE}" height="{SIDE}" fill="{ground}"/>{strokes}'


def outlines(mask: Plane) -> list[Points]:
    """Return the outlines of a mask's strokes and of their holes.

    Args:
        mask: (28, 28), 0 to 1.

    Returns:
        For each a closed chain of cubic Bezier curves, (curves, 4, 2): x to the right and y down in pixels, of the
        curve's beginning, its two control points, and its end.
    """
    field = _Field.of(surface(mask, faint=1).coefficients)
    loops = [loop for loop in _loops(field) if abs(_area(loop)) >= SPECK]
    return [_curves(field, loop) for loop in loops]


class _Field(NamedTuple):
    """A surface that is 0 far outside of the image."""

    coefficients: npt.NDArray[np.float64]

    @classmethod
    def of(cls, coefficients: Plane) -> "_Field":
        return cls(np.pad(np.pad(coefficients.astype(np.float64), 1, mode="edge"), PAD - 1))

    def at(self, points: Points) -> tuple[npt.NDArray[np.float64], Points]:
        """Return the height above one half at points, (n,), and how it rises to the right and down, (n, 2)."""
        middles = np.arange(-PAD, SIDE + PAD) + 0.5
        offsets = points[:, None, :] - middles[:, None]  # (n, middles, x and y)
        value, slope = cubic(offsets), cubic(offsets, slope=True)
        rows, steep = value[..., 1] @ self.coefficients, slope[..., 1] @ self.coefficients
        rise = np.stack([(rows * slope[..., 0]).sum(1), (steep * value[..., 0]).sum(1)], 1)
        return (rows * value[..., 0]).sum(1) - 0.5, rise

    def nodes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the places of a grid on one axis, and the heights above one half there, row by row."""
        places = np.arange(NODES * (SIDE + 2 * PAD) + 1) / NODES - PAD
        across = cubic(places[:, None] - np.arange(-PAD, SIDE + PAD) - 0.5)
        return places, across @ self.coefficients @ across.T - 0.5


def _loops(field: _Field) -> list[Points]:
    """Return the closed contours of a field at one half, (n, 2) each, with the strokes on their right.

    By marching squares (Lorensen and Cline, Marching Cubes, 1987), then two of Newton's steps for each point.
    """
    places, heights = field.nodes()
    inside = heights > 0
    corners = inside[:-1, :-1] * 1 + inside[:-1, 1:] * 2 + inside[1:, 1:] * 4 + inside[1:, :-1] * 8
    follows: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for row, column in np.argwhere((corners > 0) & (corners < 15)).tolist():
        # Sides of a cell by the node where they begin, and 0 for those that go right, 1 for those that go down.
        sides = ((row, column, 0), (row, column + 1, 1), (row + 1, column, 0), (row, column, 1))
        case = corners[row, column]
        if case in (5, 10) and heights[row : row + 2, column : column + 2].mean() > 0:
            case += 16  # a saddle whose middle is inside
        follows |= {sides[start]: sides[end] for start, end in _CROSSINGS[int(case)]}
    loops = []
    while follows:
        start, at = follows.popitem()
        chain = [start]
        while at != start:
            chain.append(at)
            at = follows.pop(at)
        row, column, down = np.array(chain).T
        first, second = heights[row, column], heights[row + down, column + 1 - down]
        share = first / (first - second) / NODES
        points = np.stack([places[column] + share * (1 - down), places[row] + share * down], 1)
        for _ in range(2):
            height, rise = field.at(points)
            step = (height / np.maximum((rise**2).sum(1), 1e-2))[:, None] * rise
            points = points - np.clip(step, -0.5 / NODES, 0.5 / NODES)
        loops.append(points)
    return loops


# Which sides of a cell (0 above, 1 right, 2 below, 3 left) a contour goes from and to, by the corners that are inside:
# 1 above left, 2 above right, 4 below right, 8 below left.
_CROSSINGS: dict[int, Sequence[tuple[int, int]]] = {
    1: [(0, 3)],
    2: [(1, 0)],
    3: [(1, 3)],
    4: [(2, 1)],
    5: [(0, 3), (2, 1)],
    6: [(2, 0)],
    7: [(2, 3)],
    8: [(3, 2)],
    9: [(0, 2)],
    10: [(1, 0), (3, 2)],
    11: [(1, 2)],
    12: [(3, 1)],
    13: [(0, 1)],
    14: [(3, 0)],
    21: [(0, 1), (2, 3)],
    26: [(1, 2), (3, 0)],
}


def _curves(field: _Field, points: Points) -> Points:
    """Return a closed contour, (n, 2), as few cubic Bezier curves, (curves, 4, 2), that keep to it within NEAR."""
    n = len(points)
    _, rise = field.at(points)
    tangent = np.stack([rise[:, 1], -rise[:, 0]], 1)
    tangent /= np.maximum(np.sqrt((tangent**2).sum(1, keepdims=True)), 1e-9)
    step = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    tangent *= np.where((tangent * step).sum(1) < 0, -1, 1)[:, None]
    length = np.concatenate([[0], np.cumsum(np.sqrt(((np.roll(points, -1, 0) - points) ** 2).sum(1)))])
    knots = np.unique(np.linspace(0, n, max(n // STRETCH, 4) + 1).astype(int))
    share = np.array([0.25, 0.5, 0.75])
    bernstein = np.stack([(1 - share) ** 3, 3 * share * (1 - share) ** 2, 3 * share**2 * (1 - share), share**3], 1)
    while True:
        start, stop = knots[:-1], knots[1:]
        handle = ((length[stop] - length[start]) / 3)[:, None]
        begin, end = points[start], points[stop % n]
        curves = np.stack([begin, begin + handle * tangent[start], end - handle * tangent[stop % n], end], 1)
        height, rise = field.at((bernstein @ curves).reshape(-1, 2))
        off = np.abs(height) / np.maximum(np.sqrt((rise**2).sum(1)), 0.1)
        bad = (off.reshape(-1, 3).max(1) > NEAR) & (stop - start > 1)
        if not bad.any():
            return curves
        knots = np.sort(np.concatenate([knots, (start + stop)[bad] // 2]))


def _area(points: Points) -> float:
    x, y = points.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def _path(curves: Points) -> str:
    """Return a closed chain of curves as a part of a path's data."""
    steps = np.round(curves * PRECISION).astype(int)
    x, y = steps[0, 0].tolist()
    words = "c" + _numbers(itertools.chain.from_iterable((curve[1:] - curve[0]).ravel().tolist() for curve in steps))
    return f"M{_numbers((x, y))}{words}z"


def _numbers(steps: Iterable[int]) -> str:
    """Return numbers as SVG reads them, without what it doesn't need."""
    text = last = ""
    for step in steps:
        word = f"{step / PRECISION:g}".replace("0.", ".", 1) if 0 < abs(step) < PRECISION else f"{step / PRECISION:g}"
        text += word if not text or word.startswith("-") or ("." in last and word.startswith(".")) else f" {word}"
        last = word
    return text
