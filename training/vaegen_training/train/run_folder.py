"""A run's folder: its settings, which come first and never change; its metrics; its finished model.

::

    RUN/config.json                     the settings; another run in the same folder must have the same
    RUN/metrics.jsonl                   losses as they went
    RUN/samples/*.png                   reconstructions and samples as they went
    RUN/*.checkpoint.safetensors        weights, averages and optimizer state of each stage
    RUN/prior.examples.safetensors      solutions of the prior's velocity field that its generator learns from
    RUN/model.safetensors               final weights of the VAE and its prior
    RUN/summary.json                    final figures on the 10,000 test digits
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from vaegen.errors import ConfigError, DataError, OutputError

from vaegen_training.config import TrainConfig
from vaegen_training.data import paint
from vaegen_training.models import weights
from vaegen_training.models.vae import Vae, build
from vaegen_training.prior import FeatureGenerator, FeatureSpace, Prior, VelocityField

CONFIG, MODEL, SUMMARY = "config.json", "model.safetensors", "summary.json"
EXAMPLES = "prior.examples.safetensors"


def check(folder: Path, settings: str) -> None:
    """Refuse a folder that holds anything but the run with these settings.

    Raises:
        ConfigError: It does.
        OutputError: It cannot be looked into.
    """
    path = folder / CONFIG
    try:
        if path.exists():
            if path.read_bytes() != settings.encode():
                raise ConfigError(
                    f"{folder} holds a run with other settings (see {CONFIG} there); "
                    "repeat its command to go on with it, or choose another --out"
                )
        # Hidden files do not count: a run that is killed as it begins leaves one.
        elif folder.exists() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise ConfigError(f"{folder} is not empty and holds no run; choose another --out")
    except OSError as error:
        raise _unusable(folder, error) from error


def begin(folder: Path, settings: str) -> None:
    """Make the folder, its settings first: with them a run that is killed can be resumed.

    Raises:
        OutputError: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        weights.write_atomically(folder / CONFIG, settings.encode())
        (folder / "samples").mkdir(exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder} cannot hold a run ({error.strerror}); choose another --out")


class MetricsLog:
    """`metrics.jsonl`: one line for each stage and interval."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.path = folder / "metrics.jsonl"
        self.stage = stage

    def keep_until(self, step: int) -> None:
        """Drop this stage's lines from beyond `step`: a killed run wrote them after its last checkpoint."""
        kept = []
        for text in self.path.read_text().splitlines() if self.path.exists() else []:
            try:
                line = json.loads(text)
            except ValueError:  # a line that a kill cut short
                continue
            if line["stage"] != self.stage or line["step"] <= step:
                kept.append(json.dumps(line) + "\n")
        weights.write_atomically(self.path, "".join(kept).encode())

    def write(self, step: int, images: int, means: Mapping[str, float]) -> None:
        """Add one line: means over the interval that ends at `step`."""
        # Appended and not synced: a sync takes 10 ms, and what a power cut takes from here is written again.
        with self.path.open("a") as file:
            file.write(json.dumps({"stage": self.stage, "step": step, "images": images, **means}) + "\n")


def build_networks(config: TrainConfig) -> tuple[Vae, VelocityField, FeatureGenerator]:
    """Build the VAE and the two networks of its prior with the starting weights of a run."""
    torch.manual_seed(config.seed)
    vae = build(config.model)
    space = FeatureSpace(vae.feature_size, use_color=not vae.separate_color)
    return vae, VelocityField(space, config.prior), FeatureGenerator(space, config.prior)


def load_run(folder: Path) -> tuple[TrainConfig, Vae, Prior, Tensor]:
    """Load a finished run's model, on the CPU, in evaluation mode, and the real digits it keeps for an export's gate.

    Returns:
        The configuration, the VAE, its prior and float32 (m, 784) gray test digits in [0, 1].

    Raises:
        DataError: The folder holds no finished run.
        ConfigError: Its settings cannot be read.
    """
    path = folder / MODEL
    if not path.is_file():
        state = "is not finished; run its vaegen train command again" if (folder / CONFIG).exists() else "holds no run"
        raise DataError(f"{folder} {state}")
    tensors, meta = weights.read(path)
    config = TrainConfig.from_json(json.dumps(meta["config"]))
    vae, _, network = build_networks(config)
    vae.load_state_dict(weights.under(tensors, "vae."))
    network.load_state_dict(weights.under(tensors, "generator."))
    prior = Prior(vae, network).eval()  # and with it the VAE
    return config, vae, prior, paint.to_float(tensors["probe"])
