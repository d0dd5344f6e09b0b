"""A loaded model: the calls that most users of vaegen make."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vaegen import bundle as bundles
from vaegen.bundle import SHIPPED
from vaegen.errors import RequestError
from vaegen.graphs import Graphs, slices
from vaegen.latent import named_latent
from vaegen.manifest import Manifest
from vaegen.noise import MAX_SEED
from vaegen.request import (
    Color,
    Digit,
    Numbers,
    check_finite,
    check_images,
    check_integer,
    check_items,
    check_latents,
)
from vaegen.sampling import Draw, ask, draw, sample
from vaegen.session import Sessions
from vaegen.spec import ModelSpec

__all__ = ["Draw", "Model", "Posterior", "load"]

# An `onnxruntime.SessionOptions`. onnxruntime has no types, and a name that a type checker cannot see into would make
# `load` partially unknown to a program checked in strict mode.
SessionOptions = Any


@dataclass(frozen=True, eq=False)
class Posterior:
    """q(latent | image) of n images: a Gaussian and categoricals, as the model has them."""

    latent: npt.NDArray[np.float32]
    """(n, L), the deterministic path: the mean, and one-hots of the largest logits."""
    mean: npt.NDArray[np.float32] | None
    """(n, Z); None where Z is 0."""
    log_variance: npt.NDArray[np.float32] | None
    """(n, Z), natural logarithm of the variance; None where Z is 0."""
    logits: npt.NDArray[np.float32] | None
    """(n, N, K), unnormalised log-probabilities; None where N is 0."""


class Model:
    """One loaded model; made by `vaegen.load`.

    All calls are stateless and may be made from many threads at once. After a fork the child opens its own sessions.
    Pickled, a model travels as its name or, where it was not shipped, as the path of its folder; the same graphs must
    be there where it arrives. The same call gives the same bytes on one machine and onnxruntime with one thread, and
    values within 1/255 elsewhere.
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
        """All that the bundle says about itself."""
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
        tries: int | None = None,
        best: int | None = None,
        slant: Numbers | None = None,
        thickness: Numbers | None = None,
        hand: int | None = None,
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
            tries: Draws an image may take until the judge accepts it: the digit reads well, the color is right and
                the stroke looks like handwriting. 1 takes the first and opens no judge. None for 8.
            best: Draws of which each image is the best, by the judge's rank: 1 to 1000, in place of `tries`. None for
                the first that is accepted.
            slant: Degrees to the right, -60 to 60: one number, or one for each image. None for what handwriting has.
            thickness: Of the stroke, in pixels, 0.5 to 8: one number, or one for each image. None for what handwriting
                has.
            hand: 0 to 2**64 - 1, a number for a handwriting: all images have it in common. It gives the slant and the
                thickness that are not given. None for another hand each time.

        Returns:
            uint8 (count, 28, 28, 3), RGB.

        Raises:
            RequestError: A digit, a color or a number that does not exist, or a style of a model that knows none.
            BundleError: A graph cannot be used.
        """
        request = ask(
            self.spec,
            (digit, color, count),
            seed=seed,
            start=start,
            temperature=temperature,
            tries=tries,
            best=best,
            slant=slant,
            thickness=thickness,
            hand=hand,
        )
        return sample(self._graphs, request)

    def draw(
        self,
        digit: Digit,
        color: Color,
        count: int | None = None,
        *,
        seed: int = 0,
        start: int = 0,
        temperature: float | None = None,
        tries: int | None = None,
        best: int | None = None,
        slant: Numbers | None = None,
        thickness: Numbers | None = None,
        hand: int | None = None,
    ) -> Draw:
        """Make the images of `sample`, and tell what is known of each.

        Takes and raises what `sample` does.
        """
        request = ask(
            self.spec,
            (digit, color, count),
            seed=seed,
            start=start,
            temperature=temperature,
            tries=tries,
            best=best,
            slant=slant,
            thickness=thickness,
            hand=hand,
        )
        return draw(self._graphs, request)

    def latent(self, values: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Return a latent in which some parts are chosen by name, and the others are as the prior finds them typical.

        Args:
            values: By the names in `spec.names`: a number for a coordinate, a class from 0 on for a categorical. "hue"
                in turns, "saturation" and "value", 0 to 1, in any model that codes colors apart. A digit or color that
                is not chosen is a red 3.

        Returns:
            float32 (1, L), for `decode`.

        Raises:
            RequestError: A name or a value that does not exist.
            BundleError: A graph cannot be used.
        """
        return named_latent(self._graphs, self.spec, values)

    def encode(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the latent of each image by the deterministic path: means, and one-hots of the largest logits.

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
        """Return q(latent | image) for each image, from one run of the encoder.

        Takes and raises what `encode` does.
        """
        names = tuple(self._manifest.graphs["encoder"].outputs)
        found = dict(zip(names, self._graphs.encode(check_images(images), *names), strict=True))
        return Posterior(found["latent"], found.get("mean"), found.get("log_variance"), found.get("logits"))

    def sample_posterior(
        self, posterior: Posterior, seed: int = 0, *, start: int = 0, items: Sequence[int] | None = None
    ) -> npt.NDArray[np.float32]:
        """Draw a latent from each posterior: mean + sigma * eps, and Gumbel-Softmax codes at the model's temperature.

        Args:
            posterior: Of n images, from this model.
            seed: 0 to 2**64 - 1.
            start: Row i has the noise of item start + i of the seed.
            items: The item of each row, n numbers in any order, in place of `start`.

        Returns:
            float32 (n, L).

        Raises:
            RequestError: The posterior is another model's, a number is out of range, or there are more or fewer items
                than rows.
            BundleError: A graph cannot be used.
        """
        seed = check_integer("seed", seed, 0, MAX_SEED)
        parameters = self._parameters(posterior)
        rows = len(next(iter(parameters.values())))
        return self._graphs.sampler(parameters, seed, check_items(rows, start, items))

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

    def decode_unrounded(self, latents: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Turn latents into the decoder's own output, for losses: 8 bits are too coarse for nats.

        Takes and raises what `decode` does.

        Returns:
            float32 (n, 28, 28, 3) in [0, 1]; times 255 and rounded, what `decode` returns.
        """
        return self._graphs.decode_unrounded(check_latents(latents, self.spec.latent.size))

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
        array = check_images(images)
        numbers = check_items(len(array), start, items)
        result = np.empty(array.shape, np.uint8)
        for batch in slices(len(array)):  # latents of all images at once can be larger than the images
            latents = self.encode(array[batch])
            if stochastic:
                parameters = self._parameters(self.posterior(array[batch]))
                latents = self._graphs.sampler(parameters, seed, numbers[batch])
            result[batch] = self._graphs.decode(latents)
        return result

    def judge(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the probability of each digit, as the bundle's own judge sees the images.

        Takes and raises what `encode` does.

        Returns:
            float32 (n, 10), rows sum to 1.
        """
        return self._graphs.judge(check_images(images))

    def close(self) -> None:
        """Free the graphs; later calls that need one raise RequestError."""
        self._sessions.close()

    def _parameters(self, posterior: Posterior) -> dict[str, npt.NDArray[np.float32]]:
        """Return what the sampler takes of a posterior."""
        found = {}
        for name, tensor in self._manifest.graphs["sampler"].inputs.items():
            if name == "uniform":
                continue
            value = getattr(posterior, name, None)
            fits = isinstance(value, np.ndarray) and value.dtype == np.float32 and value.shape[1:] == tensor.shape[1:]
            if value is None or not fits or value.shape[:1] != getattr(posterior.latent, "shape", ())[:1]:
                raise RequestError(f"the posterior's {name} does not fit this model; take it from its own posterior()")
            check_finite(f"the posterior's {name}", value)
            found[name] = value
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[], "Model"], tuple[()]]:
        if self._sessions.session_options is not None:
            raise RequestError(
                "a model with session_options of your own cannot be copied or pickled, for onnxruntime's options "
                "cannot be; load the model where it is used"
            )
        place = self._path.name if self._path.parent == SHIPPED else os.fspath(self._path)
        return functools.partial(load_again, place, self._manifest.digests, self._sessions.threads), ()

    def __repr__(self) -> str:
        return f"<vaegen.Model {self.spec.name!r}: {self.spec.kind}, latent of {self.spec.latent.size}>"


def load(
    name_or_path: str | os.PathLike[str],
    *,
    threads: int = 1,
    session_options: SessionOptions | None = None,
    warm_up: Sequence[str] = (),
) -> Model:
    """Load a model: read and check all its files. Graphs are opened on first use, or now if they are named.

    Args:
        name_or_path: One of `vaegen.models()`, or a bundle's folder.
        threads: Threads inside one operator, 1 to 256. For these small graphs 1 is fastest; to use more cores,
            call the model from several threads.
        session_options: An `onnxruntime.SessionOptions` that replaces all of vaegen's settings, `threads`
            included.
        warm_up: Graphs to open now, of "encoder", "sampler", "prior", "decoder" and "judge", so that a server's first
            request waits no longer than the others. `sample` needs prior, decoder and judge (no judge where tries is
            1), `reconstruct` encoder and decoder, and if stochastic the sampler.

    Raises:
        RequestError: No model or graph of that name, or an impossible number of threads.
        BundleError: The folder is not a bundle, or one that cannot be used.
        IntegrityError: A file of the bundle is not the one its manifest records.
    """
    sessions = Sessions(bundles.read(bundles.find(name_or_path)), threads, session_options)
    sessions.open(warm_up)
    return Model(sessions)


def load_again(name_or_path: str | os.PathLike[str], digests: tuple[str, ...], threads: int = 1) -> Model:
    """Load in another process the model whose `Manifest.digests` were these.

    Raises:
        RequestError: No shipped model of that name.
        BundleError: The folder is not a bundle, or one that cannot be used.
        IntegrityError: The digests are others.
    """
    return Model(Sessions(bundles.read(bundles.find(name_or_path), digests), threads))
