"""Hostile bundles: every file of the attack as a small generator, and a table of what becomes of them.

    python -m tests.security.attacks          # runs `vaegen verify` on each, prints kind, tried, refused

Each takes a good bundle and changes one graph or the manifest, with right checksums throughout: whoever can write a
graph can write the manifest beside it.
"""

import hashlib
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.security.wire import field, integer, varint

TINY = Path(__file__).parents[1] / "assets" / "tiny"
SECRET = "secret.txt"

Change = Callable[[bytes], bytes]


class Attack(NamedTuple):
    kind: str
    name: str
    graph: str
    """The graph that is changed, or "manifest"."""
    change: Change
    refused: str
    """What is said of it."""
    step: str = "format"
    """The check of `vaegen verify` that finds it."""
    loads: bool = False
    """Whether it is harmless enough to be loaded without that check; the rest of what "format" finds is refused."""


def overlong(number: int) -> bytes:
    """The tag of a field of bytes above 32 bits, which C++ cuts off and an honest reader takes for another field."""
    tag = number << 3 | 2
    return bytes([tag | 0x80, 0x80, 0x80, 0x80, 0x10])


def append(extra: bytes) -> Change:
    return lambda data: data + extra


def inside(extra: bytes) -> Change:
    """Put fields at the end of the graph."""

    def change(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        graph = model.graph.SerializeToString() + extra
        model.ClearField("graph")
        return bytes(model.SerializeToString() + field(7, graph))

    return change


def edited(edit: Callable[[onnx.ModelProto], object]) -> Change:
    def change(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        edit(model)
        return bytes(model.SerializeToString())

    return change


def node(kind: str, *rest: bytes) -> bytes:
    return field(1, field(2, b"x") + field(4, kind.encode()) + b"".join(rest))


def constant(model: onnx.ModelProto, name: str, values: Any, dtype: str) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))
    return name


def unused(kind: str, inputs: dict[str, tuple[Any, str]], **attributes: Any) -> Change:
    """Add a node whose result nothing else in the graph needs but a second step of its own."""

    def edit(model: onnx.ModelProto) -> None:
        names = [constant(model, name, values, dtype) for name, (values, dtype) in inputs.items()]
        model.graph.node.insert(0, helper.make_node(kind, names, ["attack"], **attributes))

    return edited(edit)


def before_output(*nodes: onnx.NodeProto, **constants: tuple[Any, str]) -> Change:
    """Put nodes between a result of the graph, then called "inner", and the output that the last of them makes."""

    def edit(model: onnx.ModelProto) -> None:
        name = nodes[-1].output[0]
        for one in model.graph.node:
            for names in (one.output, one.input):
                names[:] = ["inner" if value == name else value for value in names]
        for key, (values, dtype) in constants.items():
            constant(model, key, values, dtype)
        model.graph.node.extend(nodes)

    return edited(edit)


def external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """Let a tensor keep its data in a file of the attacker's choice."""
    size = int(np.prod(tensor.dims)) * 4
    onnx.external_data_helper.set_external_data(tensor, SECRET, 0, size)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def tensor() -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(1, np.float32), "hidden")


def subgraph(**parts: Any) -> onnx.GraphProto:
    return helper.make_graph(parts.get("nodes", []), "inner", [], [], parts.get("tensors", []))


def with_attribute(**values: Any) -> Change:
    return inside(field(1, helper.make_node("Identity", ["image"], ["x"], **values).SerializeToString()))


def hidden_external() -> bytes:
    """A decoder's initializer in another file, its location hidden from a reader that skips what it does not know."""
    content = external(tensor())
    entries = b"".join(field(13, entry.SerializeToString(), overlong(13)) for entry in content.external_data)
    content.ClearField("external_data")
    content.ClearField("data_location")
    return field(5, content.SerializeToString() + entries + b"\xf0\x80\x80\x80\x10\x01")


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return content


def manifest(change: Callable[[dict[str, Any]], object]) -> Change:
    def edit(data: bytes) -> bytes:
        facts = json.loads(data)
        change(facts)
        return json.dumps(facts).encode()

    return edit


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], object]:
    """Rename an output of the judge."""
    return lambda facts: facts["graphs"]["judge"]["outputs"].update({new: facts["graphs"]["judge"]["outputs"].pop(old)})


MOST = 60 * 2**20 // 2  # of two bytes each in the largest file that is read
MANY = 2**20
FORGED = "\x1b[2K\r36 checks passed\n"
FLOAT, INT32, INT64 = "float32", "int32", "int64"
LEAST = -(2**31)


def attacks() -> Iterator[Attack]:
    unknown = "has a field"
    for graph in ("judge", "decoder"):
        yield Attack(
            "tags above 32 bits",
            f"a second graph in {graph}",
            graph,
            append(field(7, node("RandomNormal", field(5, field(1, b"shape"))), overlong(7))),
            unknown,
        )
    yield Attack(
        "tags above 32 bits",
        "a random operator",
        "judge",
        inside(field(1, helper.make_node("RandomNormal", [], ["x"], shape=[1]).SerializeToString(), overlong(1))),
        unknown,
    )
    loop = helper.make_node("Loop", ["rounds"], ["x"], body=subgraph())
    yield Attack(
        "tags above 32 bits",
        "a loop of 2^62 rounds",
        "judge",
        inside(field(1, loop.SerializeToString(), overlong(1))),
        unknown,
    )
    yield Attack(
        "tags above 32 bits",
        "an operator's domain",
        "judge",
        inside(node("Add", field(7, b"com.microsoft", overlong(7)))),
        unknown,
    )
    yield Attack(
        "tags above 32 bits",
        "an overriding function",
        "judge",
        append(field(25, field(1, b"Relu"), overlong(25))),
        unknown,
    )
    yield Attack("tags above 32 bits", "external data", "decoder", inside(hidden_external()), unknown)
    yield Attack("tags above 32 bits", "of six bytes", "judge", append(b"\x82\x80\x80\x80\x80\x01\x00"), unknown)
    yield Attack("tags above 32 bits", "in a longer form than needed", "judge", append(b"\x92\x00\x00"), "shortest")

    for number, name in ((7, "domain"), (4, "op_type")):
        yield Attack(
            "wrong wire type", f"a node's {name} as a number", "judge", inside(node("Add", integer(number, 5))), unknown
        )
    yield Attack(
        "wrong wire type",
        "an opset's version as text",
        "judge",
        append(field(8, field(1, b"com.x") + field(2, b"18"))),
        unknown,
    )
    yield Attack("wrong wire type", "the graph as a number", "judge", append(integer(7, 1)), unknown)
    yield Attack("wrong wire type", "a fixed64", "judge", append(b"\x09" + b"\1" * 8), unknown)
    yield Attack("groups", "begun and ended", "judge", append(b"\x3b\x3c"), unknown)
    yield Attack("groups", "in the graph", "judge", inside(b"\x0b\x22\x01x\x0c"), unknown)
    yield Attack("groups", "wire types 6 and 7", "judge", append(b"\x0e\x0f"), unknown)

    for graph in ("judge", "decoder"):
        yield Attack("onnxruntime's own format", graph, graph, ort_format, "not an ONNX file")
    yield Attack("onnxruntime's own format", "and ONNX at once", "encoder", both_formats, "has a field 9")
    yield Attack(
        "onnxruntime's own format",
        "behind an ONNX model",
        "judge",
        lambda data: data + ort_format(data),
        "not an ONNX file",
    )

    place = "keeps tensors in another file"
    sub, sparse = "has a subgraph", "has a sparse tensor"
    pair = helper.make_sparse_tensor(external(tensor()), numpy_helper.from_array(np.zeros(1, np.int64)), [1])
    yield Attack(
        "external data", "an initializer", "decoder", edited(lambda model: external(model.graph.initializer[0])), place
    )
    yield Attack(
        "external data",
        "a location alone",
        "decoder",
        inside(field(5, field(13, field(1, b"location") + field(2, SECRET.encode())))),
        place,
    )
    yield Attack("external data", "a flag alone", "decoder", inside(field(5, integer(14, 1))), place)
    yield Attack(
        "external data",
        "a pointer into memory",
        "decoder",
        inside(field(5, field(13, field(1, b"location") + field(2, b"*/_ORT_MEM_ADDR_/*")))),
        place,
    )
    yield Attack("external data", "a node's tensor", "judge", with_attribute(value=external(tensor())), place)
    yield Attack("external data", "a node's tensors", "judge", with_attribute(value=[external(tensor())]), unknown)
    yield Attack("external data", "a sparse tensor", "judge", inside(field(15, pair.SerializeToString())), sparse)
    yield Attack("external data", "a node's sparse tensor", "judge", with_attribute(value=pair), sparse)
    yield Attack(
        "external data", "a subgraph", "judge", with_attribute(body=subgraph(tensors=[external(tensor())])), sub
    )
    yield Attack(
        "external data",
        "a function",
        "judge",
        append(field(25, field(7, field(5, field(5, external(tensor()).SerializeToString()))))),
        "has a function",
    )
    yield Attack(
        "external data",
        "a training part",
        "judge",
        append(field(20, field(1, field(5, external(tensor()).SerializeToString())))),
        "has a training part",
    )

    twice = "twice"
    yield Attack("duplicated fields", "the graph", "judge", append(field(7, node("RandomNormal"))), twice)
    yield Attack("duplicated fields", "the IR version", "judge", append(integer(1, 3)), twice)
    yield Attack("duplicated fields", "an operator's type", "judge", inside(node("Add", field(4, b"Sub"))), twice)
    yield Attack(
        "duplicated fields",
        "raw data",
        "judge",
        inside(field(5, tensor().SerializeToString() + field(9, b"abcd"))),
        twice,
    )
    yield Attack(
        "duplicated fields",
        "an opset",
        "judge",
        append(field(8, field(1, b"") + integer(2, 17))),
        "opsets [",
        "format",
        True,
    )
    yield Attack(
        "duplicated fields",
        "a metadata key",
        "judge",
        append(field(14, field(1, b"vaegen"))),
        "names another model",
        "format",
        True,
    )
    yield Attack(
        "duplicated fields",
        "a dimension's two sizes",
        "judge",
        inside(field(11, field(2, field(1, field(2, field(1, integer(1, 3) + field(2, b"n"))))))),
        "two sizes",
    )
    yield Attack(
        "duplicated fields",
        "an attribute's two values",
        "judge",
        inside(node("Cast", field(5, field(1, b"to") + integer(3, 1) + field(4, b"x") + integer(20, 2)))),
        "not of the type",
    )
    yield Attack(
        "duplicated fields",
        "a tensor's name",
        "judge",
        edited(lambda model: model.graph.initializer.append(model.graph.initializer[0])),
        "one name",
    )

    yield Attack("reserved and unknown fields", "of a graph", "judge", inside(field(3, b"x")), unknown)
    yield Attack(
        "reserved and unknown fields",
        "of an attribute",
        "judge",
        inside(node("Add", field(5, field(12, b"x")))),
        unknown,
    )
    yield Attack("reserved and unknown fields", "number 0", "judge", append(b"\x02\x00"), unknown)
    yield Attack("reserved and unknown fields", "number 99", "judge", append(field(99, b"")), unknown)
    yield Attack("reserved and unknown fields", "an overload", "judge", inside(node("Add", field(8, b"x"))), unknown)
    yield Attack("reserved and unknown fields", "a device configuration", "judge", append(field(26, b"")), unknown)

    yield Attack("damage", "truncated", "judge", lambda data: data[:-1], "not an ONNX file")
    yield Attack("damage", "empty", "judge", lambda _: b"", "has no graph")
    yield Attack("damage", "a length beyond the end", "judge", append(b"\x32" + varint(2**63)), "longer")
    yield Attack("damage", "a length beyond what holds it", "judge", inside(b"\x6a\x7f"), "not an ONNX file")
    yield Attack("damage", "a name that is no UTF-8", "judge", inside(node("Add", field(1, b"\xff\xfe"))), "UTF-8")
    yield Attack("numbers", "of 11 bytes", "judge", append(b"\x28" + b"\x80" * 10 + b"\x01"), "does not end")
    yield Attack("numbers", "above 64 bits", "judge", append(b"\x28" + b"\xff" * 9 + b"\x7f"), "shortest")
    yield Attack("numbers", "longer than needed", "judge", append(b"\x28\x81\x00"), "shortest")
    yield Attack("numbers", "a type above 32 bits", "judge", inside(field(5, integer(2, 2**32 + 1))), "32 bits")
    yield Attack(
        "numbers",
        "an unknown kind of attribute",
        "judge",
        inside(node("Add", field(5, integer(20, 99)))),
        "not of the type",
    )

    yield Attack("nesting", "5,000 subgraphs", "judge", inside(nested(5000)), sub)
    yield Attack("nesting", "5,000 types", "judge", inside(field(11, field(2, deep_type(5000)))), unknown)
    many = "more than 65,536 parts"
    yield Attack("millions of parts", "empty nodes", "judge", inside(b"\x0a\x00" * MOST), many)
    yield Attack("millions of parts", "empty tensors", "judge", inside(b"\x2a\x00" * MANY), many)
    yield Attack("millions of parts", "inputs of a node", "judge", inside(field(1, b"\x0a\x00" * MANY)), many)
    yield Attack(
        "millions of parts", "empty attributes", "judge", inside(field(1, b"\x2a\x00" * MANY)), "not of the type"
    )
    yield Attack("millions of parts", "sizes in one run", "judge", inside(field(5, field(1, b"\x01" * MANY))), many)
    yield Attack("millions of parts", "metadata", "judge", append(b"\x72\x00" * MANY), many)
    yield Attack("millions of parts", "notes", "judge", append(b"\x32\x00" * MOST), twice)

    yield Attack(
        "operators", "random numbers", "judge", with_operator("RandomNormal", shape=[1]), "not on the list", "operators"
    )
    yield Attack(
        "operators",
        "of another domain",
        "judge",
        with_operator("Inverse", domain="com.microsoft"),
        "not on the list",
        "operators",
    )
    yield Attack(
        "operators", "a branch", "judge", with_operator("If", then_branch=subgraph(), else_branch=subgraph()), sub
    )
    yield Attack(
        "operators",
        "an overriding function",
        "judge",
        append(
            field(
                25,
                helper.make_function(
                    "", "Relu", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])], [helper.make_opsetid("", 18)]
                ).SerializeToString(),
            )
        ),
        "has a function",
    )

    divides = "may divide by zero"
    yield Attack(
        "integer division", "-2^31 by -1", "judge", unused("Div", {"a": ([LEAST], INT32), "b": ([-1], INT32)}), divides
    )
    for kind, dtype in (("Div", INT32), ("Mod", INT32), ("Div", INT64), ("Mod", INT64)):
        yield Attack(
            "integer division",
            f"{kind} of {dtype} by 0",
            "judge",
            unused(kind, {"a": ([1], dtype), "b": ([0], dtype)}),
            divides,
        )
    yield Attack(
        "integer division",
        "by a computed zero",
        "judge",
        before_output(
            helper.make_node("Cast", ["inner"], ["whole"], to=TensorProto.INT32),
            helper.make_node("Mul", ["whole", "nothing"], ["zero"]),
            helper.make_node("Div", ["whole", "zero"], ["trap"]),
            helper.make_node("Cast", ["trap"], ["rank"], to=TensorProto.FLOAT),
            nothing=([0], INT32),
        ),
        divides,
    )
    yield Attack("integer division", "of the digit by the digit", "prior", digit_by_digit, divides)
    yield Attack(
        "integer division",
        "the mean of no integers",
        "judge",
        unused("ReduceMean", {"a": (np.zeros((0,)), INT32)}),
        divides,
    )
    for name, values in (("strides", [0, 0]), ("dilations", [0, 0]), ("group", 0), ("kernel_shape", [0, 0])):
        yield Attack(
            "integer division",
            f"a convolution whose {name} is 0",
            "judge",
            unused(
                "Conv", {"a": (np.ones((1, 1, 4, 4)), FLOAT), "b": (np.ones((1, 1, 2, 2)), FLOAT)}, **{name: values}
            ),
            "is not positive",
        )
    yield Attack(
        "integer division",
        "a split into 0 parts",
        "judge",
        unused("Split", {"a": (np.ones(4), FLOAT)}, num_outputs=0),
        "is not positive",
    )

    yield Attack(
        "results",
        "a row missing",
        "judge",
        before_output(
            helper.make_node("Slice", ["inner", "from", "to"], ["rank"]),
            **{"from": ([1], INT64), "to": ([2**31], INT64)},
        ),
        "output rank is",
        "tensors",
    )
    yield Attack(
        "results",
        "every row twice",
        "judge",
        before_output(helper.make_node("Concat", ["inner", "inner"], ["rank"], axis=0)),
        "output rank is",
        "tensors",
    )
    yield Attack(
        "results",
        "(n, 3, 56, 14)",
        "decoder",
        before_output(helper.make_node("Reshape", ["inner", "shape"], ["image"]), shape=([-1, 3, 56, 14], INT64)),
        "output image is",
        "tensors",
    )
    yield Attack("results", "no rows", "encoder", rowless, "output latent is", "tensors")

    yield Attack(
        "memory and time",
        "a result of 4 TB",
        "judge",
        before_output(
            helper.make_node("Expand", ["one", "size"], ["large"]),
            helper.make_node("ReduceMax", ["large"], ["top"], keepdims=0),
            helper.make_node("Add", ["inner", "top"], ["rank"]),
            one=([0.0], FLOAT),
            size=([2**40], INT64),
        ),
        "judge.onnx",
        "tensors",
    )
    yield Attack(
        "memory and time",
        "many results of 1 GB",
        "judge",
        before_output(
            *(helper.make_node("Expand", ["one", "size"], [f"large{i}"]) for i in range(32)),
            helper.make_node("Concat", [f"large{i}" for i in range(32)], ["all"], axis=0),
            helper.make_node("ReduceMax", ["all"], ["top"], keepdims=0),
            helper.make_node("Add", ["inner", "top"], ["rank"]),
            one=([0.0], FLOAT),
            size=([2**28], INT64),
        ),
        "judge.onnx",
        "tensors",
    )
    yield Attack(
        "memory and time",
        "products that take hours",
        "judge",
        before_output(
            helper.make_node("Expand", ["one", "size"], ["m0"]),
            *(helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(400)),
            helper.make_node("ReduceMax", ["m400"], ["top"], keepdims=0),
            helper.make_node("Add", ["inner", "top"], ["rank"]),
            one=([0.0], FLOAT),
            size=([4096, 4096], INT64),
        ),
        "was stopped after",
        "tensors",
    )

    printed = "cannot be printed"
    yield Attack("names", "an operator's", "judge", with_operator(FORGED), "is no name")
    yield Attack("names", "a domain's", "judge", with_operator("Add", domain=FORGED), "is no name")
    yield Attack("names", "a tensor's", "judge", inside(field(5, field(8, FORGED.encode()))), "is no name")
    yield Attack(
        "names",
        "a size's",
        "judge",
        inside(field(11, field(2, field(1, field(2, field(1, field(2, FORGED.encode()))))))),
        "is no name",
    )
    yield Attack(
        "names", "a producer's", "judge", edited(lambda model: setattr(model, "producer_name", FORGED)), "is no name"
    )
    yield Attack("names", "of 100,000 letters", "judge", with_operator("A" * 100_000), "is no name")
    for name, change in (
        ("the model's, of no letters", lambda facts: facts["model"].update(name="")),
        ("the model's, of 65 letters", lambda facts: facts["model"].update(name="a" * 65)),
    ):
        yield Attack("names", name, "manifest", manifest(change), "1 to 64 printable", "schema")
    for text in (FORGED, "\ud800", "\u202e", "a\u2028b"):
        for name, change in (
            ("the model's", lambda facts, text=text: facts["model"].update(name=text)),
            ("the preset's", lambda facts, text=text: facts["model"].update(preset=text)),
            ("a producer's in the manifest", lambda facts, text=text: facts["producer"].update({text: "1"})),
            ("a producer's version", lambda facts, text=text: facts["producer"].update(torch=text)),
            ("an output's in the manifest", renamed("rank", text)),
            ("a figure's", lambda facts, text=text: facts["quality"].update({text: {text: [text]}})),
        ):
            yield Attack("names", f"{name} is {text!a}", "manifest", manifest(change), printed, "schema")


def with_operator(kind: str, **values: Any) -> Change:
    return inside(field(1, helper.make_node(kind, [], ["x"], **values).SerializeToString()))


def deep_type(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = field(4, field(1, content))
    return content


def ort_format(data: bytes) -> bytes:
    """The model as onnxruntime itself would store it."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder, "model.ort"))
        options.add_session_config_entry("session.save_model_format", "ORT")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return Path(folder, "model.ort").read_bytes()


def both_formats(data: bytes) -> bytes:
    """One file that holds an ONNX model for whoever checks it, and another for onnxruntime, in its own format.

    onnxruntime looks at bytes 4 to 7, and finds the root of its own format by the four before them. To protobuf, these
    are an IR version, a note of three letters and an unknown field; the other model is the content of another one.
    """
    head = b"\x08\x08\x32\x03ORTM" + bytes(4)
    stored = ort_format(data)
    shift = struct.unpack("<I", head[:4])[0] - struct.unpack("<I", stored[:4])[0]
    model = onnx.load_from_string(data)
    model.ClearField("ir_version")
    start = head + model.SerializeToString()
    content = bytes(shift + 8 - len(start) - 6) + stored[8:]  # 6 bytes of tag and length
    return bytes(start + field(100, content))


def digit_by_digit(data: bytes) -> bytes:
    model = onnx.load_from_string(data)
    for one in model.graph.node:
        one.input[:] = ["asked" if name == "digit" else name for name in one.input]
    nodes = [
        helper.make_node("Mod", ["digit", "digit"], ["none"]),
        helper.make_node("Add", ["digit", "none"], ["asked"]),
    ]
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def rowless(data: bytes) -> bytes:
    change = before_output(
        helper.make_node("Slice", ["inner", "from", "to"], ["latent"]), **{"from": ([0], INT64), "to": ([0], INT64)}
    )
    return change(data)


def apply(attack: Attack, bundle: Path) -> None:
    """Change a bundle, and make its manifest vouch for it."""
    file = bundle / ("manifest.json" if attack.graph == "manifest" else f"{attack.graph}.onnx")
    data = attack.change(file.read_bytes())
    file.write_bytes(data)
    if attack.graph != "manifest":
        facts = json.loads((bundle / "manifest.json").read_text())
        facts["graphs"][attack.graph] |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        (bundle / "manifest.json").write_text(json.dumps(facts))


def main() -> None:
    """Print how many of each kind `vaegen verify` refuses: exit code 3 within two minutes, and plain lines."""
    counts: dict[str, list[int]] = {}
    for attack in attacks():
        with tempfile.TemporaryDirectory() as home:
            bundle = Path(shutil.copytree(TINY, Path(home, "bundle")))
            apply(attack, bundle)
            Path(home, SECRET).write_bytes(b"-----BEGIN PRIVATE KEY-----" + bytes(200))
            command = [sys.executable, "-m", "vaegen_cli", "verify", str(bundle), "-q"]
            try:
                done = subprocess.run(command, cwd=home, capture_output=True, timeout=120, check=False)
            except subprocess.TimeoutExpired:
                code, said = None, ""
            else:
                code, said = done.returncode, done.stderr.decode("utf-8", "backslashreplace")
        lines = said.split("\n")[:-1]
        plain = code == 3 and all(line.startswith("vaegen: ") and line.isprintable() for line in lines)
        row = counts.setdefault(attack.kind, [0, 0])
        row[0] += 1
        row[1] += int(plain)
        if not plain:
            print(f"not refused: {attack.kind}: {attack.name}: exit code {code}: {said[-300:]!a}", file=sys.stderr)
    print("| kind | tried | refused |\n|---|---|---|")
    for kind, (tried, refused) in counts.items():
        print(f"| {kind} | {tried} | {refused} |")
    print(f"| all | {sum(row[0] for row in counts.values())} | {sum(row[1] for row in counts.values())} |")


if __name__ == "__main__":
    main()
