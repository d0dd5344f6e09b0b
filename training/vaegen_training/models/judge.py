"""The judge: a small digit classifier that lets the runtime redraw what did not come out as asked.

It sees the color-normalised image, so a digit's color cannot sway it. The figures in README and docs come from
other judges, trained apart; this one ships.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen.spec import DIGITS, SIDE

from vaegen_training.config import StageConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import weights
from vaegen_training.models.color_code import measure

JUDGE = "judge.safetensors"
"""File of a trained judge in its run's folder, and of the one that comes with the package."""
READ = 64  # features that the digit is read from
SMOOTHING = 0.02  # of the labels, in every cross entropy of a judge
JUDGE_STAGE = StageConfig(epochs=12, batch=128, learning_rate=4e-3, warmup=0.1, ema=0.998, augment=1.0)
"""`vaegen train judge`: about 4 minutes on 2 CPU cores; about 99.5% of the test digits."""


class Judge(nn.Module):
    """Three strided convolutions and two linear layers, 47,000 weights: 1-16-32-48 channels, 64 units, 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),  # (n, 16, 14, 14)
            nn.GELU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),  # (n, 32, 7, 7)
            nn.GELU(),
            nn.Conv2d(32, 48, 3, stride=2, padding=1),  # (n, 48, 4, 4)
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(48 * 4 * 4, READ),
            nn.GELU(),
        )
        self.classify = nn.Linear(READ, DIGITS)

    def forward(self, image: Tensor) -> Tensor:
        """Turn images (n, 3, 28, 28) in [0, 1] into logits (n, 10)."""
        gray, _ = measure(image)
        return self.read(gray)

    def read(self, gray: Tensor) -> Tensor:
        """Turn gray digits (n, 784) in [0, 1], brightest pixel 1, into logits (n, 10)."""
        result: Tensor = self.classify(self.see(gray))
        return result

    def see(self, gray: Tensor) -> Tensor:
        """Turn gray digits (n, 784) in [0, 1], brightest pixel 1, into the features that they are read from (n, 64)."""
        result: Tensor = self.features(gray.reshape(-1, 1, SIDE, SIDE))
        return result

    def activations(self, gray: Tensor) -> list[Tensor]:
        """Return what the nonlinear layers make of gray digits (n, 784) in [0, 1], and the logits: 5 of (n, ...)."""
        x, found = gray.reshape(-1, 1, SIDE, SIDE), []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.GELU):
                found.append(x)
        return [*found, self.classify(x)]


class JudgeObjective:
    """Cross entropy with a little label smoothing, on augmented gray digits."""

    def __init__(self, judge: Judge, data: Mnist, config: StageConfig) -> None:
        self.judge = judge
        self.gray = paint.to_float(data.train_images)
        self.labels = data.train_labels
        self.config = config

    def prepare(self, progress: float) -> None:
        """Do nothing: the loss is the same throughout the stage."""

    def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """Return the loss, nats per image, and the accuracy on the batch."""
        gray = paint.augment(self.gray[index], self.config.augment, random)
        logits = self.judge.read(gray / gray.amax(1, keepdim=True).clamp_min(1 / 255))
        labels = self.labels[index]
        loss = F.cross_entropy(logits, labels, label_smoothing=SMOOTHING)
        return {"loss": loss, "accuracy": (logits.argmax(1) == labels).float().mean()}


def perceptual(activations: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Return the distance between two images as the judge's layers see them (Johnson et al. 2016, eq. 2).

    Each layer's mean squared difference is divided by its variance over the batch, so that all layers count alike.

    Args:
        activations: Of each layer, float32 (n, ...).
        target: The same of the images that should have come out; they carry no gradient.

    Returns:
        float32 (n,); each layer gives 0 for equal images and about 2 for unrelated ones.
    """
    parts = []
    for found, wanted in zip(activations, target, strict=True):
        variance = wanted.var(0, correction=0).mean()
        parts.append((found - wanted).square().flatten(1).mean(1) / variance.clamp_min(1e-6))
    return torch.stack(parts).sum(0)


def load_judge(folder: Path | None = None) -> Judge:
    """Load a trained judge: a run's, or with None the one that comes with the package.

    Raises:
        DataError: There is none, or it is damaged.
    """
    path = (Path(__file__).parents[1] / "assets" if folder is None else folder) / JUDGE
    return weights.load_into(Judge(), path, stored=torch.float16)


@torch.no_grad()
def accuracy(judge: Judge, data: Mnist, most: int | None = None) -> dict[str, Any]:
    """Return the share of test digits that the judge reads right, and their number; of the first `most` of them."""
    gray = paint.to_float(data.test_images[:most])
    gray = gray / gray.amax(1, keepdim=True).clamp_min(1 / 255)
    read = torch.cat([judge.read(part).argmax(1) for part in gray.split(1000)])
    return {"accuracy": float((read == data.test_labels[:most]).float().mean()), "n": len(read)}
