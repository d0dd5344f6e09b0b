"""One model under report: what its pictures and its measures are both taken from. The only module that runs graphs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import vaegen
from vaegen import bundle as bundles
from vaegen.graphs import Graphs
from vaegen.session import Sessions
from vaegen.spec import LatentSpec

from vaegen_training.evaluate import gather, information
from vaegen_training.evaluate.samples import Painted
from vaegen_training.latents import Posterior
from vaegen_training.report import latent_space

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Where a model lies."""

    bundle: str
    """What `vaegen.load` takes."""
    run: Path | None = None
    """The run that the bundle was exported from, if it is at hand: it tells the two halves of a seed joint apart."""


@dataclass(frozen=True, eq=False)
class Way:
    """Test digits after one way through the model."""

    images: Images
    """(n, 28, 28, 3)."""
    excess: Floats
    """(n,), excess BCE, nats."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, and painted test digits seen through it."""

    label: str
    """Preset and name, "seed joint"."""
    model: vaegen.Model
    run: Path | None
    real: Painted
    """The digits, n of them."""
    latents: Floats
    """(n, L), by the deterministic path: means and one-hots."""
    posterior: Posterior
    """Of each digit."""
    rates: npt.NDArray[np.float64]
    """(Z + N,), mean KL divergence of each latent, nats: coordinates first, then categoricals."""
    hard: Way
    """By the deterministic path, which the product takes."""
    sampled: Way
    """With latents drawn from the posterior, codes soft at the temperature that the model was trained with."""

    @property
    def spec(self) -> LatentSpec:
        """Z, N and K."""
        return self.model.spec.latent

    @property
    def coordinates(self) -> Integers:
        """All Z coordinates, those with the highest rate first, int64 (Z,)."""
        return np.argsort(-self.rates[: self.spec.continuous], kind="stable")

    @property
    def variables(self) -> Integers:
        """All N categoricals, those with the highest rate first, int64 (N,)."""
        return np.argsort(-self.rates[self.spec.continuous :], kind="stable")

    @property
    def points(self) -> tuple[Floats, str]:
        """What a scatter of the digits shows, (n, D), and its name: means, or probabilities of the classes."""
        if self.posterior.mean is not None:
            return self.posterior.mean.numpy(), "coordinate"
        assert self.posterior.logits is not None
        return self.posterior.logits.softmax(-1).flatten(1).numpy(), "class"

    def plane(self) -> latent_space.Plane:
        """Give the plane that scatter and grid of this model are drawn in."""
        return latent_space.plane(*self.points)


@contextmanager
def look(source: Source, real: Painted, seed: int) -> Iterator[Subject]:
    """Load a model and send real digits through it.

    Args:
        source: The model.
        real: Painted digits.
        seed: Of the latents drawn from the posterior.

    Raises:
        RequestError: No such model.
        BundleError: The bundle cannot be used.
    """
    with vaegen.load(source.bundle) as model:
        posterior = gather.posterior_of(model, real.images)
        found = {name: value.numpy() for name, value in posterior._asdict().items() if value is not None}
        latents = model.encode(real.images)
        sessions = Sessions(bundles.read(model.path), threads=1)
        drawn = Graphs(sessions, model.manifest).sampler(found, seed, range(len(real.images)))
        paths = []
        for path in (latents, drawn):
            predictions = gather.predictions(sessions, path)
            paths.append(Way(model.decode(path), information.excess_bce(predictions, real.images)))
        sessions.close()
        yield Subject(
            label=f"{model.spec.preset} {model.spec.name}",
            model=model,
            run=source.run,
            real=real,
            latents=latents,
            posterior=posterior,
            rates=information.rates(posterior).mean(0, dtype=np.float64),
            hard=paths[0],
            sampled=paths[1],
        )
