"""One model under report: what its pictures and its figures are both taken from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import vaegen
from vaegen.spec import LatentSpec

from vaegen_training.evaluate import information, samples
from vaegen_training.evaluate.samples import Decoded, Floats, Integers, Painted, Reconstructions
from vaegen_training.gallery import latent_space


@dataclass(frozen=True)
class Source:
    """Where a model is."""

    bundle: str
    """What `vaegen.load` takes."""
    run: Path | None = None
    """The run that the bundle was exported from, if it is at hand: it has the two halves of a seed joint model."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, and painted test digits after it."""

    label: str
    """Preset and name, "seed joint"."""
    model: vaegen.Model
    run: Path | None
    real: Painted
    """The digits, n of them."""
    rebuilt: Reconstructions
    """After the model, by the deterministic path, which the product takes."""
    drawn: Floats
    """(n, L), latents drawn from the posterior, codes soft at the temperature that the model was trained with."""
    sampled: Decoded
    """The images of those."""
    rates: npt.NDArray[np.float64]
    """(Z + N,), mean KL divergence of each latent, nats: coordinates first, then categoricals."""

    @property
    def spec(self) -> LatentSpec:
        """Z, N and K."""
        return self.model.spec.latent

    @property
    def latents(self) -> Floats:
        """Of the digits, by the deterministic path: means and one-hots, (n, L)."""
        return self.rebuilt.posterior.latent

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
        posterior = self.rebuilt.posterior
        if posterior.mean is not None:
            return posterior.mean, "coordinate"
        return information.soft_codes(posterior, 1.0), "class"

    def plane(self) -> latent_space.Plane:
        """Return the plane that scatter and grid of this model are drawn in."""
        return latent_space.plane(*self.points)


def look(model: vaegen.Model, run: Path | None, real: Painted, seed: int) -> Subject:
    """Send real digits through a model.

    Args:
        model: The model.
        run: The run it was exported from, if it is at hand.
        real: Painted digits.
        seed: Of the latents drawn from the posterior.

    Raises:
        BundleError: The bundle cannot be used.
    """
    rebuilt = samples.reconstructions(model, real.images)
    drawn = model.sample_posterior(rebuilt.posterior, seed)
    return Subject(
        label=f"{model.spec.preset} {model.spec.name}",
        model=model,
        run=run,
        real=real,
        rebuilt=rebuilt,
        drawn=drawn,
        sampled=samples.decoded(model, drawn),
        rates=information.rates(rebuilt.posterior).mean(0, dtype=np.float64),
    )
