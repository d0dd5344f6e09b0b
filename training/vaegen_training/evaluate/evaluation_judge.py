"""The evaluation judge: a digit classifier that scores models and never ships in a bundle.

It is trained apart from the judge that bundles carry: another architecture, optimizer and random state, wider
augmentation, so that a model cannot be tuned to the judge that scores it. Train one with

    python -m vaegen_training.evaluate.evaluation_judge --data-dir data/mnist --out evaluation-judge.safetensors

The committed file, which published figures quote, reads 99.71% of the 10,000 test digits; docs/evaluation.md says what
a new training gives.
"""

import argparse
import functools
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm
from vaegen.spec import DIGITS

from vaegen_training import data
from vaegen_training.models import weights

ASSET = Path(__file__).parents[1] / "assets" / "evaluation-judge.safetensors"
SEED = 7
EPOCHS = 7
BATCH = 128
LEARNING_RATE = 6e-3  # the peak of one cycle
WEIGHT_DECAY = 0.02
SMOOTHING = 0.02  # of the labels
# Half-ranges of the augmentation's uniform draws.
ROTATION, SHEAR = 8.6, 5.7  # degrees
SCALING = 0.10  # relative
SHIFT = 0.04  # of the side: 1.1 pixels
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
    tensors, _ = weights.read(path)
    judge = EvaluationJudge()
    weights.check(path, tensors, judge.state_dict(), stored=torch.float16)
    judge.load_state_dict(tensors)
    return judge.eval(), hashlib.sha256(path.read_bytes()).hexdigest()


def train(mnist: data.Mnist, *, epochs: int = EPOCHS, progress: bool = False) -> EvaluationJudge:
    """Train a judge on the CPU: cross entropy on augmented gray digits, one cycle of AdamW, in bfloat16.

    Args:
        mnist: The digits; only the training part is used.
        epochs: Passes over them.
        progress: Show a bar on stderr, if that is a terminal.
    """
    # Imported here: torchvision takes a second to load, and reading images does not need it.
    from torchvision.transforms import v2

    augment = v2.RandomAffine(
        ROTATION, (SHIFT, SHIFT), (1 - SCALING, 1 + SCALING), SHEAR, interpolation=v2.InterpolationMode.BILINEAR
    )
    gray, labels = mnist.train_images.float().unsqueeze(1) / 255, mnist.train_labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        judge = EvaluationJudge().train()
        steps = epochs * len(gray) // BATCH
        optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps)
        batches: list[Tensor] = []
        for _ in tqdm(range(steps), desc="evaluation judge", unit=" batches", disable=None if progress else True):
            if not batches:
                batches = list(torch.randperm(len(gray)).split(BATCH))
            index = batches.pop(0)
            image = torch.stack([augment(digit) for digit in gray[index]])  # a draw for each image
            with torch.autocast("cpu", torch.bfloat16):
                logits = judge(image / image.amax((1, 2, 3), keepdim=True))
            loss = F.cross_entropy(logits.float(), labels[index], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return judge.eval()


def write(judge: EvaluationJudge, path: Path, accuracy: float) -> None:
    """Write a judge's weights as float16, all or nothing."""
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in judge.state_dict().items()
    }
    meta = {"accuracy": accuracy, "batch": BATCH, "epochs": EPOCHS, "seed": SEED}
    weights.write(path, tensors, meta)


def accuracy(judge: EvaluationJudge, mnist: data.Mnist) -> float:
    """Return the share of test digits that the judge reads correctly."""
    seen, _ = judge.read(mnist.test_images.numpy())
    return float((seen == mnist.test_labels.numpy()).mean())


def main() -> None:
    """Train the judge and write it."""
    parser = argparse.ArgumentParser(
        prog="python -m vaegen_training.evaluate.evaluation_judge",
        description="Train the judge that evaluation scores with.",
    )
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's four idx files; default: download")
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists; choose another --out")
    mnist = data.load(arguments.data_dir)
    judge = train(mnist, progress=True)
    share = accuracy(judge, mnist)
    write(judge, arguments.out, share)
    digest = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(f"{arguments.out}: {share:.2%} of {len(mnist.test_labels)} test digits, sha256 {digest}")


if __name__ == "__main__":
    main()
