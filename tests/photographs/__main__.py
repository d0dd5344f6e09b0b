"""`python -m tests.photographs`: how many simulated photographs are read as their digit after `vaegen reconstruct`."""

import colorsys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import numpy.typing as npt
import vaegen
from vaegen.images import look_at
from vaegen_training.evaluate import evaluation_judge
from vaegen_training.evaluate.color_difference import stroke_color

from tests.photographs.render import COLORED, DIGITS, PENS, Simulated, simulate

HUE = 20  # degrees that a hue may be off
GRAY = 0.25  # saturation, as in HSV, that counts as none


class Figures(NamedTuple):
    """Shares from 0 to 1."""

    read: float
    """Of all: after reconstruction, the judge that ships in no bundle reads the digit."""
    hue: float
    """Of those in a colored pen: the hue is right."""
    gray: float
    """Of the others: the stroke is white or gray."""


def figures(simulated: list[Simulated], again: npt.NDArray[np.uint8], done: list[bool]) -> tuple[Figures, list[bool]]:
    """Return the figures of reconstructions, uint8 (n, 28, 28, 3), and which of them are read as their digits."""
    judge, _ = evaluation_judge.load()
    digits, _ = judge.read(again)
    right = [bool(made and one.digit == digit) for one, digit, made in zip(simulated, digits, done, strict=True)]
    hues, grays = [], []
    for one, rgb in zip(simulated, stroke_color(again), strict=True):
        hue, saturation, _ = colorsys.rgb_to_hsv(*(rgb / 255))
        if one.scene.form in ("gray", "scan"):
            continue
        if one.scene.pen in COLORED:
            true = colorsys.rgb_to_hsv(*(channel / 255 for channel in PENS[one.scene.pen]))[0]
            hues.append(saturation > GRAY and abs((hue - true + 0.5) % 1 - 0.5) * 360 <= HUE)
        else:
            grays.append(saturation <= GRAY)
    return Figures(float(np.mean(right)), float(np.mean(hues)), float(np.mean(grays))), right


@click.command()
@click.option("--count", type=click.IntRange(min=1), default=200, show_default=True, help="Photographs.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the photographs.")
@click.option("--model", default=vaegen.DEFAULT_MODEL, show_default=True, help="A shipped model or a bundle's folder.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=DIGITS, help="MNIST; else 200 of its test digits.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the photographs and the results in this new folder.")
def main(count: int, seed: int, model: str, data_dir: Path, out: Path | None) -> None:
    """Print how many simulated photographs are read after reconstruction, and how many hues are kept."""
    simulated = simulate(count, seed, data_dir)
    with tempfile.TemporaryDirectory() as temporary, vaegen.load(model) as loaded:
        folder = Path(temporary) if out is None else out
        for number, one in enumerate(simulated):
            place = folder / "in" / f"{number:05d}-{one.digit}.{'jpg' if one.scene.form == 'jpg' else 'png'}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(one.data)
        outcomes: list[vaegen.Outcome] = []
        report = vaegen.reconstruct_folder(loaded, folder / "in", folder / "out", on_outcome=outcomes.append)
        black = np.zeros((28, 28, 3), np.uint8)
        again = [look_at(made.target, 28) if made.status == "written" else black for made in outcomes]
        found, right = figures(simulated, np.stack(again), [made.status == "written" for made in outcomes])
    wrong: Counter[str] = Counter()
    for one, is_right in zip(simulated, right, strict=True):
        wrong.update(
            [] if is_right else [one.scene.paper, str(one.scene.pen), one.scene.light, f"table {one.scene.table}"]
        )
    print(f"{count} photographs, seed {seed}: {report.failed} refused, {report.unlike} look unlike digits")
    print(f"read as their digit {found.read:.1%}, hue kept {found.hue:.1%}, gray kept {found.gray:.1%}")
    print("not read, by kind: " + ", ".join(f"{kind} {times}" for kind, times in wrong.most_common()))


if __name__ == "__main__":
    main()
