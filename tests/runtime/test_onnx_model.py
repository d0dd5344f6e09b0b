"""External tensors are found wherever ONNX allows a tensor."""

from collections.abc import Callable
from pathlib import Path

import pytest
import vaegen
from vaegen import BundleError
from vaegen.protobuf import has_external_tensors

Vouch = Callable[[Path, str, bytes], None]


def varint(value: int) -> bytes:
    result = b""
    while value > 0x7F:
        result += bytes([value & 0x7F | 0x80])
        value >>= 7
    return result + bytes([value])


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


LOCATION = message(13, message(1, b"location") + message(2, b"../secret"))  # external_data of a TensorProto
EXTERNAL = number(14, 1) + LOCATION
# What stands around a tensor: name, doc string, a packed field, a fixed32 and a fixed64 that must be skipped.
AROUND = message(8, b"w") + message(12, b"doc") + varint(9 << 3 | 5) + b"abcd" + varint(11 << 3 | 1) + b"abcdefgh"


@pytest.mark.parametrize(
    "path",
    [
        [7, 5],  # graph, initializer
        [7, 15, 1],  # sparse initializer: values
        [7, 15, 2],  # and indices
        [7, 1, 5, 5],  # node, attribute, tensor
        [7, 1, 5, 10],  # tensors
        [7, 1, 5, 22, 1],  # sparse tensor
        [7, 1, 5, 23, 1],  # sparse tensors
        [7, 1, 5, 6, 5],  # subgraph of a branch or loop
        [7, 1, 5, 11, 5],  # subgraphs
        [7, 1, 5, 6, 1, 5, 6, 1, 5, 5],  # a constant in a subgraph of a subgraph
        [25, 7, 5, 5],  # function, node, attribute
        [25, 11, 5],  # default value of a function's attribute
        [20, 1, 5],  # training: initialization
        [20, 2, 5],  # and algorithm
    ],
)
@pytest.mark.parametrize("mark", [EXTERNAL, LOCATION, LOCATION + AROUND + number(14, 1)])
def test_external_tensors_are_found_at_any_place(path: list[int], mark: bytes) -> None:
    content = AROUND + mark
    for field in reversed(path):
        content = message(3, b"before") + message(field, content) + message(3, b"after")
    assert has_external_tensors(number(1, 8) + content)


def test_inner_tensors_may_speak_of_locations() -> None:
    tensor = message(8, b"location") + message(9, b"location" * 9) + number(14, 0) + number(2, 1)
    assert not has_external_tensors(message(7, message(5, tensor) + message(1, message(4, b"location"))))


@pytest.mark.parametrize(
    "data",
    [
        b"location",
        varint(6 << 3 | 2) + varint(9) + b"location",
        message(6, b"location") + message(7, message(5, b"weights"))[:-3],
        message(7, b"\x0alocation"),
        message(7, message(5, b"\xff" * 11)) + b"location",
        varint(7 << 3 | 2) + varint(2**63) + b"location",
        varint(1 << 3 | 3) + b"location",
        b"location\x80",
    ],
)
def test_what_is_not_protobuf_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="not an ONNX file"):
        has_external_tensors(data)


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    content = message(5, EXTERNAL)
    for _ in range(5000):
        content = message(1, message(5, message(6, content)))
    assert has_external_tensors(message(7, content))


def test_a_vouched_for_graph_with_external_data_is_refused_unread(
    bundle: Path, vouch: Vouch, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    model = onnx.load(bundle / "decoder.onnx")
    for tensor in model.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, "weights.bin", 0, len(tensor.raw_data))
    # The weights do lie where a runtime would look for them.
    weights = b"".join(tensor.raw_data for tensor in model.graph.initializer)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    monkeypatch.chdir(bundle)
    Path("weights.bin").write_bytes(weights)
    vouch(bundle, "decoder", model.SerializeToString())
    with pytest.raises(BundleError, match=r"decoder\.onnx' keeps tensors in another file"):
        vaegen.load(bundle).sample(3, "red")


def test_real_graphs_pass(tiny: Path) -> None:
    for file in tiny.glob("*.onnx"):
        assert not has_external_tensors(file.read_bytes())
        # The same with the walk forced.
        assert not has_external_tensors(file.read_bytes() + message(6, b"location"))
