"""A bundle that is replaced while it is in use is refused by every process that reads it again."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen import IntegrityError

from tests.security.attacks import TINY, Attack, apply, inside


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


def swap(bundle: Path) -> None:
    """Put another good bundle in the place of one: it has a tensor more, and a manifest that says so."""
    apply(Attack("", "", "decoder", inside(b"\x2a\x04\x10\x01\x42\x00"), ""), bundle)
    assert vaegen.load(bundle).sample(3, "red").any()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_refuse_another_bundle_than_the_one_that_was_loaded(bundle: Path, tmp_path: Path, workers: int) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        Image.fromarray(np.full((28, 28, 3), number, np.uint8)).save(tmp_path / "in" / f"{number}.png")
    model = vaegen.load(bundle)
    if workers == 1:  # it has all that it needs, as long as it lives
        model.reconstruct(np.zeros((1, 28, 28, 3), np.uint8))
    swap(bundle)
    if workers == 1:
        assert vaegen.reconstruct_folder(model, tmp_path / "in", tmp_path / "out", workers=1).written == 4
        return
    with pytest.raises(IntegrityError, match="another bundle than when it was loaded"):
        vaegen.reconstruct_folder(model, tmp_path / "in", tmp_path / "out", workers=workers)
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_pickled_model_refuses_another_bundle(bundle: Path) -> None:
    travelling = pickle.dumps(vaegen.load(bundle))
    assert pickle.loads(travelling).spec.name == "tiny"
    facts = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(facts | {"quality": {"measured": 1}}))
    assert pickle.loads(travelling).spec.name == "tiny"  # the same graphs
    swap(bundle)
    with pytest.raises(IntegrityError, match="load it again"):
        pickle.loads(travelling)
