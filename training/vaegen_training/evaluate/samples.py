"""The images that are scored: real digits in real paint, and what a bundle makes. The only module that sees a model."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import vaegen
from vaegen import bundle as bundles
from vaegen.session import Sessions
from vaegen.spec import CHANNELS, DIGITS, SIDE

from vaegen_training.data import Mnist
from vaegen_training.evaluation import information
from vaegen_training.latents import Posterior

DARKEST = 64  # brightest channel that a color has at least
BATCH = 500  # latents decoded at a time

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Painted:
    """Digits in colors, and which they should be."""

    images: Images
    """(n, 28, 28, 3)."""
    digits: Integers
    """(n,), 0 to 9."""
    colors: npt.NDArray[np.uint8]
    """(n, 3), as painted or asked for."""

    def first(self, n: int) -> "Painted":
        """Give the first n."""
        return Painted(self.images[:n], self.digits[:n], self.colors[:n])


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """Real digits after a model."""

    painted: Painted
    """What came out, with the digit and the color of what went in."""
    posterior: Posterior
    """Of each image."""
    predictions: Floats
    """(n, 3, 28, 28), the decoder's output before it is rounded."""
    soft: Floats | None
    """The same from soft codes; None without categoricals."""
    soft_images: Images | None
    """(n, 28, 28, 3), that as images."""


def random_colors(n: int, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw colors uniform over RGB, of those whose brightest channel is at least DARKEST, uint8 (n, 3)."""
    colors = np.empty((0, CHANNELS), np.uint8)
    while len(colors) < n:
        drawn = random.integers(0, 256, (n, CHANNELS), dtype=np.uint8)
        colors = np.concatenate([colors, drawn[drawn.max(1) >= DARKEST]])
    return colors[:n]


def paint(gray: Images, colors: npt.NDArray[np.uint8]) -> Images:
    """Paint gray digits (n, 28, 28) in colors (n, 3): gray times color, rounded."""
    product = gray[..., None].astype(np.float32) * colors[:, None, None, :] / np.float32(255)
    images: Images = np.rint(product).astype(np.uint8)
    return images


@dataclass(frozen=True, eq=False)
class Real:
    """Real digits, parted so that no figure compares a digit with itself."""

    test: Painted
    """Up to n test digits: what is reconstructed, and the real figure of most rows."""
    reference: Painted
    """The first r test digits of the file, with which distributions are compared; the first r of `test` are others.

    The file's own order, so that everybody who compares with 3,000 test digits has the same ones. It begins with the
    tidier writers: training digits cover 0.92 to 0.94 of the first 3,000, and 0.95 to 0.96 of 3,000 drawn at random.
    """
    training: Painted
    """r training digits: the real figure where distributions are compared."""
    gray_training: Images
    """(m, 28, 28), all training digits."""


def real_digits(mnist: Mnist, n: int, reference: int, seed: int) -> Real:
    """Choose digits at random and paint them.

    Args:
        mnist: The digits.
        n: Test digits to reconstruct, at most; all of them if there are fewer.
        reference: Digits to compare distributions with, at most; no more than n and half of the test digits.
        seed: Of choice and paint.
    """
    random = np.random.default_rng([seed, 0])
    order = random.permutation(len(mnist.test_images))
    size = min(reference, n, len(order) // 2, len(mnist.train_images))
    # Those that are no reference come first.
    order = np.concatenate([order[order >= size], order[order < size]])

    def painted(images: torch.Tensor, labels: torch.Tensor, index: Integers) -> Painted:
        colors = random_colors(len(index), random)
        return Painted(paint(images.numpy()[index], colors), labels.numpy()[index], colors)

    return Real(
        test=painted(mnist.test_images, mnist.test_labels, order[:n]),
        reference=painted(mnist.test_images, mnist.test_labels, np.arange(size)),
        training=painted(mnist.train_images, mnist.train_labels, random.permutation(len(mnist.train_images))[:size]),
        gray_training=mnist.train_images.numpy(),
    )


def samples(model: vaegen.Model, n: int, seed: int, tries: int | None) -> tuple[Painted, Integers]:
    """Sample n images, digits in turn, each in a random color.

    Args:
        model: The model.
        n: Images.
        seed: Of the colors and the noise; raw and verified samples of a seed have the same requests.
        tries: Draws an image may take; None for the model's default.

    Returns:
        The images, and the draws that each took, int64 (n,).
    """
    digits = np.arange(n, dtype=np.int64) % DIGITS
    colors = random_colors(n, np.random.default_rng([seed, 1]))
    options = {} if tries is None else {"tries": tries}
    drawn = model.draw(digits, colors, n, seed=seed, **options)
    return Painted(drawn.images, digits, colors), drawn.tries_used


def reconstructions(model: vaegen.Model, real: Painted) -> Reconstructions:
    """Send real digits through a model by the deterministic path."""
    posterior = posterior_of(model, real.images)
    latents = model.encode(real.images)
    sessions = Sessions(bundles.read(model.path), threads=1)
    soft = None
    if model.spec.gumbel_temperature is not None:
        soft = information.soft_codes(posterior, model.spec.gumbel_temperature)
    result = Reconstructions(
        painted=Painted(model.decode(latents), real.digits, real.colors),
        posterior=posterior,
        predictions=predictions(sessions, latents),
        soft=None if soft is None else predictions(sessions, soft),
        soft_images=None if soft is None else model.decode(soft),
    )
    sessions.close()
    return result


def posterior_of(model: vaegen.Model, images: Images) -> Posterior:
    """Give the posterior of images (n, 28, 28, 3) in torch's terms."""
    found = model.posterior(images)
    parts = (getattr(found, name) for name in Posterior._fields)
    return Posterior(*(None if part is None else torch.from_numpy(part) for part in parts))


def predictions(sessions: Sessions, latents: Floats) -> Floats:
    """Decode latents (n, L) to (n, 3, 28, 28) without rounding: `Model.decode` gives 8 bits, too coarse for nats."""
    result = np.empty((len(latents), CHANNELS, SIDE, SIDE), np.float32)
    for start in range(0, len(latents), BATCH):
        rows = slice(start, start + BATCH)
        (result[rows],) = sessions.run("decoder", {"latent": latents[rows]}, ["image"])
    return result
