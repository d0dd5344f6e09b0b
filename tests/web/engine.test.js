// The engine alone: its operators against numbers worked out by hand, and files that it refuses. That it gives what
// onnxruntime gives, for all graphs of bundles, is held in test_engine.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { compile } from "../../runtime/vaegen/web/engine.js";
import { BundleError, RequestError } from "../../runtime/vaegen/web/errors.js";

const TYPES = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10, float64: 11 };
const TINY = readFileSync(new URL("../assets/tiny/judge.onnx", import.meta.url));

// Protobuf, as little as it takes to write a graph.
function varint(value) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    if (rest <= 0x7fn) return bytes;
  }
}
const integer = (field, value) => [...varint(field << 3), ...varint(value)];
const bytes = (field, content) => {
  const held = typeof content === "string" ? [...new TextEncoder().encode(content)] : content;
  return [...varint((field << 3) | 2), ...varint(held.length), ...held];
};
const float = (field, value) => [...varint((field << 3) | 5), ...new Uint8Array(new Float32Array([value]).buffer)];
const value = (name, type, shape) => {
  const dimensions = shape.flatMap((n) => bytes(1, typeof n === "string" ? bytes(2, n) : integer(1, n)));
  return [...bytes(1, name), ...bytes(2, bytes(1, [...integer(1, TYPES[type]), ...bytes(2, dimensions)]))];
};
const attribute = (name, given) => {
  if (typeof given === "string") return [...bytes(1, name), ...bytes(4, given), ...integer(20, 3)];
  if (Array.isArray(given)) return [...bytes(1, name), ...given.flatMap((n) => integer(8, n)), ...integer(20, 7)];
  if (!Number.isInteger(given)) return [...bytes(1, name), ...float(2, given), ...integer(20, 1)];
  return [...bytes(1, name), ...integer(3, given), ...integer(20, 2)];
};
const node = (operator, inputs, outputs, attributes = {}, domain = "") => [
  ...inputs.flatMap((name) => bytes(1, name)),
  ...outputs.flatMap((name) => bytes(2, name)),
  ...bytes(4, operator),
  ...Object.entries(attributes).flatMap(([name, given]) => bytes(5, attribute(name, given))),
  ...bytes(7, domain),
];
const tensor = (name, type, shape, ...rest) =>
  [...shape.flatMap((n) => integer(1, n)), ...integer(2, TYPES[type]), ...bytes(8, name), ...rest.flat()];
const model = ({ nodes = [], inputs = [], outputs = [], tensors = [], opset = 18 }) => {
  const parts = [[1, nodes], [5, tensors], [11, inputs], [12, outputs]];
  const graph = parts.flatMap(([field, each]) => each.flatMap((content) => bytes(field, content)));
  return new Uint8Array([...bytes(7, graph), ...bytes(8, integer(2, opset))]);
};

const f = (shape, ...data) => ({ type: "float32", shape, data: Float32Array.from(data) });
const i = (shape, ...data) => ({ type: "int64", shape, data: BigInt64Array.from(data, BigInt) });
const u8 = (shape, ...data) => ({ type: "uint8", shape, data: Uint8Array.from(data) });
const range = (n) => Array.from({ length: n }, (_, k) => k);

/** Return the results of one operator, as [shape, numbers] each. */
function run(operator, inputs, attributes = {}, outputs = 1) {
  const names = inputs.map((input, at) => (input ? `in${at}` : ""));
  const given = inputs.map((input, at) => [`in${at}`, input]).filter(([, input]) => input);
  const results = range(outputs).map((at) => `out${at}`);
  const program = compile(
    model({
      nodes: [node(operator, names, results, attributes)],
      inputs: given.map(([name, { type, shape }]) => value(name, type, shape)),
      outputs: results.map((name) => value(name, "float32", [])),
    }),
  );
  const found = program.run(Object.fromEntries(given));
  return results.map((name) => [found[name].shape, [...found[name].data]]);
}

const same = (inputs, operator, shape, numbers, attributes) =>
  assert.deepEqual(run(operator, inputs, attributes), [[shape, numbers.map((n) => n + 0)]], operator);

test("values are computed one by one, and smaller tensors repeat", () => {
  same([f([2, 3], 0, 1, 2, 3, 4, 5), f([3], 10, 20, 30)], "Add", [2, 3], [10, 21, 32, 13, 24, 35]);
  same([f([2, 1], 1, 2), f([3], 10, 20, 30)], "Mul", [2, 3], [10, 20, 30, 20, 40, 60]);
  same([f([], 6), f([2, 1, 2], 1, 2, 3, 4)], "Div", [2, 1, 2], [6, 3, 2, 1.5]);
  same([f([1, 1], 1), f([0, 3])], "Sub", [0, 3], []);
  same([f([3, 1, 1], 1, 2, 3), f([2, 1, 2, 2], ...range(8))], "Mul", [2, 3, 2, 2],
    [0, 1, 2, 3, 0, 2, 4, 6, 0, 3, 6, 9, 4, 5, 6, 7, 8, 10, 12, 14, 12, 15, 18, 21]);
  same([f([2], 1, 5), f([2], 4, 2), f([1], 3)], "Max", [2], [4, 5]);
  same([f([3], -2, 3, 4), f([], 2)], "Pow", [3], [4, 9, 16]);
  same([i([4], 7, -7, 7, -7), i([4], 3, 3, -3, -3)], "Mod", [4], [1, 2, -2, -1]);
  same([i([3], 7, -7, 9), i([], 2)], "Div", [3], [3, -3, 4]);
  same([f([3], 1, 2, NaN), f([], 2)], "GreaterOrEqual", [3], [0, 1, 0]);
  same([i([2, 1], 0, 1), i([2], 0, 1)], "Equal", [2, 2], [1, 0, 0, 1]);
  same([u8([2, 1], 1, 0), f([2], 1, 2), f([], 9)], "Where", [2, 2], [1, 2, 9, 9]);
  assert.throws(() => run("Add", [f([2], 1, 2), f([3], 1, 2, 3)]), /Add of \[2\], \[3\] failed: these shapes do not/);
});

test("rounding goes to the even neighbor, casts towards zero", () => {
  same([f([7], 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 254.50002)], "Round", [7], [0, 2, 2, 0, -2, -2, 255]);
  same([f([2], 8388609, 2 ** 60)], "Round", [2], [8388609, 2 ** 60]);
  same([f([4], 1.9, -1.9, NaN, 1e30)], "Cast", [4], [1, -1, -(2 ** 63), -(2 ** 63)], { to: TYPES.int64 });
  same([f([3], 0.2, 0, NaN)], "Cast", [3], [1, 0, 1], { to: TYPES.bool });
  same([f([2], 254.9, 3)], "Cast", [2], [254, 3], { to: TYPES.uint8 });
  same([f([4], -1, 0.5, 2, NaN), f([], 0), f([], 1)], "Clip", [4], [0, 0.5, 1, NaN]);
  same([f([2], -1, 5), null, f([], 1)], "Clip", [2], [-1, 1]);
});

test("erf is exact to 1e-7", () => {
  const x = [0, 0.1, 0.9, 0.95, 1, 2, 3, 4, 9];
  const y = [0, 0.112462916, 0.7969082124, 0.8208908073, 0.8427007929, 0.995322265, 0.9999779095, 0.9999999846, 1];
  const [[, got]] = run("Erf", [f([18], ...x, ...x.map((each) => -each))]);
  y.forEach((each, at) => assert.ok(Math.abs(got[at] - each) < 1e-7 && got[at + 9] + got[at] === 0, `erf(${x[at]})`));
});

test("axes count from both ends", () => {
  const x = f([2, 3], 3, 1, 2, 5, 5, 0);
  same([x, i([1], -1)], "ReduceMax", [2], [3, 5], { keepdims: 0 });
  same([x, i([1], 0)], "ReduceSum", [1, 3], [8, 6, 2]);
  same([x], "ReduceMean", [1, 1], [Math.fround(16 / 6)]);
  same([f([2, 0]), i([1], 1)], "ReduceSum", [2], [0, 0], { keepdims: 0 });
  same([x, i([0])], "ReduceSum", [2, 3], [3, 1, 2, 5, 5, 0], { noop_with_empty_axes: 1 });
  same([x], "ArgMax", [2], [0, 0], { axis: -1, keepdims: 0 });
  same([x], "ArgMax", [1, 3], [1, 1, 0], { axis: 0 });
  same([x, i([], -1)], "CumSum", [2, 3], [3, 4, 6, 5, 10, 10]);
  same([x, i([], 0)], "CumSum", [2, 3], [3, 1, 2, 8, 6, 2]);
  same([f([2, 2], 1, 1, 1000, 1000)], "Softmax", [2, 2], [0.5, 0.5, 0.5, 0.5]);
  same([i([2], 2, -1), i([], 3), f([2], 0, 7)], "OneHot", [2, 3], [0, 0, 7, 0, 0, 7]);
  same([i([2], 0, 9), i([], 2), f([2], 0, 7)], "OneHot", [2, 2], [7, 0, 0, 0], { axis: 0 });
  const best = run("TopK", [f([1, 5], 2, 7, 7, 1, 7), i([1], 3)], {}, 2);
  assert.deepEqual(best, [[[1, 3], [7, 7, 7]], [[1, 3], [1, 2, 4]]]);
  const normal = [f([1, 2], 1, 3), f([2], 1, 2), f([2], 0, 1)];
  same(normal, "LayerNormalization", [1, 2], [-1, 3], { epsilon: 0 });
  assert.throws(() => run("CumSum", [x, i([], 2)]), /there is no axis 2/);
});

test("values move to where they belong", () => {
  const x = f([2, 3], ...range(6));
  same([x], "Transpose", [3, 2], [0, 3, 1, 4, 2, 5]);
  same([f([1, 2, 2, 1], ...range(4))], "Transpose", [1, 2, 1, 2], [0, 2, 1, 3], { perm: [0, 2, 3, 1] });
  same([x, i([1], -1), i([1], -100), i([1], 1), i([1], -2)], "Slice", [2, 2], [2, 0, 5, 3]);
  same([x, i([1], 1), i([1], 2n ** 63n - 1n), i([1], 1)], "Slice", [2, 2], [1, 2, 4, 5]);
  same([x, i([1], 2), i([1], 2), i([1], 1)], "Slice", [2, 0], []);
  const parts = run("Split", [x, i([3], 1, 0, 2)], { axis: -1 }, 3);
  assert.deepEqual(parts, [[[2, 1], [0, 3]], [[2, 0], []], [[2, 2], [1, 2, 4, 5]]]);
  assert.deepEqual(run("Split", [x], { axis: 1, num_outputs: 2 }, 2), [[[2, 2], [0, 1, 3, 4]], [[2, 1], [2, 5]]]);
  same([f([2, 1], 8, 9), x], "Concat", [2, 4], [8, 0, 1, 2, 9, 3, 4, 5], { axis: 1 });
  same([x, i([3], 0, -1, 1)], "Reshape", [2, 3, 1], range(6));
  same([f([0, 3]), i([2], 3, 0)], "Reshape", [3, 0], [], { allowzero: 1 });
  same([f([2, 1], 1, 2), i([3], 2, 1, 2)], "Expand", [2, 2, 2], [1, 1, 2, 2, 1, 1, 2, 2]);
  same([f([1, 2], 1, 2), i([4], 1, 0, 0, 1), f([], 9)], "Pad", [2, 3], [9, 9, 9, 1, 2, 9]);
  same([f([2], 1, 2), i([2], -1, 0)], "Unsqueeze", [1, 2, 1], [1, 2]);
  same([f([1, 2, 1], 1, 2), i([1], 0)], "Squeeze", [2, 1], [1, 2]);
  same([f([5, 6, 7], ...range(210))], "Shape", [1], [6], { start: 1, end: -1 });
  assert.throws(() => run("Reshape", [x, i([1], 4)]), /cannot have the shape \[4\]/);
  assert.throws(() => run("Expand", [f([], 1), i([2], 2 ** 20, 2 ** 20)]), /the result has 1099511627776 values/);
});

test("products of matrices of any size, windows over images", () => {
  for (const [M, N, K] of [[1, 1, 1], [1, 9, 3], [2, 4, 5], [3, 3, 4], [4, 5, 6], [7, 8, 1], [2, 3, 0]]) {
    const [a, b] = [f([M, K], ...range(M * K)), f([K, N], ...range(K * N).map((n) => n - 3))];
    const turned = f([N, K], ...range(N * K).map((at) => b.data[(at % K) * N + Math.floor(at / K)]));
    const product = range(M * N).map((at) =>
      range(K).reduce((sum, k) => sum + a.data[Math.floor(at / N) * K + k] * b.data[k * N + (at % N)], 0));
    same([a, b], "MatMul", [M, N], product);
    same([a, turned, f([N], ...range(N))], "Gemm", [M, N], product.map((y, at) => y + (at % N)), { transB: 1 });
    same([a, b, f([1], 4)], "Gemm", [M, N], product.map((y) => y / 2 + 8), { alpha: 0.5, beta: 2 });
  }
  same([f([2, 2], 1, 2, 3, 4), f([2, 1], 5, 6)], "Gemm", [2, 1], [23, 34], { transA: 1 });
  same([f([2, 1, 2], 1, 2, 3, 4), f([1, 2, 1], 5, 6)], "MatMul", [2, 1, 1], [17, 39]);
  same([f([2], 1, 2), f([2, 2], 1, 2, 3, 4)], "MatMul", [2], [7, 10]);
  const image = f([1, 2, 3, 3], ...range(18));
  same([image, f([1, 2, 2, 2], 1, 0, 0, 1, 0, 0, 0, 1), f([1], 100)], "Conv", [1, 1, 2, 2], [117, 120, 126, 129]);
  const weights = f([2, 1, 3, 3], ...Array(9).fill(1), ...Array(9).fill(2));
  same([image, weights], "Conv", [1, 2, 2, 2], [8, 12, 20, 24, 88, 96, 112, 120],
    { pads: [1, 1, 1, 1], strides: [2, 2], group: 2 });
  same([image, f([1, 2, 2, 2], ...Array(8).fill(1))], "Conv", [1, 1, 1, 1], [68], { dilations: [2, 2] });
  same([image], "AveragePool", [1, 2, 1, 1], [2, 11], { kernel_shape: [2, 2], strides: [2, 2] });
  same([image], "AveragePool", [1, 2, 2, 2], [0, 1.5, 4.5, 6, 9, 10.5, 13.5, 15],
    { kernel_shape: [2, 2], strides: [2, 2], pads: [1, 1, 0, 0] });
  assert.throws(() => run("MatMul", [f([1, 2], 1, 2), f([3, 1], 1, 2, 3)]), /do not go together/);
});

test("weights of every type are read, float16 behind a Cast", () => {
  const raw = (array) => bytes(9, [...new Uint8Array(array.buffer)]);
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000);
  const tensors = [
    tensor("half", "float16", [6], raw(halves)),
    tensor("typed", "float16", [2], bytes(5, [...varint(0x3555), ...varint(0x0400)])),
    tensor("long", "int64", [2], raw(BigInt64Array.of(-(2n ** 63n), 5n))),
    tensor("floats", "float32", [2], ...float(4, 0.5), ...float(4, -1)),
    tensor("bytes", "uint8", [2], integer(5, 7), integer(5, 255)),
    tensor("empty", "float32", [0, 5]),
  ];
  const nodes = [
    ...["half", "typed"].map((name) => node("Cast", [name], [`${name}_`], { to: 1 })),
    ...["long", "floats", "bytes", "empty"].map((name) => node("Identity", [name], [`${name}_`])),
  ];
  const outputs = ["half", "typed", "long", "floats", "bytes", "empty"].map((name) => value(`${name}_`, "float32", []));
  const program = compile(model({ nodes, tensors, outputs }));
  const found = program.run({});
  assert.deepEqual([...found.half_.data], [1, -2, 2 ** -24, 65504, Infinity, -0]);
  assert.deepEqual([...found.typed_.data], [0.333251953125, 2 ** -14]);
  assert.deepEqual([...found.long_.data], [-(2 ** 63), 5]);
  assert.deepEqual([...found.floats_.data, ...found.bytes_.data, ...found.empty_.shape], [0.5, -1, 7, 255, 0, 5]);
  found.floats_.data.fill(9); // whose numbers are the caller's
  assert.deepEqual([...program.run({}, ["floats_"]).floats_.data], [0.5, -1]);
  const bare = model({ tensors: tensors.slice(0, 1), nodes: [node("Abs", ["half"], ["y"])] });
  assert.throws(() => compile(bare), /Abs takes a float16 tensor, which only Cast may/);
});

test("only what is wanted is computed, inputs are checked and never changed", () => {
  const program = compile(TINY, "judge.onnx");
  const image = new Float32Array(2352).fill(0.25);
  const feeds = {
    image: { data: image, shape: [1, 3, 28, 28] },
    digit: { data: [3], shape: [1] },
    rgb: { data: [1, 0, 0], shape: [1, 3] },
  };
  const all = program.run(feeds);
  const { rank } = program.run(feeds, ["rank"]);
  assert.deepEqual(rank, all.rank);
  assert.ok(image.every((number) => number === 0.25));
  assert.throws(() => program.run(feeds, ["verdict"]), (error) =>
    error instanceof RequestError && /no output 'verdict'; choose from probabilities, /.test(error.message));
  assert.throws(() => program.run({ ...feeds, rgb: undefined }), /input 'rgb' is missing/);
  assert.throws(() => program.run({ ...feeds, rgb: { data: [1], shape: [1, 3] } }), RequestError);
  assert.throws(() => program.run({ ...feeds, rgb: { data: [1, 0, 0], shape: [3] } }), /takes \[n, 3\]/);
});

test("a graph that it cannot honour is refused when it is read", () => {
  const inputs = [value("x", "float32", ["n"])];
  const refused = (nodes, message, more = {}) =>
    assert.throws(() => compile(model({ inputs, nodes, ...more }), "a.onnx"), (error) => {
      assert.ok(error instanceof BundleError, error.stack);
      assert.match(error.message, message);
      assert.ok(error.message.startsWith("a.onnx: ") && !error.message.includes("\n"));
      return true;
    });
  refused([node("Einsum", ["x"], ["y"])], /no operator 'Einsum'; load the model with onnxruntime-web/);
  refused([node("Gelu", ["x"], ["y"], {}, "com.microsoft")], /'com.microsoft:Gelu'/);
  refused([node("toString", ["x"], ["y"])], /'toString'/);
  refused([node("ArgMax", ["x"], ["y"], { select_last_index: 1 })], /no ArgMax with the attribute 'select_last/);
  refused([node("Pad", ["x", "x"], ["y"], { mode: "reflect" })], /'mode' of 'reflect'/);
  refused([node("Abs", ["x"], ["y"], { slope: 0.5 })], /'slope'/);
  refused([node("Cast", ["x"], ["y"], { to: TYPES.float64 })], /'to' of 11/);
  refused([node("Gemm", ["x"], ["y"])], /no Gemm with 1 inputs and 1 outputs/);
  refused([node("Abs", ["z"], ["y"])], /'z' is used, but nothing before gives it/);
  refused([node("Abs", ["x"], ["x"])], /two of its values are called 'x'/);
  refused([], /opset 17; this engine runs 18/, { opset: 17 });
  refused([], /'y' is used/, { outputs: [value("y", "float32", [])] });
  refused([], /choose from float32, /, { inputs: [value("x", "float64", [])] });
  refused([], /Tensor.external/, { tensors: [[...bytes(8, "w"), ...bytes(13, bytes(1, "location"))]] });
  for (const shape of [[2 ** 40, 2 ** 40], [-1, -1], [2]]) {
    const wrong = tensor("w", "float32", shape, bytes(9, [0, 0, 0, 0]));
    refused([], new RegExp(`tensor 'w' of shape \\[${shape.join(", ")}\\] has 1 values`), { tensors: [wrong] });
  }
});

test("a file that is cut off or no model at all is refused in one line", () => {
  const garbage = [[], [0], [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], [58, 255, 255, 255, 255, 15]];
  const files = garbage.map((each) => Uint8Array.from(each));
  files.push(new TextEncoder().encode("<!doctype html><title>404</title>"), new Uint8Array(1000).fill(127));
  for (let n = 0; n < TINY.length; n += 29) files.push(TINY.subarray(0, n));
  for (const file of files) {
    assert.throws(() => compile(file, "judge.onnx"), (error) =>
      error instanceof BundleError && /^judge\.onnx: [^\n]*$/.test(error.message));
  }
});

test("a damaged byte gives a BundleError or numbers, and nothing else", () => {
  const feeds = { image: { data: new Float32Array(2352), shape: [1, 3, 28, 28] }, digit: { data: [3], shape: [1] } };
  for (let at = 0; at < TINY.length; at += 7) {
    const file = Uint8Array.from(TINY);
    file[at] ^= 1 << at % 8;
    try {
      compile(file).run({ ...feeds, rgb: { data: [1, 0, 0], shape: [1, 3] } });
    } catch (error) {
      assert.ok(error instanceof BundleError || error instanceof RequestError, `byte ${at}: ${error.stack}`);
    }
  }
});
