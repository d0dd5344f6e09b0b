"""Looking into an ONNX file without the onnx package (31 MB that no device needs).

An external tensor names another file for its data. Handed such a model as bytes, a runtime would read a path of
the model's choosing, outside everything the manifest vouches for (CVE-2024-27318 and its successors), so vaegen
refuses them all. This walks protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) along the
few fields of onnx.proto that lead to a tensor, skips the rest by length, and never copies.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vaegen.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {_FIXED64: 8, _FIXED32: 4}

# Message by message, the fields that lead to a tensor: field number -> message, from onnx/onnx.proto.
_PATHS = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of Tensor; a location of 0 means "in this file"


def has_external_tensors(model: bytes) -> bool:
    """Return whether any tensor of an ONNX model, in subgraphs and attributes too, keeps its data elsewhere.

    Args:
        model: The bytes of a ModelProto.

    Raises:
        BundleError: The bytes are not protobuf's wire format.
    """
    # The other file is named under the key "location", and without it nothing can be read from anywhere. Most
    # models hold these eight bytes nowhere, and are done here.
    if b"location" not in model:
        return False
    # A stack instead of recursion, so that a file of nothing but nesting cannot exhaust Python's.
    todo = [("Model", memoryview(model))]
    while todo:
        message, view = todo.pop()
        for field, value in _fields(view):
            if message == "Tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)):
                return True
            if isinstance(value, memoryview) and field in _PATHS[message]:
                todo.append((_PATHS[message][field], value))
    return False


class Outline(NamedTuple):
    """What an ONNX model says of itself, without its weights."""

    ir_version: int
    opsets: Mapping[str, int]
    """The opset version of each operator domain; "" is ONNX's own."""
    operators: frozenset[str]
    """Operator types of the main graph, "domain:type" where the domain is not ONNX's own."""
    metadata: Mapping[str, str]
    """The metadata_props."""
    extras: frozenset[str]
    """Of "subgraph", "function" and "training", what the model has."""


def outline(model: bytes) -> Outline:
    """Read an ONNX model's outline.

    Args:
        model: The bytes of a ModelProto.

    Raises:
        BundleError: The bytes are not protobuf's wire format, or a name in them is not UTF-8.
    """
    ir_version = 0
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    operators: set[str] = set()
    extras: set[str] = set()
    for field, value in _fields(memoryview(model)):
        if field == 1 and isinstance(value, int):
            ir_version = value
        elif field == 8 and isinstance(value, memoryview):  # opset_import: domain, version
            entry = dict(_fields(value))
            opsets[_text(entry.get(1))] = _number(entry.get(2))
        elif field == 14 and isinstance(value, memoryview):  # metadata_props: key, value
            entry = dict(_fields(value))
            metadata[_text(entry.get(1))] = _text(entry.get(2))
        elif field == 7 and isinstance(value, memoryview):
            for inner, node in _fields(value):
                if inner == 1 and isinstance(node, memoryview):
                    operators.add(_operator(node, extras))
        elif field in (20, 25):
            extras.add("training" if field == 20 else "function")
    return Outline(ir_version, opsets, frozenset(operators), metadata, frozenset(extras))


def _operator(node: memoryview, extras: set[str]) -> str:
    """Name the operator of a node; notes a subgraph among its attributes."""
    kind = domain = ""
    for field, value in _fields(node):
        if field == 4:
            kind = _text(value)
        elif field == 7:
            domain = _text(value)
        elif field == 5 and isinstance(value, memoryview) and any(inner in (6, 11) for inner, _ in _fields(value)):
            extras.add("subgraph")
    return f"{domain}:{kind}" if domain else kind


def _text(value: "int | memoryview | None") -> str:
    try:
        return bytes(value).decode("utf-8") if isinstance(value, memoryview) else ""
    except UnicodeDecodeError as error:
        raise BundleError("not an ONNX file: a name is not UTF-8 text") from error


def _number(value: "int | memoryview | None") -> int:
    return value if isinstance(value, int) else 0


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Go through the fields of one message: the number of each, and its value (0 for fixed32 and fixed64).

    Raises:
        BundleError: The bytes are not protobuf's wire format.
    """
    at, end = 0, len(view)
    while at < end:
        key, at = _varint(view, at, end)
        field, wire = key >> 3, key & 7
        start = at
        if wire == _VARINT:
            number, at = _varint(view, at, end)
            yield field, number
            continue
        if wire == _BYTES:
            length, start = _varint(view, at, end)
            at = start + length
        elif wire in _FIXED_SIZE:
            at += _FIXED_SIZE[wire]
        else:
            raise BundleError(f"not an ONNX file: wire type {wire} in field {field}")
        if at > end:
            raise BundleError(f"not an ONNX file: field {field} is longer than what holds it")
        yield field, view[start:at] if wire == _BYTES else 0


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """Read a base-128 number; give it and the place after it."""
    value = 0
    for shift in range(0, 70, 7):  # ten bytes at most
        if at >= end:
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BundleError(f"not an ONNX file: a number at byte {at} does not end")
