"""The ONNX models of a bundle, read strictly and written anew, without the onnx package (31 MB that no device needs).

Two readers of one file need not see the same model: a field that one of them skips, another runs. So onnxruntime never
gets the bytes of a file. It gets bytes that `read` wrote from what it found, and what was checked is what runs.
`read` knows the fields of onnx.proto that a bundle may use and refuses all else, external tensors first: such a model
makes a runtime read a path of the model's choosing (CVE-2024-27318 and its successors). The messages it knows do not
contain themselves, so nothing nests deeply. Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from typing import Any

from vaegen.errors import BundleError

MAX_ITEMS = 2**16  # in all repeated fields together; shipped graphs have up to 600
MAX_NAME = 2**16  # bytes
_SHORT = 64  # bytes

Message = dict[str, Any]
"""The fields of one message by name: `int`, `str` for names, `bytes` for floats, a view of the file for raw data."""

# All of onnx/onnx-ml.proto that a bundle may use: field, number, kind. A "*" stands for a repeated field. A name is
# printable text; a note, which is for people, is skipped and not written: None.
_SCHEMA = """
    Model: ir_version 1 int, producer_name 2 name, producer_version 3 name, domain 4 name, model_version 5 int,
        doc_string 6 note, graph 7 Graph, opset_import 8 OperatorSet*, metadata_props 14 Entry*;
    OperatorSet: domain 1 name, version 2 int;
    Entry: key 1 name, value 2 name;
    Graph: node 1 Node*, name 2 name, initializer 5 Tensor*, doc_string 10 note, input 11 ValueInfo*,
        output 12 ValueInfo*, value_info 13 ValueInfo*;
    Node: input 1 name*, output 2 name*, name 3 note, op_type 4 name, attribute 5 Attribute*, doc_string 6 note,
        domain 7 name;
    Attribute: name 1 name, f 2 float, i 3 int, s 4 bytes, t 5 Tensor, floats 7 float*, ints 8 int*, doc_string 13 note,
        type 20 int32;
    Tensor: dims 1 int*, data_type 2 int32, float_data 4 float*, int32_data 5 int32*, int64_data 7 int*, name 8 name,
        raw_data 9 bytes, doc_string 12 note, data_location 14 int32;
    ValueInfo: name 1 name, type 2 Type, doc_string 3 note;
    Type: tensor_type 1 TensorType;
    TensorType: elem_type 1 int32, shape 2 Shape;
    Shape: dim 1 Dimension*;
    Dimension: dim_value 1 int, dim_param 2 name
"""
_REFUSED = {"Model 20": "training part", "Model 25": "function", "Graph 15": "sparse tensor"} | {
    f"Attribute {field}": what
    for field, what in ((6, "subgraph"), (11, "subgraph"), (22, "sparse tensor"), (23, "sparse tensor"))
}
_VALUES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}  # AttributeProto.type, and the field it goes with
_CHECKED = {"Attribute", "Tensor", "Dimension"}  # messages whose fields must go together

_KINDS = ("name", "bytes", "note", "message", "run", "int", "int32", "float")
_NAME, _BYTES, _NOTE, _MESSAGE, _RUN, _INT, _INT32, _FLOAT = range(len(_KINDS))
_WIRE = {_INT: 0, _INT32: 0, _FLOAT: 5}  # the wire type, where it is not 2

# By message and tag: field, kind, repeated, message or kind within, and the tag by which the field is written.
_FIELDS: dict[str, dict[int, tuple[str, int, bool, Any, bytes]]] = {}

_BYTE = [bytes([value]) for value in range(256)]


def _varint(value: int) -> bytes:
    """Return an integer of 64 bits as a varint."""
    if 0 <= value <= 0x7F:
        return _BYTE[value]
    value %= 2**64
    result = b""
    while value > 0x7F:
        result += _BYTE[value & 0x7F | 0x80]
        value >>= 7
    return result + _BYTE[value]


def _compile(schema: str) -> None:
    for line in schema.split(";"):
        message, fields = line.strip().split(":")
        tags = _FIELDS.setdefault(message, {})
        for name, number, text in map(str.split, fields.split(",")):
            word, many = text.rstrip("*"), text.endswith("*")
            kind = _KINDS.index(word) if word in _KINDS else _MESSAGE
            tag = int(number) << 3 | _WIRE.get(kind, 2)
            tags[tag] = (name, kind, many, word, _varint(tag))
            if many and kind >= _INT:  # a run of numbers may stand for them, and is written one by one
                tags[int(number) << 3 | 2] = (name, _RUN, True, kind, _varint(tag))


_compile(_SCHEMA)


def read(data: bytes, where: str) -> tuple[Message, bytes]:
    """Read an ONNX model and write it anew.

    Args:
        data: The bytes of a ModelProto.
        where: What to call the file in an error.

    Returns:
        The ModelProto, which has a graph, and new bytes of it: what was read, in that order, without notes.

    Raises:
        BundleError: The bytes are no ModelProto, or hold what a bundle may not use.
    """
    reader = _Reader(data, where)
    try:
        model, _ = reader.message(0, len(data), "Model")
    except IndexError:
        raise BundleError(f"{where}: not an ONNX file: it ends in the middle of a field") from None
    except UnicodeDecodeError:
        raise BundleError(f"{where}: not an ONNX file: a name is not UTF-8 text") from None
    if "graph" not in model:
        raise BundleError(f"{where}: not an ONNX file: it has no graph")
    return model, b"".join(reader.parts)


class _Reader:
    """Reads the messages of one file, and writes each value as soon as it is read."""

    def __init__(self, data: bytes, where: str) -> None:
        self.parts: list[bytes | memoryview] = []
        self._data = data
        self._view = memoryview(data)
        self._where = where
        self._left = MAX_ITEMS
        # Short ones by their bytes, with what was written of them: the same few come again and again.
        self._attributes: dict[bytes, tuple[Message, bytes]] = {}

    def message(self, at: int, end: int, message: str) -> tuple[Message, int]:
        """Read one message; return it and the number of bytes that it was written in.

        Raises:
            IndexError: The file ends within it.
        """
        data, fields, parts = self._data, _FIELDS[message], self.parts
        found: Message = {}
        size = 0
        while at < end:
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = self._number(at - 1)
            field = fields.get(tag)
            if field is None:
                raise self._unknown(message, tag)
            name, kind, many, inner, head = field
            if kind != _FLOAT:
                number = data[at]
                at += 1
                if number > 0x7F:
                    number, at = self._number(at - 1)
            value: Any
            part: bytes | memoryview
            if kind == _NAME:
                start, at = at, at + number
                value = data[start:at].decode()
                if number > MAX_NAME or not value.isprintable():
                    raise self._error(f"{name} is no name but {value[:40]!r}")
                part = head + (_BYTE[number] if number <= 0x7F else _varint(number)) + value.encode()
            elif inner == "Attribute" and (known := self._attributes.get(data[at : at + number])):
                at += number
                value, part = known
            elif kind == _MESSAGE:
                start, at = at, at + number
                place = len(parts)
                parts.append(b"")  # its length is known after it
                value, length = self.message(start, at, inner)
                head = parts[place] = head + _varint(length)
                size += len(head) + length
                if inner == "Attribute" and number <= _SHORT:
                    self._attributes[data[start:at]] = value, b"".join(parts[place:])
                part = b""
            elif kind == _FLOAT:
                start, at = at, at + 4
                value = data[start:at]
                part = head + value
            elif kind >= _INT:
                value = number if number < 2**31 else self._signed(number, kind)
                part = head + _varint(value)
            elif kind == _BYTES:
                start, at = at, at + number
                head += _varint(number)
                parts.append(head)
                size += len(head)
                value = part = self._view[start:at]  # not copied before all is joined
            elif kind == _RUN:
                start, at = at, at + number
                values = self._run(start, at, inner)
                found.setdefault(name, []).extend(values)
                part = b"".join(head + (value if inner == _FLOAT else _varint(value)) for value in values)
                parts.append(part)
                size += len(part)
                continue
            else:  # a note
                at += number
                value, part = None, b""
            parts.append(part)
            size += len(part)
            if many:
                self._left -= 1
                if self._left < 0:
                    raise self._too_many()
                if name in found:
                    found[name].append(value)
                else:
                    found[name] = [value]
            elif name in found:
                raise self._error(f"a {message} has its field {name} twice")
            else:
                found[name] = value
        if at > end:
            raise self._error(f"a field of a {message} is longer than what holds it")
        if message in _CHECKED:
            self._check(message, found)
        return found, size

    def _run(self, at: int, end: int, kind: int) -> list[Any]:
        """Read numbers that stand in one run."""
        values: list[Any] = []
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise self._too_many()
            if kind == _FLOAT:
                values.append(self._data[at : at + 4])
                at += 4
            else:
                number, at = self._number(at)
                values.append(self._signed(number, kind))
        if at > end:
            raise self._error("a number is longer than what holds it")
        return values

    def _number(self, at: int) -> tuple[int, int]:
        """Read a varint; return it and the place after it."""
        value, start, byte = 0, at, 0x80
        while byte > 0x7F:
            if at == start + 10:
                raise self._error(f"the number at byte {start} does not end")
            byte = self._data[at]
            value |= (byte & 0x7F) << 7 * (at - start)
            at += 1
        if (byte == 0 and at > start + 1) or value >= 2**64:
            raise self._error(f"the number at byte {start} is not in its shortest form")
        return value, at

    def _signed(self, number: int, kind: int) -> int:
        value = number - 2**64 if number >= 2**63 else number
        if kind == _INT32 and not -(2**31) <= value < 2**31:
            raise self._error(f"{value} is no number of 32 bits")
        return value

    def _too_many(self) -> BundleError:
        return self._error(f"more than {MAX_ITEMS:,} parts; large tensors belong in raw_data")

    def _check(self, message: str, found: Message) -> None:
        """Check what goes together in a message."""
        if message == "Attribute":
            wanted = _VALUES.get(found.get("type", 0))
            if wanted is None or found.keys() - {"name", "type", "doc_string", wanted}:
                raise self._error(f"attribute {found.get('name', '')} is not of the type that it names")
        elif message == "Tensor" and found.get("data_location"):
            raise self._external()
        elif message == "Dimension" and len(found) > 1:
            raise self._error("a dimension has two sizes")

    def _unknown(self, message: str, tag: int) -> BundleError:
        """Return what to say of a field that is not in the schema."""
        field = f"{message} {tag >> 3}"
        if field in _REFUSED:
            return BundleError(f"{self._where} has a {_REFUSED[field]}; a bundle's graphs have none")
        if field == "Tensor 13":  # external_data
            return self._external()
        return self._error(f"a {message} has a field {tag >> 3} of wire type {tag & 7}")

    def _external(self) -> BundleError:
        what = "keeps tensors in another file, which is refused; export the model again with all data inside"
        return BundleError(f"{self._where} {what}")

    def _error(self, problem: str) -> BundleError:
        return BundleError(f"{self._where}: not an ONNX file that a bundle may hold: {problem}")
