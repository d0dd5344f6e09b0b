"""The evaluation judge: a digit classifier that scores models and never ships in a bundle.

It is trained apart from the judge that bundles carry: another architecture, optimizer and random state, wider
augmentation, so that a model cannot be tuned to the judge that scores it. The repository's script
tests/assets/make_evaluation_judge.py trains one. The committed file, which published figures quote, reads 99.71% of the
10,000 test digits; docs/evaluation.md says what a new training gives.
"""

import functools
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from vaegen.spec import DIGITS

from vaegen_training.models import weights

ASSET = Path(__file__).parents[1] / "assets" / "evaluation-judge.safetensors"
READ = 1000  # images read at a time

FEATURES = 128  # length of the features that distances are taken in

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class EvaluationJudge(nn.Module):
    """Five convolutions with batch norm and two linear layers, 216,000 weights: 24-32-48-64-96 channels, 128 units."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(1, 24),  # (n, 24, 28, 28)
            *_block(24, 32, stride=2),  # (n, 32, 14, 14)
            *_block(32, 48),
            *_block(48, 64, stride=2),  # (n, 64, 7, 7)
            *_block(64, 96),
            nn.AdaptiveAvgPool2d(3),  # (n, 96, 3, 3)
            nn.Flatten(),
            nn.Linear(96 * 3 * 3, FEATURES),
            nn.ReLU(),
        )
        self.classify = nn.Linear(FEATURES, DIGITS)

    def forward(self, gray: Tensor) -> Tensor:
        """Return logits (n, 10) of gray digits (n, 1, 28, 28) in [0, 1], brightest pixel 1."""
        logits: Tensor = self.classify(self.features(gray))
        return logits

    @torch.no_grad()
    def read(self, images: Images) -> tuple[npt.NDArray[np.int64], Floats]:
        """Read images, whatever made them.

        Args:
            images: uint8 (n, 28, 28, 3), RGB; their color is ignored.

        Returns:
            The digits read, int64 (n,), and the features, float32 (n, 128).
        """
        digits = np.empty(len(images), np.int64)
        features = np.empty((len(images), FEATURES), np.float32)
        for start in range(0, len(images), READ):
            rows = slice(start, start + READ)
            part = self.features(torch.from_numpy(normalised(images[rows])))
            features[rows] = part.numpy()
            digits[rows] = self.classify(part).argmax(1).numpy()
        return digits, features


def _block(channels: int, out: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()


def normalised(images: Images) -> Floats:
    """Remove the color: divide the largest channel of each pixel by that of the brightest pixel.

    Args:
        images: uint8 (n, 28, 28, 3) or (n, 28, 28).

    Returns:
        float32 (n, 1, 28, 28) in [0, 1]; a black image stays black.
    """
    gray = images if images.ndim == 3 else images.max(3)
    peak = np.maximum(gray.max((1, 2), keepdims=True), 1)
    full: Floats = (gray / peak.astype(np.float32))[:, None]
    return full


@functools.cache
def load(path: Path = ASSET) -> tuple[EvaluationJudge, str]:
    """Return a judge in evaluation mode and the sha256 of its file.

    Raises:
        DataError: The file is missing or damaged.
    """
    judge = weights.load_into(EvaluationJudge(), path, stored=torch.float16)
    return judge, hashlib.sha256(path.read_bytes()).hexdigest()
