"""Each graph of a bundle as a function on arrays of any length: batches, layout and number types end here.

Outside, images are uint8 (n, 28, 28, 3); between the graphs they are float32 (n, 3, 28, 28) in [0, 1].
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.errors import BundleError
from vaegen.manifest import Manifest, TensorSpec, uniforms
from vaegen.noise import Indices, uniform
from vaegen.session import Array, Sessions, filled
from vaegen.spec import CHANNELS, SIDE

# Images a graph sees at a time. It bounds the memory, whatever a call asks for, and what one graph writes is still in
# the processor's cache when the next step reads it: verified samples come 1.4 times as fast as in batches of 512.
BATCH = 128

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

VERDICT = ("read", "probability", "color", "color_error", "realism", "accepted", "rank")
"""What the judge says of an image as the answer to a request."""


class Graphs:
    """The five graphs of one bundle; safe to share between threads."""

    def __init__(self, sessions: Sessions, manifest: Manifest) -> None:
        self._sessions = sessions
        self.latent = manifest.model.latent
        self.styled = manifest.model.style is not None
        self.outputs: dict[str, Mapping[str, TensorSpec]] = {
            name: graph.outputs for name, graph in manifest.graphs.items()
        }
        self._noise = {graph: uniforms(manifest, graph) for graph in ("sampler", "prior")}

    def encode(self, images: Images, *outputs: str) -> list[Array]:
        """Return outputs of the encoder, of "latent", "mean", "log_variance" and "logits", (n, ...) each."""
        return self._batches("encoder", len(images), outputs, lambda batch: {"image": to_float(images[batch])})

    def sampler(self, posterior: Mapping[str, Floats], seed: int, items: Indices) -> Floats:
        """Draw one latent (n, L) for each row of the posterior, with the noise of the given items."""

        def inputs(batch: slice) -> dict[str, Array]:
            noise = self.noise("sampler", seed, 0, items[batch])
            return {**{name: value[batch] for name, value in posterior.items()}, "uniform": noise}

        n = len(next(iter(posterior.values())))
        return self._batches("sampler", n, ("latent",), inputs)[0]

    def noise(self, graph: str, seed: int, attempts: int | range, items: Indices) -> Floats:
        """Return the uniforms (n, S) that "sampler" or "prior" takes for some items of a seed, for each attempt."""
        return uniform(seed, attempts, items, self._noise[graph])

    def prior(self, request: Mapping[str, Array]) -> Floats:
        """Draw latents (n, L).

        Args:
            request: The graph's inputs, of one batch; one of a model without style does not take `style`.

        Raises:
            BundleError: The prior gives no numbers.
        """
        if not self.styled:
            request = {name: value for name, value in request.items() if name != "style"}
        (latents,) = self._sessions.run("prior", request, ("latent",))
        if not np.isfinite(latents).all():
            raise BundleError("the prior gave latents that are no numbers; try a temperature nearer to 1")
        return latents

    def answer(self, request: Mapping[str, Array], verdict: Sequence[str]) -> tuple[Images, Floats, list[Array]]:
        """Answer one batch of requests: draw latents, decode them and have the images judged.

        Args:
            request: What `prior` takes.
            verdict: Outputs of the judge that are wanted; where there are none, it is not asked.

        Returns:
            Images, latents and verdict, (n, ...) each.
        """
        n = len(request["digit"])
        request, missing = filled(request, n)  # once for all three graphs
        latents = self.prior(request)
        said: list[Array] = []
        if verdict:
            image, pixels = self._sessions.run("decoder", {"latent": latents}, ("image", "pixels"))
            asked = {"image": image, "digit": request["digit"], "rgb": request["rgb"]}
            said = self._sessions.run("judge", asked, verdict)
        else:
            (pixels,) = self._sessions.run("decoder", {"latent": latents}, ("pixels",))
        if missing:
            pixels, latents, said = pixels[:n], latents[:n], [each[:n] for each in said]
        return pixels, latents, said

    def decode(self, latents: npt.NDArray[np.floating[Any]]) -> Images:
        """Turn latents (n, L) into images."""
        return self._decoded("pixels", latents)

    def decode_unrounded(self, latents: npt.NDArray[np.floating[Any]]) -> Floats:
        """Turn latents (n, L) into the decoder's own output, (n, 28, 28, 3)."""
        return self._decoded("image", latents).transpose(0, 2, 3, 1)

    def judge(self, images: Images) -> Floats:
        """Return the judge's probability of each digit, (n, 10), for images."""

        def inputs(batch: slice) -> dict[str, Array]:
            floats = to_float(images[batch])
            n = len(floats)
            # Whatever digit and color are asked for, the probabilities are the same.
            return {"image": floats, "digit": np.zeros(n, np.int64), "rgb": np.zeros((n, CHANNELS), np.float32)}

        return self._batches("judge", len(images), ("probabilities",), inputs)[0]

    def verdict(self, images: Images, digits: npt.NDArray[np.int64], colors: Images) -> dict[str, Array]:
        """Return what the judge says of images as answers to requests: VERDICT, (n, ...) each.

        Args:
            images: (n, 28, 28, 3).
            digits: (n,), as asked for.
            colors: (n, 3), as asked for.
        """
        rgb = colors / np.float32(255)

        def inputs(batch: slice) -> dict[str, Array]:
            return {"image": to_float(images[batch]), "digit": digits[batch], "rgb": rgb[batch]}

        return dict(zip(VERDICT, self._batches("judge", len(images), VERDICT, inputs), strict=True))

    def places(self, graph: str, outputs: Sequence[str], n: int) -> list[Array]:
        """Return empty arrays for outputs of a graph, (n, ...) each."""
        specs = [self.outputs[graph][name] for name in outputs]
        return [np.empty((n, *map(int, spec.shape[1:])), spec.dtype) for spec in specs]

    def _decoded(self, output: str, latents: npt.NDArray[np.floating[Any]]) -> Array:
        # Floats of any size and layout come in; the graph takes one.
        return self._batches(
            "decoder",
            len(latents),
            (output,),
            lambda batch: {"latent": np.ascontiguousarray(latents[batch], np.float32)},
        )[0]

    def _batches(
        self, graph: str, n: int, outputs: Sequence[str], inputs: Callable[[slice], dict[str, Array]]
    ) -> list[Array]:
        """Run a graph batch by batch and lay its outputs end to end, (n, ...) each."""
        results = self.places(graph, outputs, n)
        for batch in slices(n):
            for result, part in zip(results, self._sessions.run(graph, inputs(batch), outputs), strict=True):
                result[batch] = part
        return results


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


def slices(n: int, size: int = BATCH) -> list[slice]:
    """Return the batches of n rows."""
    return [slice(at, min(at + size, n)) for at in range(0, n, size)]
