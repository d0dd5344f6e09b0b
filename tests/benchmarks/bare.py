"""The graphs of a bundle in onnxruntime alone, with nothing of vaegen's around them: the floor."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from vaegen.bundle import find, read
from vaegen.manifest import uniforms
from vaegen.session import default_options
from vaegen.spec import NO_SLANT, NO_THICKNESS

Array = npt.NDArray[Any]


class Bare:
    """Sessions of a bundle's graphs under vaegen's own options, and inputs for them that lie ready."""

    def __init__(self, model: str, threads: int, options: "onnxruntime.SessionOptions | None" = None) -> None:
        bundle = read(find(model))
        self.manifest = bundle.manifest
        self.size = uniforms(bundle.manifest, "prior")
        self._sessions = {
            graph: onnxruntime.InferenceSession(
                bundle.graphs[graph], options or default_options(threads), providers=["CPUExecutionProvider"]
            )
            for graph in ("prior", "decoder", "judge")
        }

    def request(self, n: int, generator: np.random.Generator) -> dict[str, Array]:
        """Return the prior's inputs for n images of all digits in teal."""
        request: dict[str, Array] = {
            "digit": np.arange(n, dtype=np.int64) % 10,
            "rgb": np.full((n, 3), (0, 128 / 255, 128 / 255), np.float32),
            "uniform": generator.random((n, self.size), np.float32) * np.float32(0.999) + np.float32(0.0005),
            "temperature": np.array(self.manifest.model.prior_temperature, np.float32),
        }
        if self.manifest.model.style is not None:
            request["style"] = np.full((n, 2), (NO_SLANT, NO_THICKNESS), np.float32)
        return request

    def run(self, graph: str, inputs: dict[str, Array], output: str) -> Array:
        """Run a graph for one of its outputs."""
        result: Array = self._sessions[graph].run([output], inputs)[0]
        return result

    def call(self, graph: str, n: int) -> Callable[[], object]:
        """Return a call that runs a graph on n rows that lie ready."""
        request = inputs = self.request(n, np.random.default_rng(0))
        if graph != "prior":
            inputs = {"latent": self.run("prior", inputs, "latent")}
        if graph == "judge":
            inputs = {"image": self.run("decoder", inputs, "image"), "digit": request["digit"], "rgb": request["rgb"]}
        wanted = {"prior": "latent", "decoder": "pixels", "judge": "accepted"}[graph]
        return lambda: self.run(graph, inputs, wanted)


def by_hand(model: str, threads: int) -> Callable[[int], npt.NDArray[np.uint8]]:
    """Return the same job as a user would write it with onnxruntime: default options, NumPy's noise, no batches."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    bare = Bare(model, threads, options)
    generator = np.random.default_rng()

    def sample(n: int) -> npt.NDArray[np.uint8]:
        latent = bare.run("prior", bare.request(n, generator), "latent")
        return bare.run("decoder", {"latent": latent}, "pixels")

    return sample
