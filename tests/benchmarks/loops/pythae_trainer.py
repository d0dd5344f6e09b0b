"""pythae's own trainer on its own default VAE, which is the report's continuous one: 2352-512-2Z and back.

Its images are painted once, before it starts: its data sets are tensors that are already there.
"""

import logging
import tempfile
from collections.abc import Callable
from typing import NoReturn

from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor
from vaegen_training.data import paint

from tests.benchmarks.loops.job import Job


def train(job: Job, images: Tensor, gate: Callable[[], None]) -> NoReturn:
    """Train for ever; pythae's only VAE of the three kinds is the continuous one."""
    assert job.kind == "continuous"
    logging.disable()  # it logs to the terminal; its bar, on stderr, stays: pythae has no way without
    rgb = paint.fixed_colors(len(images))
    painted = paint.paint(paint.to_float(images), rgb)
    vae = VAE(VAEConfig(input_dim=(3, 28, 28), latent_dim=2, reconstruction_loss="bce"))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=job.batch,
            num_epochs=1_000_000,
            learning_rate=0.001,
            no_cuda=True,
        )
        trainer = BaseTrainer(vae, BaseDataset(painted, rgb[:, 0]), training_config=config)
        vae.register_forward_pre_hook(lambda *_: gate())
        trainer.train()
    raise AssertionError("a million epochs are over")
