"""The five graphs of a bundle, as torch modules with named inputs and outputs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from vaegen import golden
from vaegen.manifest import GRAPHS, TensorSpec, interfaces
from vaegen.spec import ModelSpec
from vaegen_training.models import latents
from vaegen_training.models.latents import Posterior
from vaegen_training.models.vae import Vae
from vaegen_training.models.verifier import Verifier
from vaegen_training.prior import Prior


@dataclass(frozen=True)
class Graph:
    """One graph before its export."""

    name: str
    """A name of `vaegen.manifest.GRAPHS`."""
    module: nn.Module
    """Takes the inputs by position, returns a tuple of the outputs."""
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


class _Prior(nn.Module):
    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        return (self.prior(*inputs),)


class _Decoder(nn.Module):
    def __init__(self, vae: Vae) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        image = self.vae.decode(latent)
        return image, (image * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


class _Gelu(nn.Module):
    """The same as nn.GELU, in the order of steps that onnxruntime fuses into one operator."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + torch.erf(x / math.sqrt(2))) * 0.5


def build(model: ModelSpec, vae: Vae, prior: Prior, verifier: Verifier) -> list[Graph]:
    """Return the graphs of a model, in the order of `vaegen.manifest.GRAPHS`, with the tensors that a bundle has.

    Args:
        model: What the model is.
        vae: Its encoder and decoder.
        prior: Its conditional prior.
        verifier: What accepts its images.
    """
    tensors = interfaces(model, sampler_uniforms=vae.spec.size, prior_uniforms=prior.noise_size)
    fields = [name for name in tensors["sampler"].inputs if name != "uniform"]
    modules: dict[str, nn.Module] = {
        "encoder": _Encoder(vae),
        "sampler": _Sampler(fields, model.gumbel_temperature or 1.0),  # without categoricals there is none
        "prior": _Prior(prior),
        "decoder": _Decoder(vae),
        "judge": verifier,
    }
    for module in modules.values():
        _fuse_gelu(module)
    return [Graph(name, modules[name], tensors[name].inputs, tensors[name].outputs) for name in GRAPHS]


def _fuse_gelu(module: nn.Module) -> None:
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.GELU):
                setattr(parent, name, _Gelu())


def golden_outputs(graphs: list[Graph], model: ModelSpec) -> dict[str, list[float]]:
    """Return what torch computes on the fixed inputs of `vaegen.golden`, by "graph.output", for the manifest.

    Args:
        graphs: The torch side; its weights have gone through `serialise.round_weights`.
        model: What the model is.
    """
    numbers: dict[str, list[float]] = {}
    for graph in graphs:
        fixed = golden.inputs(graph.inputs, model)
        results = graph.run([torch.from_numpy(fixed[name]) for name in graph.inputs])
        for name, value in zip(graph.outputs, results, strict=True):
            numbers[f"{graph.name}.{name}"] = golden.summarise(value.numpy())
    return numbers
