"""`vaegen export`: from a finished run to a bundle folder, all of it or nothing."""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

import vaegen
from vaegen.errors import ConfigError, ExportError, OutputError, VaegenError
from vaegen.manifest import GRAPHS, MANIFEST, GraphSpec, Manifest
from vaegen.spec import NAMES, ModelSpec, is_name
from vaegen.swap import State, check_folder, write_folder
from vaegen_training.host import own_torch
from vaegen_training.models.judge import load_judge
from vaegen_training.train.run_folder import load_run

from vaegen_export import graphs, parity, serialise


@own_torch()
def export(
    run: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    judge: str | Path | None = None,
    force: bool = False,
) -> Manifest:
    """Export a finished run; return the manifest of the new bundle.

    The same run gives the same bytes each time, with the same versions of torch, onnx and onnxscript.

    Args:
        run: Folder of a finished `vaegen train`.
        out: The bundle's folder; must not exist, or be a bundle that `force` allows to replace.
        name: The model's name in the manifest; None takes its kind, as the shipped bundles do.
        judge: Folder of a finished `vaegen train judge`; None takes the judge that comes with the package.
        force: Replace an existing bundle.

    Raises:
        DataError: The run is not finished or cannot be read.
        OutputError: The target exists, cannot be written, or has changed while the export was at work.
        ExportError: A graph does not compute what torch computes, or the runtime refuses the bundle; nothing is
            written.
    """
    target = Path(out)
    seen = _check_target(target, force=force)
    config, vae, prior, gray = load_run(Path(run))
    reader = load_judge(None if judge is None else Path(judge))
    for module in (prior, reader):  # the prior holds the VAE
        serialise.round_weights(module)
    has_codes = vae.spec.categorical[0] > 0
    spec = ModelSpec(
        name=vae.spec.kind if name is None else _checked_name(name),
        preset=config.preset,
        latent=vae.spec,
        gumbel_temperature=config.objective.temperature_end if has_codes else None,
        prior_temperature=config.prior.temperature,
    )
    built = graphs.build(vae, prior, reader, config.objective.temperature_end)
    files = {graph.name: serialise.to_onnx(graph, spec) for graph in built}
    report = parity.check(built, files, vae.spec, gray)
    manifest = Manifest(
        model=spec,
        graphs={graph.name: _describe(graph, files[graph.name]) for graph in built},
        opset=serialise.OPSET,
        ir_version=serialise.IR_VERSION,
        parity=report,
        producer={package: version(package) for package in ("vaegen", "torch", "onnx", "onnxscript", "onnxruntime")},
        golden=graphs.golden_outputs(built, spec),
    )
    contents = {f"{graph}.onnx": data for graph, data in files.items()} | {MANIFEST: manifest.to_json().encode()}
    write_folder(target, contents, seen, _check_loads)
    return manifest


def _check_loads(folder: Path) -> None:
    try:
        vaegen.load(folder, warm_up=GRAPHS).close()
    except VaegenError as error:
        reason = str(error).replace(f"{folder}{os.sep}", "")  # which is gone when this is read
        raise ExportError(f"the runtime refuses the bundle, so it is not kept: {reason}") from error


def _describe(graph: graphs.Graph, data: bytes) -> GraphSpec:
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
        raise OutputError(f"'{target}' exists and is not a bundle; choose another --out") from FileExistsError(target)
    if any(target.iterdir()) and not force:
        message = f"'{target}' exists; choose another --out, or --force to replace the bundle"
        raise OutputError(message) from FileExistsError(target)
    return seen
