"""Each graph of a bundle as a function on arrays of any length: batches, layout and number types end here.

Outside, images are uint8 (n, 28, 28, 3); inside the graphs they are float32 (n, 3, 28, 28) in [0, 1].
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.errors import BundleError
from vaegen.manifest import Manifest, uniforms
from vaegen.noise import Indices, uniform
from vaegen.session import Sessions
from vaegen.spec import CHANNELS, DIGITS, SIDE

# Images a graph sees at a time. It bounds the memory, whatever a call asks for, and what one graph writes is still in
# the processor's cache when the next step reads it: verified samples come 1.4 times as fast as in batches of 512.
BATCH = 128

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Graphs:
    """The five graphs of one bundle; safe to share between threads."""

    def __init__(self, sessions: Sessions, manifest: Manifest) -> None:
        self._sessions = sessions
        self.latent = manifest.model.latent
        self._noise = {graph: uniforms(manifest, graph) for graph in ("sampler", "prior")}

    def encode(self, images: Images, *outputs: str) -> list[Floats]:
        """Return outputs of the encoder, of "latent", "mean", "log_variance" and "logits", (n, ...) each."""
        sizes = {
            "latent": (self.latent.size,),
            "mean": (self.latent.continuous,),
            "log_variance": (self.latent.continuous,),
            "logits": self.latent.categorical,
        }
        shapes = [sizes[name] for name in outputs]

        def run(batch: slice) -> list[Floats]:
            return self._sessions.run("encoder", {"image": to_float(images[batch])}, outputs)

        return _batches(len(images), shapes, run)

    def sampler(self, posterior: dict[str, Floats], seed: int, items: Indices) -> Floats:
        """Draw one latent (n, L) for each row of the posterior, with the noise of the given items."""

        def run(batch: slice) -> list[Floats]:
            inputs = {name: value[batch] for name, value in posterior.items()}
            inputs["uniform"] = uniform(seed, 0, items[batch], self._noise["sampler"])
            return self._sessions.run("sampler", inputs, ["latent"])

        n = len(next(iter(posterior.values())))
        return _batches(n, [(self.latent.size,)], run)[0]

    def prior(
        self,
        digits: npt.NDArray[np.int64],
        colors: npt.NDArray[np.uint8],
        temperature: float,
        seed: int,
        attempt: int,
        items: Indices,
    ) -> Floats:
        """Draw latents (n, L) for digits (n,) in colors (n, 3), 0 to 255, with the noise of the given items."""

        def run(batch: slice) -> list[Floats]:
            inputs: dict[str, npt.NDArray[Any]] = {
                "digit": digits[batch],
                "rgb": colors[batch] / np.float32(255),
                "uniform": uniform(seed, attempt, items[batch], self._noise["prior"]),
                "temperature": np.array(temperature, np.float32),
            }
            return self._sessions.run("prior", inputs, ["latent"])

        return _batches(len(digits), [(self.latent.size,)], run)[0]

    def decode(self, latents: npt.NDArray[np.floating[Any]]) -> Images:
        """Turn latents (n, L) into images.

        Raises:
            BundleError: The decoder gives no numbers.
        """
        images = np.empty((len(latents), SIDE, SIDE, CHANNELS), np.uint8)
        for batch in slices(len(latents)):
            (floats,) = self._sessions.run("decoder", {"latent": _single(latents[batch])}, ["image"])
            if np.isnan(floats.max()):  # the maximum hands on any NaN
                raise BundleError("the decoder gave pixels that are no numbers; try a temperature nearer to 1")
            to_uint8(floats, images[batch])
        return images

    def decode_unrounded(self, latents: npt.NDArray[np.floating[Any]]) -> Floats:
        """Turn latents (n, L) into the decoder's own output, (n, 28, 28, 3)."""

        def run(batch: slice) -> list[Floats]:
            return self._sessions.run("decoder", {"latent": _single(latents[batch])}, ["image"])

        return _batches(len(latents), [(CHANNELS, SIDE, SIDE)], run)[0].transpose(0, 2, 3, 1)

    def judge(self, images: Images) -> Floats:
        """Return the judge's probability of each digit, (n, 10), for images."""

        def run(batch: slice) -> list[Floats]:
            return self._sessions.run("judge", {"image": to_float(images[batch])}, ["logits"])

        odds = _batches(len(images), [(DIGITS,)], run)[0]  # logits, turned into probabilities in their place
        odds -= odds.max(1, keepdims=True)
        np.exp(odds, out=odds)
        odds /= odds.sum(1, keepdims=True)
        return odds


def to_float(images: Images) -> Floats:
    """Turn images into what the graphs take.

    Args:
        images: uint8 (n, 28, 28, 3).

    Returns:
        float32 (n, 3, 28, 28), each value divided by 255.
    """
    floats = np.empty((len(images), CHANNELS, SIDE, SIDE), np.float32)
    np.divide(images.transpose(0, 3, 1, 2), np.float32(255), out=floats)
    return floats


def to_uint8(floats: Floats, images: Images) -> None:
    """Turn what the graphs give into images: times 255, rounded to the nearest, halves to even.

    Args:
        floats: float32 (n, 3, 28, 28) in [0, 1], cut off there if a sum of roundings led outside; used up, so that
            no second array of its size is needed.
        images: uint8 (n, 28, 28, 3), overwritten.
    """
    np.clip(floats, np.float32(0), np.float32(1), out=floats)
    np.multiply(floats, np.float32(255), out=floats)
    np.rint(floats, out=floats)
    whole = floats.astype(np.uint8)
    # Channel by channel: three strided copies take a third of the time of one general transposition.
    for channel in range(CHANNELS):
        images[..., channel] = whole[:, channel]


def _single(latents: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return floats of any size and layout as the graphs take them."""
    return np.ascontiguousarray(latents, np.float32)


def slices(n: int) -> list[slice]:
    """Return the batches of n rows."""
    return [slice(at, min(at + BATCH, n)) for at in range(0, n, BATCH)]


def _batches(n: int, shapes: Sequence[tuple[int, ...]], run: Callable[[slice], list[Floats]]) -> list[Floats]:
    """Run batch by batch and lay the outputs end to end, (n, *shape) each."""
    parts = slices(n)
    if len(parts) == 1:
        return run(parts[0])
    results = [np.empty((n, *shape), np.float32) for shape in shapes]
    for batch in parts:
        for result, part in zip(results, run(batch), strict=True):
            result[batch] = part
    return results
