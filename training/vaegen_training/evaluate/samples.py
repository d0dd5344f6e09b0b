"""The images that are measured: real digits in real paint, and what a model answers when asked for the same."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import vaegen
from vaegen.color import DARKEST_DRAWN
from vaegen.spec import CHANNELS

from vaegen_training.data import Mnist

TRAINING = 6  # training digits for each test digit, as MNIST has them

Images = npt.NDArray[np.uint8]
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
    reference: Images
    """The first r test digits of the file, with which distributions are compared; the first r of `test` are others.

    In the file's own order, so that everybody who compares with 3,000 test digits has the same ones. It begins with
    the tidier writers: training digits cover 0.92 to 0.94 of the first 3,000, 0.95 to 0.96 of 3,000 drawn at random.
    """
    training: Painted
    """Up to 6 n training digits, from which classifiers learn."""


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
    size = min(reference, n, len(order) // 2)
    # Those outside the reference come first.
    order = np.concatenate([order[order >= size], order[order < size]])

    def painted(images: torch.Tensor, labels: torch.Tensor, index: Integers) -> Painted:
        colors = random_colors(len(index), random)
        return Painted(paint(images.numpy()[index], colors), labels.numpy()[index], colors)

    training = random.permutation(len(mnist.train_images))[: TRAINING * n]
    return Real(
        test=painted(mnist.test_images, mnist.test_labels, order[:n]),
        reference=painted(mnist.test_images, mnist.test_labels, np.arange(size)).images,
        training=painted(mnist.train_images, mnist.train_labels, training),
    )


def samples(
    model: vaegen.Model, like: Painted, n: int, seed: int, *, start: int = 0, tries: int | None = None
) -> Painted:
    """Sample n images.

    Args:
        model: The model.
        like: Whose digits and colors are asked for, again from the first if there are fewer than n.
        n: Images.
        seed: Of the noise; raw and verified samples of a seed have the same.
        start: The noise's first item. Images that a classifier learns from must not share items with those it is asked
            about, for the same noise makes the same hand.
        tries: Draws an image may take; None for the model's default.
    """
    digits, colors = np.resize(like.digits, n), np.resize(like.colors, (n, CHANNELS))
    options = {} if tries is None else {"tries": tries}
    return Painted(model.draw(digits, colors, n, seed=seed, start=start, **options).images, digits, colors)
