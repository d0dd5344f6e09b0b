"""The figures as plain text, and as a bundle's manifest holds them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vaegen.bundle import read_manifest
from vaegen.errors import BundleError
from vaegen.files import write_file
from vaegen.manifest import MANIFEST

from vaegen_training.evaluate.evaluation import Evaluation
from vaegen_training.evaluate.statistics import CONFIDENCE, Figure

COLUMNS = {
    "raw": "samples, raw",
    "verified": "samples, verified",
    "reconstruction": "reconstructions",
    "real": "real digits",
}
NONE = "-"


@dataclass(frozen=True)
class Row:
    """How one row is shown."""

    title: str
    decimals: int = 2
    percent: bool = False


ROWS = {
    "digit_accuracy": Row("digit accuracy, %", percent=True),
    "color_error_median": Row("color error, CIEDE2000, median"),
    "color_error_p95": Row("color error, CIEDE2000, 95th percentile"),
    "hue_error_median": Row("hue error, degrees, median"),
    "bleeding_median": Row("color bleeding, CIEDE2000, median"),
    "tries": Row("draws an image took, mean", 3),
    "density": Row("density, k=5", 3),
    "coverage": Row("coverage, k=5", 3),
    "frechet": Row("Frechet distance, judge features"),
    "neighbor_distance_median": Row("nearest training digit, median distance"),
    "near_copies": Row("nearer to one than 99% of test digits, %", percent=True),
    "excess_bce": Row("excess BCE, nats"),
    "kl": Row("KL divergence, nats"),
    "rate_per_latent": Row("rate per latent, nats, mean", 3),
    "active_units": Row("active units", 0),
    "codes_in_use": Row("codes in use", 0),
    "perplexity": Row("perplexity of a categorical, mean"),
    "hard_soft_excess_bce": Row("hard less soft codes: excess BCE, nats", 3),
    "hard_soft_accuracy": Row("hard less soft codes: digit accuracy, %", percent=True),
}


HEADLINE = (
    ("digit_accuracy", "raw"),
    ("digit_accuracy", "verified"),
    ("color_error_median", "verified"),
    ("color_error_p95", "verified"),
    ("coverage", "raw"),
    ("coverage", "verified"),
    ("digit_accuracy", "reconstruction"),
    ("excess_bce", "reconstruction"),
    ("kl", "reconstruction"),
)
"""What models are compared by and manifests record: rows, and the column that each is taken from."""


def record(folder: Path, evaluation: Evaluation) -> Path:
    """Write the headline figures into the manifest of the bundle that was measured; its graphs stay as they are.

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
    """Return the headline figures as a manifest holds them under "quality"; docs/bundle.md describes the form."""
    figures: dict[str, dict[str, Mapping[str, float]]] = {}
    for key, column in HEADLINE:
        figure, digits = evaluation.figures[key][column], ROWS[key].decimals + 2 * ROWS[key].percent
        rounded_figure = {part: round(getattr(figure, part), digits) for part in ("value", "low", "high")}
        figures.setdefault(key, {})[column] = {**rounded_figure, "n": figure.n}
    return {
        "n": evaluation.n,
        "seed": evaluation.seed,
        "confidence": CONFIDENCE,
        "judge": evaluation.judge,
        "figures": figures,
    }


def to_comparison(evaluations: Sequence[Evaluation]) -> str:
    """Return the headline figures of several models side by side, and those of real digits."""
    first = evaluations[0]
    lines = [["", *(evaluation.model.name for evaluation in evaluations), COLUMNS["real"]]]
    for key, column in HEADLINE:
        row = ROWS[key]
        figures = [evaluation.figures[key].get(column) for evaluation in evaluations]
        real = first.figures[key].get("real")
        lines.append([f"{row.title}: {COLUMNS[column]}", *(_cell(figure, row) for figure in (*figures, real))])
    title = f"{first.n} samples a model, seed {first.seed}; value [95% confidence interval] number of items"
    return "\n".join([title, f"judge sha256 {first.judge}", "", *_aligned(lines)])


def to_text(evaluation: Evaluation) -> str:
    """Return the figures as a table, each with its 95% confidence interval and its number of items."""
    model = evaluation.model
    lines = [
        f"{model.name}: {model.kind} model, preset {model.preset}, prior temperature {model.prior_temperature:g}",
        f"{evaluation.n} samples, seed {evaluation.seed}; value [95% confidence interval] number of items",
        f"judge sha256 {evaluation.judge}",
        "",
    ]
    return "\n".join(lines + _aligned([["", *COLUMNS.values()], *rows(evaluation, _cell)]))


def rows(evaluation: Evaluation, cell: Callable[[Figure | None, Row], str]) -> list[list[str]]:
    """Return the title and the cells of each row that an evaluation has figures of."""
    return [
        [row.title, *(cell(evaluation.figures[key].get(column), row) for column in COLUMNS)]
        for key, row in ROWS.items()
        if key in evaluation.figures
    ]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _cell(figure: Figure | None, row: Row) -> str:
    if figure is None:
        return NONE
    value, low, high = rounded(figure, row)
    return f"{value} [{low}, {high}] {figure.n}"


def rounded(figure: Figure, row: Row) -> tuple[str, str, str]:
    """Return the value and the ends of the interval as a row shows them."""
    factor = 100 if row.percent else 1
    value, low, high = (
        f"{number * factor + 0.0:.{row.decimals}f}" for number in (figure.value, figure.low, figure.high)
    )
    return value, low, high
