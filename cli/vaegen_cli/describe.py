"""`vaegen models` and `vaegen info`: what models there are, and what is in one. Neither opens a graph."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click
import vaegen
from vaegen.manifest import Manifest

from vaegen_cli.console import Console, common_options, echo, pass_console, put
from vaegen_cli.options import complete_sources, json_option
from vaegen_cli.pictures import lines_of, names_picture, read

COLUMNS = 100  # of a line
LABEL, CELL = 31, 23  # of the table of figures
IMAGES = ("verified", "raw", "reconstruction")
FIGURES = {
    "digit_accuracy": ("accuracy", "%"),
    "color_error_median": ("color error, median", ""),
    "color_error_p95": ("color error, 95th percentile", ""),
    "density": ("density", ""),
    "coverage": ("coverage", "%"),
    "classification_accuracy_score": ("accuracy of what they teach", "%"),
    "told_from_real": ("told from real digits", "%"),
    "told_from_real_shape": ("the same, by shape alone", "%"),
    "told_from_reconstructions": ("told from reconstructions", "%"),
    "by_one_latent": ("decided by one latent", "%"),
    "style_error": ("style error, median", ""),
}
"""What each row of recorded figures is called, and its unit."""


@click.command()
@json_option
@common_options(
    "vaegen models",
    "vaegen models --json",
)
@pass_console
def models(console: Console, as_json: bool) -> None:
    """List the models in this installation.

    Accuracy is the share of verified samples that another judge reads as the digit asked for; color error their
    median CIEDE2000 from the color asked for.
    """
    manifests = []
    for name in vaegen.models():
        with vaegen.load(name) as model:
            manifests.append(model.manifest)
    if as_json:
        put(json.dumps([_summary(manifest) for manifest in manifests]))
        return
    if not manifests:
        console.say("this installation ships no models; give a bundle's folder, as in vaegen info ./my-bundle")
        return
    lines = [("name", "kind", "latent", "size", "preset", "accuracy", "color error")]
    for one in manifests:
        accuracy = _figure(one, "digit_accuracy", "verified")
        error = _figure(one, "color_error_median", "verified")
        figures = f"{accuracy[0]:.2%}" if accuracy else "-", f"{error[0]:.2f}" if error else "-"
        name = f"{one.model.name} (default)" if one.model.name == vaegen.DEFAULT_MODEL else one.model.name
        lines.append((name, one.model.kind, _latent(one), _megabytes(one.size), one.model.preset, *figures))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        put("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@click.command()
@click.argument("source", metavar="MODEL|FOLDER|PICTURE", shell_complete=complete_sources)
@json_option
@common_options(
    "vaegen info joint",
    "vaegen info red-3.png",
)
def info(source: str, as_json: bool) -> None:
    """Show the figures and parts of a model, or how a picture was made.

    Of a model, all files are read and compared with their checksums; one that was damaged or tampered with is refused.
    Figures have 95% intervals in brackets; --json prints the manifest.

    A PNG file of `vaegen sample`, `decode`, `serve` or `explore` carries what made it; --json prints it as an object.
    """
    from vaegen.latent import short

    if names_picture(source):
        facts = read(source)
        if as_json:
            put(json.dumps({"file": source, "width": facts.width, "height": facts.height, "texts": facts.texts}))
            return
        for line in lines_of(source, facts):
            echo(line)
        return
    with vaegen.load(source) as loaded:
        manifest, path = loaded.manifest, loaded.path
    if as_json:
        put(manifest.to_json(), nl=False)
        return
    spec = manifest.model
    gumbel = "none" if spec.gumbel_temperature is None else f"{spec.gumbel_temperature:g}"
    put(f"{spec.name}: {spec.kind} model, preset {spec.preset}, {_megabytes(manifest.size)}")
    for line in _table(manifest.quality.get("figures")):
        put(line)
    echo(f"  folder       {path}")
    put(f"  bundle       {manifest.identity}")
    put(f"  latent       {_latent(manifest)}")
    for title, names in zip(("coordinates", "categoricals"), spec.names, strict=True):
        if names:
            put(textwrap.fill(short(names), COLUMNS, initial_indent=f"  {title:<12} ", subsequent_indent=" " * 15))
    if spec.classes is not None:
        classes = ", ".join(f"{digit} {name}" for digit, name in enumerate(spec.classes))
        put(textwrap.fill(classes, COLUMNS, initial_indent="  classes      ", subsequent_indent=" " * 15))
    put(f"  temperature  prior {spec.prior_temperature:g}, Gumbel {gumbel}")
    limits = spec.thresholds
    accepted = f"probability {limits.probability:g}, color error {limits.color_error:g}, realism {limits.realism:g}"
    put(f"  accepts      {accepted}")
    if spec.style is not None:
        slant, thickness = (f"{part[0]:.3g} to {part[-1]:.3g}" for part in spec.style)
        put(f"  handwriting  slant {slant} degrees, thickness {thickness} pixels")
    put(f"  graphs       opset {manifest.opset}, IR {manifest.ir_version}; bytes and SHA-256:")
    for graph in manifest.graphs.values():
        put(f"    {graph.file:<14}{graph.bytes:>9,} {graph.sha256}")
    measured = {name: value for name, value in manifest.quality.items() if name != "figures"}
    for title, part in (("measured", measured), ("parity", manifest.parity), ("made by", manifest.producer)):
        put(f"  {title}" if part else f"  {title:<12} none recorded")
        flat = _flat(part)
        width = max(map(len, flat), default=0)
        for name, value in flat.items():
            # A checksum that would not fit beside the longest name moves to the left.
            put(f"    {name:<{max(0, min(width, COLUMNS - 6 - len(str(value))))}}  {value}")


def _summary(manifest: Manifest) -> dict[str, Any]:
    model = manifest.model.to_dict()
    return {
        "name": model["name"],
        "kind": manifest.model.kind,
        "latent": model["latent"],
        "bytes": manifest.size,
        "preset": model["preset"],
        "default": model["name"] == vaegen.DEFAULT_MODEL,
        "quality": manifest.quality,
    }


def _figure(manifest: Manifest, row: str, column: str) -> list[float] | None:
    """Return value, low and high of a recorded figure; None where it is not there in the form of docs/bundle.md."""
    try:
        return _numbers(manifest.quality["figures"][row][column])
    except (KeyError, TypeError):
        return None


def _numbers(figure: Any) -> list[float] | None:
    try:
        return [float(figure[name]) for name in ("value", "low", "high")]
    except (KeyError, TypeError, ValueError):
        return None


def _table(figures: Any) -> Iterator[str]:
    """Yield recorded figures with their intervals, those of several kinds of images side by side.

    Names are those of docs/bundle.md; what has another form is left out, and a name that is not known shown as it is.
    """
    figures = figures if isinstance(figures, Mapping) else {}
    rows = {row: _cells(row, columns) for row, columns in figures.items() if isinstance(columns, Mapping)}
    side_by_side = {row: cells for row, cells in rows.items() if cells and not set(cells) - set(IMAGES)}
    if side_by_side:
        yield " " * LABEL + "".join(f"{name:<{CELL}}" for name in IMAGES).rstrip()
    for row, cells in side_by_side.items():
        yield f"  {_label(row):<{LABEL - 2}}" + "".join(f"{cells.get(name, ''):<{CELL}}" for name in IMAGES).rstrip()
    for row, cells in rows.items():
        if cells and row not in side_by_side:
            yield f"  {_label(row):<{LABEL - 2}}" + ", ".join(f"{name} {cell}" for name, cell in cells.items())


def _label(row: str) -> str:
    return FIGURES.get(row, (row, ""))[0]


def _cells(row: str, columns: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of a row that have the form of docs/bundle.md, with their intervals."""
    unit = FIGURES.get(row, ("", ""))[1]
    cells = {}
    for name, figure in columns.items():
        if (found := _numbers(figure)) is None:
            continue
        if unit == "%":
            found = [100 * number for number in found]
        value, low, high = (f"{number:.4g}" for number in found)
        cells[name] = f"{value}{unit} [{low}, {high}]"
    return cells


def _latent(manifest: Manifest) -> str:
    """Return the latent space in letters: "Z=32, N=40 of K=20, L=832"."""
    latent = manifest.model.latent
    parts = [f"Z={latent.continuous}"] if latent.continuous else []
    if latent.categorical[0]:
        parts.append("N={} of K={}".format(*latent.categorical))
    return ", ".join([*parts, f"L={latent.size}"])


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def _flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one level with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
