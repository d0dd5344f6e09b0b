"""The images that are measured: real digits in real paint, and what a model makes of requests and of real digits."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import vaegen
from vaegen.color import DARKEST_DRAWN
from vaegen.spec import CHANNELS, DIGITS

from vaegen_training.data import Mnist
from vaegen_training.evaluate import information

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
        """Return the first n."""
        return Painted(self.images[:n], self.digits[:n], self.colors[:n])


def random_colors(n: int, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw colors uniform over RGB with the brightest channel at least DARKEST_DRAWN, uint8 (n, 3)."""
    colors = np.empty((0, CHANNELS), np.uint8)
    while len(colors) < n:
        drawn = random.integers(0, 256, (n, CHANNELS), dtype=np.uint8)
        colors = np.concatenate([colors, drawn[drawn.max(1) >= DARKEST_DRAWN]])
    return colors[:n]


def paint(gray: Images, colors: npt.NDArray[np.uint8]) -> Images:
    """Return gray digits (n, 28, 28) painted in colors (n, 3): gray times color, rounded, uint8 (n, 28, 28, 3)."""
    product = gray[..., None].astype(np.float32) * colors[:, None, None, :] / np.float32(255)
    images: Images = np.rint(product).astype(np.uint8)
    return images


@dataclass(frozen=True, eq=False)
class Real:
    """Real digits, split so that no figure compares a digit with itself."""

    test: Painted
    """Up to n test digits: those that are reconstructed, and the real figure of most rows."""
    reference: Painted
    """The first r test digits of the file, with which distributions are compared; the first r of `test` are others.

    In the file's own order, so that everybody who compares with 3,000 test digits has the same ones. It begins with
    the tidier writers: training digits cover 0.92 to 0.94 of the first 3,000, 0.95 to 0.96 of 3,000 drawn at random.
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
    # Those outside the reference come first.
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


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images that a model decoded from latents, before and after rounding."""

    unrounded: Floats
    """(n, 28, 28, 3) in [0, 1]: 8 bits are too coarse for nats."""
    images: Images
    """(n, 28, 28, 3)."""


def decoded(model: vaegen.Model, latents: Floats) -> Decoded:
    """Decode latents (n, L) once, and round as `Model.decode` does."""
    unrounded = model.decode_unrounded(latents)
    return Decoded(unrounded, np.rint(unrounded * np.float32(255)).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """Real digits after a model."""

    posterior: vaegen.Posterior
    """Of each digit, with the latent of the deterministic path."""
    hard: Decoded
    """By the deterministic path."""
    soft: Decoded | None
    """From soft codes; None without categoricals."""


def reconstructions(model: vaegen.Model, images: Images) -> Reconstructions:
    """Send real digits, uint8 (n, 28, 28, 3), through a model by the deterministic path."""
    posterior = model.posterior(images)
    temperature = model.spec.gumbel_temperature
    return Reconstructions(
        posterior=posterior,
        hard=decoded(model, posterior.latent),
        soft=None if temperature is None else decoded(model, information.soft_codes(posterior, temperature)),
    )
