"""The manifest that travels in every bundle, and the tensors that the graphs of a model have."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from vaegen.errors import BundleError
from vaegen.spec import CHANNELS, DIGITS, SIDE, ModelSpec, get

SCHEMA = 2  # version of the manifest's layout
MANIFEST = "manifest.json"
MAX_GOLDEN = 1e12  # far from where float32 arithmetic overflows
MAX_WIDTH = 2**16  # latent coordinates or uniforms per item; keeps a hostile manifest from asking for terabytes
GRAPHS = ("encoder", "sampler", "prior", "decoder", "judge")


class TensorSpec(NamedTuple):
    """The type of one graph input or output."""

    dtype: str
    """numpy's name: "float32", "int64", "uint8" or "bool"."""
    shape: tuple[int | str, ...]
    """Sizes; the string "n" stands for the batch."""


class Interface(NamedTuple):
    """The inputs and outputs of one graph."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


class GraphSpec(NamedTuple):
    """One ONNX file of a bundle."""

    file: str
    """Plain file name inside the bundle's folder."""
    sha256: str
    """Hexadecimal digest of the file's bytes."""
    bytes: int
    """Size of the file."""
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that the manifest holds for this graph."""
        tensors = {
            side: {name: tensor._asdict() for name, tensor in getattr(self, side).items()}
            for side in ("inputs", "outputs")
        }
        return self._asdict() | tensors


@dataclass(frozen=True)
class Manifest:
    """The whole of `manifest.json`."""

    model: ModelSpec
    graphs: Mapping[str, GraphSpec]
    """One entry for each name in GRAPHS."""
    opset: int
    """ONNX opset of every graph."""
    ir_version: int
    """ONNX IR version of every graph."""
    parity: Mapping[str, Any] = field(default_factory=dict)
    """The export gate's report: largest differences between torch and onnxruntime."""
    quality: Mapping[str, Any] = field(default_factory=dict)
    """Published quality figures of this bundle, empty when none were taken."""
    producer: Mapping[str, str] = field(default_factory=dict)
    """Versions of what made the bundle."""
    golden: Mapping[str, list[float]] = field(default_factory=dict)
    """What each output comes to on fixed inputs, by "graph.output"; see `vaegen.golden`. Empty when not recorded."""

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each graph, by which two bundles are told apart."""
        return tuple(self.graphs[name].sha256 for name in GRAPHS)

    @property
    def identity(self) -> str:
        """What stands for the weights: SHA-256 in hex of the five checksums of the graphs in hex, one after another.

        Neither recorded figures nor a signature change it.
        """
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all graphs."""
        return sum(graph.bytes for graph in self.graphs.values())

    def to_json(self) -> str:
        """Return the file's text: keys in a fixed order, one trailing newline."""
        data = {
            "schema": SCHEMA,
            "model": self.model.to_dict(),
            "graphs": {name: self.graphs[name].to_dict() for name in GRAPHS},
            "opset": self.opset,
            "ir_version": self.ir_version,
            "parity": dict(self.parity),
            "quality": dict(self.quality),
            "producer": dict(self.producer),
            "golden": dict(self.golden),
        }
        return json.dumps(data, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the file's text.

        Raises:
            BundleError: The text is not a manifest, or has a schema this version cannot read.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"manifest: not valid JSON ({error})") from error
        if not isinstance(data, dict):
            raise BundleError("manifest: the top level must be a JSON object")
        _check_texts(data)
        schema = get(data, "schema", int, "manifest")
        if schema != SCHEMA:
            raise BundleError(
                "it was exported by vaegen 0.1; export the run again with vaegen export, or train it again"
                if schema == 1
                else f"manifest: schema {schema} is not readable here; this vaegen reads schema {SCHEMA}"
            )
        graphs = get(data, "graphs", dict, "manifest")
        if set(graphs) != set(GRAPHS):
            raise BundleError(f"manifest: graphs are {sorted(map(str, graphs))}; they must be {sorted(GRAPHS)}")
        return cls(
            model=ModelSpec.from_dict(get(data, "model", dict, "manifest")),
            graphs={name: _graph(get(graphs, name, dict, "graphs"), name) for name in GRAPHS},
            opset=get(data, "opset", int, "manifest"),
            ir_version=get(data, "ir_version", int, "manifest"),
            parity=get(data, "parity", dict, "manifest"),
            quality=get(data, "quality", dict, "manifest"),
            producer=get(data, "producer", dict, "manifest"),
            golden=_golden(get(data, "golden", dict, "manifest")) if "golden" in data else {},
        )


def interfaces(model: ModelSpec, sampler_uniforms: int, prior_uniforms: int) -> dict[str, Interface]:
    """Return the interface of each graph.

    Args:
        model: Its latent space, and whether its prior takes a style.
        sampler_uniforms: S of `sampler.onnx`, uniforms per item.
        prior_uniforms: S of `prior.onnx`, uniforms per item.
    """
    latent = model.latent
    categoricals, classes = latent.categorical
    image = {"image": _floats(CHANNELS, SIDE, SIDE)}
    code = {"latent": _floats(latent.size)}
    posterior = {}
    if latent.continuous:
        posterior["mean"] = _floats(latent.continuous)
        posterior["log_variance"] = _floats(latent.continuous)
    if categoricals:
        posterior["logits"] = _floats(categoricals, classes)
    digit, rgb = {"digit": TensorSpec("int64", ("n",))}, {"rgb": _floats(CHANNELS)}
    noise = {"uniform": _floats(prior_uniforms), "temperature": TensorSpec("float32", ())}
    style = {} if model.style is None else {"style": _floats(len(model.style))}
    judgement = {
        "probabilities": _floats(DIGITS),
        "probability": _floats(),
        "read": TensorSpec("int64", ("n",)),
        "color": _floats(CHANNELS),
        "color_error": _floats(),
        "realism": _floats(),
        "accepted": TensorSpec("bool", ("n",)),
        "rank": _floats(),
    }
    return {
        "encoder": Interface(image, code | posterior),
        "sampler": Interface(posterior | {"uniform": _floats(sampler_uniforms)}, code),
        "prior": Interface(digit | rgb | noise | style, code),
        "decoder": Interface(code, image | {"pixels": TensorSpec("uint8", ("n", SIDE, SIDE, CHANNELS))}),
        "judge": Interface(image | digit | rgb, judgement),
    }


def uniforms(manifest: Manifest, graph: str) -> int:
    """Return S, the uniforms per item that `graph` ("sampler" or "prior") takes.

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
    """Check that the graphs in a manifest fit its model.

    Raises:
        BundleError: A tensor is missing, surplus, or of another type or shape than the model asks for.
    """
    size = manifest.model.latent.size
    if size > MAX_WIDTH:
        raise BundleError(f"manifest: latents of {size} coordinates; the most is {MAX_WIDTH}")
    wanted = interfaces(manifest.model, uniforms(manifest, "sampler"), uniforms(manifest, "prior"))
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


def _check_texts(data: dict[str, Any]) -> None:
    """Check that every text in a manifest can be printed: people are shown its names, versions and figures."""
    todo: list[Any] = [data]
    while todo:
        value = todo.pop()
        if isinstance(value, str) and not value.isprintable():
            raise BundleError(f"manifest: it holds {value[:40]!r}, which cannot be printed")
        if isinstance(value, dict):
            todo += [*value, *value.values()]
        if isinstance(value, list):
            todo += value


def _golden(data: Mapping[str, Any]) -> dict[str, list[float]]:
    """Check the golden outputs' types; `vaegen verify` asks for more, among it that they are there."""
    for name in data:
        numbers = get(data, name, list, "golden")
        # Written so that NaN, for which every comparison is false, is refused too.
        if not all(type(number) in (int, float) and abs(number) < MAX_GOLDEN for number in numbers):
            raise BundleError(f"manifest: golden.{name} holds something other than numbers below {MAX_GOLDEN:g}")
    return {name: [float(number) for number in data[name]] for name in data}


def _graph(data: Mapping[str, Any], name: str) -> GraphSpec:
    file = get(data, "file", str, name)
    # A name from a manifest must never lead out of the bundle's folder.
    if file != f"{name}.onnx":
        raise BundleError(f"manifest: {name}.file is {file!r}; it must be {name + '.onnx'!r}")
    return GraphSpec(
        file=file,
        sha256=get(data, "sha256", str, name),
        bytes=get(data, "bytes", int, name),
        inputs=_tensors(get(data, "inputs", dict, name), f"{name}.inputs"),
        outputs=_tensors(get(data, "outputs", dict, name), f"{name}.outputs"),
    )


def _tensors(data: Mapping[str, Any], where: str) -> dict[str, TensorSpec]:
    tensors = {}
    for name in data:
        entry = get(data, name, dict, where)
        shape = get(entry, "shape", list, f"{where}.{name}")
        if not all(size == "n" or (type(size) is int and size > 0) for size in shape):
            raise BundleError(f'manifest: {where}.{name}.shape is {shape!r}; sizes are positive integers or "n"')
        tensors[name] = TensorSpec(get(entry, "dtype", str, f"{where}.{name}"), tuple(shape))
    return tensors


def _floats(*sizes: int) -> TensorSpec:
    return TensorSpec("float32", ("n", *sizes))


def _text(spec: TensorSpec | None) -> str:
    return "absent" if spec is None else f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
