"""What the outputs of a bundle's graphs must be, beyond their types and shapes: what `vaegen verify` and exports check.

All promises are ones that a client builds on and that follow from what goes in and what else comes out; docs/bundle.md
has them in words.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.errors import BundleError
from vaegen.spec import ModelSpec

ATOL, RTOL = 1e-5, 1e-4  # what the export gate allows
EDGE = 1e-5  # how far outside [0, 1] a sum of roundings may lead
STROKE_PIXELS = 40  # brightest pixels whose mean counts as the color of the stroke

Values = Mapping[str, npt.NDArray[Any]]


def check_values(graph: str, model: ModelSpec, inputs: Values, outputs: Values) -> None:
    """Check what a graph gave.

    Args:
        graph: One of `vaegen.manifest.GRAPHS`.
        model: What the model is.
        inputs: Every input, (n, ...).
        outputs: Every output, (n, ...).

    Raises:
        BundleError: It broke a promise; the message says which.
    """
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise BundleError(f"{name} holds values that are not finite numbers")
    if graph == "decoder":
        _check_decoder(outputs)
    elif graph == "judge":
        _check_judge(model, inputs, outputs)
    else:
        _check_latent(graph, model, outputs)


def _check_decoder(outputs: Values) -> None:
    image = outputs["image"]
    _check_range("image", image)
    if not (outputs["pixels"] == levels(image).astype(np.uint8).transpose(0, 2, 3, 1)).all():
        raise BundleError("pixels are not image times 255, rounded")


def _check_latent(graph: str, model: ModelSpec, outputs: Values) -> None:
    z, (n, k) = model.latent.continuous, model.latent.categorical
    codes = outputs["latent"][:, z:].reshape(len(outputs["latent"]), n, k)
    if graph == "encoder":
        if z and not _close(outputs["latent"][:, :z], outputs["mean"]):
            raise BundleError("the first Z columns of latent are not mean")
        if n and not (codes == np.eye(k)[outputs["logits"].argmax(2)]).all():
            raise BundleError("the codes in latent are not one-hots of the largest logits")
    elif n and not np.allclose(codes.sum(2), 1, atol=1e-3):
        raise BundleError("the codes in latent do not sum to 1")


def _check_judge(model: ModelSpec, inputs: Values, outputs: Values) -> None:
    least, most, real = model.thresholds
    digit, read, probabilities = inputs["digit"], outputs["read"], outputs["probabilities"]
    rows = np.arange(len(digit))
    probability, error, realism = (outputs[name] for name in ("probability", "color_error", "realism"))
    accepted = (probability >= np.float32(least)) & (error <= np.float32(most)) & (realism >= np.float32(real))
    tier = np.where(probability >= np.float32(least), 2, read == digit)
    merit = realism - np.maximum(0, error - most)
    promises = {
        "probabilities do not sum to 1": np.allclose(probabilities.sum(1), 1, atol=1e-3),
        "probability is not that of the digit asked for": _close(probability, probabilities[rows, digit]),
        "read is not the most probable digit": (probabilities[rows, read] == probabilities.max(1)).all(),
        "color is not the mean of the brightest pixels": _close(outputs["color"], _stroke_color(inputs["image"])),
        "color_error is negative": (error >= 0).all(),
        "accepted does not follow from the thresholds": (accepted == outputs["accepted"]).all(),
        "rank does not follow from the rest": _close(
            outputs["rank"], 10 * accepted + 3 * tier + merit / (1 + np.abs(merit))
        ),
    }
    for broken, kept in promises.items():
        if not kept:
            raise BundleError(broken)


def levels(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return images as whole numbers from 0 to 255, halves rounded to even: what 8 bits hold of them."""
    whole: npt.NDArray[np.float32] = np.rint(np.clip(image, np.float32(0), np.float32(1)) * np.float32(255))
    return whole


def _stroke_color(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean color (n, 3) of the pixels at least as bright as the 40th brightest, and not black."""
    pixels = levels(image).reshape(len(image), 3, -1)
    brightness = pixels.max(1, keepdims=True)  # (n, 1, 784)
    least = np.maximum(np.sort(brightness)[:, :, -STROKE_PIXELS, None], 1)
    stroke = brightness >= least
    color: npt.NDArray[np.float32] = (pixels * stroke).sum(2) / (255 * np.maximum(stroke.sum(2), STROKE_PIXELS))
    return color


def _check_range(name: str, value: npt.NDArray[Any]) -> None:
    least, most = value.min(), value.max()
    if least < -EDGE or most > 1 + EDGE:
        raise BundleError(f"{name} runs from {least:g} to {most:g}; it must be 0 to 1")


def _close(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    return np.allclose(found, wanted, atol=ATOL, rtol=RTOL)
