"""How close images come to real digits: by their neighbors, and by classifiers that are trained afresh.

Density and coverage are a few lines here because the authors' package `prdc` needs scikit-learn for one function.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import DIGITS

from vaegen_training.evaluate import statistics
from vaegen_training.evaluate.evaluation_judge import READ, normalised
from vaegen_training.evaluate.samples import Images, Integers, Painted
from vaegen_training.evaluate.statistics import Figure

K = 5  # nearest neighbors whose distance is a ball's radius
# Classifiers trained afresh: passes over the images, images a step, AdamW's peak rate.
EPOCHS, BATCH, LEARNING_RATE = 4, 64, 4e-3
SHIFT = 2  # pixels that a batch is moved by, at most
DROPOUT = 0.3  # of the last features

Floats = npt.NDArray[np.float32]
Sides = tuple[Images, Images]


def density_and_coverage(features: Floats, real: Floats, seed: int) -> tuple[Figure, Figure]:
    """Return density and coverage.

    Naeem, Oh, Uh, Choi, Yoo, "Reliable fidelity and diversity metrics for generative models", ICML 2020, equations
    4 and 5. Around each real item lies a ball that reaches to its K-th nearest other real item. Density is the
    number of balls that an item lies in, over K, on average; coverage the share of balls that hold an item.
    The coverage's interval takes the balls as independent.

    Args:
        features: float32 (m, F), of the images to measure.
        real: float32 (n, F), n > K, of real images. m = n makes figures comparable.
        seed: Of the density's bootstrap.
    """
    balls = torch.from_numpy(real)
    within = _distances(balls, balls)
    radius = within.kthvalue(K + 1, dim=1).values  # the nearest is the item itself
    inside = _distances(balls, torch.from_numpy(features)) <= radius[:, None]  # (n, m)
    density = statistics.mean((inside.sum(0) / K).numpy(), seed)
    return density, statistics.share(inside.any(1).numpy())


def _distances(first: Tensor, second: Tensor) -> Tensor:
    # By a matrix product, rounding would put an item at some distance from itself.
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def accuracy_after(training: Painted, test: Painted, seed: int) -> Figure:
    """Return the share of test digits that a classifier reads which has only seen other images.

    The classification accuracy score: Ravuri, Vinyals, "Classification accuracy score for conditional generative
    models", NeurIPS 2019. Samples can teach a classifier no more than they show of how people write.

    Args:
        training: What the classifier is trained on, with the digits they were asked to be.
        test: Real digits.
        seed: Of the classifier's weights and batches.
    """
    classifier = train_classifier(normalised(training.images), training.digits, DIGITS, seed)
    return statistics.share(_classes(classifier, normalised(test.images)) == test.digits)


def told_apart(learned: Sides, asked: Sides, seed: int, *, shape_only: bool = False) -> Figure:
    """Return the share of images of two kinds of which a classifier, trained on others, says rightly of which they are.

    The classifier two-sample test: Lopez-Paz, Oquab, "Revisiting classifier two-sample tests", ICLR 2017. 0.5 is
    perfect, 1 means that each image gives itself away.

    Args:
        learned: What the classifier is trained on: of each kind uint8 (m, 28, 28, 3). Both have the same digits in the
            same colors, or draw them alike, so that neither can tell.
        asked: The same of others, uint8 (n, 28, 28, 3) each.
        seed: Of the classifier's weights and batches.
        shape_only: Cut the images at half of their brightness, which leaves no grays to tell by.
    """
    gray, labels = _mixed(learned, shape_only=shape_only)
    unseen, truth = _mixed(asked, shape_only=shape_only)
    return statistics.share(_classes(train_classifier(gray, labels, len(learned), seed), unseen) == truth)


def _mixed(sides: Sides, *, shape_only: bool) -> tuple[Floats, Integers]:
    gray = np.concatenate([normalised(images) for images in sides])
    if shape_only:
        gray = (gray >= 0.5).astype(np.float32)
    return gray, np.repeat(np.arange(len(sides)), [len(images) for images in sides])


def train_classifier(gray: Floats, labels: Integers, classes: int, seed: int) -> nn.Module:
    """Train a small convolutional network from nothing: AdamW in one cycle, on images moved a little.

    Args:
        gray: float32 (n, 1, 28, 28) in [0, 1].
        labels: int64 (n,), 0 to classes - 1.
        classes: Classes.
        seed: Of weights and batches; torch's own random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            *_block(1, 16, 5),  # (n, 16, 14, 14)
            *_block(16, 32, 3),  # (n, 32, 7, 7)
            *_block(32, 64, 3),  # (n, 64, 3, 3)
            nn.Flatten(),
            nn.Dropout(DROPOUT),
            nn.Linear(64 * 3 * 3, classes),
        ).to(memory_format=torch.channels_last)  # 1.7 times as fast
        images, targets = torch.from_numpy(gray), torch.from_numpy(labels)
        optimizer = torch.optim.AdamW(network.parameters())
        batches = [index for _ in range(EPOCHS) for index in torch.randperm(len(images)).split(BATCH)]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, len(batches))
        for index in batches:
            shift = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
            loss = F.cross_entropy(network(images[index].roll(shift, (2, 3))), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _block(channels: int, out: int, kernel: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False)
    return convolution, nn.MaxPool2d(2), nn.BatchNorm2d(out), nn.ReLU()


@torch.no_grad()
def _classes(classifier: nn.Module, gray: Floats) -> Integers:
    """Return the likeliest class of each image, int64 (n,)."""
    parts = [classifier(part).argmax(1) for part in torch.from_numpy(gray).split(READ)]
    found: Integers = torch.cat(parts).numpy()
    return found
