"""Whatever `onnx_model.read` accepts, onnx's own parsers read as the same model that is written for onnxruntime.

The reference is twofold: the onnx package's Python classes, and its C++ library, whose protobuf onnxruntime has too.
The inliner of functions is the shortest way through that, from bytes to bytes. Models are made at random from
onnx.proto itself, or by changing good ones. The suite tries the same ones each time, in about half a minute; with
VAEGEN_FUZZ=full, twenty times as many, other ones each time.
"""

import os
import random
import struct
from collections.abc import Callable
from typing import Any

import onnx
import pytest
from onnx.onnx_cpp2py_export.inliner import inline_local_functions
from vaegen import BundleError, onnx_model

from tests.security.attacks import TINY, attacks, overlong
from tests.security.wire import field, varint

FULL = os.environ.get("VAEGEN_FUZZ") == "full"
CASES = 10_000 * (20 if FULL else 1)
SEED = random.SystemRandom().randrange(2**32) if FULL else 0

_OUR_NAMES = {"TensorType": onnx.TypeProto.Tensor, "Dimension": onnx.TensorShapeProto.Dimension}
_OUR_NAMES |= {"Model": onnx.ModelProto, "OperatorSet": onnx.OperatorSetIdProto, "Entry": onnx.StringStringEntryProto}
_OUR_NAMES |= {"Graph": onnx.GraphProto, "Node": onnx.NodeProto, "Attribute": onnx.AttributeProto}
_OUR_NAMES |= {"Tensor": onnx.TensorProto, "ValueInfo": onnx.ValueInfoProto, "Type": onnx.TypeProto}
_OUR_NAMES |= {"Shape": onnx.TensorShapeProto}
KNOWN = {
    _OUR_NAMES[name].DESCRIPTOR.full_name: {field[0] for field in fields.values()}  # type: ignore[attr-defined]
    for name, fields in onnx_model._FIELDS.items()
}

STRANGE = [overlong(1), overlong(7), b"\x0b", b"\x0c", b"\x0e", b"\x00", b"\x02", b"\xba\x00", b"\x8a\x80\x00", b"\x12"]
NUMBERS = [
    0,
    1,
    2,
    3,
    6,
    7,
    8,
    127,
    128,
    2**31 - 1,
    2**31,
    2**32,
    2**32 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64 - 2**31,
]
TEXTS = [b"", b"x", b"logits", b"n", b"a" * 130, "\u00e9".encode(), b"\xff", b"\x1b[2K", b"ORTM", b"location", b"\n"]


class Maker:
    """Makes messages at random, now and then in a way that no honest writer has."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.oddness = chance.choice([0.001, 0.005, 0.02])

    def seldom(self) -> bool:
        return self.chance.random() < self.oddness

    def message(self, kind: Any, depth: int = 0) -> bytes:
        known = KNOWN.get(kind.full_name, set())
        fields = [one for one in kind.fields if one.name in known or self.seldom()]
        if kind.full_name == "onnx.AttributeProto" and not self.seldom():
            names = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}
            number = self.chance.choice([*names])
            value = [one for one in fields if one.name in ("name", names[number])]
            return b"\xa0\x01" + varint(number) + b"".join(self.field(one, depth) for one in value)
        if kind.full_name == "onnx.TensorShapeProto.Dimension" and not self.seldom():
            fields = [self.chance.choice(fields)]
        parts = []
        for one in fields:
            needed = one.name in ("graph", "ir_version") or self.seldom()
            times = self.chance.choice([0, 1, 2, 3]) if one.is_repeated else self.chance.choice([needed, True])
            parts += [self.field(one, depth) for _ in range(times + self.seldom())]
        self.chance.shuffle(parts)
        return b"".join(parts)

    def field(self, one: Any, depth: int) -> bytes:
        wire, content = self.content(one, depth)
        if self.seldom():
            wire = self.chance.randrange(8)
        tag = varint(one.number << 3 | wire)
        if self.seldom():
            tag = self.chance.choice([*STRANGE, overlong(one.number)])
        return tag + content

    def content(self, one: Any, depth: int) -> tuple[int, bytes]:
        if one.type == one.TYPE_MESSAGE:
            inner = self.message(one.message_type, depth + 1) if depth < 8 else b""
            return 2, varint(len(inner) + self.seldom()) + inner
        if one.type in (one.TYPE_STRING, one.TYPE_BYTES):
            text = self.chance.choice(TEXTS if self.seldom() else TEXTS[:6])
            return 2, varint(len(text)) + text
        if one.is_repeated and self.chance.random() < 0.5:
            run = b"".join(self.scalar(one)[1] for _ in range(self.chance.randrange(4)))
            run = run[:-1] if self.seldom() else run
            return 2, varint(len(run)) + run
        return self.scalar(one)

    def scalar(self, one: Any) -> tuple[int, bytes]:
        if one.type == one.TYPE_FLOAT:
            return 5, self.chance.randbytes(4)
        if one.type == one.TYPE_DOUBLE:
            return 1, self.chance.randbytes(8)
        small = one.type in (one.TYPE_INT32, one.TYPE_ENUM) or one.name == "data_location"
        value = self.chance.choice(NUMBERS[: 10 if small and not self.seldom() else None])
        if one.name == "data_location" and not self.seldom():
            value = 0
        number = varint(value)
        return 0, number[:-1] + bytes([number[-1] | 0x80, 0]) if self.seldom() else number


def changed(chance: random.Random, data: bytes) -> bytes:
    """Change a good model in a few places."""
    result = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        at = chance.randrange(len(result) + 1)
        what = chance.randrange(5)
        if what == 0 and result:
            result[at % len(result)] ^= 1 << chance.randrange(8)
        elif what == 1:
            result[at:at] = chance.choice([*STRANGE, *TEXTS, b"\x80", b"\x0a\x00", b"\x12\x01x"])
        elif what == 2:
            del result[at : at + chance.randrange(1, 9)]
        elif what == 3:
            result[at:at] = result[at : at + chance.randrange(1, 40)]
        else:
            del result[at:]
    return bytes(result)


def noteless(message: Any) -> Any:
    """Take the notes out of a message and of all within it."""
    for one, value in message.ListFields():
        if one.name == "doc_string" or (one.name == "name" and isinstance(message, onnx.NodeProto)):
            message.ClearField(one.name)
        elif one.message_type is not None:
            for inner in value if one.is_repeated else (value,):
                noteless(inner)
    return message


def parsed(data: bytes) -> bytes:
    """What the onnx package reads: its own bytes, unknown fields included, notes left out."""
    return bytes(noteless(onnx.ModelProto.FromString(data)).SerializeToString(deterministic=True))


def same(found: dict[str, Any], message: Any) -> bool:
    """Whether our fields of a message are those that the onnx package sees."""
    theirs = {one.name: value for one, value in message.ListFields()}
    if {name for name, value in found.items() if value not in ([], None)} != theirs.keys():
        return False
    for name, value in theirs.items():
        ours = found[name] if isinstance(found[name], list) else [found[name]]
        others = value if isinstance(found[name], list) else [value]
        if len(ours) != len(others) or not all(map(same_value, ours, others)):
            return False
    return True


def same_value(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict):
        return same(ours, theirs)
    if isinstance(theirs, float):  # ours are the bytes; read as theirs were, in a process that may flush denormals
        (number,) = struct.unpack("<f", ours)
        return bool(number == theirs or (number != number and theirs != theirs))
    return bool(ours == theirs)


def compare(data: bytes) -> bool:
    """Hold our reader against the reference; return whether it accepted the model."""
    try:
        model, written = onnx_model.read(data, "it")
    except BundleError:
        return False
    assert onnx_model.read(written, "it")[1] == written
    assert parsed(written) == parsed(data)
    assert same(model, noteless(onnx.ModelProto.FromString(data)))
    assert parsed(inline_local_functions(written, False)) == parsed(inline_local_functions(data, False))
    return True


def run(make: Callable[[random.Random], bytes], cases: int) -> int:
    accepted = 0
    for case in range(cases):
        data = make(random.Random(SEED + case))
        try:
            accepted += compare(data)
        except Exception as error:
            raise AssertionError(f"seed {SEED + case}: {data.hex()}") from error
    return accepted


def test_models_made_at_random() -> None:
    accepted = run(lambda chance: Maker(chance).message(onnx.ModelProto.DESCRIPTOR), CASES)
    assert CASES // 10 < accepted < CASES


@pytest.mark.parametrize("graph", ["judge", "sampler"])
def test_good_models_with_changes(graph: str) -> None:
    data = (TINY / f"{graph}.onnx").read_bytes()
    accepted = run(lambda chance: changed(chance, data), CASES)
    assert CASES // 100 < accepted < CASES


def test_every_truncation_is_refused() -> None:
    data = (TINY / "judge.onnx").read_bytes()
    whole = [size for size in range(len(data) + 1) if compare(data[:size])]
    # A field that ends there may be the last one; that the manifest is told apart by its checksum.
    assert whole[-1] == len(data)
    assert len(whole) < 8


def test_hostile_models_are_refused_or_read_alike() -> None:
    for attack in attacks():
        if attack.graph != "manifest":
            compare(attack.change((TINY / f"{attack.graph}.onnx").read_bytes()))


def test_both_forms_of_repeated_numbers_are_read_alike() -> None:
    for value in (1, 2**64 - 1):
        one = b"\x08" + varint(value)
        run_of = field(1, varint(value) * 3)
        for content in (one * 3, run_of, one + run_of + one):
            assert compare(field(7, field(5, content)))
    floats = b"".join(b"\x3d" + bytes([n, 0, 0, 1]) for n in range(3))
    packed = field(7, b"".join(bytes([n, 0, 0, 1]) for n in range(3)))
    for content in (floats, packed, packed + floats):
        assert compare(field(7, field(1, field(5, b"\xa0\x01\x06" + content))))
