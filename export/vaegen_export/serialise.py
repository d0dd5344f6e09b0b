"""From a torch module to the bytes of an ONNX file: small, portable, the same each time.

torch's exporter leaves source paths and stack traces in every node, stores weights as float32 and stamps the
newest IR version. All of that is put right here, and what must never be in a bundle is refused.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from vaegen.errors import ExportError
from vaegen.spec import ModelSpec

from vaegen_export.graphs import Graph

OPSET = 18
"""The lowest that torch's exporter writes without a conversion."""
IR_VERSION = 8
"""The lowest that goes with opset 18: onnxruntime 1.14 and later read it."""
HALF_FROM = 4096
"""Weights with at least this many elements are stored as float16; small ones, scales and biases, keep float32."""
RANDOM_OPS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
_TURNED = {"Less": "Greater", "LessOrEqual": "GreaterOrEqual"}
EXAMPLE_BATCH = 3  # torch.export takes a size of 0 or 1 for a constant


def round_weights(module: torch.nn.Module) -> None:
    """Round the weights that are stored as float16, so that the parity gate compares what really ships.

    Raises:
        ExportError: A weight lies outside the range of float16.
    """
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.dtype == torch.float32 and tensor.numel() >= HALF_FROM:
            rounded = tensor.detach().half().float()
            if not torch.isfinite(rounded).all():
                raise ExportError(f"weight {name} has values beyond float16; the run has diverged, train it again")
            tensor.data.copy_(rounded)


def to_onnx(graph: Graph, model: ModelSpec) -> bytes:
    """Export one graph.

    Args:
        graph: What to export; its weights have gone through `round_weights`.
        model: Goes into the file's metadata under the key "vaegen".

    Raises:
        ExportError: The exporter wrote something that a bundle must not hold.
    """
    proto = _export(graph)
    _strip(proto)
    _use_few_operators(proto)
    _store_half(proto)
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version = "vaegen", ""
    helper.set_model_props(proto, {"vaegen": json.dumps(model.to_dict(), sort_keys=True, separators=(",", ":"))})
    _refuse(graph.name, proto)
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def example(graph: Graph, batch: int) -> tuple[Tensor, ...]:
    """Make inputs of the right dtypes and shapes, all 0.5 or 0."""
    return tuple(
        torch.zeros([batch], dtype=torch.int64)
        if spec.dtype == "int64"
        else torch.full([batch if size == "n" else int(size) for size in spec.shape], 0.5)
        for spec in graph.inputs.values()
    )


def _export(graph: Graph) -> onnx.ModelProto:
    batch = torch.export.Dim("n", min=1)
    shapes = tuple({0: batch} if spec.shape else {} for spec in graph.inputs.values())
    with _quiet():
        program = torch.onnx.export(
            graph.module,
            example(graph, EXAMPLE_BATCH),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            # Modules that take *inputs see their arguments as one tuple.
            dynamic_shapes=(shapes,) if _variadic(graph.module) else shapes,
            optimize=True,
            verify=False,  # logs differences of up to 10%; `parity` is the gate
        )
    if program is None:
        raise ExportError(f"{graph.name}: torch's exporter gave nothing")
    proto: onnx.ModelProto = program.model_proto
    return proto


def _variadic(module: torch.nn.Module) -> bool:
    return bool(module.forward.__code__.co_flags & 0x04)  # CO_VARARGS


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own progress report and its dependencies' deprecations off the user's terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip(proto: onnx.ModelProto) -> None:
    """Take out everything that tells where, when and from which source lines the graph was made."""
    del proto.metadata_props[:]
    proto.doc_string = ""
    graph = proto.graph
    graph.name, graph.doc_string = "vaegen", ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    # Numbers for names: the exporter's own names follow Python variables and are longer than the weights' table.
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    for position, tensor in enumerate(graph.initializer):
        tensor.name = names.setdefault(tensor.name, f"w{position}")
    for position, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{position}"
        for index, name in enumerate(node.output):
            if name:
                node.output[index] = names.setdefault(name, f"v{position}_{index}")
        for index, name in enumerate(node.input):
            if name:
                node.input[index] = names[name]


def _use_few_operators(proto: onnx.ModelProto) -> None:
    """Write a < b as b > a and a copy as the concatenation of one, for runtimes built with what they need only."""
    for node in proto.graph.node:
        if node.op_type == "Identity":
            node.op_type = "Concat"
            node.attribute.append(helper.make_attribute("axis", 0))
        if node.op_type in _TURNED:
            node.op_type = _TURNED[node.op_type]
            node.input[:] = reversed(node.input)


def _store_half(proto: onnx.ModelProto) -> None:
    """Store large weights as float16 behind a Cast, which onnxruntime folds away as it loads."""
    casts = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size >= HALF_FROM:
            full, half = tensor.name, f"{tensor.name}_half"
            tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), half))
            casts.append(helper.make_node("Cast", [half], [full], name=f"Cast_{half}", to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _refuse(name: str, proto: onnx.ModelProto) -> None:
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    if opsets != {"": OPSET}:
        raise ExportError(f"{name}: the graph wants opsets {opsets}; a bundle has opset {OPSET} and nothing else")
    if proto.functions:
        raise ExportError(f"{name}: the graph has local functions; small runtimes do not read them")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in proto.graph.initializer):
        raise ExportError(f"{name}: the graph keeps tensors in another file")
    used = {node.op_type for node in proto.graph.node}
    if used & RANDOM_OPS:
        raise ExportError(f"{name}: the graph draws its own noise ({', '.join(sorted(used & RANDOM_OPS))})")
    for node in proto.graph.node:
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise ExportError(f"{name}: the graph has a subgraph in {node.op_type}")
