"""Checking a bundle far more closely than loading does: what `vaegen verify` runs before a bundle is trusted.

Loading holds each file against its checksum. This also examines the files themselves: which operators they use, which
model they claim to be, and whether they compute what the bundle's contract says. It needs neither torch nor onnx.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen import bundle as bundles
from vaegen import golden
from vaegen.errors import BundleError
from vaegen.noise import uniform
from vaegen.protobuf import outline
from vaegen.session import Sessions
from vaegen.spec import DIGITS, GRAPHS, MANIFEST, Manifest, ModelSpec, uniforms

# Deterministic, side-effect-free operators of ONNX's own domain. No random ones, no control flow, no loops, no
# sequences, no strings, nothing that reads a file: a graph of these does a bounded amount of plain arithmetic.
_OPERATORS = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Clip Concat Constant ConstantOfShape
    Conv ConvTranspose CumSum Div Einsum Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu
    Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mod Mul Neg Not OneHot
    Or Pad Pow PRelu Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shape Sigmoid Sign
    Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh TopK Transpose Trilu Unsqueeze Where Xor
"""
OPERATORS = frozenset(_OPERATORS.split())
METADATA_KEY = "vaegen"
BATCHES = (1, 2, 7)  # held against one batch of ROWS
ROWS = 64
ATOL, RTOL = 1e-5, 1e-4  # what the export gate allows; see DESIGN, "the bundle"
EDGE = 1e-5  # how far outside [0, 1] a sum of roundings may lead

Values = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Check:
    """One check."""

    file: str
    """Name of the file in the bundle's folder."""
    name: str
    """"schema", "hash", "format", "operators", "tensors", "batch", "values" or "golden"."""
    problem: str | None
    """One line, or None where all is well."""


@dataclass(frozen=True)
class Verification:
    """All checks of one bundle."""

    path: Path
    """The bundle's folder."""
    model: ModelSpec | None
    """What the bundle says it is; None where its manifest cannot be read."""
    checks: tuple[Check, ...]
    """In the order they were made. A file that fails one is not checked further."""

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.problem is not None)


def verify(name_or_path: str | os.PathLike[str]) -> Verification:
    """Check a whole bundle.

    - schema: the manifest is one of this version, and its tensors are those its latent spec asks for;
    - hash: each graph is, byte for byte, the one the manifest records;
    - format: it is ONNX of the opset and IR version that the manifest names, all its data inside, no functions,
      subgraphs or training parts, and it names the same model as the manifest;
    - operators: only those of OPERATORS;
    - tensors: onnxruntime opens it and finds the inputs and outputs of the manifest;
    - batch: a row gives the same in batches of 1, 2, 7 and 64, within the tolerances of the export gate;
    - values: what comes out is finite, images lie in [0, 1], the encoder's latent is its mean and the one-hots of its
      largest logits, codes sum to 1;
    - golden: on fixed inputs each output comes to the numbers that the manifest records (see `vaegen.golden`).

    Args:
        name_or_path: The name of a shipped model, or a bundle's folder.

    Raises:
        RequestError: No model of that name.
        BundleError: There is no such folder. What is wrong inside it is reported, not raised.
    """
    path = bundles.find(name_or_path)
    try:
        manifest = bundles.read_manifest(path)
    except BundleError as error:
        return Verification(path, None, (Check(MANIFEST, "schema", str(error)),))
    bundle = bundles.Bundle(path, manifest, {})
    checks = {name: _record(manifest.graphs[name].file, _look_inside(bundle, name)) for name in GRAPHS}
    sessions = Sessions(bundle, threads=1)
    values = _first_values(manifest)
    # In this order each graph finds what it takes among the outputs of those before it.
    for name in ("prior", "decoder", "encoder", "sampler", "judge"):
        graph = manifest.graphs[name]
        own = values | _noise(manifest, name)
        if checks[name][-1].problem is None and graph.inputs.keys() <= own.keys():
            inputs = {key: own[key] for key in graph.inputs}
            checks[name] += _record(graph.file, _look_at_values(sessions, manifest, name, inputs, values))
    for name in GRAPHS:
        if checks[name][-1].problem is None:
            checks[name] += _record(manifest.graphs[name].file, _look_at_golden(sessions, manifest, name))
    sessions.close()
    found = [Check(MANIFEST, "schema", None), *(check for name in GRAPHS for check in checks[name])]
    return Verification(path, manifest.model, tuple(found))


def _record(file: str, steps: Iterator[str]) -> list[Check]:
    """Go through the steps, each of which names itself before it is done, up to the first that fails."""
    checks: list[Check] = []
    name = next(steps)
    try:
        for following in steps:
            checks.append(Check(file, name, None))
            name = following
    except BundleError as error:
        return [*checks, Check(file, name, str(error))]
    return [*checks, Check(file, name, None)]


def _look_inside(bundle: bundles.Bundle, name: str) -> Iterator[str]:
    """Check what one file is, without running it."""
    yield "hash"
    bundle.graphs[name] = bundles.read_graph(bundle.path, bundle.manifest.graphs[name])

    yield "format"
    data = bundle.take(name)  # refuses external tensors
    found, manifest = outline(data), bundle.manifest
    if found.extras:
        raise BundleError(f"the graph has a {', a '.join(sorted(found.extras))}; a bundle's graphs have none")
    if found.opsets != {"": manifest.opset} or found.ir_version != manifest.ir_version:
        raise BundleError(
            f"opsets {dict(found.opsets)} and IR {found.ir_version}; "
            f"the manifest says opset {manifest.opset} and IR {manifest.ir_version}"
        )
    if _metadata(found.metadata.get(METADATA_KEY, "")) != manifest.model.to_dict():
        raise BundleError("its metadata names another model than the manifest; the files do not belong together")

    yield "operators"
    refused = sorted(found.operators - OPERATORS)
    if refused:
        raise BundleError(f"operators {', '.join(refused)} are not on the list of those a bundle may use")
    bundle.graphs[name] = data


def _metadata(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _look_at_values(sessions: Sessions, manifest: Manifest, name: str, inputs: Values, values: Values) -> Iterator[str]:
    """Run one graph and check what it gives; adds its outputs to the values for the next."""
    outputs = list(manifest.graphs[name].outputs)

    yield "tensors"
    results = dict(zip(outputs, sessions.run(name, inputs, outputs), strict=True))

    yield "batch"
    for size in BATCHES:
        part = {key: value[:size] if value.ndim else value for key, value in inputs.items()}
        for output, rows in zip(outputs, sessions.run(name, part, outputs), strict=True):
            whole = results[output][:size]
            if rows.shape != whole.shape or not np.allclose(rows, whole, atol=ATOL, rtol=RTOL, equal_nan=True):
                raise BundleError(f"{output} differs between a batch of {size} and one of {ROWS}")

    yield "values"
    for output, value in results.items():
        if not np.isfinite(value).all():
            raise BundleError(f"{output} holds values that are not finite numbers")
    if name == "decoder" and (results["image"].min() < -EDGE or results["image"].max() > 1 + EDGE):
        raise BundleError(
            f"image runs from {results['image'].min():g} to {results['image'].max():g}; it must be 0 to 1"
        )
    z, (n, k) = manifest.model.latent.continuous, manifest.model.latent.categorical
    if name == "encoder":
        if z and not np.allclose(results["latent"][:, :z], results["mean"], atol=ATOL, rtol=RTOL):
            raise BundleError("the first Z columns of latent are not mean")
        if n and not (results["latent"][:, z:].reshape(-1, n, k) == np.eye(k)[results["logits"].argmax(2)]).all():
            raise BundleError("the codes in latent are not one-hots of the largest logits")
    if name in ("prior", "sampler") and n:
        sums = results["latent"][:, z:].reshape(-1, n, k).sum(2)
        if not np.allclose(sums, 1, atol=1e-3):
            raise BundleError("the codes in latent do not sum to 1")
    values |= results


def _look_at_golden(sessions: Sessions, manifest: Manifest, name: str) -> Iterator[str]:
    """Run one graph on the fixed inputs and hold its outputs against the recorded ones."""
    yield "golden"
    graph = manifest.graphs[name]
    outputs = list(graph.outputs)
    results = sessions.run(name, golden.inputs(graph.inputs, manifest.model), outputs)
    for output, value in zip(outputs, results, strict=True):
        codes = output == "latent" and name in ("encoder", "prior") and manifest.model.latent.categorical[0] > 0
        golden.compare(output, manifest.golden.get(f"{name}.{output}"), value, codes=codes)


def _first_values(manifest: Manifest) -> Values:
    """Return what the prior takes: every digit, in bright colors of all hues."""
    rows = np.arange(ROWS)
    hue = rows[:, None] / ROWS + np.arange(3) / 3
    return {
        "digit": rows % DIGITS,
        "rgb": (0.5 + 0.5 * np.cos(2 * np.pi * hue)).astype(np.float32),
        "temperature": np.array(manifest.model.prior_temperature, np.float32),
    }


def _noise(manifest: Manifest, name: str) -> Values:
    """Return the uniforms of a graph that takes some."""
    takes_noise = "uniform" in manifest.graphs[name].inputs
    return {"uniform": uniform(0, 0, range(ROWS), uniforms(manifest, name))} if takes_noise else {}
