import hashlib
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from vaegen.errors import DataError
from vaegen_training import data
from vaegen_training.data import Mnist
from vaegen_training.evaluate import evaluation_judge, samples
from vaegen_training.models.judge import load_judge

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "assets" / "make_evaluation_judge.py")))


def test_the_committed_judge_reads_the_sample(digits: Mnist) -> None:
    reader, digest = evaluation_judge.load()
    assert MAKE.accuracy(reader, digits) >= 0.99
    assert digest == hashlib.sha256(evaluation_judge.ASSET.read_bytes()).hexdigest()
    assert evaluation_judge.ASSET.stat().st_size < 500_000


@pytest.mark.mnist
def test_the_committed_judge_is_as_good_as_its_docs_say(mnist_dir: Path) -> None:
    assert MAKE.accuracy(evaluation_judge.load()[0], data.load(mnist_dir)) == pytest.approx(0.9971, abs=2e-4)


def test_the_judge_is_another_than_the_one_that_ships(digits: Mnist) -> None:
    """They do not even err alike: what one gets wrong by a hair, the other may see."""
    gray = digits.test_images.float().reshape(-1, 784) / 255
    theirs = load_judge().read(gray / gray.amax(1, keepdim=True)).softmax(1)
    mine = evaluation_judge.load()[0](
        torch.from_numpy(evaluation_judge.normalised(digits.test_images.numpy()))
    ).softmax(1)
    doubts = torch.stack([1 - theirs.amax(1), 1 - mine.amax(1)]).detach().log()
    assert (theirs.argmax(1) == mine.argmax(1)).float().mean() > 0.97
    assert float(torch.corrcoef(doubts)[0, 1]) < 0.9


def test_color_and_batch_change_nothing(digits: Mnist) -> None:
    gray = digits.test_images.numpy()[:50]
    reader, _ = evaluation_judge.load()
    seen, features = reader.read(gray)
    colors = samples.random_colors(50, np.random.default_rng(0))
    assert (reader.read(samples.paint(gray, colors))[0] == seen).mean() >= 0.98
    some, some_features = reader.read(gray[:7])
    assert (some == seen[:7]).all()
    assert some_features == pytest.approx(features[:7], abs=1e-4)
    assert features.shape == (50, evaluation_judge.FEATURES)


def test_normalised_digits_have_full_contrast_and_black_stays_black(digits: Mnist) -> None:
    gray = digits.test_images.numpy()[:5] // 3
    full = evaluation_judge.normalised(np.concatenate([gray, np.zeros_like(gray[:1])]))
    assert full.shape == (6, 1, 28, 28)
    assert full.dtype == np.float32
    assert full.max((1, 2, 3)).tolist() == [1, 1, 1, 1, 1, 0]


def sample(digits: Mnist, n: int) -> Mnist:
    return Mnist(digits.train_images[:n], digits.train_labels[:n], digits.test_images, digits.test_labels)


def test_training_teaches(digits: Mnist) -> None:
    assert MAKE.accuracy(MAKE.train(sample(digits, 512), epochs=8), digits) > 0.5


def test_training_is_repeatable_and_leaves_torch_s_random_state_alone(digits: Mnist) -> None:
    before = torch.get_rng_state()
    first, second = (MAKE.train(sample(digits, 128), epochs=2) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    for left, right in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(left, right)


def test_a_written_judge_is_the_one_that_is_loaded(digits: Mnist, tmp_path: Path) -> None:
    reader, _ = evaluation_judge.load()
    path = tmp_path / "judge.safetensors"
    MAKE.write(reader, path, 0.5)
    again, digest = evaluation_judge.load(path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    gray = digits.test_images.numpy()[:50]
    assert (again.read(gray)[1] == reader.read(gray)[1]).all()


def test_a_missing_judge_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        evaluation_judge.load(tmp_path / "absent.safetensors")
