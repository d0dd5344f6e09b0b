"""The scatter of latents: the one picture that is a plot, drawn by matplotlib."""

import io

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image
from vaegen.spec import DIGITS

from vaegen_training.report import canvas

SIZE = (9.6, 4.9)  # inches at DPI dots
DPI = 80
POINTS = 3000  # at most; more hide each other


def draw(
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
    figure = Figure(SIZE, DPI, facecolor=_hex(canvas.GROUND), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    shown = places[:POINTS]
    palette = _palette()
    # Each digit is written where it lies: ten hues alone can hardly be told apart.
    left.scatter(*shown.T, s=14, linewidths=0, c=palette[digits[:POINTS]], alpha=0.8)
    right.scatter(*shown.T, s=14, linewidths=0, c=colors[:POINTS] / 255)
    for digit in range(DIGITS):
        mine = places[digits == digit]
        if len(mine):
            x, y = np.median(mine, axis=0)
            box = {"boxstyle": "circle,pad=0.25", "fc": _hex(canvas.GROUND), "ec": palette[digit], "lw": 1.5}
            left.text(x, y, str(digit), color="white", fontsize=9, weight="bold", ha="center", va="center", bbox=box)
    for axes, title in ((left, "by digit"), (right, "in their own paint")):
        axes.set_title(f"{label}: test digits {title}", color=_hex(canvas.INK), fontsize=10.5)
        axes.set_facecolor("black")
        axes.set_xlabel(names[0], color=_hex(canvas.FAINT), fontsize=8.5)
        axes.tick_params(colors=_hex(canvas.FAINT), labelsize=7.5, length=2)
        for spine in axes.spines.values():
            spine.set_color("#30363d")
    left.set_ylabel(names[1], color=_hex(canvas.FAINT), fontsize=8.5)
    low, high = np.quantile(places, [0.002, 0.998], axis=0)
    margin = 0.06 * (high - low) + 1e-6
    left.set_xlim(low[0] - margin[0], high[0] + margin[0])
    left.set_ylim(low[1] - margin[1], high[1] + margin[1])
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return canvas.png(Image.open(stream))


def _palette() -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.asarray(colormaps["tab10"](np.arange(DIGITS)), np.float64)
    return found


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
