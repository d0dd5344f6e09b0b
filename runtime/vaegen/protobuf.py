"""Finding external tensors in an ONNX file without the onnx package (31 MB that no device needs).

An external tensor names another file for its data. Handed such a model as bytes, a runtime would read a path of
the model's choosing, outside everything the manifest vouches for (CVE-2024-27318 and its successors), so vaegen
refuses them all. This walks protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) along the
few fields of onnx.proto that lead to a tensor, skips the rest by length, and never copies.
"""

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
    """Tell whether any tensor of an ONNX model, in subgraphs and attributes too, keeps its data elsewhere.

    Args:
        model: The bytes of a ModelProto.

    Raises:
        BundleError: The bytes are not protobuf's wire format.
    """
    # The other file is named under the key "location", and without it nothing can be read from anywhere. Most
    # models hold these eight bytes nowhere, and are done here.
    if b"location" not in model:
        return False
    view = memoryview(model)
    # A stack instead of recursion, so that a file of nothing but nesting cannot exhaust Python's.
    todo = [("Model", 0, len(view))]
    while todo:
        message, at, end = todo.pop()
        while at < end:
            key, at = _varint(view, at, end)
            field, wire = key >> 3, key & 7
            start = at
            if wire == _VARINT:
                value, at = _varint(view, at, end)
                if message == "Tensor" and field == _DATA_LOCATION and value:
                    return True
                continue
            if wire == _BYTES:
                length, start = _varint(view, at, end)
                at = start + length
            elif wire in _FIXED_SIZE:
                at += _FIXED_SIZE[wire]
            else:
                raise BundleError(f"not an ONNX file: wire type {wire} at byte {start}")
            if at > end:
                raise BundleError(f"not an ONNX file: a field at byte {start} is longer than what holds it")
            if message == "Tensor" and field == _EXTERNAL_DATA:
                return True
            if wire == _BYTES and field in _PATHS[message]:
                todo.append((_PATHS[message][field], start, at))
    return False


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
