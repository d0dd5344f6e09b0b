"""The gate: an export whose graphs do not compute what torch computes writes nothing.

torch's own `verify=True` tries one input, allows 10% and only logs. This compares every output of every graph,
under the very session options of the runtime, on real and extreme inputs, at several batch sizes.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from vaegen.contract import ATOL, RTOL, check_values
from vaegen.errors import BundleError, ExportError
from vaegen.process import import_onnxruntime
from vaegen.session import default_options
from vaegen.spec import DIGITS, NO_SLANT, NO_THICKNESS, LatentSpec, ModelSpec
from vaegen_training.data import paint

from vaegen_export.graphs import Graph

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCHES = (1, 2, 7, 64)
COLOR_ATOL = 3e-3
"""CIEDE2000; near a gray the difference in hue is a square root, which makes much of a rounding."""
MARGIN = 3e-4
"""Of probability, or of a logit: choices on less than this are left to rounding."""
MOST_UNDECIDED = 0.02
"""Share of the variables."""
Array = np.ndarray[Any, np.dtype[Any]]
_DERIVED = {"pixels", "read", "accepted", "rank"}
_LEAST, _MOST = 2.0**-25, 1 - 2.0**-24  # the smallest and the largest uniform the runtime draws


def check(graphs: list[Graph], files: Mapping[str, bytes], model: ModelSpec, gray: Tensor) -> dict[str, Any]:
    """Compare all graphs with torch, and hold them to the contract (see `vaegen.contract`).

    Latents and images agree within atol + rtol * |value|; posterior parameters and what the judge measures within the
    same with atol times the largest value of the output, for they are sums of terms of that size. One-hots are
    equal, except in a variable whose choice hangs on less than MARGIN of probability or of the largest logit:
    there float32 itself does not decide. Such variables are counted, and few are allowed. What the contract derives
    from other outputs, pixels and verdicts, is compared with those and not with torch's.

    Args:
        graphs: The torch side.
        files: The ONNX bytes by graph name.
        model: What the model is.
        gray: float32 (64, 784) in [0, 1], real test digits.

    Returns:
        The report for the manifest: tolerances, batch sizes, the largest difference seen of each output, and
        the share of undecided variables.

    Raises:
        ExportError: A difference is beyond the tolerance, a one-hot differs or an output is not finite.
    """
    spec = model.latent
    worst: dict[str, float] = {}
    codes = Codes()
    cases = 0
    encoder = next(graph for graph in graphs if graph.name == "encoder")
    for graph in graphs:
        session: InferenceSession = import_onnxruntime().InferenceSession(
            files[graph.name], default_options(1), providers=["CPUExecutionProvider"], enable_fallback=0
        )
        hard = spec.categorical[0] > 0 and graph.name in ("encoder", "prior")
        for label, inputs in _cases(graph, spec, gray, encoder):
            expected = dict(zip(graph.outputs, (value.numpy() for value in graph.run(inputs)), strict=True))
            feed = {name: value.numpy() for name, value in zip(graph.inputs, inputs, strict=True)}
            found = dict(zip(graph.outputs, session.run(list(graph.outputs), feed), strict=True))
            try:
                check_values(graph.name, model, feed, found)
            except BundleError as error:
                raise ExportError(f"parity: {graph.name} on {label}, batch {_rows(inputs)}: {error}") from error
            for name in (name for name in graph.outputs if name not in _DERIVED):
                left, right = expected[name], found[name]
                where = f"{graph.name}.{name} on {label}"
                if hard and name == "latent":
                    codes.compare(where, left, right, _decided(graph, inputs, expected, spec), spec)
                    left, right = left[:, : spec.continuous], right[:, : spec.continuous]
                key = f"{graph.name}.{name}"
                worst[key] = max(worst.get(key, 0.0), _compare(where, left, right, _atol(name, left)))
            cases += 1
        if "uniform" in graph.inputs:
            _survives(graph, session, inputs)
    return {
        "atol": ATOL,
        "rtol": RTOL,
        "batches": list(BATCHES),
        "comparisons": cases,
        "largest_difference": {key: float(f"{value:.3g}") for key, value in worst.items()},
        "undecided_one_hots": codes.share(),
    }


def _rows(inputs: tuple[Tensor, ...]) -> int:
    return next(len(value) for value in inputs if value.ndim)


def _atol(name: str, expected: Array) -> float:
    if name == "color_error":
        return COLOR_ATOL
    return ATOL if name in ("latent", "image") else ATOL * max(1.0, float(np.abs(expected).max(initial=0)))


def _compare(where: str, expected: Array, found: Array, atol: float) -> float:
    if expected.shape != found.shape:
        raise ExportError(f"parity: {where} has shape {found.shape}; torch gives {expected.shape}")
    difference = np.abs(expected.astype(np.float64) - found)
    beyond = difference > atol + RTOL * np.abs(expected)
    if beyond.any():
        raise ExportError(
            f"parity: {where}, batch {len(found)}, differs from torch by {difference.max():.3g}, "
            f"in {int(beyond.sum())} values beyond atol {atol:.3g} + rtol {RTOL}"
        )
    return float(difference.max(initial=0.0))


class Codes:
    """Compares one-hots and counts the variables that float32 leaves undecided."""

    def __init__(self) -> None:
        self.variables = 0
        self.undecided = 0

    def compare(self, where: str, expected: Array, found: Array, decided: Array, spec: LatentSpec) -> None:
        """Compare the categorical part of latents (n, L); `decided` bool (n, N)."""
        left, right = (value[:, spec.continuous :].reshape(-1, *spec.categorical) for value in (expected, found))
        if not ((right == 0) | (right == 1)).all() or not (right.sum(-1) == 1).all():
            raise ExportError(f"parity: {where}, batch {len(found)}, holds rows that are not one-hots")
        wrong = (left != right).any(-1) & decided  # (n, N)
        if wrong.any():
            raise ExportError(f"parity: {where}, batch {len(found)}, has {int(wrong.sum())} other one-hots than torch")
        self.variables += decided.size
        self.undecided += int((~decided).sum())
        if self.undecided > MOST_UNDECIDED * max(self.variables, 10_000):
            raise ExportError(
                f"parity: {where}: too many choices hang on rounding; the model has not learned its codes"
            )

    def share(self) -> float:
        """Return the share of undecided variables."""
        return float(f"{self.undecided / max(1, self.variables):.3g}")


def _decided(graph: Graph, inputs: tuple[Tensor, ...], expected: Mapping[str, Array], spec: LatentSpec) -> Array:
    """Return which categoricals (n, N) have a choice that rounding cannot change."""
    if graph.name == "encoder":
        best = np.sort(expected["logits"], axis=-1)[:, :, -2:]
        decided: Array = best[:, :, 1] - best[:, :, 0] > MARGIN * np.maximum(1, np.abs(best[:, :, 1]))
        return decided
    # The prior's choice moves with its uniform: what is the same on both sides of it is decided.
    noise = list(graph.inputs).index("uniform")
    around = []
    for side in (-1, 1):
        moved = inputs[noise].clone()
        uniform = moved[:, -spec.categorical[0] :]
        # Probabilities near 0 are accurate relative to themselves, those near 1 only to a rounding of 1.
        uniform += side * (4 * MARGIN * uniform * (1 - uniform) + 2e-6 * uniform)
        latent = graph.run((*inputs[:noise], moved, *inputs[noise + 1 :]))[0].numpy()
        around.append(latent[:, spec.continuous :].reshape(-1, *spec.categorical))
    same: Array = (around[0] == around[1]).all(-1)
    return same


def _cases(graph: Graph, spec: LatentSpec, gray: Tensor, encoder: Graph) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """Yield labelled inputs for a graph: real ones at every batch size, then extreme ones."""
    random = torch.Generator().manual_seed(0)
    real = paint.paint(gray, paint.fixed_colors(len(gray)))
    digit = torch.arange(64) % DIGITS
    corners = torch.tensor([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(64)], dtype=torch.float32)
    if graph.name in ("encoder", "judge"):
        asked = (digit, corners) if graph.name == "judge" else ()
        yield from _batches("real digits", (real, *asked))
        for label, image in _extreme_images(real, random):
            yield label, (image, *(tensor[: len(image)] for tensor in asked))
        return
    encoded = dict(zip(encoder.outputs, encoder.run((real,)), strict=True))
    if graph.name == "decoder":
        yield from _batches("real latents", (encoded["latent"],))
        for label, latent in _extreme_latents(spec, random):
            yield label, (latent,)
    elif graph.name == "sampler":
        posterior = tuple(encoded[name] for name in graph.inputs if name != "uniform")
        for label, uniform in _uniforms(64, int(graph.inputs["uniform"].shape[1]), random):
            yield from _batches(f"real posteriors, {label} noise", (*posterior, uniform))
    else:
        size = int(graph.inputs["uniform"].shape[1])
        # Slants and thicknesses from the usual to the impossible, each as often not given.
        slant = torch.tensor([-40.0, 0, 10, 60, NO_SLANT, NO_SLANT]).repeat(11)[:64]
        thickness = torch.tensor([1.0, NO_THICKNESS, 3, NO_THICKNESS, 6]).repeat(13)[:64]
        style = (torch.stack([slant, thickness], dim=1),) if "style" in graph.inputs else ()
        for label, uniform in _uniforms(64, size, random):
            for temperature in (1.0, 0.5, 0.1):
                for palette, rgb in (("uniform colors", paint.fixed_colors(64)), ("pure colors", corners)):
                    named = f"{palette}, temperature {temperature}, {label} noise"
                    for case, inputs in _batches(named, (digit, rgb, uniform, *style)):
                        yield case, (*inputs[:3], torch.tensor(temperature), *inputs[3:])


def _batches(label: str, tensors: tuple[Tensor, ...]) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    for batch in BATCHES:
        yield label, tuple(tensor[:batch] for tensor in tensors)


def _extreme_images(real: Tensor, random: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    yield "black", torch.zeros_like(real[:2])
    yield "white", torch.ones_like(real[:2])
    dot = torch.zeros_like(real[:3])
    dot[:, :, 14, 14] = torch.eye(3)
    yield "a single pixel", dot
    yield "noise", torch.rand(real.shape, generator=random)
    yield "the darkest gray", torch.full_like(real[:2], 1 / 255)


def _extreme_latents(spec: LatentSpec, random: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    z, (n, k) = spec.continuous, spec.categorical
    yield "zeros", torch.zeros(2, spec.size)
    for scale in (1.0, 4.0):
        index = torch.randint(k, (64, n), generator=random) if n else torch.zeros(64, 0, dtype=torch.int64)
        codes = torch.nn.functional.one_hot(index, k).flatten(1).float() if n else torch.zeros(64, 0)
        yield f"N(0, {scale:g})", torch.cat([scale * torch.randn(64, z, generator=random), codes], 1)
    for category in range(k):
        codes = torch.nn.functional.one_hot(torch.full((1, n), category), k).flatten(1).float()
        yield f"class {category} throughout", torch.cat([torch.zeros(1, z), codes], 1)


def _uniforms(n: int, size: int, random: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    usual = torch.rand(n, size, generator=random).clamp(_LEAST, _MOST)
    yield "usual", usual
    # One coordinate in sixteen, at other places in each row. All of them at once, 5 standard deviations out in
    # every direction, drive a flow to where float32 itself has no digits left; `_survives` runs that.
    places = (torch.arange(size) + torch.arange(n)[:, None]) % 16 == 0
    yield "partly smallest", torch.where(places, _LEAST, usual)
    yield "partly largest", torch.where(places, _MOST, usual)


def _survives(graph: Graph, session: "InferenceSession", inputs: tuple[Tensor, ...]) -> None:
    """Run a graph with its noise at either end throughout, and accept whatever is finite.

    Raises:
        ExportError: It is not.
    """
    for value in (_LEAST, _MOST):
        feed = dict(zip(graph.inputs, (tensor.numpy() for tensor in inputs), strict=True))
        feed["uniform"] = np.full_like(feed["uniform"], value)
        if not np.isfinite(session.run(None, feed)[0]).all():
            raise ExportError(f"parity: {graph.name} is not finite where all noise is {value}")
