"""Build tests/assets/tiny, a whole bundle of a few KB, with nothing but onnx's helpers.

    python tests/assets/make_tiny.py            # rewrites tests/assets/tiny, byte for byte the same

It is a joint model made by hand, so that every test sees meaningful pictures without any training:

- latent, L = 23: Z = 3 color logits, then N = 2 one-hots of K = 10 classes, the digit and the place;
- decoder: a 3x5 digit font on a 7x7 grid, moved by the place, 4x4 pixels a cell, times the color;
- judge: minus four times the Hamming distance to the nearest moved digit; the stroke's color, as every judge measures
  it; digits in the upper left corner are not accepted as real;
- encoder: the same matching for both one-hots, and the logit of the brightest value of each channel;
- prior: at temperature 1 it draws another digit in 15% of all cases and jitters the color, so that verification has
  real work to do. A slant moves a digit to its side, a thickness above 3 moves it down, one below up.

Unit-variance logistic noise stands in for normal noise, and a root mean square for CIEDE2000: they need no polynomial,
and no test minds.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from vaegen import golden
from vaegen.manifest import GRAPHS, MANIFEST, GraphSpec, Manifest, TensorSpec
from vaegen.spec import NO_SLANT, NO_THICKNESS, LatentNames, LatentSpec, ModelSpec, Style, Thresholds

OPSET = 18
IR_VERSION = 8  # the IR that came with opset 18
Z, N, K = 3, 2, 10
MODEL = ModelSpec(
    name="tiny",
    preset="handmade",
    latent=LatentSpec(Z, (N, K)),
    names=LatentNames(("red", "green", "blue"), ("digit", "place")),
    gumbel_temperature=1.0,
    prior_temperature=1.0,
    thresholds=Thresholds(probability=0.8, color_error=3.0, realism=0.0),
    style=Style(
        slant=(-25.0, -15.0, -10.0, -6.0, -3.0, 0.0, 3.0, 6.0, 10.0, 15.0, 25.0),
        thickness=(1.5, 2.0, 2.2, 2.5, 2.7, 3.0, 3.3, 3.5, 3.8, 4.0, 4.5),
    ),
)
L = MODEL.latent.size  # 23
WRONG_DIGIT = 0.15  # share of prior draws at temperature 1 that show another digit
COLOR_JITTER = 0.1  # standard deviation of the prior's color logits at temperature 1
LOGISTIC = 3**0.5 / np.pi  # scales the standard logistic distribution to variance 1
PRIOR_UNIFORMS = 1 + Z + K  # digit, color, place
GRID = 7  # cells a side, of 4x4 pixels
STROKE_PIXELS = 40  # brightest pixels that give the color of a stroke

# Rows of three cells, digits 0 to 9.
FONT = (
    "### #.# #.# #.# ###",
    "..# ..# ..# ..# ..#",
    "### ..# ### #.. ###",
    "### ..# ### ..# ###",
    "#.# #.# ### ..# ..#",
    "### #.. ### ..# ###",
    "### #.. ### #.# ###",
    "### ..# ..# ..# ..#",
    "### #.# ### #.# ###",
    "### #.# ### ..# ###",
)
GLYPHS = np.array([[[cell == "#" for cell in row] for row in glyph.split()] for glyph in FONT], np.uint8)  # (10,5,3)
PLACES = [(place // 3 - 1, place % 3 - 1) for place in range(9)] + [(0, 0)]  # (down, right) in cells

Shape = tuple[int | str, ...]
IMAGE: Shape = ("n", 3, 28, 28)
FLOAT, INT64, BOOL, UINT8 = "float32", "int64", "bool", "uint8"


class Graph:
    """One graph in the making; each method call adds a node and gives the name of its output."""

    def __init__(self, inputs: dict[str, TensorSpec]) -> None:
        self.inputs = inputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def __call__(self, op: str, *operands: Any, name: str | None = None, **attributes: Any) -> str:
        """Add a node; operands are names, or arrays and numbers that become initializers."""
        names = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
        output = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [output], **attributes))
        return output

    def constant(self, value: Any) -> str:
        """Store an array once; Python floats become float32, integers int64."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = f"c{hashlib.sha256(repr((array.dtype, array.shape)).encode() + array.tobytes()).hexdigest()[:8]}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def bits(self, array: np.ndarray) -> str:
        """Store a table of zeros and ones a byte each; as float32 it would be four times as long."""
        return self("Cast", array.astype(np.uint8), to=TensorProto.FLOAT)

    def columns(self, tensor: str, start: int, stop: int) -> str:
        """Cut columns out of a tensor of shape (n, columns)."""
        return self("Slice", tensor, [start], [stop], [1])

    def logistic(self, uniform: str) -> str:
        """Turn uniforms into noise of mean 0 and variance 1: log(u / (1 - u)) * sqrt(3) / pi."""
        odds = self("Div", uniform, self("Sub", 1.0, uniform))
        return self("Mul", self("Log", odds), LOGISTIC)

    def logit(self, value: str) -> str:
        """Invert the decoder's sigmoid, kept away from its infinite ends."""
        inside = self("Clip", value, 0.002, 0.998)
        return self("Log", self("Div", inside, self("Sub", 1.0, inside)))

    def gumbel(self, uniform: str) -> str:
        """Turn uniforms into Gumbel noise: -log(-log(u))."""
        return self("Neg", self("Log", self("Neg", self("Log", uniform))))

    def one_hot(self, index: str) -> str:
        """Turn class numbers into one-hots of K."""
        return self("OneHot", index, K, [0.0, 1.0], axis=-1)

    def top(self, tensor: str, count: int) -> str:
        """Return the largest values of each row (n, columns), (n, count)."""
        values, places = f"t{len(self.nodes)}", f"t{len(self.nodes)}_places"
        self.nodes.append(helper.make_node("TopK", [tensor, self.constant([count])], [values, places]))
        return values

    def model(self, name: str, outputs: dict[str, TensorSpec]) -> bytes:
        """Return the file's bytes."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [_value(key, spec) for key, spec in self.inputs.items()],
            [_value(key, spec) for key, spec in outputs.items()],
            list(self.constants.values()),
        )
        model = helper.make_model(
            graph,
            producer_name="vaegen",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, {"vaegen": json.dumps(MODEL.to_dict(), sort_keys=True, separators=(",", ":"))})
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _value(name: str, spec: TensorSpec) -> onnx.ValueInfoProto:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return helper.make_tensor_value_info(name, element, list(spec.shape))


def _tensors(**shapes: Shape) -> dict[str, TensorSpec]:
    return {name: TensorSpec(FLOAT, shape) for name, shape in shapes.items()}


def light(g: Graph, bright: str) -> str:
    """Return how much light there is in each cell of pixels (n,1,28,28), over the brightest cell's, (n,1,7,7)."""
    cells = g("AveragePool", bright, kernel_shape=[4, 4], strides=[4, 4])
    return g("Div", cells, g("Max", g("ReduceMax", cells, [2, 3]), 0.001))


def hamming(g: Graph, cells: str) -> str:
    """Score every digit at every place: minus the cells in which image and moved glyph differ, (n,10,3,3)."""
    total = g("ReduceSum", cells, [2, 3])  # (n,1,1,1)
    reach = g("Slice", cells, [1], [6], [3])  # no glyph ever reaches the outer columns
    both = g("Conv", reach, g.bits(GLYPHS[:, None]))  # (n,10,3,3), cells lit in both
    glyph = GLYPHS.sum((1, 2), dtype=np.float32)[:, None, None]
    return g("Sub", g("Sub", g("Mul", both, 2.0), glyph), total)


Made = tuple[Graph, dict[str, TensorSpec]]


def make_encoder() -> Made:
    g = Graph(_tensors(image=IMAGE))
    mean = g("ReduceMax", "image", [2, 3], keepdims=0)
    mean = g("Identity", g.logit(mean), name="mean")
    g("Add", g("Mul", "mean", 0.0), -6.0, name="log_variance")
    score = g("Mul", hamming(g, light(g, g("ReduceMax", "image", [1]))), 2.0)
    digit = g("ReduceMax", score, [2, 3], keepdims=0)  # (n,10)
    place = g("Reshape", g("ReduceMax", score, [1], keepdims=0), [0, 9])
    place = g("Pad", place, [0, 0, 0, 1], -100.0)  # the tenth place equals the fifth and is never chosen
    logits = g("Concat", g("Unsqueeze", digit, [1]), g("Unsqueeze", place, [1]), axis=1, name="logits")
    codes = g.one_hot(g("ArgMax", logits, axis=-1, keepdims=0))  # (n,2,10)
    g("Concat", mean, g("Reshape", codes, [0, N * K]), axis=1, name="latent")
    outputs = _tensors(latent=("n", L), mean=("n", Z), log_variance=("n", Z), logits=("n", N, K))
    return g, outputs


def make_sampler() -> Made:
    g = Graph(_tensors(mean=("n", Z), log_variance=("n", Z), logits=("n", N, K), uniform=("n", L)))
    sigma = g("Exp", g("Mul", "log_variance", 0.5))
    color = g("Add", "mean", g("Mul", sigma, g.logistic(g.columns("uniform", 0, Z))))
    noise = g("Reshape", g.gumbel(g.columns("uniform", Z, L)), [0, N, K])
    codes = g("Softmax", g("Div", g("Add", "logits", noise), MODEL.gumbel_temperature), axis=-1)
    g("Concat", color, g("Reshape", codes, [0, N * K]), axis=1, name="latent")
    return g, _tensors(latent=("n", L))


def make_prior() -> Made:
    g = Graph(
        {
            "digit": TensorSpec(INT64, ("n",)),
            "rgb": TensorSpec(FLOAT, ("n", 3)),
            "uniform": TensorSpec(FLOAT, ("n", PRIOR_UNIFORMS)),
            "temperature": TensorSpec(FLOAT, ()),
            "style": TensorSpec(FLOAT, ("n", 2)),
        }
    )
    first = g("Squeeze", g.columns("uniform", 0, 1), [1])  # (n,)
    share = g("Mul", "temperature", WRONG_DIGIT)
    # Below the share the uniform is uniform again on (0, share): it also picks which other digit appears.
    step = g("Cast", g("Mul", g("Min", g("Div", first, share), 0.999), 9.0), to=TensorProto.INT64)
    other = g("Mod", g("Add", g("Add", "digit", step), 1), 10)
    digit = g("Where", g("Less", first, share), other, "digit")
    jitter = g("Mul", g.logistic(g.columns("uniform", 1, 1 + Z)), g("Mul", "temperature", COLOR_JITTER))
    color = g("Add", g.logit("rgb"), jitter)
    slant, thickness = g.columns("style", 0, 1), g.columns("style", 1, 2)
    lean = g("Where", g("Less", slant, NO_SLANT), slant, 0.0)
    weight = g("Where", g("Greater", thickness, NO_THICKNESS), g("Mul", g("Sub", thickness, 3.0), 9.0), 0.0)
    wish = g("MatMul", g("Concat", weight, lean, axis=1), np.array(PLACES, np.float32).T)  # (n,10)
    place = g("Add", g.gumbel(g.columns("uniform", 1 + Z, PRIOR_UNIFORMS)), wish)
    place = g("ArgMax", place, axis=-1, keepdims=0)
    g("Concat", color, g.one_hot(digit), g.one_hot(place), axis=1, name="latent")
    return g, _tensors(latent=("n", L))


def make_decoder() -> Made:
    g = Graph(_tensors(latent=("n", L)))
    fonts = np.zeros((10, GRID, GRID))
    fonts[:, 1:6, 2:5] = GLYPHS
    down = np.stack([np.eye(GRID, k=-dy) for dy, _ in PLACES])
    right = np.stack([np.eye(GRID, k=dx) for _, dx in PLACES])
    digit, place = g.columns("latent", Z, Z + K), g.columns("latent", Z + K, L)

    def choose(codes: str, tables: np.ndarray) -> str:
        return g("Reshape", g("MatMul", codes, g.bits(tables.reshape(10, -1))), [0, GRID, GRID])

    cells = g("MatMul", g("MatMul", choose(place, down), choose(digit, fonts)), choose(place, right))
    enlarge = g.bits(np.kron(np.eye(GRID), np.ones((4, 1))))  # (28,7)
    stroke = g("MatMul", g("MatMul", enlarge, cells), g("Transpose", enlarge, perm=[1, 0]))  # (n,28,28)
    color = g("Reshape", g("Sigmoid", g.columns("latent", 0, Z)), [0, 3, 1, 1])
    g("Clip", g("Mul", g("Unsqueeze", stroke, [1]), color), 0.0, 1.0, name="image")
    eight_bits = g("Cast", g("Round", g("Mul", "image", 255.0)), to=TensorProto.UINT8)
    g("Transpose", eight_bits, perm=[0, 2, 3, 1], name="pixels")
    return g, _tensors(image=IMAGE) | {"pixels": TensorSpec(UINT8, ("n", 28, 28, 3))}


def make_judge() -> Made:
    g = Graph(_tensors(image=IMAGE) | {"digit": TensorSpec(INT64, ("n",))} | _tensors(rgb=("n", 3)))
    limits = MODEL.thresholds
    image = g("Div", g("Round", g("Mul", g("Clip", "image", 0.0, 1.0), 255.0)), 255.0)
    bright = g("ReduceMax", image, [1])  # (n,1,28,28)
    cells = light(g, bright)
    scores = g("Mul", g("ReduceMax", hamming(g, cells), [2, 3], keepdims=0), 4.0)
    g("Softmax", scores, axis=-1, name="probabilities")
    g("ReduceSum", g("Mul", "probabilities", g.one_hot("digit")), [1], keepdims=0, name="probability")
    g("ArgMax", "probabilities", axis=-1, keepdims=0, name="read")

    flat = g("Reshape", bright, [0, 784])
    least = g("ReduceMin", g.top(flat, STROKE_PIXELS), [1])  # (n,1)
    counted = g("And", g("GreaterOrEqual", flat, least), g("Greater", flat, 0.0))
    counted = g("Unsqueeze", g("Cast", counted, to=TensorProto.FLOAT), [1])  # (n,1,784)
    total = g("ReduceSum", g("Mul", g("Reshape", image, [0, 3, 784]), counted), [2], keepdims=0)
    number = g("Max", g("ReduceSum", counted, [2], keepdims=0), float(STROKE_PIXELS))
    g("Div", total, number, name="color")
    apart = g("Sub", "color", "rgb")
    apart = g("Sqrt", g("ReduceMean", g("Mul", apart, apart), [1], keepdims=0))
    g("Mul", apart, 100.0, name="color_error")

    corner = g("Reshape", g("Slice", cells, [0, 1], [1, 2], [2, 3]), [-1])  # lit only by digits moved up and left
    g("Sub", 2.0, g("Mul", corner, 4.0), name="realism")

    sure = g("GreaterOrEqual", "probability", limits.probability)
    near = g("LessOrEqual", "color_error", limits.color_error)
    real = g("GreaterOrEqual", "realism", limits.realism)
    g("And", g("And", sure, near), real, name="accepted")
    tier = g("Where", sure, 2.0, g("Cast", g("Equal", "read", "digit"), to=TensorProto.FLOAT))
    over = g("Max", g("Sub", "color_error", limits.color_error), 0.0)
    rank = g("Add", g("Mul", tier, 3.0), g("Softsign", g("Sub", "realism", over)))
    g("Add", g("Mul", g("Cast", "accepted", to=TensorProto.FLOAT), 10.0), rank, name="rank")
    outputs = _tensors(probabilities=("n", 10), probability=("n",), color=("n", 3), color_error=("n",))
    outputs |= _tensors(realism=("n",), rank=("n",))
    return g, outputs | {"read": TensorSpec(INT64, ("n",)), "accepted": TensorSpec(BOOL, ("n",))}


def record(
    name: str, data: bytes, inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec]
) -> dict[str, list[float]]:
    """Return the golden outputs of a graph, by onnx's reference implementation in place of torch."""
    results = ReferenceEvaluator(onnx.load_from_string(data)).run(list(outputs), golden.inputs(inputs, MODEL))
    return {f"{name}.{output}": golden.summarise(value) for output, value in zip(outputs, results, strict=True)}


def write(folder: Path) -> None:
    """Write the six files of the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = {
        "encoder": make_encoder,
        "sampler": make_sampler,
        "prior": make_prior,
        "decoder": make_decoder,
        "judge": make_judge,
    }
    graphs: dict[str, GraphSpec] = {}
    recorded: dict[str, list[float]] = {}
    for name in GRAPHS:
        graph, outputs = makers[name]()
        data = graph.model(name, outputs)
        (folder / f"{name}.onnx").write_bytes(data)
        recorded |= record(name, data, graph.inputs, outputs)
        graphs[name] = GraphSpec(f"{name}.onnx", hashlib.sha256(data).hexdigest(), len(data), graph.inputs, outputs)
    manifest = Manifest(MODEL, graphs, OPSET, IR_VERSION, golden=recorded)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build the tiny test bundle.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("tiny"), help="the bundle's folder")
    write(parser.parse_args(arguments).out)


if __name__ == "__main__":
    main()
