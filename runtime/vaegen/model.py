"""A loaded model: the calls that most users of vaegen make."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from vaegen.checks import check_images, check_integer, check_latents, check_temperature
from vaegen.errors import RequestError
from vaegen.graphs import Graphs
from vaegen.loading import load
from vaegen.noise import MAX_SEED
from vaegen.request import Color, Digit, Request, parse_subjects
from vaegen.sampling import Draw, draw
from vaegen.session import Sessions
from vaegen.spec import Manifest, ModelSpec

__all__ = ["Draw", "Model", "Posterior"]

MAX_START = 2**62  # item numbers stay below 2**63
MAX_TRIES = 1000
TRIES = 8  # default; of a model that is right in 9 of 10 draws, one image in a hundred million stays wrong


@dataclass(frozen=True, eq=False)
class Posterior:
    """q(latent | image): a Gaussian and categoricals, as the model has them."""

    mean: npt.NDArray[np.float32] | None
    """(n, Z); None where Z is 0."""
    log_variance: npt.NDArray[np.float32] | None
    """(n, Z), natural logarithm of the variance; None where Z is 0."""
    logits: npt.NDArray[np.float32] | None
    """(n, N, K), unnormalised log-probabilities; None where N is 0."""


class Model:
    """One loaded model; made by `vaegen.load`.

    All calls are stateless and may be made from many threads at once. After a fork the child opens its own
    sessions; pickled, a model travels as its folder and is loaded again where it arrives. The same call gives
    the same bytes on one machine and onnxruntime with one thread, and values within 1/255 elsewhere.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._path = sessions.bundle.path
        self._manifest = sessions.bundle.manifest
        self._sessions = sessions
        self._graphs = Graphs(sessions, self._manifest)

    @property
    def path(self) -> Path:
        """The bundle's folder."""
        return self._path

    @property
    def manifest(self) -> Manifest:
        """All that the bundle says of itself."""
        return self._manifest

    @property
    def spec(self) -> ModelSpec:
        """What the model is: name, preset, latent space, temperatures."""
        return self._manifest.model

    def sample(
        self,
        digit: Digit,
        color: Color,
        count: int | None = None,
        *,
        seed: int = 0,
        start: int = 0,
        temperature: float | None = None,
        tries: int = TRIES,
    ) -> npt.NDArray[np.uint8]:
        """Make images of digits in colors.

        Args:
            digit: 0 to 9, or a sequence of length 1 or `count`.
            color: A CSS name, "#rrggbb", "rgb()", "hsl()" or "hsv()" string, three integers from 0 to 255, or a
                sequence of these of length 1 or `count`.
            count: Images in all; None for the length of the longest sequence.
            seed: 0 to 2**64 - 1.
            start: Image i is item start + i of the seed, whatever the count.
            temperature: Of the prior, above 0: lower is surer, higher more varied. None for the model's default.
            tries: Draws an image may take until the judge sees the digit and the color is right. 1 takes the
                first and opens no judge.

        Returns:
            uint8 (count, 28, 28, 3), RGB.

        Raises:
            RequestError: A digit, a color or a number that does not exist.
            BundleError: A graph cannot be used.
        """
        return self.draw(digit, color, count, seed=seed, start=start, temperature=temperature, tries=tries).images

    def draw(
        self,
        digit: Digit,
        color: Color,
        count: int | None = None,
        *,
        seed: int = 0,
        start: int = 0,
        temperature: float | None = None,
        tries: int = TRIES,
    ) -> Draw:
        """Make the images of `sample`, and tell what is known of each.

        Takes and raises what `sample` does.
        """
        digits, colors = parse_subjects(digit, color, count)
        request = Request(
            digits,
            colors,
            seed=check_integer("seed", seed, 0, MAX_SEED),
            start=check_integer("start", start, 0, MAX_START),
            temperature=self.spec.prior_temperature if temperature is None else check_temperature(temperature),
            tries=check_integer("tries", tries, 1, MAX_TRIES),
        )
        return draw(self._graphs, request)

    def encode(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Give the latent of each image by the deterministic path: means, and one-hots of the largest logits.

        Args:
            images: uint8 (n, 28, 28, 3), RGB.

        Returns:
            float32 (n, L).

        Raises:
            RequestError: The images have another type or shape.
            BundleError: A graph cannot be used.
        """
        return self._graphs.encode(check_images(images), "latent")[0]

    def posterior(self, images: npt.ArrayLike) -> Posterior:
        """Give the parameters of q(latent | image) for each image.

        Takes and raises what `encode` does.
        """
        return Posterior(**{"mean": None, "log_variance": None, "logits": None, **self._parameters(images)})

    def decode(self, latents: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Turn latents into images.

        Args:
            latents: float32 (n, L), finite: Z continuous coordinates, then N one-hots (or soft codes) of K.

        Returns:
            uint8 (n, 28, 28, 3), RGB.

        Raises:
            RequestError: The latents have another shape or type, or are not finite.
            BundleError: A graph cannot be used.
        """
        return self._graphs.decode(check_latents(latents, self.spec.latent.size))

    def reconstruct(
        self,
        images: npt.ArrayLike,
        stochastic: bool = False,
        seed: int = 0,
        *,
        start: int = 0,
        items: Sequence[int] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Send images through the model: encode and decode.

        Args:
            images: uint8 (n, 28, 28, 3), RGB.
            stochastic: Draw the latents from the posterior instead of taking the deterministic path.
            seed: 0 to 2**64 - 1, of the stochastic path.
            start: Image i has the noise of item start + i of the seed.
            items: The item of each image, n numbers in any order, in place of `start`.

        Returns:
            uint8 (n, 28, 28, 3), RGB.

        Raises:
            RequestError: The images have another type or shape, a number is out of range, or there are more or
                fewer items than images.
            BundleError: A graph cannot be used.
        """
        seed = check_integer("seed", seed, 0, MAX_SEED)
        start = check_integer("start", start, 0, MAX_START)
        array = check_images(images)
        if items is None:
            items = range(start, start + len(array))
        elif len(items) != len(array):
            raise RequestError(f"{len(items)} items for {len(array)} images; give one for each")
        else:
            items = [check_integer("item", item, 0, MAX_START) for item in items]
        if not stochastic:
            return self._graphs.decode(self.encode(array))
        return self._graphs.decode(self._graphs.sampler(self._parameters(array), seed, items))

    def judge(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Give the probability of each digit, as the bundle's own judge sees the images.

        Takes and raises what `encode` does.

        Returns:
            float32 (n, 10), rows sum to 1.
        """
        return self._graphs.judge(check_images(images))

    def close(self) -> None:
        """Free the graphs; later calls that need one raise RequestError."""
        self._sessions.close()

    def _parameters(self, images: npt.ArrayLike) -> dict[str, npt.NDArray[np.float32]]:
        names = (["mean", "log_variance"] if self.spec.latent.continuous else []) + (
            ["logits"] if self.spec.latent.categorical[0] else []
        )
        return dict(zip(names, self._graphs.encode(check_images(images), *names), strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[], "Model"], tuple[()]]:
        sessions = self._sessions
        again = functools.partial(
            load, self._path.absolute(), threads=sessions.threads, session_options=sessions.session_options
        )
        return again, ()

    def __repr__(self) -> str:
        return f"<vaegen.Model {self.spec.name!r}: {self.spec.kind}, latent of {self.spec.latent.size}>"
