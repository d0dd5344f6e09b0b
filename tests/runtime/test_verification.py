"""`vaegen.verification` finds what loading does not look for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen import BundleError
from vaegen.manifest import GRAPHS
from vaegen.operators import OPERATORS
from vaegen.verification import Verification, verify

Vouch = Callable[[Path, str, bytes], None]


def problems(result: Verification) -> list[tuple[str, str]]:
    return [(check.file, check.name) for check in result.problems]


def test_the_tiny_bundle_and_the_shipped_ones_pass(tiny: Path) -> None:
    for bundle in (str(tiny), *vaegen.models()):
        result = verify(bundle)
        assert result.problems == ()
        assert [check.name for check in result.checks if check.file == "decoder.onnx"] == [
            "hash",
            "format",
            "operators",
            "tensors",
            "batch",
            "values",
            "golden",
        ]
        assert {check.file for check in result.checks} == {"manifest.json", *(f"{name}.onnx" for name in GRAPHS)}


def test_a_folder_that_is_no_bundle_has_one_problem(tmp_path: Path) -> None:
    result = verify(tmp_path)
    assert (result.model, problems(result)) == (None, [("manifest.json", "schema")])
    with pytest.raises(BundleError, match="no such folder"):
        verify(tmp_path / "absent")


def test_every_bad_file_is_named_and_the_others_are_still_checked(bundle: Path) -> None:
    (bundle / "judge.onnx").unlink()
    (bundle / "prior.onnx").write_bytes(b"x")
    result = verify(bundle)
    assert problems(result) == [("prior.onnx", "hash"), ("judge.onnx", "hash")]
    # Without a prior there are no latents to run the others on, but what they are is still looked at.
    assert ("decoder.onnx", "operators") in [(check.file, check.name) for check in result.checks]


def test_files_of_two_models_are_told_apart(bundle: Path, vouch: Vouch) -> None:
    data = (bundle / "judge.onnx").read_bytes()
    vouch(bundle, "judge", data.replace(b'"name":"tiny"', b'"name":"teny"'))
    assert problems(verify(bundle)) == [("judge.onnx", "format")]


def with_node(data: bytes, node: bytes) -> bytes:
    """A graph with a node more at its end."""
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    model = onnx.load_from_string(data)
    model.graph.node.append(onnx.NodeProto.FromString(node))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("kind", [b"RandomUniform", b"If", b"Loop", b"Optional"])
def test_operators_outside_the_list_are_refused(bundle: Path, vouch: Vouch, kind: bytes) -> None:
    # Output "x", the operator, nothing else.
    node = b"\x12\x01x\x22" + bytes([len(kind)]) + kind
    vouch(bundle, "judge", with_node((bundle / "judge.onnx").read_bytes(), node))
    (check,) = verify(bundle).problems
    assert (check.file, check.name) == ("judge.onnx", "operators")
    assert kind.decode() in (check.problem or "")


def test_operators_of_another_domain_and_what_is_no_plain_graph_are_refused(bundle: Path, vouch: Vouch) -> None:
    original = (bundle / "judge.onnx").read_bytes()
    vouch(bundle, "judge", with_node(original, field(4, b"Add") + field(7, b"com.microsoft")))
    (check,) = verify(bundle).problems
    assert "com.microsoft:Add" in (check.problem or "")
    subgraph = with_node(original, field(4, b"Add") + field(5, field(6, b"")))
    for data in (original + field(20, b""), original + field(25, b""), subgraph):
        vouch(bundle, "judge", data)
        assert problems(verify(bundle)) == [("judge.onnx", "format")]


def test_a_manifest_that_names_another_opset_is_found(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"opset": 18', '"opset": 17'))
    assert problems(verify(bundle)) == [(f"{name}.onnx", "format") for name in GRAPHS]


def test_a_graph_that_computes_something_else_is_found(bundle: Path, vouch: Vouch) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graphs")

    def change(graph: str, name: str, value: float, problem: str, *, kind: str = "float32") -> None:
        """Multiply an output, but not what else comes of it."""
        model = onnx.load(bundle / f"{graph}.onnx")
        before = (bundle / f"{graph}.onnx").read_bytes()
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = ["inner" if each == name else each for each in names]
        number = onnx.numpy_helper.from_array(np.array(value).astype(kind), "factor")
        model.graph.initializer.append(number)
        model.graph.node.append(onnx.helper.make_node("Mul", ["inner", "factor"], [name]))
        vouch(bundle, graph, model.SerializeToString())
        (check,) = verify(bundle).problems
        assert (check.file, check.name) == (f"{graph}.onnx", "values")
        assert problem in (check.problem or "")
        vouch(bundle, graph, before)

    change("decoder", "image", 2.0, "image runs from 0 to 1.9")
    change("encoder", "latent", 2.0, "first Z columns of latent are not mean")
    change("judge", "realism", float("nan"), "realism holds values")
    change("judge", "realism", -1.0, "accepted does not follow from the thresholds")
    change("judge", "probability", 0.99, "probability is not that of the digit asked for")
    change("judge", "color", 0.99, "color is not the mean of the brightest pixels")
    change("judge", "rank", 1.01, "rank does not follow")
    change("judge", "read", 0, "read is not the most probable", kind="int64")


def test_results_that_depend_on_the_batch_are_found(bundle: Path, vouch: Vouch) -> None:
    onnx = pytest.importorskip("onnx", reason="only used to make the graph")
    model = onnx.load(bundle / "judge.onnx")
    (output,) = [node for node in model.graph.node if "rank" in node.output]
    output.output[0] = "inner"
    model.graph.node.append(onnx.helper.make_node("ReduceSum", ["inner"], ["total"], keepdims=1))
    model.graph.node.append(onnx.helper.make_node("Add", ["inner", "total"], ["rank"]))
    vouch(bundle, "judge", model.SerializeToString())
    assert problems(verify(bundle)) == [("judge.onnx", "batch")]


def test_no_operator_on_the_list_is_random_or_controls_the_flow() -> None:
    onnx = pytest.importorskip("onnx", reason="knows the operators there are")
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert known >= OPERATORS
    forbidden = {name for name in known if name.startswith(("Random", "Sequence", "Optional", "String"))}
    assert not OPERATORS & (forbidden | {"If", "Loop", "Scan", "Bernoulli", "Multinomial", "Dropout", "NonZero"})


def field(number: int, content: bytes) -> bytes:
    """Return one field of protobuf's wire format that holds bytes."""
    result = b""
    for value in (number << 3 | 2, len(content)):
        while value > 0x7F:
            result += bytes([value & 0x7F | 0x80])
            value >>= 7
        result += bytes([value])
    return result + content
