"""The figures as plain text, and as a bundle's manifest holds them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vaegen.bundle import read_manifest
from vaegen.errors import BundleError
from vaegen.files import write_file
from vaegen.manifest import MANIFEST

from vaegen_training.evaluate.evaluation import Evaluation
from vaegen_training.evaluate.statistics import CONFIDENCE, Figure

NONE = "-"


class Form(NamedTuple):
    """How a figure is shown."""

    decimals: int = 2
    percent: bool = False


FORMS: Mapping[str, Form] = {
    "digit_accuracy": Form(percent=True),
    "color_error_median": Form(),
    "color_error_p95": Form(),
    "density": Form(3),
    "coverage": Form(3),
    "classification_accuracy_score": Form(percent=True),
    "told_from_real": Form(3),
    "told_from_real_shape": Form(3),
    "told_from_reconstructions": Form(3),
    "by_one_latent": Form(percent=True),
    "style_error": Form(),
}
"""By metric."""


class Block(NamedTuple):
    """Some rows under one head."""

    head: Sequence[str]
    rows: Mapping[str, Sequence[tuple[str, str] | None]]
    """By title, the metric and the images of each cell."""


_IMAGES = ("raw", "verified", "reconstruction", "real")
BLOCKS = (
    Block(
        ("images", "first draws", "verified", "reconstructed", "real digits"),
        {
            title: [(metric, images) for images in _IMAGES]
            for title, metric in {
                "digits read right, %": "digit_accuracy",
                "color error, median": "color_error_median",
                "color error, 95th percentile": "color_error_p95",
                "density": "density",
                "coverage": "coverage",
                "train on them, test on real, %": "classification_accuracy_score",
            }.items()
        },
    ),
    Block(
        ("told apart by a classifier", "samples, real", "samples, reconstructed", "real, other real"),
        {
            "in full": [
                ("told_from_real", "verified"),
                ("told_from_reconstructions", "verified"),
                ("told_from_real", "real"),
            ],
            "at half brightness": [("told_from_real_shape", "verified"), None, ("told_from_real_shape", "real")],
        },
    ),
    Block(
        ("asked for", "digit", "hue", "slant, degrees", "thickness, pixels"),
        {
            "right by one latent, %": [("by_one_latent", "digit"), ("by_one_latent", "hue"), None, None],
            "off by, median": [None, None, ("style_error", "slant"), ("style_error", "thickness")],
        },
    ),
)
"""Ten rows; no line is longer than 100 characters."""


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
    for metric, form in FORMS.items():
        decimals = form.decimals + 2 * form.percent
        figures[metric] = {
            images: {part: round(getattr(figure, part), decimals) for part in ("value", "low", "high")}
            | {"n": figure.n}
            for images, figure in evaluation.figures[metric].items()
            if images != "real"  # of the digits, not of the bundle
        }
    return {
        "n": evaluation.n,
        "seed": evaluation.seed,
        "confidence": CONFIDENCE,
        "judge": evaluation.judge,
        "figures": figures,
    }


def to_text(evaluation: Evaluation) -> str:
    """Return the figures as a table that fits a screen."""
    model = evaluation.model
    kind = f"{model.kind} model, preset {model.preset}, prior temperature {model.prior_temperature:g}"
    lines = [
        f"{model.name}: {kind}",
        f"{evaluation.n} samples, seed {evaluation.seed}; value ± longer side of its 95% confidence interval",
        f"judge sha256 {evaluation.judge}",
    ]
    parts = ["\n".join(lines)]
    for block in blocks(evaluation):
        widths = [max(map(len, column)) for column in zip(*block, strict=True)]
        parts += ["\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in block)]
    return "\n\n".join(parts)


def blocks(evaluation: Evaluation) -> list[list[list[str]]]:
    """Return the cells of each block, its head first."""
    return [
        [
            list(block.head),
            *(
                [title, *(_cell(evaluation, *place) if place else NONE for place in places)]
                for title, places in block.rows.items()
            ),
        ]
        for block in BLOCKS
    ]


def _cell(evaluation: Evaluation, metric: str, images: str) -> str:
    figure = evaluation.figures[metric].get(images)
    return NONE if figure is None else to_cell(figure, FORMS[metric])


def to_cell(figure: Figure, form: Form) -> str:
    """Return a figure as text, "99.95 ±0.07": its interval reaches no further than that, rounded up, on either side."""
    scale = 10**form.decimals * (100 if form.percent else 1)
    value = round(figure.value * scale)
    half = max(value - math.floor(figure.low * scale + 1e-6), math.ceil(figure.high * scale - 1e-6) - value)
    unit = 10**form.decimals
    return f"{value / unit:.{form.decimals}f}" + (f" ±{half / unit:.{form.decimals}f}" if half else "")
