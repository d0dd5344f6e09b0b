"""The ONNX models of a bundle, read strictly and written anew, without the onnx package (31 MB that no device needs).

Two readers of one file need not see the same model: a field that one of them skips, another runs. So onnxruntime never
gets the bytes of a file. It gets bytes that `write` made from what `read` found, and what was checked is what runs.
`read` knows the fields of onnx.proto that a bundle may use and refuses all else, external tensors first: such a model
makes a runtime read a path of the model's choosing (CVE-2024-27318 and its successors). The messages it knows do not
contain themselves, so nothing nests deeply. Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from typing import Any, NamedTuple

from vaegen.errors import BundleError

MAX_ITEMS = 2**16  # in all repeated fields together; shipped graphs have up to 600
MAX_NAME = 2**16  # bytes of one name

Message = dict[str, Any]
"""The fields of one message by name: integers, `str` for names, `bytes` for floats, a view of the file for raw data."""

# Kinds of fields; in their place, the name of a message means that message. A list means a repeated field.
_NAME, _MESSAGE, _BYTES, _NOTE, _PACKED, _INT, _INT32, _FLOAT = range(8)
_WIRE = {_INT: 0, _INT32: 0, _FLOAT: 5}  # the wire type, where it is not 2

# From onnx/onnx-ml.proto: all that a bundle may use. Notes, which are for people, are skipped and written empty.
_FIELDS: dict[str, dict[int, tuple[str, Any]]] = {
    "Model": {
        1: ("ir_version", _INT),
        2: ("producer_name", _NAME),
        3: ("producer_version", _NAME),
        4: ("domain", _NAME),
        5: ("model_version", _INT),
        6: ("doc_string", _NOTE),
        7: ("graph", "Graph"),
        8: ("opset_import", ["OperatorSet"]),
        14: ("metadata_props", ["Entry"]),
    },
    "OperatorSet": {1: ("domain", _NAME), 2: ("version", _INT)},
    "Entry": {1: ("key", _NAME), 2: ("value", _NAME)},
    "Graph": {
        1: ("node", ["Node"]),
        2: ("name", _NAME),
        5: ("initializer", ["Tensor"]),
        10: ("doc_string", _NOTE),
        11: ("input", ["ValueInfo"]),
        12: ("output", ["ValueInfo"]),
        13: ("value_info", ["ValueInfo"]),
    },
    "Node": {
        1: ("input", [_NAME]),
        2: ("output", [_NAME]),
        3: ("name", _NAME),
        4: ("op_type", _NAME),
        5: ("attribute", ["Attribute"]),
        6: ("doc_string", _NOTE),
        7: ("domain", _NAME),
    },
    "Attribute": {
        1: ("name", _NAME),
        2: ("f", _FLOAT),
        3: ("i", _INT),
        4: ("s", _BYTES),
        5: ("t", "Tensor"),
        7: ("floats", [_FLOAT]),
        8: ("ints", [_INT]),
        13: ("doc_string", _NOTE),
        20: ("type", _INT32),
    },
    "Tensor": {
        1: ("dims", [_INT]),
        2: ("data_type", _INT32),
        4: ("float_data", [_FLOAT]),
        5: ("int32_data", [_INT32]),
        7: ("int64_data", [_INT]),
        8: ("name", _NAME),
        9: ("raw_data", _BYTES),
        12: ("doc_string", _NOTE),
        14: ("data_location", _INT32),
    },
    "ValueInfo": {1: ("name", _NAME), 2: ("type", "Type"), 3: ("doc_string", _NOTE)},
    "Type": {1: ("tensor_type", "TensorType")},
    "TensorType": {1: ("elem_type", _INT32), 2: ("shape", "Shape")},
    "Shape": {1: ("dim", ["Dimension"])},
    "Dimension": {1: ("dim_value", _INT), 2: ("dim_param", _NAME)},
}
_REFUSED = {
    ("Model", 20): "a training part",
    ("Model", 25): "a function",
    ("Graph", 15): "a sparse tensor",
    ("Attribute", 6): "a subgraph",
    ("Attribute", 11): "a subgraph",
    ("Attribute", 22): "a sparse tensor",
    ("Attribute", 23): "a sparse tensor",
}
_EXTERNAL_DATA = 13  # field of Tensor

# AttributeProto.type and the one field that it goes with.
_VALUES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}
_PACK = {"float_data", "int32_data", "int64_data"}  # written as one run, as onnx.proto declares; either form is read


def _number(value: int) -> bytes:
    """Return an integer of 64 bits as a varint."""
    value %= 2**64
    result = b""
    while value > 0x7F:
        result += _BYTE[value & 0x7F | 0x80]
        value >>= 7
    return result + _BYTE[value]


_BYTE = [bytes([value]) for value in range(256)]

# Message by message: what a tag means, and how a field is written.
_READ: dict[str, dict[int, tuple[str, int, bool, Any]]] = {message: {} for message in _FIELDS}
_WRITE: dict[str, dict[str, tuple[bytes, int, bool, Any]]] = {message: {} for message in _FIELDS}
for _message, _fields in _FIELDS.items():
    for _field, (_name, _kind) in _fields.items():
        _many = isinstance(_kind, list)
        _kind = _kind[0] if _many else _kind
        _inner = _kind if isinstance(_kind, str) else None
        _kind = _MESSAGE if _inner else _kind
        _wire = _WIRE.get(_kind, 2)
        _READ[_message][_field << 3 | _wire] = (_name, _kind, _many, _inner)
        if _many and _wire != 2:
            _READ[_message][_field << 3 | 2] = (_name, _PACKED, True, _kind)
        _pack = _name in _PACK
        _tag = _number(_field << 3 | (2 if _pack else _wire))
        _WRITE[_message][_name] = (_tag, _PACKED if _pack else _kind, _many, _kind if _pack else _inner)


class Model(NamedTuple):
    """One ONNX model that was read."""

    message: Message
    """The whole ModelProto."""

    @property
    def ir_version(self) -> int:
        """The version of ONNX's format."""
        version: int = self.message.get("ir_version", 0)
        return version

    @property
    def opsets(self) -> dict[str, int]:
        """The opset version of each operator domain; "" is ONNX's own."""
        return {entry.get("domain", ""): entry.get("version", 0) for entry in self.message.get("opset_import", ())}

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata_props."""
        return {entry.get("key", ""): entry.get("value", "") for entry in self.message.get("metadata_props", ())}

    @property
    def graph(self) -> Message:
        """The one graph."""
        graph: Message = self.message["graph"]
        return graph

    @property
    def operators(self) -> frozenset[str]:
        """Operator types, "domain:type" where the domain is not ONNX's own."""
        return frozenset(
            ":".join(filter(None, (node.get("domain"), node.get("op_type")))) for node in self.graph.get("node", ())
        )


def read(data: bytes, where: str) -> Model:
    """Read an ONNX model.

    Args:
        data: The bytes of a ModelProto.
        where: What to call the file in an error.

    Raises:
        BundleError: The bytes are no ModelProto, or hold what a bundle may not use.
    """
    reader = _Reader(data, where)
    try:
        model = Model(reader.message(0, len(data), "Model"))
    except IndexError:
        raise BundleError(f"{where}: not an ONNX file: it ends in the middle of a field") from None
    except UnicodeDecodeError:
        raise BundleError(f"{where}: not an ONNX file: a name is not UTF-8 text") from None
    if "graph" not in model.message:
        raise BundleError(f"{where}: not an ONNX file: it has no graph")
    for field, entries in (("opset_import", model.opsets), ("metadata_props", model.metadata)):
        if len(entries) != len(model.message.get(field, ())):
            raise BundleError(f"{where}: not an ONNX file: {field} names something twice")
    return model


def write(model: Model) -> bytes:
    """Return the bytes of an ONNX model: what `read` found in the order found, notes empty."""
    parts: list[bytes | memoryview] = []
    _write(model.message, "Model", parts)
    return b"".join(parts)


class _Reader:
    """Reads the messages of one file."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._view = memoryview(data)
        self._where = where
        self._left = MAX_ITEMS

    def message(self, at: int, end: int, kind_of: str) -> Message:
        """Read one message; an IndexError means that the file ends within it."""
        data, fields = self._data, _READ[kind_of]
        found: Message = {}
        while at < end:
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = self._number(at - 1)
            if tag not in fields:
                raise self._refusal(kind_of, tag)
            name, kind, many, inner = fields[tag]
            value: Any
            if kind == _FLOAT:
                value = data[at : at + 4]
                at += 4
            else:
                number = data[at]
                at += 1
                if number > 0x7F:
                    number, at = self._number(at - 1)
                if kind >= _INT:
                    value = number if number < 2**31 else self._signed(number, kind)
                else:
                    start, at = at, at + number
                    if kind == _NAME:
                        value = str(data[start:at], "utf-8")
                        if not value.isprintable() or number > MAX_NAME:
                            raise self._error(f"{name} is no name but {value[:40]!r}")
                    elif kind == _MESSAGE:
                        value = self.message(start, at, inner)
                    elif kind == _BYTES:
                        value = self._view[start:at]
                    elif kind == _NOTE:
                        value = b""
                    else:
                        found.setdefault(name, []).extend(self._packed(start, at, inner))
                        continue
            if many:
                self._left -= 1
                if self._left < 0:
                    raise self._too_many()
                if name in found:
                    found[name].append(value)
                else:
                    found[name] = [value]
            elif name in found:
                raise self._error(f"a {kind_of} has its field {name} twice")
            else:
                found[name] = value
        if at > end:
            raise self._error(f"a field of a {kind_of} is longer than what holds it")
        if kind_of in _CHECKS:
            _CHECKS[kind_of](self, found)
        return found

    def _packed(self, at: int, end: int, kind: int) -> list[Any]:
        """Read numbers that stand in one run."""
        values: list[Any] = []
        while at < end:
            if kind == _FLOAT:
                values.append(self._data[at : at + 4])
                at += 4
            else:
                number, at = self._number(at)
                values.append(self._signed(number, kind))
            if len(values) > self._left:
                raise self._too_many()
        if at > end:
            raise self._error("a number is longer than what holds it")
        self._left -= len(values)
        return values

    def _number(self, at: int) -> tuple[int, int]:
        """Read a varint; return it and the place after it."""
        value, start = 0, at
        while True:
            byte = self._data[at]
            value |= (byte & 0x7F) << 7 * (at - start)
            at += 1
            if byte < 0x80:
                break
            if at - start == 10:
                raise self._error(f"the number at byte {start} does not end")
        if (byte == 0 and at > start + 1) or value >= 2**64:
            raise self._error(f"the number at byte {start} is not in its shortest form")
        return value, at

    def _signed(self, number: int, kind: int) -> int:
        value = number - 2**64 if number >= 2**63 else number
        if kind == _INT32 and not -(2**31) <= value < 2**31:
            raise self._error(f"{value} is no number of 32 bits")
        return value

    def _attribute(self, found: Message) -> None:
        """Check that an attribute holds what it says and nothing beside."""
        values = found.keys() - {"name", "type", "doc_string"}
        wanted = _VALUES.get(found.get("type", 0))
        if wanted is None or values - {wanted}:
            raise self._error(f"attribute {found.get('name', '')} is not of the type that it names")

    def _tensor(self, found: Message) -> None:
        if found.get("data_location"):
            raise self._external()

    def _dimension(self, found: Message) -> None:
        if len(found) > 1:
            raise self._error("a dimension has two sizes")

    def _refusal(self, message: str, tag: int) -> BundleError:
        """Return what to say of a field that is not known."""
        field, wire = tag >> 3, tag & 7
        if (message, field) in _REFUSED:
            return BundleError(f"{self._where} has {_REFUSED[message, field]}; a bundle's graphs have none")
        if (message, field) == ("Tensor", _EXTERNAL_DATA):
            return self._external()
        return self._error(f"a {message} has a field {field} of wire type {wire}")

    def _external(self) -> BundleError:
        return BundleError(
            f"{self._where} keeps tensors in another file, which is refused; "
            "export the model again with all data inside"
        )

    def _too_many(self) -> BundleError:
        return self._error(f"more than {MAX_ITEMS:,} parts; large tensors belong in raw_data")

    def _error(self, problem: str) -> BundleError:
        return BundleError(f"{self._where}: not an ONNX file that a bundle may hold: {problem}")


_CHECKS = {"Attribute": _Reader._attribute, "Tensor": _Reader._tensor, "Dimension": _Reader._dimension}


def _write(message: Message, kind_of: str, parts: list[bytes | memoryview]) -> int:
    """Append a message to the parts; return its size in bytes."""
    size, fields = 0, _WRITE[kind_of]
    for name, found in message.items():
        tag, kind, many, inner = fields[name]
        if kind == _PACKED:
            found = (b"".join(found if inner == _FLOAT else map(_number, found)),)
        for value in found if many else (found,):
            if kind == _MESSAGE:
                place = len(parts)
                parts.append(b"")
                length = _write(value, inner, parts)
                head = parts[place] = tag + (_BYTE[length] if length < 0x80 else _number(length))
            elif kind >= _INT:
                head = tag + (value if kind == _FLOAT else _number(value))
                length = 0
                parts.append(head)
            else:
                content = value.encode() if kind == _NAME else value
                length = len(content)
                head = tag + (_BYTE[length] if length < 0x80 else _number(length))
                parts += (head, content)
            size += len(head) + length
    return size
