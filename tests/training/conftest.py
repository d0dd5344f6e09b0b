"""A small sample of real digits, runs trained on it for seconds, and the place of the full MNIST."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from vaegen_training import data, train
from vaegen_training.prior import acceptance
from vaegen_training.runs import loop

# As in every `vaegen train`. Torch's worker threads take the mode of the thread that starts them, so it must be set
# before the first parallel operation of the process; with it a run in this process equals one in a fresh process.
torch.set_flush_denormal(True)
# The tensors here are small: one thread is as fast as two, and 300 times faster than two on a machine whose cores are
# busy with something else, where they wait for each other.
torch.set_num_threads(1)

DIGITS = Path(__file__).parents[1] / "assets" / "digits"

# Seconds of training on 1,000 digits; everything else is the preset's. So few steps are averaged over a shorter time.
_PRIOR = {
    "prior.hidden": "128",
    "prior.field_hidden": "128",
    "flow_stage.epochs": "12",
    "flow_stage.batch": "250",
    "flow_stage.ema": "0.9",
    "prior.examples": "2000",
    "prior_stage.epochs": "3",
    "prior_stage.batch": "250",
    "prior_stage.ema": "0.9",
    "verifier_stage.epochs": "1",
    "verifier_stage.batch": "100",
    "verifier_stage.ema": "0.9",
}
SHORT = {
    "seed": {"vae.epochs": "2", **_PRIOR},
    "default": {
        "model.hidden": "128",
        "vae.epochs": "8",
        "vae.batch": "100",
        "vae.ema": "0.9",
        "sharpen_stage.epochs": "1",
        "sharpen_stage.batch": "100",
        "sharpen_stage.ema": "0.9",
        **_PRIOR,
    },
}

TrainShort = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def digits_dir() -> Path:
    """Folder of the sample: 1,000 training and 200 test digits as four gzipped idx files."""
    return DIGITS


@pytest.fixture(scope="session")
def digits(digits_dir: Path) -> data.Mnist:
    """The sample, loaded."""
    return data.load(digits_dir, verify=False)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """Folder of all of MNIST."""
    folder = os.environ.get("VAEGEN_MNIST")
    if not folder:
        pytest.skip("the full MNIST is not here: set VAEGEN_MNIST to the folder of its four idx files")
    return Path(folder)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> TrainShort:
    """Return the folder of a finished short run of (preset, kind), trained when first asked for."""

    @functools.cache
    def folder(preset: str, kind: str) -> Path:
        out = tmp_path_factory.mktemp("runs") / f"{preset}-{kind}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "LOGS", 12)  # each line and picture is synced to the disk, which takes its time
            patch.setattr(loop, "PREVIEWS", 2)
            patch.setattr(acceptance, "_LEVELLED", 100)
            train(
                kind,
                preset=preset,
                out=out,
                data_dir=digits_dir,
                device="cpu",
                overrides=SHORT[preset],
                verify_data=False,
                progress=False,
            )
        return out

    return folder
