"""vaegen's own loop, `vaegen_training.runs.loop.run_stage`, on a preset's VAE; as it is, or with one thing changed."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vaegen_training import presets
from vaegen_training.config import StageConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import vae as models
from vaegen_training.models.judge import load_judge
from vaegen_training.models.objective import VaeObjective
from vaegen_training.models.vae import AREA, SUBPIXELS, Analysis, FactoredVae, MlpVae, build
from vaegen_training.runs import loop as training_loop
from vaegen_training.runs.run_folder import build_networks

from tests.benchmarks.loops.gate import Loop
from tests.benchmarks.loops.job import Job

EPOCHS = 1e6
"""So long a run that no line of metrics, picture or checkpoint falls due; a run has 100, 10, and one every 15 s."""

Change = Callable[[], contextlib.AbstractContextManager[object]]


def loop(preset: str, change: Change = contextlib.nullcontext) -> Loop:
    """Return vaegen's loop for a preset, with something changed while it runs."""

    def train(job: Job, images: Tensor, gate: Callable[[], None]) -> NoReturn:
        torch.set_flush_denormal(True)  # as `vaegen train` does
        config = presets.preset(preset, job.kind)
        stage = dataclasses.replace(config.vae, batch=job.batch, epochs=EPOCHS)
        config = dataclasses.replace(config, vae=stage, objective=dataclasses.replace(config.objective, kl_warmup=0.0))
        labels = torch.zeros(len(images), dtype=torch.int64)

        def size(config: StageConfig, progress: float) -> float:
            gate()  # the loop asks for its step size where a step begins
            return config.learning_rate

        with change(), patch.object(training_loop, "learning_rate", size), tempfile.TemporaryDirectory() as folder:
            vae = build_networks(config)[0]
            objective = VaeObjective(vae, Mnist(images, labels, images, labels), config, load_judge())
            whole = training_loop.Stage("vae", vae, objective, stage, len(images))
            device = torch.device("cpu")
            training_loop.run_stage(whole, Path(folder), seed=0, device=device)
        raise AssertionError("a million epochs are over")

    return train


def products(preset: str) -> Loop:
    """Return the matrix products of a step alone: what its linear layers cannot do without."""

    def train(job: Job, images: Tensor, gate: Callable[[], None]) -> NoReturn:
        layers = [
            (torch.rand(job.batch, inputs), torch.rand(outputs, inputs), torch.rand(job.batch, outputs))
            for inputs, outputs in _layers(preset, job.kind)
        ]
        while True:
            gate()
            for x, weight, gradient in layers:
                torch.mm(x, weight.t())
                torch.mm(gradient.t(), x)
                if not _is_image(x.shape[1]):
                    torch.mm(gradient, weight)

    return train


def operations(preset: str, job: Job) -> int:
    """Count the floating-point operations of those products."""
    return sum(
        2 * job.batch * inputs * outputs * (2 if _is_image(inputs) else 3)
        for inputs, outputs in _layers(preset, job.kind)
    )


def _layers(preset: str, kind: str) -> list[tuple[int, int]]:
    layers = [layer for layer in build(presets.preset(preset, kind).model).modules() if isinstance(layer, nn.Linear)]
    return [(layer.in_features, layer.out_features) for layer in layers if layer.weight.requires_grad]


def _is_image(size: int) -> bool:
    return size in (AREA, SUBPIXELS)  # nobody asks for the gradient of an image


@contextlib.contextmanager
def _denormals() -> Iterator[None]:
    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(True)


class _Adam(torch.optim.Adam):
    """Takes the step size as a number: torch's foreach loop takes no tensor."""

    foreach = False

    def __init__(self, parameters: Sequence[Tensor], *, lr: Tensor, betas: tuple[float, float], **_: Any) -> None:
        super().__init__(parameters, lr=float(lr), betas=betas, foreach=self.foreach)
        self.param_groups[0]["lr"] = lr

    def step(self, closure: Any = None) -> Any:
        size = self.param_groups[0]["lr"]
        self.param_groups[0]["lr"] = float(size)
        value = super().step(closure)
        self.param_groups[0]["lr"] = size
        return value


class _ForeachAdam(_Adam):
    foreach = True


def _adam(kind: type[_Adam]) -> Change:
    return lambda: patch("torch.optim.Adam", kind)


def _bfloat16() -> contextlib.AbstractContextManager[object]:
    def forward(self: nn.Linear, x: Tensor) -> Tensor:
        # Products alone: a probability of 1 - 1e-6 does not fit into 8 bits.
        with torch.autocast("cpu", torch.bfloat16):
            return F.linear(x, self.weight, self.bias).float()

    return patch.object(nn.Linear, "forward", forward)


def _compiled() -> contextlib.AbstractContextManager[object]:
    return patch.object(VaeObjective, "__call__", torch.compile(VaeObjective.__call__))


def _painted_first() -> contextlib.AbstractContextManager[object]:
    def analyse_painted(self: FactoredVae, gray: Tensor, rgb: Tensor) -> Analysis:
        return self.analyse(paint.paint(gray, rgb))

    return patch.object(FactoredVae, "analyse_painted", analyse_painted)


def _painted_in_layer() -> contextlib.AbstractContextManager[object]:
    def encode(layers: nn.Module, gray: Tensor, rgb: Tensor) -> Tensor:
        assert isinstance(layers, nn.Sequential)
        linear = layers[0]
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.unflatten(1, (3, -1)).flatten(0, 1)  # (512 * 3, 784)
        channels = F.linear(gray, weight).unflatten(1, (-1, 3))  # (n, 512, 3)
        result: Tensor = layers[1:]((channels * rgb[:, None]).sum(2) + linear.bias)
        return result

    def analyse_painted(vae: MlpVae, gray: Tensor, rgb: Tensor) -> Analysis:
        names = ("continuous_encoder", "discrete_encoder")
        encoders = [vae.get_submodule(name) for name in names if hasattr(vae, name)]
        features = torch.cat([encode(encoder, gray, rgb) for encoder in encoders], dim=1)
        return Analysis(features, rgb * 0)

    return patch.object(MlpVae, "analyse_painted", analyse_painted)


def _quick_variance() -> contextlib.AbstractContextManager[object]:
    def perceptual(activations: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        parts = []
        for found, wanted in zip(activations, target, strict=True):
            variance = (wanted - wanted.mean(0)).square().mean().clamp_min(1e-6)
            parts.append((found - wanted).square().flatten(1).mean(1) / variance)
        return torch.stack(parts).sum(0)

    return patch.object(models, "perceptual", perceptual)


AS_IT_IS: Final = "as it is"
COMPILED: Final = "torch.compile"
CHANGES: Final[Mapping[str, Change]] = {
    AS_IT_IS: contextlib.nullcontext,
    "plain Adam": _adam(_Adam),
    "foreach Adam": _adam(_ForeachAdam),
    "denormals kept": _denormals,
    "bfloat16 products": _bfloat16,
    COMPILED: _compiled,
    "painted before the encoder": _painted_first,
    "painted in the first layer": _painted_in_layer,
    "variances in float32": _quick_variance,
}
"""What could be otherwise, by the name of its row."""
ONLY_FOR: Final = {
    "painted before the encoder": "default",
    "painted in the first layer": "seed",
    "variances in float32": "default",
}
"""Changes to what only one preset has."""
