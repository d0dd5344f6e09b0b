"""The figures as plain text, and as a bundle's manifest holds them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vaegen.bundle import read_manifest
from vaegen.errors import BundleError
from vaegen.files import write_file
from vaegen.spec import MANIFEST

from vaegen_training.evaluate.evaluation import Evaluation
from vaegen_training.evaluate.statistics import CONFIDENCE, Figure

COLUMNS = {"verified": "samples", "reconstruction": "reconstructions", "real": "real digits"}
NONE = "-"


@dataclass(frozen=True)
class Row:
    """How one row is shown."""

    title: str
    """At most 28 characters: with three cells of up to 22 a line has 100."""
    decimals: int = 2
    percent: bool = False


ROWS = {
    "digit_accuracy": Row("digits read right, %", percent=True),
    "color_error_median": Row("color error, median"),
    "color_error_p95": Row("color error, 95th percentile"),
    "density": Row("density", 3),
    "coverage": Row("coverage", 3),
    "classification_accuracy_score": Row("train on it, test on real, %", percent=True),
    "told_from_real": Row("told from real", 3),
    "told_from_real_shape": Row("told from real, shape only", 3),
    "told_from_reconstructions": Row("told from reconstructions", 3),
}
"""By metric, all but the first draws."""


def record(folder: Path, evaluation: Evaluation) -> Path:
    """Write a model's figures into the manifest of the bundle that was measured; its graphs stay as they are.

    Args:
        folder: The bundle's folder.
        evaluation: Its figures.

    Returns:
        The manifest.

    Raises:
        BundleError: The bundle is not, or no longer, the one that was measured.
        OutputError: The manifest cannot be written.
    """
    manifest = read_manifest(folder)
    if {name: graph.sha256 for name, graph in manifest.graphs.items()} != evaluation.graphs:
        raise BundleError(f"'{folder}' has changed since it was measured; evaluate it again")
    text = replace(manifest, quality=to_quality(evaluation)).to_json()
    write_file(folder / MANIFEST, text.encode(), force=True)
    return folder / MANIFEST


def to_quality(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures as a manifest holds them under "quality"; docs/bundle.md describes the form."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for key, row in ROWS.items():
        digits = row.decimals + 2 * row.percent
        figures[key] = {
            column: {part: round(getattr(figure, part), digits) for part in ("value", "low", "high")} | {"n": figure.n}
            for column, figure in evaluation.figures[key].items()
            if column != "real"  # of the digits, not of the bundle
        }
    return {
        "n": evaluation.n,
        "seed": evaluation.seed,
        "confidence": CONFIDENCE,
        "judge": evaluation.judge,
        "figures": figures,
    }


def to_text(evaluation: Evaluation) -> str:
    """Return the figures as a table, each with its 95% confidence interval; no line is longer than 100 characters."""
    model = evaluation.model
    lines = [
        f"{model.name}: {model.kind} model, preset {model.preset}, prior temperature {model.prior_temperature:g}",
        f"{evaluation.n} samples, seed {evaluation.seed}; value [95% confidence interval]",
        f"judge sha256 {evaluation.judge}",
        "",
    ]
    cells = [["", *COLUMNS.values()], *rows(evaluation, _cell)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines)


def rows(evaluation: Evaluation, cell: Callable[[Figure | None, Row], str]) -> list[list[str]]:
    """Return the title and the cells of each row."""
    found = [
        [row.title, *(cell(evaluation.figures[key].get(column), row) for column in COLUMNS)]
        for key, row in ROWS.items()
    ]
    raw = cell(evaluation.figures["digit_accuracy"]["raw"], ROWS["digit_accuracy"])
    found.insert(1, ["the same, first draws, %", raw, NONE, NONE])
    return found


def _cell(figure: Figure | None, row: Row) -> str:
    if figure is None:
        return NONE
    value, low, high = rounded(figure, row)
    return f"{value} [{low}, {high}]"


def rounded(figure: Figure, row: Row) -> tuple[str, str, str]:
    """Return the value and the ends of the interval as a row shows them."""
    factor = 100 if row.percent else 1
    value, low, high = (
        f"{number * factor + 0.0:.{row.decimals}f}" for number in (figure.value, figure.low, figure.high)
    )
    return value, low, high
