"""Which tensors go into and come out of each graph of a bundle, derived from the latent spec.

The runtime holds manifests and graphs against this table; an exporter can build its manifest from it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from vaegen.errors import BundleError
from vaegen.spec import CHANNELS, DIGITS, GRAPHS, SIDE, LatentSpec, Manifest, TensorSpec

MAX_WIDTH = 2**16  # latent coordinates or uniforms per item; keeps a hostile manifest from asking for terabytes


class Interface(NamedTuple):
    """The inputs and outputs of one graph."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def interfaces(latent: LatentSpec, sampler_uniforms: int, prior_uniforms: int) -> dict[str, Interface]:
    """Give the interface of each graph.

    Args:
        latent: Z, N and K.
        sampler_uniforms: S of `sampler.onnx`, uniforms per item.
        prior_uniforms: S of `prior.onnx`, uniforms per item.
    """
    categoricals, classes = latent.categorical
    image = {"image": _floats(CHANNELS, SIDE, SIDE)}
    code = {"latent": _floats(latent.size)}
    posterior = {}
    if latent.continuous:
        posterior["mean"] = _floats(latent.continuous)
        posterior["log_variance"] = _floats(latent.continuous)
    if categoricals:
        posterior["logits"] = _floats(categoricals, classes)
    request = {
        "digit": TensorSpec("int64", ("n",)),
        "rgb": _floats(3),
        "uniform": _floats(prior_uniforms),
        "temperature": TensorSpec("float32", ()),
    }
    return {
        "encoder": Interface(image, code | posterior),
        "sampler": Interface(posterior | {"uniform": _floats(sampler_uniforms)}, code),
        "prior": Interface(request, code),
        "decoder": Interface(code, image),
        "judge": Interface(image, {"logits": _floats(DIGITS)}),
    }


def uniforms(manifest: Manifest, graph: str) -> int:
    """Give S, the uniforms per item that `graph` ("sampler" or "prior") takes.

    Raises:
        BundleError: The manifest gives its input `uniform` no usable shape.
    """
    spec = manifest.graphs[graph].inputs.get("uniform")
    size = spec.shape[1] if spec is not None and len(spec.shape) == 2 else None
    if not isinstance(size, int) or not 0 < size <= MAX_WIDTH:
        shape = None if spec is None else list(spec.shape)
        raise BundleError(f'manifest: {graph}.inputs.uniform has shape {shape}; it must be ["n", S]')
    return size


def check_manifest(manifest: Manifest) -> None:
    """Check that the graphs in a manifest fit its latent spec.

    Raises:
        BundleError: A tensor is missing, surplus, or of another type or shape than the latent spec asks for.
    """
    latent = manifest.model.latent
    if latent.size > MAX_WIDTH:
        raise BundleError(f"manifest: latents of {latent.size} coordinates; the most is {MAX_WIDTH}")
    wanted = interfaces(latent, uniforms(manifest, "sampler"), uniforms(manifest, "prior"))
    for name in GRAPHS:
        graph = manifest.graphs[name]
        compare(f"manifest: {name}.inputs", graph.inputs, wanted[name].inputs)
        compare(f"manifest: {name}.outputs", graph.outputs, wanted[name].outputs)


def compare(where: str, found: Mapping[str, TensorSpec], wanted: Mapping[str, TensorSpec]) -> None:
    """Check that two sets of tensors are the same; their order is free.

    Raises:
        BundleError: They differ; the message names the first difference.
    """
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise BundleError(f"{where} {name} is {_text(found.get(name))}; it must be {_text(wanted.get(name))}")


def _floats(*sizes: int) -> TensorSpec:
    return TensorSpec("float32", ("n", *sizes))


def _text(spec: TensorSpec | None) -> str:
    return "absent" if spec is None else f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
