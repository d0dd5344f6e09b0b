"""`vaegen models` and `vaegen info`: what models there are, and what is in one. Neither opens a graph."""

import json
from collections.abc import Mapping
from typing import Any

import click
import vaegen
from vaegen.manifest import Manifest

from vaegen_cli.console import Console, common_options, echo, pass_console, put
from vaegen_cli.options import complete_models, json_option

COLUMNS = 100  # of a figure's line


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
        console.say("this installation ships no models; give --model a bundle's folder")
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
@click.argument("model", metavar="MODEL|FOLDER", shell_complete=complete_models)
@json_option
@common_options(
    "vaegen info joint",
    "vaegen info ./my-bundle --json",
)
def info(model: str, as_json: bool) -> None:
    """Show the latent space, graphs, checksums and figures of a model.

    All files are read and compared with their checksums; a bundle that was damaged or tampered with is refused.
    --json prints the manifest.
    """
    from vaegen.latent import short

    with vaegen.load(model) as loaded:
        manifest, path = loaded.manifest, loaded.path
    if as_json:
        put(manifest.to_json(), nl=False)
        return
    spec = manifest.model
    gumbel = "none" if spec.gumbel_temperature is None else f"{spec.gumbel_temperature:g}"
    put(f"{spec.name}: {spec.kind} model, preset {spec.preset}")
    echo(f"  folder       {path}")
    put(f"  latent       {_latent(manifest)}")
    for title, names in zip(("coordinates", "categoricals"), spec.names, strict=True):
        if names:
            put(f"  {title:<12} {short(names)}")
    put(f"  temperature  prior {spec.prior_temperature:g}, Gumbel {gumbel}")
    limits = spec.thresholds
    accepted = f"probability {limits.probability:g}, color error {limits.color_error:g}, realism {limits.realism:g}"
    put(f"  accepts      {accepted}")
    if spec.style is not None:
        slant, thickness = (f"{part[0]:.3g} to {part[-1]:.3g}" for part in spec.style)
        put(f"  handwriting  slant {slant} degrees, thickness {thickness} pixels")
    put(f"  graphs       {_megabytes(manifest.size)}, opset {manifest.opset}, IR {manifest.ir_version}")
    for graph in manifest.graphs.values():
        put(f"    {graph.file:<14}{graph.bytes:>9,} bytes  sha256 {graph.sha256}")
    for title, facts in (("parity", manifest.parity), ("quality", _quality(manifest)), ("made by", manifest.producer)):
        put(f"  {title}" if facts else f"  {title:<12} none recorded")
        flat = _flat(facts)
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


def _figure(manifest: Manifest, row: str, column: str) -> tuple[float, float, float] | None:
    """Return value, low and high of a recorded figure; None where it is not there in the form of docs/bundle.md."""
    try:
        figure = manifest.quality["figures"][row][column]
        return float(figure["value"]), float(figure["low"]), float(figure["high"])
    except (KeyError, TypeError, ValueError):
        return None


def _quality(manifest: Manifest) -> dict[str, Any]:
    """Return the quality figures, each with its interval on one line."""
    figures = manifest.quality.get("figures")
    if not isinstance(figures, Mapping):
        return dict(manifest.quality)
    shown = {}
    for row, column in ((row, column) for row, columns in figures.items() for column in columns):
        figure = _figure(manifest, row, column)
        if figure:
            shown[f"{row}, {column}"] = "{:g} [{:g}, {:g}]".format(*figure)
    return {**{name: value for name, value in manifest.quality.items() if name != "figures"}, **shown}


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
