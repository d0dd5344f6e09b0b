"""The five graphs of a bundle, as torch modules with named inputs and outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from vaegen.spec import CHANNELS, DIGITS, SIDE, TensorSpec
from vaegen_training.models import latents
from vaegen_training.models.judge import Judge
from vaegen_training.models.latents import Posterior
from vaegen_training.models.vae import Vae
from vaegen_training.prior import Prior


@dataclass(frozen=True)
class Graph:
    """One graph before its export."""

    name: str
    """A name of `vaegen.spec.GRAPHS`."""
    module: nn.Module
    """Takes the inputs by position, gives a tuple of the outputs."""
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def run(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Run the torch side; what the exported graph is compared with."""
        with torch.no_grad():
            result: tuple[Tensor, ...] = self.module(*inputs)
        return result


class _Encoder(nn.Module):
    def __init__(self, vae: Vae) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        posterior = self.vae.encode(image)
        return (latents.deterministic(posterior), *(value for value in posterior if value is not None))


class _Sampler(nn.Module):
    def __init__(self, fields: Sequence[str], temperature: float) -> None:
        super().__init__()
        self.fields = tuple(fields)
        self.temperature = temperature

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        given = dict(zip(self.fields, inputs, strict=False))  # the last input, the noise, is no field
        posterior = Posterior(given.get("mean"), given.get("log_variance"), given.get("logits"))
        return (latents.sample(posterior, inputs[-1], self.temperature),)


class _Single(nn.Module):
    """Wraps a module's single output in a tuple."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        return (self.module(*inputs),)


class _Decoder(nn.Module):
    def __init__(self, vae: Vae) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> tuple[Tensor]:
        return (self.vae.decode(latent),)


def build(vae: Vae, prior: Prior, judge: Judge, gumbel_temperature: float) -> list[Graph]:
    """Describe the graphs of a model, in the order of `vaegen.spec.GRAPHS`.

    Args:
        vae: The model.
        prior: Its conditional prior.
        judge: The digit classifier that travels with it.
        gumbel_temperature: Baked into the sampler; not used by a model without categoricals.
    """
    spec = vae.spec
    z, (n, k) = spec.continuous, spec.categorical
    image = {"image": _float("n", CHANNELS, SIDE, SIDE)}
    latent = {"latent": _float("n", spec.size)}
    posterior = {"mean": _float("n", z), "log_variance": _float("n", z)} if z else {}
    if n:
        posterior["logits"] = _float("n", n, k)
    return [
        Graph("encoder", _Encoder(vae), image, latent | posterior),
        Graph(
            "sampler",
            _Sampler(tuple(posterior), gumbel_temperature),
            posterior | {"uniform": _float("n", z + n * k)},
            latent,
        ),
        Graph(
            "prior",
            _Single(prior),
            {
                "digit": TensorSpec("int64", ("n",)),
                "rgb": _float("n", CHANNELS),
                "uniform": _float("n", prior.noise_size),
                "temperature": _float(),
            },
            latent,
        ),
        Graph("decoder", _Decoder(vae), latent, image),
        Graph("judge", _Single(judge), image, {"logits": _float("n", DIGITS)}),
    ]


def _float(*shape: int | str) -> TensorSpec:
    return TensorSpec("float32", shape)
