"""`vaegen export`: from a finished run to a bundle folder, all of it or nothing."""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

import vaegen
from vaegen.errors import ConfigError, ExportError, OutputError, VaegenError, setting
from vaegen.manifest import GRAPHS, MANIFEST, GraphSpec, Manifest
from vaegen.spec import NAMES, ModelSpec, Style, is_name
from vaegen.swap import State, check_folder, write_folder
from vaegen_training.host import own_torch
from vaegen_training.runs.run_folder import Run, load_run

from vaegen_export import graphs, parity, serialise


@own_torch()
def export(
    run: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    force: bool = False,
) -> Manifest:
    """Export a finished run; return the manifest of the new bundle.

    The same run gives the same bytes each time, with the same versions of torch, onnx and onnxscript.

    Args:
        run: Folder of a finished `vaegen train`.
        out: The bundle's folder; must not exist, or be a bundle that `force` allows to replace.
        name: The model's name in the manifest; None takes its kind, as the shipped bundles do.
        force: Replace an existing bundle.

    Raises:
        DataError: The run is not finished or cannot be read.
        OutputError: The target exists, cannot be written, or has changed while the export was at work.
        ExportError: A graph does not compute what torch computes, or the runtime refuses the bundle; nothing is
            written.
    """
    target = Path(out)
    seen = _check_target(target, force=force)
    trained = load_run(Path(run))
    for module in (trained.prior, trained.verifier):  # the prior holds the VAE
        serialise.round_weights(module)
    spec = describe(trained, trained.vae.spec.kind if name is None else _checked_name(name))
    built = graphs.build(spec, trained.vae, trained.prior, trained.verifier)
    files = {graph.name: serialise.to_onnx(graph, spec) for graph in built}
    report = parity.check(built, files, spec, trained.probe)
    manifest = Manifest(
        model=spec,
        graphs={graph.name: _file(graph, files[graph.name]) for graph in built},
        opset=serialise.OPSET,
        ir_version=serialise.IR_VERSION,
        parity=report,
        producer={package: version(package) for package in ("vaegen", "torch", "onnx", "onnxscript", "onnxruntime")},
        golden=graphs.golden_outputs(built, spec),
    )
    contents = {f"{graph}.onnx": data for graph, data in files.items()} | {MANIFEST: manifest.to_json().encode()}
    write_folder(target, contents, seen, _check_loads)
    return manifest


def describe(run: Run, name: str) -> ModelSpec:
    """Return what the model of a run is, under a name."""
    config, spec = run.config, run.vae.spec
    return ModelSpec(
        name=name,
        preset=config.preset,
        latent=spec,
        names=run.vae.latent_names,
        gumbel_temperature=config.objective.temperature_end if spec.categorical[0] else None,
        prior_temperature=config.prior.temperature,
        thresholds=run.verifier.thresholds,
        style=None if run.style is None else Style(*(tuple(round(x, 3) for x in row) for row in run.style.tolist())),
        classes=config.classes or None,
    )


def _check_loads(folder: Path) -> None:
    try:
        vaegen.load(folder, warm_up=GRAPHS).close()
    except VaegenError as error:
        reason = str(error).replace(f"{folder}{os.sep}", "")  # which is gone when this is read
        raise ExportError(f"the runtime refuses the bundle, so it is not kept: {reason}") from error


def _file(graph: graphs.Graph, data: bytes) -> GraphSpec:
    digest = hashlib.sha256(data).hexdigest()
    return GraphSpec(f"{graph.name}.onnx", digest, len(data), graph.inputs, graph.outputs)


def _checked_name(name: str) -> str:
    if not is_name(name):
        raise ConfigError(f"{name!r} is no model name; use {NAMES}")
    return name


def _check_target(target: Path, *, force: bool) -> State:
    seen = check_folder(target)
    if seen is None:
        return None
    if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST).is_file()):
        other = f"choose another {setting('out')}"
        raise OutputError(f"'{target}' exists and is not a bundle; {other}") from FileExistsError(target)
    if any(target.iterdir()) and not force:
        message = f"'{target}' exists; {setting('force', True)} replaces the bundle, or choose another {setting('out')}"
        raise OutputError(message) from FileExistsError(target)
    return seen
