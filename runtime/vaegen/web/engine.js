/**
 * An engine for the graphs of a bundle: the operators of ONNX that they use, on typed arrays, in one thread.
 *
 * OPERATORS is the table of them. Each takes tensors and attributes and returns new tensors; none changes its inputs,
 * though a result may share their numbers. Numbers are float32 after each operator, as in onnxruntime; sums are double
 * on the way. Loops are written out: a function called for each number takes longer than the arithmetic.
 */

import { BOOL, FLOAT32, INT32, INT64, UINT8 } from "./onnx.js";
import { multiply } from "./product.js";
import { Only, Program, within } from "./program.js";
import { along, broadcast, copy, counted, empty, size, small, spread, stridesOf, view, walk } from "./shapes.js";

/**
 * @typedef {import("./onnx.js").Data} Data
 * @typedef {import("./program.js").Attributes} Attributes
 * @typedef {import("./program.js").Operator} Operator
 * @typedef {import("./program.js").Run} Run
 * @typedef {import("./shapes.js").Tensor} Tensor
 */

/**
 * Check a graph and make it ready to run.
 *
 * @param {Uint8Array} bytes  An ONNX file.
 * @param {string} [where]  What to call it in errors.
 * @returns {Program}
 * @throws {import("./errors.js").BundleError}  It is damaged, or needs what this engine does not have.
 */
export function compile(bytes, where = "the graph") {
  return within(where, () => new Program(bytes, where, OPERATORS));
}

const EDGE = 3 * 2 ** 51; // a double of this size has no bits for fractions: adding it rounds, halves to even
const WINDOW = { auto_pad: new Only("NOTSET"), kernel_shape: [], pads: [], strides: [] };

/** @type {Record<string, Operator>} */
const OPERATORS = {
  // Each value by itself.
  Abs: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.abs(x[i]); }),
  Ceil: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.ceil(x[i]); }),
  Erf: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = erf(x[i]); }),
  Exp: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.exp(x[i]); }),
  Floor: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.floor(x[i]); }),
  Log: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.log(x[i]); }),
  Neg: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = -x[i]; }),
  Not: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = 1 - x[i]; }),
  Relu: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.max(x[i], 0); }),
  Round: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.abs(x[i]) < EDGE ? x[i] + EDGE - EDGE : x[i]; }),
  Sigmoid: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = 1 / (1 + Math.exp(-x[i])); }),
  Sign: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.sign(x[i]); }),
  Softsign: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = x[i] / (1 + Math.abs(x[i])); }),
  Sqrt: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.sqrt(x[i]); }),
  Tanh: unary((x, y, n) => { for (let i = 0; i < n; i++) y[i] = Math.tanh(x[i]); }),
  Cast: operator(1, 1, cast, { to: new Only(FLOAT32, UINT8, INT32, INT64, BOOL) }),
  Clip: operator(1, 3, clip),
  Identity: operator(1, 1, ([x]) => x),

  // The values of two tensors, each with its partner; one that is smaller repeats.
  Add: binary((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = a[p] + b[q]; }),
  Div: binary((a, p, s, b, q, t, y, i, u, n) => {
    const whole = y instanceof Float64Array; // an int64, whose fractions go
    for (; n--; p += s, q += t, i += u) y[i] = whole ? Math.trunc(a[p] / b[q]) : a[p] / b[q];
  }),
  Mod: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n--; p += s, q += t, i += u) y[i] = a[p] - b[q] * Math.floor(a[p] / b[q]);
  }),
  Mul: binary((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = a[p] * b[q]; }),
  Pow: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n--; p += s, q += t, i += u) y[i] = b[q] === 2 ? a[p] * a[p] : a[p] ** b[q];
  }),
  Sub: binary((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = a[p] - b[q]; }),
  Max: several((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = Math.max(a[p], b[q]); }),
  Min: several((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = Math.min(a[p], b[q]); }),
  Where: operator(3, 3, where),

  // Questions, whose answers are 0 and 1.
  And: question((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = a[p] & b[q]; }),
  Equal: question((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = +(a[p] === b[q]); }),
  Greater: question((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = +(a[p] > b[q]); }),
  GreaterOrEqual: question((a, p, s, b, q, t, y, i, u, n) => {
    for (; n--; p += s, q += t, i += u) y[i] = +(a[p] >= b[q]);
  }),
  Less: question((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = +(a[p] < b[q]); }),
  LessOrEqual: question((a, p, s, b, q, t, y, i, u, n) => {
    for (; n--; p += s, q += t, i += u) y[i] = +(a[p] <= b[q]);
  }),
  Or: question((a, p, s, b, q, t, y, i, u, n) => { for (; n--; p += s, q += t, i += u) y[i] = a[p] | b[q]; }),

  // Along axes.
  ReduceMax: reduction(-Infinity, (x, p, s, y, q, t, n) => {
    for (; n--; p += s, q += t) y[q] = Math.max(y[q], x[p]);
  }),
  ReduceMean: reduction(0, (x, p, s, y, q, t, n) => { for (; n--; p += s, q += t) y[q] += x[p]; }, true),
  ReduceMin: reduction(Infinity, (x, p, s, y, q, t, n) => {
    for (; n--; p += s, q += t) y[q] = Math.min(y[q], x[p]);
  }),
  ReduceSum: reduction(0, (x, p, s, y, q, t, n) => { for (; n--; p += s, q += t) y[q] += x[p]; }),
  ArgMax: operator(1, 1, argMax, { axis: 0, keepdims: 1, select_last_index: new Only(0) }),
  CumSum: operator(2, 2, cumSum, { exclusive: new Only(0), reverse: new Only(0) }),
  LayerNormalization: operator(2, 3, layerNormalization, { axis: -1, epsilon: 1e-5, stash_type: new Only(FLOAT32) }),
  OneHot: operator(3, 3, oneHot, { axis: -1 }),
  Softmax: operator(1, 1, softmax, { axis: -1 }),
  TopK: operator(2, 2, topK, { axis: -1, largest: 1, sorted: 1 }, 2),

  // Where values stand.
  Concat: operator(1, Infinity, concat, { axis: 0 }),
  Expand: operator(2, 2, expand),
  Pad: operator(2, 4, pad, { mode: new Only("constant") }),
  Reshape: operator(2, 2, reshape, { allowzero: 0 }),
  Shape: operator(1, 1, shapeOf, { start: 0, end: Infinity }),
  Slice: operator(3, 5, slice),
  Split: operator(1, 2, split, { axis: 0, num_outputs: 0 }, Infinity),
  Squeeze: operator(1, 2, squeeze),
  Transpose: operator(1, 1, transpose, { perm: [] }),
  Unsqueeze: operator(2, 2, unsqueeze),

  // Products.
  AveragePool: operator(1, 1, averagePool, { ...WINDOW, ceil_mode: new Only(0), count_include_pad: new Only(0) }),
  Conv: operator(2, 3, conv, { ...WINDOW, dilations: [], group: 1 }),
  Gemm: operator(2, 3, gemm, { alpha: 1, beta: 1, transA: 0, transB: 0 }),
  MatMul: operator(2, 2, matMul),
};

/**
 * @param {number} least  Inputs.
 * @param {number} most
 * @param {Run} run
 * @param {Attributes} [attributes]
 * @param {number} [outputs]
 * @returns {Operator}
 */
function operator(least, most, run, attributes = {}, outputs = 1) {
  return { least, most, run, attributes, outputs };
}

// Operators on each value by itself.

/**
 * @param {(x: Data, y: Data, n: number) => void} loop
 * @returns {Operator}
 */
function unary(loop) {
  return operator(1, 1, ([x]) => {
    const y = empty(x.data.constructor, x.shape);
    loop(x.data, y.data, y.data.length);
    return y;
  });
}

/**
 * @typedef {(a: Data, p: number, s: number, b: Data, q: number, t: number, y: Data, i: number, u: number, n: number)
 *     => void} Loop  Sets n values of y, from i on by u, to what those of a (from p by s) and b (from q by t) give.
 *
 * @param {Loop} loop
 * @param {any} [Kind]  The class of the result's array, if not that of the inputs.
 * @returns {Operator}
 */
function binary(loop, Kind) {
  return operator(2, 2, ([a, b]) => {
    const y = empty(Kind ?? a.data.constructor, broadcast(a.shape, b.shape));
    const n = y.data.length;
    const [s, t] = [a.data.length === 1 ? 0 : 1, b.data.length === 1 ? 0 : 1];
    if ((s === 0 || a.data.length === n) && (t === 0 || b.data.length === n)) {
      loop(a.data, 0, s, b.data, 0, t, y.data, 0, 1, n);
    } else {
      const strides = [spread(a.shape, y.shape), spread(b.shape, y.shape), stridesOf(y.shape)];
      walk(y.shape, strides, (at, by, n) => loop(a.data, at[0], by[0], b.data, at[1], by[1], y.data, at[2], by[2], n));
    }
    return y;
  });
}

/** @param {Loop} loop */
function question(loop) {
  return binary(loop, Uint8Array);
}

/** @param {Loop} loop */
function several(loop) {
  const { run } = binary(loop);
  return operator(1, Infinity, (inputs) => inputs.reduce((a, b) => /** @type {Tensor} */ (run([a, b], {}, 1))));
}

/** @type {Run} */
function cast([x], { to }) {
  const Kind = to === FLOAT32 ? Float32Array : to === INT64 ? Float64Array : to === INT32 ? Int32Array : Uint8Array;
  if (x.data instanceof Kind && to !== BOOL) return x;
  const y = empty(Kind, x.shape);
  const limit = to === INT64 ? 2 ** 63 : 2 ** 31; // what does not fit becomes the least integer, as in processors
  if (to === BOOL) for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[i] === 0 ? 0 : 1;
  else if (to === FLOAT32 || to === UINT8) y.data.set(x.data);
  else y.data.set(x.data.map((v) => (Math.abs(v) < limit ? Math.trunc(v) : -limit)));
  return y;
}

/** @type {Run} */
function clip([x, least, most]) {
  const y = empty(x.data.constructor, x.shape);
  const [from, into, n] = [x.data, y.data, y.data.length];
  const [low, high] = [least ? least.data[0] : -Infinity, most ? most.data[0] : Infinity];
  for (let i = 0; i < n; i++) into[i] = Math.min(Math.max(from[i], low), high);
  return y;
}

/** @type {Run} */
function where([test, a, b]) {
  const shape = broadcast(test.shape, broadcast(a.shape, b.shape));
  const y = empty(a.data.constructor, shape);
  const [from, yes, no, into] = [test.data, a.data, b.data, y.data];
  walk(shape, [...[test, a, b].map((each) => spread(each.shape, shape)), stridesOf(shape)], (at, by, n) => {
    let [p, q, r, i] = at;
    const [s, t, u, v] = by;
    for (; n > 0; n--, p += s, q += t, r += u, i += v) into[i] = from[p] ? yes[q] : no[r];
  });
  return y;
}

/**
 * Return erf(x), off by 1e-7 at most: polynomials of N. Juffa, https://stackoverflow.com/a/35148199.
 *
 * @param {number} x
 */
function erf(x) {
  const [t, s] = [Math.abs(x), x * x];
  if (t <= 0.927734375) {
    const r = (-5.96761703e-4 * s + 4.99119423e-3) * s - 2.67681349e-2;
    return x + x * (((r * s + 1.12819925e-1) * s - 3.76125336e-1) * s + 1.28379166e-1);
  }
  const r = (-1.7285347e-5 * t + 3.83197126e-4) * s + (-3.88396438e-3 * t + 2.42546219e-2);
  const e = 1 - Math.exp((((r * t - 1.06777877e-1) * t - 6.34846687e-1) * t - 1.28717512e-1) * t - t);
  return t > 4 ? Math.sign(x) : x < 0 ? -e : e;
}

// Operators along axes.

/**
 * @param {number} start  What nothing comes to.
 * @param {(x: Data, p: number, s: number, y: Data, q: number, t: number, n: number) => void} loop  Puts n values of x,
 *     from p on by s, together with those of y.
 * @param {boolean} [mean]
 * @returns {Operator}
 */
function reduction(start, loop, mean = false) {
  return operator(1, 2, ([x, given], { keepdims, noop_with_empty_axes: noop }) => {
    const axes = given ? Array.from(given.data, (axis) => counted(axis, x.shape)) : [];
    if (axes.length === 0 && noop) return x;
    const goes = (/** @type {number} */ d) => axes.length === 0 || axes.includes(d);
    const kept = x.shape.map((n, d) => (goes(d) ? 1 : n));
    const sums = new Float64Array(size(kept)).fill(start);
    const strides = [stridesOf(x.shape), spread(kept, x.shape)];
    walk(x.shape, strides, (at, by, n) => loop(x.data, at[0], by[0], sums, at[1], by[1], n));
    const y = empty(x.data.constructor, keepdims ? kept : kept.filter((_, d) => !goes(d)));
    y.data.set(mean ? sums.map((sum) => (sum * sums.length) / x.data.length) : sums);
    return y;
  }, { keepdims: 1, noop_with_empty_axes: 0 });
}

/** @type {Run} */
function argMax([x], { axis: given, keepdims }) {
  const axis = counted(given, x.shape);
  const y = empty(Float64Array, keepdims ? x.shape.with(axis, 1) : x.shape.toSpliced(axis, 1));
  along(x.shape, axis, (first, by, i) => {
    let best = 0;
    for (let k = 1; k < x.shape[axis]; k++) if (x.data[first + k * by] > x.data[first + best * by]) best = k;
    y.data[i] = best;
  });
  return y;
}

/** @type {Run} */
function cumSum([x, given]) {
  const axis = counted(given.data[0], x.shape);
  const y = { data: x.data.slice(), shape: x.shape };
  along(x.shape, axis, (first, by) => {
    for (let k = 1, p = first + by; k < x.shape[axis]; k++, p += by) y.data[p] += y.data[p - by];
  });
  return y;
}

/** @type {Run} */
function softmax([x], { axis: given }) {
  const axis = counted(given, x.shape);
  const y = empty(Float32Array, x.shape);
  along(x.shape, axis, (first, by) => {
    const end = first + x.shape[axis] * by;
    let [most, sum] = [-Infinity, 0];
    for (let p = first; p < end; p += by) most = Math.max(most, x.data[p]);
    for (let p = first; p < end; p += by) sum += y.data[p] = Math.exp(x.data[p] - most);
    for (let p = first; p < end; p += by) y.data[p] /= sum;
  });
  return y;
}

/** @type {Run} */
function layerNormalization([x, scale, bias], { axis, epsilon }) {
  const n = size(x.shape.slice(counted(axis, x.shape)));
  if (scale.data.length !== n || (bias && bias.data.length !== n)) throw new Error("these shapes do not go together");
  const y = empty(Float32Array, x.shape);
  const [from, into, factors] = [x.data, y.data, scale.data];
  for (let first = 0; first < from.length; first += n) {
    let [mean, variance] = [0, 0];
    for (let k = 0; k < n; k++) mean += from[first + k] / n;
    for (let k = 0; k < n; k++) variance += (from[first + k] - mean) ** 2 / n;
    const factor = 1 / Math.sqrt(variance + epsilon);
    for (let k = 0; k < n; k++) into[first + k] = (from[first + k] - mean) * factor * factors[k];
    if (bias) for (let k = 0; k < n; k++) into[first + k] += bias.data[k];
  }
  return y;
}

/** @type {Run} */
function topK([x, count], { axis: given, largest }) {
  const [axis, sign, k] = [counted(given, x.shape), largest ? 1 : -1, count.data[0]];
  if (!(k >= 0 && k <= x.shape[axis])) throw new Error(`there are no ${k} values along the axis`);
  const shape = x.shape.with(axis, k);
  const [values, places] = [empty(x.data.constructor, shape), empty(Float64Array, shape)];
  along(shape, axis, (to, by, i) => {
    const first = Math.floor(i / by) * by * x.shape[axis] + (i % by);
    const line = Array.from({ length: x.shape[axis] }, (_, at) => ({ at, value: x.data[first + at * by] }));
    line.sort((a, b) => sign * (b.value - a.value) || a.at - b.at); // of equal ones the first comes first
    for (let j = 0; j < k; j++) [values.data[to + j * by], places.data[to + j * by]] = [line[j].value, line[j].at];
  });
  return [values, places];
}

/** @type {Run} */
function oneHot([x, depth, values], { axis: given }) {
  const n = depth.data[0];
  const axis = counted(given, [...x.shape, n]);
  const y = empty(values.data.constructor, x.shape.toSpliced(axis, 0, n));
  y.data.fill(values.data[0]);
  along(y.shape, axis, (first, by, i) => {
    const place = x.data[i] < 0 ? x.data[i] + n : x.data[i];
    if (place >= 0 && place < n) y.data[first + place * by] = values.data[1];
  });
  return y;
}

// Operators that move values.

/** @type {Run} */
function reshape([x, to], { allowzero }) {
  const shape = Array.from(to.data, (n, d) => (n === 0 && !allowzero ? x.shape[d] : n));
  const open = shape.indexOf(-1);
  if (open >= 0) shape[open] = x.data.length / size(shape.with(open, 1));
  if (size(shape) !== x.data.length || !shape.every((n) => n >= 0 && Number.isInteger(n))) {
    throw new Error(`it cannot have the shape [${Array.from(to.data).join(", ")}]`);
  }
  return { data: x.data, shape: small(shape) };
}

/** @type {Run} */
function shapeOf([x], { start, end }) {
  const lengths = x.shape.slice(start, end);
  return { data: Float64Array.from(lengths), shape: [lengths.length] };
}

/** @type {Run} */
function squeeze([x, given]) {
  const goes = x.shape.map((n) => !given && n === 1);
  if (given) for (const axis of given.data) goes[counted(axis, x.shape)] = true;
  if (x.shape.some((n, d) => goes[d] && n !== 1)) throw new Error("only axes of length 1 can go");
  return { data: x.data, shape: x.shape.filter((_, d) => !goes[d]) };
}

/** @type {Run} */
function unsqueeze([x, given]) {
  const shape = new Array(x.shape.length + given.data.length).fill(0);
  for (const axis of given.data) shape[counted(axis, shape)] = 1;
  let d = 0;
  return { data: x.data, shape: shape.map((n) => n || x.shape[d++]) };
}

/** @type {Run} */
function concat(inputs, { axis: given }) {
  const [{ data, shape }] = inputs;
  const axis = counted(given, shape);
  if (inputs.some((x) => String(x.shape.with(axis, 0)) !== String(shape.with(axis, 0)))) {
    throw new Error("these shapes do not go together");
  }
  const y = empty(data.constructor, shape.with(axis, inputs.reduce((sum, x) => sum + x.shape[axis], 0)));
  const by = size(shape.slice(axis + 1));
  inputs.reduce((start, x) => (copy(x, x.shape, 0, stridesOf(x.shape), y, start * by), start + x.shape[axis]), 0);
  return y;
}

/** @type {Run} */
function split([x, sizes], { axis: given, num_outputs: many }, outputs) {
  const axis = counted(given, x.shape);
  const [length, strides] = [x.shape[axis], stridesOf(x.shape)];
  const even = Math.ceil(length / (many || outputs)); // but for the last part, which may be shorter
  const parts = Array.from({ length: outputs }, (_, i) => Math.min(even, length - i * even));
  const lengths = sizes ? Array.from(sizes.data) : parts;
  if (lengths.length !== outputs || lengths.some((n) => n < 0) || lengths.reduce((sum, n) => sum + n, 0) !== length) {
    throw new Error(`its ${length} values cannot be split into ${outputs} parts of [${lengths.join(", ")}]`);
  }
  let start = 0;
  return lengths.map((n) => view(x, x.shape.with(axis, n), ((start += n) - n) * strides[axis], strides));
}

/** @type {Run} */
function slice([x, starts, ends, axes, steps]) {
  const [shape, strides] = [[...x.shape], stridesOf(x.shape)];
  let from = 0;
  for (let i = 0; i < starts.data.length; i++) {
    const axis = counted(axes ? axes.data[i] : i, shape);
    const [length, by] = [shape[axis], steps ? steps.data[i] : 1];
    if (by === 0) throw new Error("its step is 0");
    const [least, most] = by > 0 ? [0, length] : [-1, length - 1];
    const [start, end] = [starts.data[i], ends.data[i]].map((place) =>
      Math.min(Math.max(place < 0 ? place + length : place, least), most),
    );
    shape[axis] = Math.max(0, Math.ceil((end - start) / by));
    from += start * strides[axis];
    strides[axis] *= by;
  }
  return view(x, shape, from, strides);
}

/** @type {Run} */
function transpose([x], { perm }) {
  const order = /** @type {number[]} */ (perm.length ? perm : [...x.shape.keys()].reverse());
  const strides = stridesOf(x.shape);
  return view(x, order.map((d) => x.shape[d]), 0, order.map((d) => strides[d]));
}

/** @type {Run} */
function expand([x, to]) {
  const shape = broadcast(x.shape, Array.from(to.data));
  return view(x, shape, 0, spread(x.shape, shape));
}

/** @type {Run} */
function pad([x, pads, value, given]) {
  const axes = given ? Array.from(given.data, (axis) => counted(axis, x.shape)) : [...x.shape.keys()];
  if (pads.data.length !== 2 * axes.length || pads.data.some((n) => n < 0)) throw new Error("its pads do not fit");
  const [shape, first] = [[...x.shape], x.shape.map(() => 0)];
  axes.forEach((axis, i) => {
    first[axis] = pads.data[i];
    shape[axis] += pads.data[i] + pads.data[i + axes.length];
  });
  const y = empty(x.data.constructor, shape);
  if (value) y.data.fill(value.data[0]);
  return copy(x, x.shape, 0, stridesOf(x.shape), y, stridesOf(shape).reduce((sum, by, d) => sum + by * first[d], 0));
}

// Products.

/** @type {Run} */
function gemm([given, b, c], { alpha, beta, transA, transB }) {
  const a = transA ? /** @type {Tensor} */ (transpose([given], { perm: [1, 0] }, 1)) : given;
  const [M, K] = a.shape;
  const [N, rows] = transB ? b.shape : [b.shape[1], b.shape[0]];
  if (a.shape.length !== 2 || b.shape.length !== 2 || rows !== K) throw new Error("these shapes do not go together");
  const y = empty(Float32Array, [M, N]);
  const into = y.data;
  multiply(a.data, 0, b.data, 0, transB !== 0, into, 0, [M, N, K]);
  if (alpha !== 1) for (let i = 0; i < into.length; i++) into[i] *= alpha;
  if (c) {
    walk(y.shape, [stridesOf(y.shape), spread(c.shape, broadcast(c.shape, y.shape))], (at, by, n) => {
      for (let i = at[0], p = at[1]; n > 0; n--, i += by[0], p += by[1]) into[i] += beta * c.data[p];
    });
  }
  return y;
}

/** @type {Run} */
function matMul([a, b]) {
  const left = a.shape.length > 1 ? a.shape : [1, ...a.shape];
  const right = b.shape.length > 1 ? b.shape : [...b.shape, 1];
  const [[M, K], [rows, N]] = [left.slice(-2), right.slice(-2)];
  if (rows !== K) throw new Error("these shapes do not go together");
  const outer = broadcast(left.slice(0, -2), right.slice(0, -2));
  const y = empty(Float32Array, [...outer, ...a.shape.slice(-2, -1), ...(b.shape.length > 1 ? [N] : [])]);
  const strides = [spread(left.slice(0, -2), outer), spread(right.slice(0, -2), outer), stridesOf(outer)];
  walk(outer, strides, (at, by, n) => {
    for (let k = 0; k < n; k++) {
      const [p, q, i] = at.map((start, each) => start + k * by[each]);
      multiply(a.data, p * M * K, b.data, q * K * N, false, y.data, i * M * N, [M, N, K]);
    }
  });
  return y;
}

/**
 * Return how a window goes over images.
 *
 * @param {readonly number[]} shape  (n, channels, height, width).
 * @param {readonly number[]} window  Height and width.
 * @param {Attributes} attributes
 */
function frame(shape, window, { dilations = [], pads, strides }) {
  if (shape.length !== 4 || window.length !== 2) throw new Error("it takes images of two dimensions");
  const [top, left, bottom, right] = pads.length ? pads : [0, 0, 0, 0];
  const [down, across] = strides.length ? strides : [1, 1];
  const [dy, dx] = dilations.length ? dilations : [1, 1];
  const height = Math.floor((shape[2] + top + bottom - dy * (window[0] - 1) - 1) / down) + 1;
  const width = Math.floor((shape[3] + left + right - dx * (window[1] - 1) - 1) / across) + 1;
  if (!(height > 0 && width > 0)) throw new Error("the window is larger than the image");
  return { top, left, down, across, dy, dx, height, width };
}

/** @type {Run} */
function conv([x, w, bias], attributes) {
  const [[n, channels, H, W], [M, C, kh, kw], { group }] = [x.shape, w.shape, attributes];
  const { top, left, down, across, dy, dx, height, width } = frame(x.shape, w.shape.slice(2), attributes);
  if (channels !== C * group || M % group) throw new Error("these shapes do not go together");
  const y = empty(Float32Array, [n, M, height, width]);
  const [P, K, rows] = [height * width, C * kh * kw, M / group];
  const patches = empty(Float32Array, [P, K]).data; // what the window covers, place by place
  const [from, into] = [x.data, y.data];
  for (let part = 0; part < n * group; part++) {
    for (let place = 0, i = 0; place < P; place++) {
      const [oy, ox] = [Math.floor(place / width) * down - top, (place % width) * across - left];
      for (let plane = part * C; plane < (part + 1) * C; plane++) {
        for (let iy = oy; iy < oy + kh * dy; iy += dy) {
          const row = (plane * H + iy) * W;
          const inside = iy >= 0 && iy < H;
          for (let ix = ox; ix < ox + kw * dx; ix += dx, i++) {
            patches[i] = inside && ix >= 0 && ix < W ? from[row + ix] : 0;
          }
        }
      }
    }
    multiply(w.data, (part % group) * rows * K, patches, 0, true, into, part * rows * P, [rows, P, K]);
  }
  if (bias) for (let i = 0; i < into.length; i++) into[i] += bias.data[Math.floor(i / P) % M];
  return y;
}

/** @type {Run} */
function averagePool([x], attributes) {
  const [[n, channels, H, W], [kh, kw]] = [x.shape, attributes.kernel_shape];
  const { top, left, down, across, height, width } = frame(x.shape, attributes.kernel_shape, attributes);
  const y = empty(Float32Array, [n, channels, height, width]);
  for (let i = 0; i < y.data.length; i++) {
    const plane = Math.floor(i / (height * width));
    const [oy, ox] = [(Math.floor(i / width) % height) * down - top, (i % width) * across - left];
    let [sum, count] = [0, 0];
    for (let iy = Math.max(oy, 0); iy < Math.min(oy + kh, H); iy++) {
      for (let ix = Math.max(ox, 0); ix < Math.min(ox + kw, W); ix++, count++) sum += x.data[(plane * H + iy) * W + ix];
    }
    y.data[i] = sum / count;
  }
  return y;
}
