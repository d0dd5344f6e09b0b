"""What a model is: its latent space, the tensors of its graphs, and the manifest that travels in every bundle.

This module is the contract between training, export and the runtime. It needs nothing but the standard library, so
that a manifest can be read and written where neither numpy nor onnxruntime is loaded. Plain records on the way of
`vaegen sample` are named tuples: a frozen dataclass takes half a millisecond to define, eight times as long.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

from vaegen.errors import BundleError

SIDE = 28  # pixels, height and width of every image
CHANNELS = 3  # RGB
DIGITS = 10  # classes, 0 to 9
SCHEMA = 1  # version of the manifest's layout
MANIFEST = "manifest.json"
MAX_GOLDEN = 1e12  # far from where float32 arithmetic overflows
MAX_WIDTH = 2**16  # latent coordinates or uniforms per item; keeps a hostile manifest from asking for terabytes
GRAPHS = ("encoder", "sampler", "prior", "decoder", "judge")

NAMES = "1 to 64 printable characters"

Kind = Literal["continuous", "discrete", "joint"]
KINDS: tuple[Kind, ...] = ("continuous", "discrete", "joint")


@dataclass(frozen=True)
class LatentSpec:
    """The latent space of one model: Z Gaussian coordinates, then N one-hot categoricals of K classes.

    A latent is one row of length L = Z + N * K: the Z continuous coordinates first, then the N one-hots
    laid end to end. All three models of the family are settings of this one description.

    Raises:
        ValueError: The numbers describe no latent space.
    """

    continuous: int = 0
    """Z, the number of Gaussian coordinates; 0 for none."""
    categorical: tuple[int, int] = (0, 0)
    """(N, K), the number of categorical variables and of classes in each; (0, 0) for none."""

    def __post_init__(self) -> None:
        n, k = self.categorical
        if self.continuous < 0 or n < 0 or k < 0 or (n == 0) != (k == 0) or k == 1:
            raise ValueError(f"no latent space has continuous={self.continuous}, categorical={self.categorical}")
        if self.size == 0:
            raise ValueError("a latent space needs continuous coordinates, categoricals or both")

    @property
    def size(self) -> int:
        """L, the length of one latent row."""
        return self.continuous + self.categorical[0] * self.categorical[1]

    @property
    def kind(self) -> Kind:
        """Which of the three models this latent space belongs to."""
        if self.categorical[0] == 0:
            return "continuous"
        return "joint" if self.continuous else "discrete"


class TensorSpec(NamedTuple):
    """The type of one graph input or output."""

    dtype: str
    """numpy's name: "float32" or "int64"."""
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


class ModelSpec(NamedTuple):
    """What one model is, apart from its weights; part of the manifest and of each graph's metadata."""

    name: str
    """The bundle's name, "joint" for the shipped joint model."""
    preset: str
    """The training preset it was made with: "default", "seed" or a name of one's own."""
    latent: LatentSpec
    """Z, N and K."""
    gumbel_temperature: float | None
    """Temperature baked into the Gumbel sampler of `sampler.onnx`; None without categoricals."""
    prior_temperature: float
    """Default for the prior's temperature input, in (0, 1]; 1 is the distribution as fitted."""

    @property
    def kind(self) -> Kind:
        """Which of the three models this is."""
        return self.latent.kind

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that the manifest holds under "model"."""
        return {
            "name": self.name,
            "preset": self.preset,
            "latent": {"continuous": self.latent.continuous, "categorical": list(self.latent.categorical)},
            "gumbel_temperature": self.gumbel_temperature,
            "prior_temperature": self.prior_temperature,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BundleError: A value is missing or of the wrong type.
        """
        name, latent = _get(data, "name", str, "model"), _get(data, "latent", dict, "model")
        if not is_name(name):
            raise BundleError(f"manifest: model.name is {name!r}; it must be {NAMES}")
        categorical = _get(latent, "categorical", list, "model.latent")
        gumbel = data.get("gumbel_temperature")
        if gumbel is not None:
            gumbel = _positive(data, "gumbel_temperature", "model")
        if len(categorical) != 2 or not all(type(value) is int for value in categorical):
            raise BundleError(f"manifest: model.latent.categorical is {categorical!r}; it must be two integers")
        try:
            spec = LatentSpec(_get(latent, "continuous", int, "model.latent"), (categorical[0], categorical[1]))
        except ValueError as error:
            raise BundleError(f"manifest: {error}") from error
        return cls(
            name=name,
            preset=_get(data, "preset", str, "model"),
            latent=spec,
            gumbel_temperature=gumbel,
            prior_temperature=_positive(data, "prior_temperature", "model"),
        )


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
        schema = _get(data, "schema", int, "manifest")
        if schema != SCHEMA:
            raise BundleError(f"manifest: schema {schema} is not readable here; this vaegen reads schema {SCHEMA}")
        graphs = _get(data, "graphs", dict, "manifest")
        if set(graphs) != set(GRAPHS):
            raise BundleError(f"manifest: graphs are {sorted(map(str, graphs))}; they must be {sorted(GRAPHS)}")
        return cls(
            model=ModelSpec.from_dict(_get(data, "model", dict, "manifest")),
            graphs={name: _graph(_get(graphs, name, dict, "graphs"), name) for name in GRAPHS},
            opset=_get(data, "opset", int, "manifest"),
            ir_version=_get(data, "ir_version", int, "manifest"),
            parity=_get(data, "parity", dict, "manifest"),
            quality=_get(data, "quality", dict, "manifest"),
            producer=_get(data, "producer", dict, "manifest"),
            golden=_golden(_get(data, "golden", dict, "manifest")) if "golden" in data else {},
        )


def is_name(text: str) -> bool:
    """Return whether a text may be a model's name: NAMES says which may."""
    return 0 < len(text) <= 64 and text.isprintable()


def interfaces(latent: LatentSpec, sampler_uniforms: int, prior_uniforms: int) -> dict[str, Interface]:
    """Return the interface of each graph.

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


def _get(data: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = data.get(key)
    if type(value) is not kind:
        raise BundleError(f"manifest: {where}.{key} is {value!r}; it must be of type {kind.__name__}")
    return value


def _positive(data: Mapping[str, Any], key: str, where: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1000:
        raise BundleError(f"manifest: {where}.{key} is {value!r}; it must be a positive number")
    return float(value)


def _golden(data: Mapping[str, Any]) -> dict[str, list[float]]:
    """Check the golden outputs' types; `vaegen verify` asks for more, among it that they are there."""
    for name in data:
        numbers = _get(data, name, list, "golden")
        # Written so that NaN, for which every comparison is false, is refused too.
        if not all(type(number) in (int, float) and abs(number) < MAX_GOLDEN for number in numbers):
            raise BundleError(f"manifest: golden.{name} holds something other than numbers below {MAX_GOLDEN:g}")
    return {name: [float(number) for number in data[name]] for name in data}


def _graph(data: Mapping[str, Any], name: str) -> GraphSpec:
    file = _get(data, "file", str, name)
    # A name from a manifest must never lead out of the bundle's folder.
    if file != f"{name}.onnx":
        raise BundleError(f"manifest: {name}.file is {file!r}; it must be {name + '.onnx'!r}")
    return GraphSpec(
        file=file,
        sha256=_get(data, "sha256", str, name),
        bytes=_get(data, "bytes", int, name),
        inputs=_tensors(_get(data, "inputs", dict, name), f"{name}.inputs"),
        outputs=_tensors(_get(data, "outputs", dict, name), f"{name}.outputs"),
    )


def _tensors(data: Mapping[str, Any], where: str) -> dict[str, TensorSpec]:
    tensors = {}
    for name in data:
        entry = _get(data, name, dict, where)
        shape = _get(entry, "shape", list, f"{where}.{name}")
        if not all(size == "n" or (type(size) is int and size > 0) for size in shape):
            raise BundleError(f'manifest: {where}.{name}.shape is {shape!r}; sizes are positive integers or "n"')
        tensors[name] = TensorSpec(_get(entry, "dtype", str, f"{where}.{name}"), tuple(shape))
    return tensors


def _floats(*sizes: int) -> TensorSpec:
    return TensorSpec("float32", ("n", *sizes))


def _text(spec: TensorSpec | None) -> str:
    return "absent" if spec is None else f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
