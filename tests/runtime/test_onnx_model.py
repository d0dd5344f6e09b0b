"""Models are read strictly, and written as they were read; `tests/security` tries far more."""

from collections.abc import Callable
from pathlib import Path

import pytest
import vaegen
from vaegen import BundleError
from vaegen.onnx_model import read

from tests.security.wire import field, integer, varint

Vouch = Callable[[Path, str, bytes], None]

LOCATION = field(13, field(1, b"location") + field(2, b"../secret"))  # external_data of a TensorProto
EXTERNAL = integer(14, 1) + LOCATION
AROUND = field(8, b"w") + field(12, b"doc") + integer(2, 1)  # what stands around it: name, note, type


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ([7, 5], "keeps tensors in another file"),  # graph, initializer
        ([7, 15, 1], "has a sparse tensor"),  # sparse initializer: values
        ([7, 15, 2], "has a sparse tensor"),  # and indices
        ([7, 1, 5, 5], "keeps tensors in another file"),  # node, attribute, tensor
        ([7, 1, 5, 10], "a Attribute has a field 10"),  # tensors
        ([7, 1, 5, 22, 1], "has a sparse tensor"),
        ([7, 1, 5, 23, 1], "has a sparse tensor"),
        ([7, 1, 5, 6, 5], "has a subgraph"),  # of a branch or loop
        ([7, 1, 5, 11, 5], "has a subgraph"),
        ([7, 1, 5, 6, 1, 5, 6, 1, 5, 5], "has a subgraph"),  # a constant in a subgraph of a subgraph
        ([25, 7, 5, 5], "has a function"),  # function, node, attribute
        ([25, 11, 5], "has a function"),  # default value of a function's attribute
        ([20, 1, 5], "has a training part"),  # initialization
        ([20, 2, 5], "has a training part"),  # and algorithm
    ],
)
@pytest.mark.parametrize("mark", [EXTERNAL, LOCATION, LOCATION + AROUND + integer(14, 1)])
def test_external_tensors_are_refused_at_any_place(path: list[int], problem: str, mark: bytes) -> None:
    content = AROUND * (mark != LOCATION + AROUND + integer(14, 1)) + mark
    for number in reversed(path):
        content = field(number, content)
    with pytest.raises(BundleError, match=f"^it {problem}|hold: {problem}"):
        read(integer(1, 8) + content, "it")


def test_inner_tensors_may_speak_of_locations() -> None:
    tensor = field(8, b"location") + field(9, b"location" * 9) + integer(14, 0) + integer(2, 1)
    model, _ = read(field(7, field(5, tensor) + field(1, field(4, b"location"))), "it")
    assert model["graph"]["initializer"][0]["name"] == model["graph"]["node"][0]["op_type"] == "location"


@pytest.mark.parametrize(
    "data",
    [
        b"location",
        varint(6 << 3 | 2) + varint(9) + b"location",
        field(6, b"location") + field(7, field(5, b"weights"))[:-3],
        field(7, b"\x0alocation"),
        field(7, field(5, b"\xff" * 11)) + b"location",
        varint(7 << 3 | 2) + varint(2**63) + b"location",
        varint(1 << 3 | 3) + b"location",
        b"location\x80",
    ],
)
def test_what_is_not_protobuf_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="it: not an ONNX file"):
        read(data, "it")


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    content = field(5, EXTERNAL)
    for _ in range(5000):
        content = field(1, field(5, field(6, content)))
    with pytest.raises(BundleError, match="has a subgraph"):
        read(field(7, content), "it")


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


def test_good_models_are_written_as_they_are_but_for_their_notes(tiny: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the reference reader")
    for file in [*tiny.glob("*.onnx"), *vaegen.load("joint").path.glob("*.onnx")]:
        data = file.read_bytes()
        _, written = read(data, file.name)
        assert read(written, file.name)[1] == written
        expected, found = onnx.load_from_string(data), onnx.load_from_string(written)
        for model, noted in ((expected, True), (found, False)):
            graph = model.graph
            for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
                assert noted or not part.HasField("doc_string")
                part.ClearField("doc_string")
            for node in graph.node:
                assert noted or not node.HasField("name")
                node.ClearField("name")
        assert found == expected


def test_what_is_found_is_what_onnx_reads(tiny: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the reference reader")
    for file in tiny.glob("*.onnx"):
        model, (found, _) = onnx.load(file), read(file.read_bytes(), file.name)
        assert found["ir_version"] == model.ir_version
        opsets = [(entry["domain"], entry["version"]) for entry in found["opset_import"]]
        assert opsets == [(entry.domain, entry.version) for entry in model.opset_import]
        assert [node["op_type"] for node in found["graph"]["node"]] == [node.op_type for node in model.graph.node]
        assert found["metadata_props"] == [{"key": entry.key, "value": entry.value} for entry in model.metadata_props]
