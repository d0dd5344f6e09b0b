"""Small models of every kind, trained for a moment on real digits and exported: what these tests need, in seconds."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from vaegen.manifest import GRAPHS, MANIFEST, Manifest
from vaegen_export import export, graphs, serialise
from vaegen_training import train
from vaegen_training.runs import loop
from vaegen_training.runs.run_folder import Run, load_run

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
    "prior.field_hidden": "32",
    "prior.examples": "1000",
    "flow_stage.epochs": "4",
    "flow_stage.batch": "250",
    "flow_stage.ema": "0.9",
    "prior_stage.epochs": "1",
    "prior_stage.batch": "250",
    "prior_stage.ema": "0.9",
    "sharpen_stage.epochs": "0.5",
    "sharpen_stage.batch": "100",
    "verifier_stage.epochs": "0.5",
    "verifier_stage.batch": "100",
}

QUICK = {"flow_stage.epochs": "1", "prior_stage.epochs": "1", "prior.examples": "1000", "verifier_stage.epochs": "1"}

GetRun = Callable[..., Path]


@dataclass(frozen=True)
class Exported:
    """A run and the bundle made of it."""

    run: Run
    """Its weights rounded as the bundle has them."""
    folder: Path
    manifest: Manifest
    graphs: list[graphs.Graph]
    """The torch side."""
    files: dict[str, bytes]
    """The ONNX bytes by graph name."""


GetExported = Callable[..., Exported]


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> GetRun:
    """Return the folder of a finished small run of (preset, kind), trained when first asked for."""

    @functools.cache
    def folder(kind: str, preset: str) -> Path:
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

    return lambda kind, preset="default": folder(kind, preset)  # a default would make a key of its own


@pytest.fixture(scope="session")
def exported(finished_run: GetRun, tmp_path_factory: pytest.TempPathFactory) -> GetExported:
    """Return the bundle of a small run of (kind, preset), made when first asked for: an export takes seconds."""

    @functools.cache
    def bundle(kind: str, preset: str) -> Exported:
        folder = tmp_path_factory.mktemp("bundles") / f"{preset}-{kind}"
        manifest = export(finished_run(kind, preset), folder)
        run = load_run(finished_run(kind, preset))
        for module in (run.prior, run.verifier):
            serialise.round_weights(module)
        built = graphs.build(manifest.model, run.vae, run.prior, run.verifier)
        files = {name: (folder / f"{name}.onnx").read_bytes() for name in GRAPHS}
        assert {path.name for path in folder.iterdir()} == {MANIFEST, *(f"{name}.onnx" for name in files)}
        return Exported(run, folder, manifest, built, files)

    return lambda kind, preset="default": bundle(kind, preset)
