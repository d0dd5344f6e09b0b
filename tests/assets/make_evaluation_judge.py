"""Train the judge that evaluation scores with: vaegen_training/assets/evaluation-judge.safetensors.

    python tests/assets/make_evaluation_judge.py --data-dir MNIST --out evaluation-judge.safetensors

The committed weights were trained before torchvision drew the augmentation, so this does not make them again;
docs/evaluation.md says how well a new judge reads.
"""

import argparse
import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2
from tqdm import tqdm
from vaegen_training import data
from vaegen_training.evaluate.evaluation_judge import EvaluationJudge
from vaegen_training.models import weights

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


def train(mnist: data.Mnist, *, epochs: int = EPOCHS, progress: bool = False) -> EvaluationJudge:
    """Train a judge on the CPU: cross entropy on augmented gray digits, one cycle of AdamW, in bfloat16.

    Args:
        mnist: The digits; only the training part is used.
        epochs: Passes over them.
        progress: Show a bar on stderr, if that is a terminal.
    """
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
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
