"""A trial run of a bundle's graphs, for `vaegen verify`: a process of its own that runs them and tells what it finds.

A graph is a program of a stranger's, in a large C++ runtime. What it may do to the process that runs it, end it, fill
its memory or never come back, happens here; `vaegen.verification` starts this process and reads what it says. Each
step is a line of JSON, [graph, step, problem], written before the step is done, and once more if it fails.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen import golden
from vaegen.bundle import Bundle
from vaegen.contract import ATOL, RTOL, check_values
from vaegen.errors import BundleError
from vaegen.manifest import Manifest, uniforms
from vaegen.noise import uniform
from vaegen.session import Sessions
from vaegen.spec import DIGITS, NO_SLANT, NO_THICKNESS

BATCHES = (1, 2, 7)  # held against one batch of ROWS
ROWS = 64

# In this order each graph finds what it takes among the outputs of those before it.
ORDER = ("prior", "decoder", "encoder", "sampler", "judge")

Values = dict[str, npt.NDArray[Any]]


def main() -> None:
    """Run what stdin asks for, within its limits."""
    asked = json.load(sys.stdin)
    _limit(asked["limits"])
    _try_out(Bundle(Path(asked["path"]), Manifest.from_json(asked["manifest"]), {}), asked["graphs"])
    _tell("", "done")
    sys.stdout.flush()
    os._exit(0)  # all is said; what onnxruntime does at exit is nobody's concern


def _limit(limits: dict[str, int]) -> None:
    """Limit what this process may use, where the system can."""
    try:
        import resource
    except ImportError:  # Windows, where the parent's clock is all there is
        return
    for name, value in limits.items():
        # Less may be allowed already, and a system may lack a limit.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            resource.setrlimit(getattr(resource, name), (value, value))


def _try_out(bundle: Bundle, graphs: Sequence[str]) -> None:
    """Run graphs and tell what is found."""
    manifest = bundle.manifest
    sessions = Sessions(bundle, threads=1)
    values = _first_values(manifest)
    good = set(graphs)
    for name in ORDER:
        graph = manifest.graphs[name]
        own = values | _noise(manifest, name)
        if name in good and graph.inputs.keys() <= own.keys():
            inputs = {key: own[key] for key in graph.inputs}
            if not _holds(name, _look_at_values(sessions, manifest, name, inputs, values)):
                good.remove(name)
    for name in graphs:
        if name in good:
            _holds(name, _look_at_golden(sessions, manifest, name))


def _holds(graph: str, steps: Iterator[str]) -> bool:
    """Go through the steps, each of which names itself before it is done; return whether none failed."""
    step = ""
    try:
        for step in steps:
            _tell(graph, step)
    except (BundleError, MemoryError) as error:
        _tell(graph, step, str(error) or "not enough memory")
        return False
    return True


def _tell(graph: str, step: str, problem: str | None = None) -> None:
    print(json.dumps([graph, step, problem]), flush=True)


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
            atol = 1 if output == "pixels" else ATOL
            if rows.shape != whole.shape or not np.allclose(rows, whole, atol=atol, rtol=RTOL, equal_nan=True):
                raise BundleError(f"{output} differs between a batch of {size} and one of {ROWS}")

    yield "values"
    check_values(name, manifest.model, inputs, results)
    values |= results


def _look_at_golden(sessions: Sessions, manifest: Manifest, name: str) -> Iterator[str]:
    """Run one graph on the fixed inputs and hold its outputs against the recorded ones."""
    yield "golden"
    graph = manifest.graphs[name]
    outputs = list(graph.outputs)
    results = sessions.run(name, golden.inputs(graph.inputs, manifest.model), outputs)
    for output, value in zip(outputs, results, strict=True):
        chosen = output in ("read", "accepted", "rank") or (
            output == "latent" and name in ("encoder", "prior") and manifest.model.latent.categorical[0] > 0
        )
        golden.compare(output, manifest.golden.get(f"{name}.{output}"), value, chosen=chosen)


def _first_values(manifest: Manifest) -> Values:
    """Return what the prior takes: every digit, in bright colors of all hues, with and without a style."""
    rows = np.arange(ROWS)
    hue = rows[:, None] / ROWS + np.arange(3) / 3
    style = np.where(rows[:, None] % 4 < [[2, 3]], [[10, 2.5]], [[NO_SLANT, NO_THICKNESS]])
    return {
        "digit": rows % DIGITS,
        "rgb": (0.5 + 0.5 * np.cos(2 * np.pi * hue)).astype(np.float32),
        "temperature": np.array(manifest.model.prior_temperature, np.float32),
        "style": style.astype(np.float32),
    }


def _noise(manifest: Manifest, name: str) -> Values:
    """Return the uniforms of a graph that takes some."""
    takes_noise = "uniform" in manifest.graphs[name].inputs
    return {"uniform": uniform(0, 0, range(ROWS), uniforms(manifest, name))} if takes_noise else {}
