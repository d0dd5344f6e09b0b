"""What the operators of a graph may be, and integer arithmetic that would end the process.

A processor traps where an integer is divided by zero, or the least one by minus one, and onnxruntime does not catch it:
constants are divided as a model is loaded, results of shape inference before that. So a graph must show that it cannot
happen. Types are followed from the inputs and tensors through the nodes, and where they get lost, an integer is feared.
"""

from typing import Any

from vaegen.errors import BundleError
from vaegen.onnx_model import Message

# Deterministic, side-effect-free operators of ONNX's own domain. No random ones, no control flow, no loops, no
# sequences, no strings, nothing that reads a file: a graph of these does a bounded amount of plain arithmetic.
_OPERATORS = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Clip Concat Constant ConstantOfShape
    Conv ConvTranspose CumSum Div Einsum Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mod Mul Neg Not OneHot Or
    Pad Pow PRelu Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shape Sigmoid Sign
    Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh TopK Transpose Trilu Unsqueeze Where Xor
"""
OPERATORS = frozenset(_OPERATORS.split())

_FLOATS = {1, 10, 11, 16}  # TensorProto.DataType of float32, float16, float64 and bfloat16
_INT32, _INT64, _BOOL = 6, 7, 9
_BYTES = {_INT32: 4, _INT64: 8}  # of the integers whose divisors are looked at
_MAX_DIVISORS = 4096  # values in one tensor; longer ones are not looked through

# Operators whose results have another type than their first input: a fixed one, or that of another input.
_FIXED = {"Shape": _INT64, "ArgMax": _INT64, "ArgMin": _INT64} | dict.fromkeys(
    ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not"), _BOOL
)
_INPUT = {"CastLike": 1, "Where": 1, "OneHot": 2}
_SECOND_IS_INT64 = {"TopK", "MaxPool"}
_DIVIDES = {"Div", "Mod", "ReduceMean"}
# Attributes by which shape inference divides.
_POSITIVE = {"strides", "dilations", "kernel_shape", "group", "num_outputs"}


def check_operators(model: Message) -> None:
    """Check that a graph has no operators but those of OPERATORS.

    Raises:
        BundleError: It has; the message names them.
    """
    used = {(node.get("domain", ""), node.get("op_type", "")) for node in model["graph"].get("node", ())}
    refused = sorted(f"{domain}:{kind}" if domain else kind for domain, kind in used if domain or kind not in OPERATORS)
    if refused:
        raise BundleError(f"operators {', '.join(refused)} are not on the list of those a bundle may use")


def check_divisions(model: Message, where: str) -> None:
    """Check that no division of a graph can end the process.

    Args:
        model: What was read.
        where: What to call the file in an error.

    Raises:
        BundleError: One can, or it cannot be told.
    """
    graph = model["graph"]
    tensors: dict[str, Message] = {tensor.get("name", ""): tensor for tensor in graph.get("initializer", ())}
    types: dict[str, int] = {name: tensor.get("data_type", 0) for name, tensor in tensors.items()}
    for value in graph.get("input", ()):
        types[value.get("name", "")] = value.get("type", {}).get("tensor_type", {}).get("elem_type", 0)
    defined = len(graph.get("initializer", ())) + len(graph.get("input", ()))
    for node in graph.get("node", ()):
        inputs, outputs = node.get("input", ()), node.get("output", ())
        kind = node.get("op_type", "")
        attributes = {attribute.get("name", ""): attribute for attribute in node.get("attribute", ())}
        for name, attribute in attributes.items():
            if name in _POSITIVE and min((*attribute.get("ints", ()), attribute.get("i", 1))) < 1:
                raise BundleError(f"{where}: {name} of a {kind} is not positive")
        if kind in _DIVIDES and inputs and types.get(inputs[0], 0) not in _FLOATS:
            divisor = tensors.get(inputs[-1]) if kind != "ReduceMean" else None
            if divisor is None or not _harmless(divisor):
                raise BundleError(f"{where}: a {kind} of integers may divide by zero; divide floats, or by a constant")
        result = _result(kind, node.get("domain", ""), inputs, attributes, types)
        for place, name in enumerate(outputs):
            if name:  # the empty one stands for a result that nobody wants
                types[name] = _INT64 if place and kind in _SECOND_IS_INT64 else result
                defined += 1
    if defined != len(types):
        raise BundleError(f"{where}: two values of the graph have one name")


def _result(kind: str, domain: str, inputs: list[str], attributes: dict[str, Message], types: dict[str, int]) -> int:
    """Return the type of a node's results, 0 where it cannot be told."""
    if domain:
        return 0
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "Cast":
        to: int = attributes.get("to", {}).get("i", 0)
        return to
    if kind in ("Constant", "ConstantOfShape"):
        default = 1 if kind == "ConstantOfShape" or attributes.keys() & {"value_float", "value_floats"} else _INT64
        value: int = attributes.get("value", {}).get("t", {}).get("data_type", default)
        return value
    place = _INPUT.get(kind, 0)
    return types.get(inputs[place], 0) if place < len(inputs) else 0


def _harmless(divisor: Message) -> bool:
    """Return whether a tensor holds integers that any integer may be divided by."""
    size = _BYTES.get(divisor.get("data_type", 0))
    if size is None:
        return False
    raw = bytes(divisor.get("raw_data", b"")[: size * _MAX_DIVISORS + 1])
    values: list[Any] = [int.from_bytes(raw[at : at + size], "little", signed=True) for at in range(0, len(raw), size)]
    values += divisor.get("int32_data", []) + divisor.get("int64_data", [])
    return 0 < len(values) <= _MAX_DIVISORS and not {0, -1} & set(values)
