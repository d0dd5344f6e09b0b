"""The judge: it reads digits, whatever their color."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from vaegen.errors import DataError
from vaegen_training import TrainSummary, train
from vaegen_training.data import Mnist, paint
from vaegen_training.models import judge, weights
from vaegen_training.models.judge import Judge, JudgeObjective, load_judge
from vaegen_training.runs import loop


def test_it_turns_images_into_ten_logits() -> None:
    logits = Judge()(torch.rand(5, 3, 28, 28))
    assert logits.shape == (5, 10)
    assert sum(parameter.numel() for parameter in Judge().parameters()) < 75_000


@torch.no_grad()
def test_it_does_not_see_the_color_or_its_brightness(digits: Mnist) -> None:
    torch.manual_seed(0)
    module = Judge().eval()
    gray = paint.to_float(digits.test_images[:8])
    gray = gray / gray.amax(1, keepdim=True)
    expected = module.read(gray)
    for rgb in ([1.0, 1.0, 1.0], [1.0, 0, 0], [0.1, 0.2, 0.15]):
        logits = module(paint.paint(gray, torch.tensor(rgb).expand(8, 3)))
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_it_calls_black_something() -> None:
    assert Judge()(torch.zeros(1, 3, 28, 28)).isfinite().all()


def test_its_loss_is_the_smoothed_cross_entropy(digits: Mnist) -> None:
    torch.manual_seed(0)
    module = Judge()
    config = replace(judge.JUDGE_STAGE, augment=0.0)
    index = torch.arange(64)
    found = JudgeObjective(module, digits, config)(index, torch.Generator().manual_seed(0))
    gray = paint.to_float(digits.train_images[index])
    log_p = module.read(gray / gray.amax(1, keepdim=True)).log_softmax(1)
    target = torch.nn.functional.one_hot(digits.train_labels[index], 10) * 0.98 + 0.002
    torch.testing.assert_close(found["loss"], -(target * log_p).sum(1).mean())
    share = (log_p.argmax(1) == digits.train_labels[index]).float().mean()
    assert found["accuracy"].item() == share.item()


@pytest.fixture(scope="module")
def short_judge(digits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSummary:
    """A judge trained on the 1,000 digits of the sample; the real one sees 60 times as many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "JUDGE_STAGE", replace(judge.JUDGE_STAGE, batch=50, epochs=5, ema=0.9))
        patch.setattr(loop, "LOGS", 10)
        out = tmp_path_factory.mktemp("judge") / "run"
        return train("judge", out=out, data_dir=digits_dir, device="cpu", verify_data=False, progress=False)


def test_a_short_training_reads_most_digits(short_judge: TrainSummary) -> None:
    assert short_judge.figures["accuracy"] > 0.85
    assert short_judge.figures["n"] == 200


def test_a_trained_judge_loads_in_single_precision(short_judge: TrainSummary, digits: Mnist) -> None:
    tensors, _ = weights.read(short_judge.folder / "judge.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    loaded = load_judge(short_judge.folder)
    assert not loaded.training
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert judge.accuracy(loaded, digits)["accuracy"] == pytest.approx(short_judge.figures["accuracy"], abs=0.011)


def test_a_folder_without_a_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"judge\.safetensors"):
        load_judge(tmp_path)


def test_the_judge_that_ships_reads_the_sample(digits: Mnist) -> None:
    assert judge.accuracy(load_judge(), digits)["accuracy"] >= 0.985


@pytest.mark.mnist
def test_the_judge_that_ships_reads_the_test_digits(mnist_dir: Path) -> None:
    from vaegen_training import data

    assert judge.accuracy(load_judge(), data.load(mnist_dir))["accuracy"] >= 0.993
