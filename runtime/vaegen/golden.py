"""Golden outputs: what each graph of a bundle computes on fixed inputs, as a few numbers in its manifest.

A checksum says that a file is the one that was exported. These numbers, made by the reference implementation at
export, say that it computes here what it computed there: on this processor, with this onnxruntime. They are coarse
enough for the rounding of any float32 arithmetic, and far too fine for other weights or a runtime that is wrong.

Ten rows go through each graph, by themselves, so that no graph's rounding reaches another. Every input follows from
its name: digits 0 to 9, fixed colors, and otherwise uniforms of seed 0, spread over the range that the input has in
use. One number is kept of each row of an output: its n values, summed with fixed random weights and divided by
sqrt(n), so that it is of the size of the values themselves. A plain sum would not see that values changed places.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.errors import BundleError
from vaegen.latent import COLOR
from vaegen.manifest import TensorSpec
from vaegen.noise import uniform
from vaegen.spec import DIGITS, SIDE, ModelSpec

ROWS = DIGITS
DECIMALS = 6
# Of an output's root mean square. onnxruntime with and without its optimisations and onnx's reference implementation
# in numpy are within 8e-6 of torch on the shipped models; matrices multiplied in bfloat16 are off by 2e-3.
TOLERANCE = 2e-4
LEVELS = 0.1  # of 255, in what pixels come to: three in a hundred may be rounded to the next level
UNSURE = 1  # rows that may differ where something is chosen, for a choice can hang on the last bit
SEED, INPUTS, WEIGHTS = 0, 0, 1  # seed, and the attempts whose uniforms make inputs and weights

_RGB = np.array(
    [
        (255, 0, 0),
        (255, 128, 0),
        (255, 255, 0),
        (0, 255, 0),
        (0, 255, 255),
        (0, 0, 255),
        (255, 0, 255),
        (255, 255, 255),
        (128, 64, 0),
        (96, 96, 160),
    ]
)
# From uniforms: the least value of an input and its range.
_SPREAD: dict[str, tuple[npt.ArrayLike, npt.ArrayLike]] = {
    "uniform": (0, 1),
    "mean": (-2, 4),
    "log_variance": (-6, 6),
    "logits": (-4, 8),
    "style": ([-30, 1], [60, 4]),
}

Values = dict[str, npt.NDArray[Any]]


def inputs(tensors: Mapping[str, TensorSpec], model: ModelSpec) -> Values:
    """Return the fixed inputs of one graph.

    `digit` is 0 to 9, `rgb` ten colors, `temperature` the model's own. With u, as many uniforms as the input has values
    a row, of items 0 to 9 of seed 0, attempt 0: `uniform` is u; `mean` 4 u - 2; `log_variance` 6 u - 6; `logits` 8 u -
    4; `style` 60 u - 30 and 4 u + 1; `image` the row's color times u, pixel by pixel; `latent` in each categorical the
    class with the largest u, in coordinates named as in COLOR u, and 4 u - 2 in the others.

    Args:
        tensors: The graph's inputs as the manifest has them.
        model: What the model is.

    Returns:
        Each input, (10, ...); `temperature` a scalar.
    """
    values: Values = {}
    for name, tensor in tensors.items():
        sizes = tuple(int(size) for size in tensor.shape[1:])
        if name == "digit":
            values[name] = np.arange(ROWS)
        elif name == "rgb":
            values[name] = (_RGB / 255).astype(np.float32)
        elif name == "temperature":
            values[name] = np.array(model.prior_temperature, np.float32)
        elif name == "image":
            gray = _uniforms(SIDE * SIDE).reshape(-1, 1, SIDE, SIDE)
            values[name] = gray * (_RGB / 255).astype(np.float32)[:, :, None, None]
        elif name == "latent":
            values[name] = _latent(model)
        else:
            least, width = _SPREAD[name]
            spread = _uniforms(int(np.prod(sizes))).reshape(ROWS, *sizes) * np.asarray(width, np.float32)
            values[name] = spread + np.asarray(least, np.float32)
    return values


def summarise(output: npt.NDArray[Any]) -> list[float]:
    """Return one number for each row of an output (10, ...): the sum of its n values times their weights, over sqrt(n).

    The weight of value j is 2 v - 1, v being uniform j of item 0 of seed 0, attempt 1.
    """
    rows = output.reshape(ROWS, -1).astype(np.float64)
    n = rows.shape[1]
    weights = 2 * uniform(SEED, WEIGHTS, range(1), n)[0].astype(np.float64) - 1
    numbers: list[float] = (rows @ weights / np.sqrt(n)).round(DECIMALS).tolist()
    return numbers


def compare(name: str, recorded: list[float] | None, output: npt.NDArray[Any], *, chosen: bool) -> None:
    """Hold an output against what the manifest records.

    Args:
        name: Of the output.
        recorded: The manifest's numbers; None where it has none.
        output: What the graph gave for `inputs`, (10, ...).
        chosen: Whether it is, or comes of, a choice between two classes or sides of a threshold.

    Raises:
        BundleError: It differs, or nothing is recorded.
    """
    if recorded is None or len(recorded) != ROWS:
        raise BundleError(f"the manifest records no golden outputs for {name}; export the model again")
    found = summarise(output)
    tolerance = TOLERANCE * float(np.sqrt(np.mean(np.square(output, dtype=np.float64))))
    if output.dtype == np.uint8:
        tolerance += LEVELS
    # Written so that a difference of NaN counts as one.
    wrong = [row for row in range(ROWS) if not abs(found[row] - recorded[row]) <= tolerance]
    if len(wrong) > (UNSURE if chosen else 0):
        row = wrong[0]
        raise BundleError(
            f"{name} comes to {found[row]:g} in golden row {row}, and {recorded[row]:g} is recorded (within "
            f"{tolerance:.2g}): other weights, or a runtime that computes something else here"
        )


def _uniforms(size: int) -> npt.NDArray[np.float32]:
    return uniform(SEED, INPUTS, range(ROWS), size)


def _latent(model: ModelSpec) -> npt.NDArray[np.float32]:
    z, (n, k) = model.latent.continuous, model.latent.categorical
    values = _uniforms(model.latent.size)
    codes = np.eye(k, dtype=np.float32)[values[:, z:].reshape(ROWS, n, k).argmax(2)] if n else values[:, z:]
    # Most values of 4 u - 2 are no saturation or brightness, and would leave four rows in ten black.
    plain = np.isin(model.names.continuous, list(COLOR))
    spread = np.where(plain, values[:, :z], values[:, :z] * np.float32(4) - np.float32(2))
    return np.concatenate([spread, codes.reshape(ROWS, n * k)], 1)
