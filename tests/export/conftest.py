"""Small models of every kind, trained for a moment on real digits: what exports need, in seconds."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from vaegen.spec import LatentSpec, ModelSpec
from vaegen_training import train
from vaegen_training.train import loop

# One thread waits for nobody: these tensors are small, and the cores may be busy.
torch.set_flush_denormal(True)
torch.set_num_threads(1)

DIGITS = Path(__file__).parents[1] / "assets" / "digits"
SMALL = {
    "vae.epochs": "4",
    "vae.batch": "100",
    "vae.ema": "0.9",
    "model.hidden": "64",
    "prior.hidden": "32",
    "prior.examples": "2000",
    "flow_stage.epochs": "4",
    "flow_stage.batch": "250",
    "flow_stage.ema": "0.9",
    "prior_stage.epochs": "2",
    "prior_stage.batch": "250",
    "prior_stage.ema": "0.9",
}

QUICK = {"flow_stage.epochs": "1", "prior_stage.epochs": "1", "prior.examples": "1000"}

GetRun = Callable[..., Path]


@pytest.fixture(scope="session")
def joint_spec() -> ModelSpec:
    """What the small joint model is."""
    return ModelSpec("joint", "default", LatentSpec(35, (32, 8)), 0.5, 1.0)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> GetRun:
    """Return the folder of a finished small run of (preset, kind), trained when first asked for."""

    @functools.cache
    def folder(kind: str, preset: str = "default") -> Path:
        out = tmp_path_factory.mktemp("runs") / f"{preset}-{kind}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "LOGS", 2)
            patch.setattr(loop, "PREVIEWS", 1)
            train(
                kind,
                preset=preset,
                out=out,
                data_dir=DIGITS,
                device="cpu",
                overrides=SMALL if preset == "default" else {**QUICK, "vae.epochs": "0.5"},
                verify_data=False,
                progress=False,
            )
        return out

    return folder
