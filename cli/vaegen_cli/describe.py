"""`vaegen models` and `vaegen info`: what there is, and what is in it. Neither opens a graph."""

import json
from collections.abc import Mapping
from typing import Any

import click
import vaegen
from vaegen.spec import Manifest

from vaegen_cli.console import Console, common_options, pass_console
from vaegen_cli.options import complete_models, json_option


@click.command()
@json_option
@common_options(
    "vaegen models",
    "vaegen models --json",
)
@pass_console
def models(console: Console, as_json: bool) -> None:
    """List the models in this installation."""
    manifests = []
    for name in vaegen.models():
        with vaegen.load(name) as model:
            manifests.append(model.manifest)
    if as_json:
        click.echo(json.dumps([_summary(manifest) for manifest in manifests]))
        return
    if not manifests:
        console.say("this installation ships no models; give --model a bundle's folder")
        return
    lines = [("name", "kind", "latent", "size", "preset")]
    lines += [
        (one.model.name, one.model.kind, _latent(one), _megabytes(_size(one)), one.model.preset) for one in manifests
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@click.command()
@click.argument("model", metavar="MODEL|FOLDER", shell_complete=complete_models)
@json_option
@common_options(
    "vaegen info joint",
    "vaegen info ./my-bundle --json",
)
def info(model: str, as_json: bool) -> None:
    """Show the latent space, graphs, checksums and figures of a model.

    All files are read and held against their checksums; a bundle that was damaged or tampered with is refused.
    --json prints the manifest.
    """
    with vaegen.load(model) as loaded:
        manifest, path = loaded.manifest, loaded.path
    if as_json:
        click.echo(manifest.to_json(), nl=False)
        return
    spec = manifest.model
    gumbel = "none" if spec.gumbel_temperature is None else f"{spec.gumbel_temperature:g}"
    click.echo(f"{spec.name}: {spec.kind} model, preset {spec.preset}")
    click.echo(f"  folder       {path}")
    click.echo(f"  latent       {_latent(manifest)}")
    click.echo(f"  temperature  prior {spec.prior_temperature:g}, Gumbel {gumbel}")
    click.echo(f"  graphs       {_megabytes(_size(manifest))}, opset {manifest.opset}, IR {manifest.ir_version}")
    for graph in manifest.graphs.values():
        click.echo(f"    {graph.file:<14}{graph.bytes:>9,} bytes  sha256 {graph.sha256}")
    for title, facts in (
        ("parity", manifest.parity),
        ("quality", manifest.quality),
        ("made by", manifest.producer),
    ):
        click.echo(f"  {title}" if facts else f"  {title:<12} none recorded")
        for name, value in _flat(facts).items():
            click.echo(f"    {name:<28} {value}")


def _summary(manifest: Manifest) -> dict[str, Any]:
    model = manifest.model.to_dict()
    return {
        "name": model["name"],
        "kind": manifest.model.kind,
        "latent": model["latent"],
        "bytes": _size(manifest),
        "preset": model["preset"],
        "default": model["name"] == vaegen.DEFAULT_MODEL,
    }


def _latent(manifest: Manifest) -> str:
    """Name the latent space: "Z=32, N=40 of K=20, L=832"."""
    latent = manifest.model.latent
    parts = [f"Z={latent.continuous}"] if latent.continuous else []
    if latent.categorical[0]:
        parts.append("N={} of K={}".format(*latent.categorical))
    return ", ".join([*parts, f"L={latent.size}"])


def _size(manifest: Manifest) -> int:
    return sum(graph.bytes for graph in manifest.graphs.values())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def _flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into one level with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
