/**
 * An engine for the graphs of a bundle: the operators of ONNX that they use, on typed arrays, in one thread.
 *
 * OPERATORS is the table of them. Each takes tensors and attributes and returns new tensors; none changes its inputs,
 * though a result may share their numbers. Numbers are float32 after each operator, as in onnxruntime; sums are double
 * on the way. Loops are written out, for a function that is called for each number takes longer than the arithmetic.
 */

import { BundleError, RequestError, quoted } from "./errors.js";
import { BOOL, FLOAT16, FLOAT32, INT32, INT64, UINT8, decode, readModel, size } from "./onnx.js";

/**
 * @typedef {import("./onnx.js").Data} Data
 * @typedef {import("./onnx.js").Value} Value
 * @typedef {{data: Data, shape: readonly number[]}} Tensor
 * @typedef {{data: ArrayLike<number> | BigInt64Array, shape: readonly number[]}} Feed  Copied where the data is not of
 *     the type that the engine works with; never changed.
 *
 * @typedef {object} Program  A graph that can run.
 * @property {readonly Value[]} inputs
 * @property {readonly Value[]} outputs
 * @property {(feeds: Record<string, Feed>, wanted?: readonly string[]) => Record<string, Tensor>} run  Return the
 *     outputs that are wanted, else all. Their arrays belong to the caller: float32 is a Float32Array, int64 a
 *     Float64Array, int32 an Int32Array, uint8 and bool an Uint8Array.
 *
 * @typedef {any[]} Inputs  Tensors; undefined where an optional one is not given.
 * @typedef {Record<string, any>} Attributes
 * @typedef {(inputs: Inputs, attributes: Attributes, outputs: number) => Tensor | Tensor[]} Run
 * @typedef {{least: number, most: number, run: Run, attributes: Attributes, outputs: number}} Operator
 * @typedef {{name: string, run: Run, attributes: Attributes, inputs: number[], outputs: number[]}} Step
 */

const OPSET = 18;
const MOST_VALUES = 2 ** 27; // in one tensor, 512 MB of float32; 128 images at the widest take 2^19

/** @type {Record<string, any>} */
const ARRAYS = { float32: Float32Array, int64: Float64Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

/**
 * Check a graph and make it ready to run. Weights are decoded when it first runs.
 *
 * @param {Uint8Array} bytes  An ONNX file.
 * @param {string} [where]  What to call it in errors.
 * @returns {Program}
 * @throws {BundleError}  It is damaged, or needs what this engine does not have.
 */
export function compile(bytes, where = "the graph") {
  return within(where, () => new Compiled(bytes, where));
}

/** @implements {Program} */
class Compiled {
  #where;
  #graph;
  /** @type {Map<string, number>} */
  #places = new Map([["", -1]]); // of each value by name; the empty name stands for none
  /** @type {(Tensor | undefined)[]} */
  #fixed = []; // by place: what does not depend on the inputs
  /** @type {Step[]} */
  #steps;
  /** @type {Map<string, Step[]>} */
  #plans = new Map(); // by names of outputs, the steps that they need
  #ready = false;

  /**
   * @param {Uint8Array} bytes
   * @param {string} where
   */
  constructor(bytes, where) {
    const graph = readModel(bytes);
    if (graph.opset !== OPSET) throw new BundleError(`it is of ONNX opset ${graph.opset}; this engine runs ${OPSET}`);
    for (const { name, type } of graph.inputs) {
      if (!ARRAYS[type]) throw new BundleError(`input ${quoted(name)} is ${type}, which only constants may be`);
    }
    for (const name of graph.constants.keys()) this.#define(name);
    for (const { name } of graph.inputs) this.#define(name);
    this.#steps = graph.nodes.map((node) => {
      const { run, attributes } = operatorOf(node);
      if (node.operator !== "Cast" && node.inputs.some((name) => graph.constants.get(name)?.type === FLOAT16)) {
        throw new BundleError(`a ${node.operator} takes a float16 tensor, which only a Cast may`);
      }
      const inputs = node.inputs.map((name) => this.#find(name));
      return { name: node.operator, run, attributes, inputs, outputs: node.outputs.map((name) => this.#define(name)) };
    });
    for (const { name } of graph.outputs) this.#find(name);
    this.#where = where;
    this.#graph = graph;
    this.inputs = graph.inputs;
    this.outputs = graph.outputs;
  }

  /** @type {Program["run"]} */
  run(feeds, wanted = this.outputs.map(({ name }) => name)) {
    return within(this.#where, () => {
      if (!this.#ready) this.#prepare();
      const plan = this.#plan(wanted);
      const values = this.#fixed.slice();
      for (const input of this.inputs) values[this.#find(input.name)] = accepted(input, feeds[input.name]);
      for (const step of plan) perform(step, values);
      /** @type {Record<string, Tensor>} */
      const results = {};
      const lent = new Set(Object.values(feeds).map((feed) => feed.data));
      for (const name of wanted) {
        const place = this.#find(name);
        const { data, shape } = /** @type {Tensor} */ (values[place]);
        results[name] = { data: this.#fixed[place] || lent.has(data) ? data.slice() : data, shape: [...shape] };
      }
      return results;
    });
  }

  /** Decode the constants, and run the steps that depend on nothing else. */
  #prepare() {
    for (const [name, constant] of this.#graph.constants) {
      this.#fixed[this.#find(name)] = { data: decode(constant), shape: constant.shape };
    }
    this.#steps = this.#steps.filter((step) => {
      const varies = step.inputs.some((place) => place >= 0 && !this.#fixed[place]);
      if (!varies) perform(step, this.#fixed);
      return varies;
    });
    this.#graph.constants.clear();
    this.#ready = true;
  }

  /**
   * Return the steps that some outputs need.
   *
   * @param {readonly string[]} wanted
   */
  #plan(wanted) {
    const key = wanted.join("\n");
    let plan = this.#plans.get(key);
    if (!plan) {
      const names = this.outputs.map(({ name }) => name);
      for (const name of wanted) {
        if (!names.includes(name)) throw new RequestError(`no output ${quoted(name)}; choose from ${names.join(", ")}`);
      }
      const needed = new Set(wanted.map((name) => this.#find(name)));
      plan = this.#steps.reduceRight((/** @type {Step[]} */ steps, step) => {
        if (!step.outputs.some((place) => needed.has(place))) return steps;
        for (const place of step.inputs) needed.add(place);
        return [step, ...steps];
      }, []);
      this.#plans.set(key, plan);
    }
    return plan;
  }

  /** @param {string} name */
  #define(name) {
    if (name === "") return -1;
    if (this.#places.has(name)) throw new BundleError(`two of its values are called ${quoted(name)}`);
    this.#places.set(name, this.#places.size - 1);
    return this.#places.size - 2;
  }

  /** @param {string} name */
  #find(name) {
    const place = this.#places.get(name);
    if (place === undefined) throw new BundleError(`${quoted(name)} is used, but nothing before gives it`);
    return place;
  }
}

/**
 * Return an operator of the table, with the attributes of a node in place of its own.
 *
 * @param {import("./onnx.js").Node} node
 * @returns {{run: Run, attributes: Attributes}}
 */
function operatorOf({ operator, inputs, outputs, attributes }) {
  if (!Object.hasOwn(OPERATORS, operator)) {
    throw new BundleError(`operator ${quoted(operator)} is none that this engine has; run it with onnxruntime-web`);
  }
  const entry = OPERATORS[operator];
  const given = inputs.findLastIndex((name) => name !== "") + 1;
  if (given < entry.least || given > entry.most || inputs.slice(0, entry.least).includes("")) {
    throw new BundleError(`a ${operator} has ${given} inputs; this engine takes ${entry.least} to ${entry.most}`);
  }
  if (outputs.length > entry.outputs) {
    throw new BundleError(`a ${operator} has ${outputs.length} outputs; this engine gives ${entry.outputs}`);
  }
  /** @type {Attributes} */
  const chosen = {};
  for (const [name, usual] of Object.entries(entry.attributes)) chosen[name] = usual instanceof Only ? usual.of[0] : usual;
  for (const [name, value] of Object.entries(attributes)) {
    const usual = Object.hasOwn(chosen, name) ? entry.attributes[name] : null;
    const fits = usual instanceof Only ? usual.of.includes(value) : typeof usual === typeof value;
    if (usual === null || !fits) {
      throw new BundleError(`attribute ${name} of a ${operator} is ${quoted(value)}, which this engine does not have`);
    }
    chosen[name] = value;
  }
  return { run: entry.run, attributes: chosen };
}

/** The values that an attribute may have here, the usual one first; ONNX knows more. */
class Only {
  /** @param {...unknown} values */
  constructor(...values) {
    this.of = values;
  }
}

/**
 * Run a step and put its results in their places.
 *
 * @param {Step} step
 * @param {(Tensor | undefined)[]} values
 */
function perform({ name, run, attributes, inputs, outputs }, values) {
  const taken = new Array(inputs.length);
  for (let i = 0; i < inputs.length; i++) taken[i] = inputs[i] < 0 ? undefined : values[inputs[i]];
  let results;
  try {
    results = run(taken, attributes, outputs.length);
  } catch (error) {
    const shapes = taken.map((tensor) => `[${tensor?.shape.join(", ") ?? ""}]`).join(", ");
    throw new BundleError(`a ${name} of ${shapes} failed: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  if (Array.isArray(results)) outputs.forEach((place, i) => place >= 0 && (values[place] = results[i]));
  else values[outputs[0]] = results;
}

/**
 * Return an input as a tensor of the right type.
 *
 * @param {Value} input
 * @param {Feed | undefined} feed
 * @returns {Tensor}
 */
function accepted({ name, type, shape }, feed) {
  if (!feed) throw new RequestError(`input ${quoted(name)} is missing`);
  const fits = feed.shape.length === shape.length && shape.every((n, d) => typeof n === "string" || n === feed.shape[d]);
  if (!fits || feed.data.length !== size(feed.shape)) {
    const [given, asked] = [feed.shape.join(", "), shape.join(", ")];
    throw new RequestError(`input ${quoted(name)} has ${feed.data.length} values in shape [${given}], not [${asked}]`);
  }
  const data = feed.data instanceof ARRAYS[type] ? feed.data : ARRAYS[type].from(feed.data, Number);
  return { data: /** @type {Data} */ (data), shape: feed.shape };
}

/**
 * Return what a function returns, and say where an error of a bundle comes from.
 *
 * @template T
 * @param {string} where
 * @param {() => T} work
 * @returns {T}
 */
function within(where, work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof BundleError) throw new BundleError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** @param {readonly number[]} numbers */
function vector(numbers) {
  return { data: Float64Array.from(numbers), shape: [numbers.length] };
}

/** @param {string} message */
function fail(message) {
  return new BundleError(message);
}

// Shapes.

/**
 * Return an empty tensor.
 *
 * @param {any} Kind  The class of its array.
 * @param {readonly number[]} shape
 * @returns {Tensor}
 */
function empty(Kind, shape) {
  const n = size(shape);
  if (!(n <= MOST_VALUES)) throw fail(`its result would have ${n} values; at most ${MOST_VALUES} fit`);
  return { data: new Kind(n), shape };
}

/** @param {readonly number[]} shape */
function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let d = shape.length - 1, n = 1; d >= 0; n *= shape[d--]) strides[d] = n;
  return strides;
}

/**
 * Return the shape to which two are broadcast.
 *
 * @param {readonly number[]} a
 * @param {readonly number[]} b
 * @returns {readonly number[]}
 */
function broadcast(a, b) {
  if (a.length < b.length) [a, b] = [b, a];
  const skipped = a.length - b.length;
  const shape = new Array(a.length);
  for (let d = 0; d < a.length; d++) {
    const [m, n] = [a[d], d < skipped ? 1 : b[d - skipped]];
    if (m !== n && m !== 1 && n !== 1) throw fail("these shapes do not go together");
    shape[d] = m === 1 ? n : m;
  }
  return shape;
}

/**
 * Return the strides of a tensor that is broadcast to a shape: 0 where it repeats.
 *
 * @param {readonly number[]} from
 * @param {readonly number[]} to
 * @returns {number[]}
 */
function spread(from, to) {
  const strides = stridesOf(from);
  const skipped = to.length - from.length;
  return to.map((_, d) => (d < skipped || from[d - skipped] === 1 ? 0 : strides[d - skipped]));
}

/**
 * Go through several tensors together, row by row. Dimensions that all of them run through evenly are one, and the
 * longest makes the rows.
 *
 * @param {readonly number[]} shape
 * @param {readonly number[][]} strides  Of each tensor.
 * @param {(at: number[], by: number[], n: number) => void} row  Gets for each tensor where the row starts and how far
 *     apart its values are, and how many there are.
 */
function walk(shape, strides, row) {
  const many = strides.length;
  /** @type {{n: number, by: number[]}[]} */
  const loops = [];
  for (let d = 0; d < shape.length; d++) {
    if (shape[d] === 0) return;
    if (shape[d] === 1) continue;
    const outer = loops.at(-1);
    let even = outer !== undefined;
    for (let k = 0; even && outer && k < many; k++) even = outer.by[k] === strides[k][d] * shape[d];
    const by = strides.map((each) => each[d]);
    if (outer && even) loops[loops.length - 1] = { n: outer.n * shape[d], by };
    else loops.push({ n: shape[d], by });
  }
  let longest = 0;
  for (let d = 1; d < loops.length; d++) if (loops[d].n >= loops[longest].n) longest = d;
  const [{ n, by }] = loops.length ? loops.splice(longest, 1) : [{ n: 1, by: strides.map(() => 0) }];
  const starts = strides.map(() => 0);
  const counts = loops.map(() => 0);
  for (;;) {
    row(starts, by, n);
    let d = loops.length - 1;
    for (; d >= 0; d--) {
      const { n: length, by: steps } = loops[d];
      const back = ++counts[d] === length ? length : 0;
      for (let k = 0; k < many; k++) starts[k] += steps[k] * (1 - back);
      if (!back) break;
      counts[d] = 0;
    }
    if (d < 0) return;
  }
}

/**
 * Copy values from one array to another.
 *
 * @param {readonly number[]} shape  How many.
 * @param {Data} x
 * @param {number} from  Where the first is.
 * @param {number[]} xStrides
 * @param {Data} y
 * @param {number} to  Where the first goes.
 * @param {number[]} yStrides
 */
function copy(shape, x, from, xStrides, y, to, yStrides) {
  walk(shape, [xStrides, yStrides], (start, by, n) => {
    for (let p = from + start[0], q = to + start[1], s = by[0], t = by[1]; n > 0; n--, p += s, q += t) y[q] = x[p];
  });
}

/**
 * Return a tensor made of values of another one.
 *
 * @param {Tensor} x
 * @param {readonly number[]} shape  Its shape.
 * @param {number} from  Where its first value is.
 * @param {number[]} strides  Where the others are.
 */
function view(x, shape, from, strides) {
  const y = empty(x.data.constructor, shape);
  copy(shape, x.data, from, strides, y.data, 0, stridesOf(shape));
  return y;
}

/**
 * Return an axis of a tensor as a number from 0.
 *
 * @param {number} axis
 * @param {number} rank
 */
function counted(axis, rank) {
  if (!(axis >= -rank && axis < rank)) throw fail(`it has no axis ${axis}`);
  return axis < 0 ? axis + rank : axis;
}

/**
 * Return how many values are before, along and after an axis.
 *
 * @param {readonly number[]} shape
 * @param {number} axis
 */
function around(shape, axis) {
  return [size(shape.slice(0, axis)), shape[axis], size(shape.slice(axis + 1))];
}

/**
 * @param {Tensor} tensor
 * @returns {number[]}
 */
function list(tensor) {
  return Array.from(tensor.data);
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
 *     => void} Loop  Sets n values of y from i on, each u further, from a (p, s) and b (q, t).
 *
 * @param {Loop} loop
 * @param {any} [Kind]  The class of the result's array; by default that of the first input.
 * @param {number} [most]  Inputs.
 * @param {Attributes} [attributes]
 * @returns {Operator}
 */
function binary(loop, Kind, most = 2, attributes = {}) {
  const run = (/** @type {Inputs} */ inputs) => {
    let y = inputs[0];
    for (let i = 1; i < inputs.length; i++) y = combine(loop, y, inputs[i], Kind ?? y.data.constructor);
    return y;
  };
  return operator(Math.min(most, 2), most, run, attributes);
}

/**
 * @param {Loop} loop
 * @param {Tensor} a
 * @param {Tensor} b
 * @param {any} Kind
 */
function combine(loop, a, b, Kind) {
  const y = empty(Kind, broadcast(a.shape, b.shape));
  const n = y.data.length;
  const [m, l] = [a.data.length, b.data.length];
  if ((m === n || m === 1) && (l === n || l === 1)) {
    loop(a.data, 0, m === n ? 1 : 0, b.data, 0, l === n ? 1 : 0, y.data, 0, 1, n);
  } else {
    walk(y.shape, [spread(a.shape, y.shape), spread(b.shape, y.shape), stridesOf(y.shape)], (at, by, n) =>
      loop(a.data, at[0], by[0], b.data, at[1], by[1], y.data, at[2], by[2], n),
    );
  }
  return y;
}

/** @type {Run} */
function cast([x], { to }) {
  const Kind = to === FLOAT32 ? Float32Array : to === INT64 ? Float64Array : to === INT32 ? Int32Array : Uint8Array;
  if (x.data instanceof Kind && to !== BOOL) return x;
  const y = empty(Kind, x.shape);
  const [from, into] = [x.data, y.data];
  if (to === BOOL) for (let i = 0; i < into.length; i++) into[i] = from[i] !== 0 ? 1 : 0;
  else if (to === FLOAT32 || to === UINT8) into.set(from);
  // A processor gives the least integer for what does not fit, as for what is no number.
  else for (let i = 0, end = to === INT64 ? 2 ** 63 : 2 ** 31; i < into.length; i++) into[i] = Math.abs(from[i]) < end ? Math.trunc(from[i]) : -end;
  return y;
}

/** @type {Run} */
function clip([x, least, most]) {
  const y = empty(x.data.constructor, x.shape);
  const [from, into] = [x.data, y.data];
  const low = least ? least.data[0] : -Infinity;
  const high = most ? most.data[0] : Infinity;
  for (let i = 0; i < into.length; i++) into[i] = Math.min(Math.max(from[i], low), high);
  return y;
}

/** @type {Run} */
function where([condition, a, b]) {
  const shape = broadcast(condition.shape, broadcast(a.shape, b.shape));
  const y = empty(a.data.constructor, shape);
  const [test, yes, no, into] = [condition.data, a.data, b.data, y.data];
  const strides = [...[condition, a, b].map((each) => spread(each.shape, shape)), stridesOf(shape)];
  walk(shape, strides, (start, by, n) => {
    let [p, q, r, i] = start;
    const [s, t, u, v] = by;
    for (; n > 0; n--, p += s, q += t, r += u, i += v) into[i] = test[p] ? yes[q] : no[r];
  });
  return y;
}

/**
 * Return erf(x), within 1e-7: polynomials by N. Juffa (https://stackoverflow.com/a/35148199).
 *
 * @param {number} x
 */
function erf(x) {
  const t = Math.abs(x);
  const s = x * x;
  if (t > 0.927734375) {
    if (t >= 4) return x < 0 ? -1 : 1;
    let r = -1.7285347e-5 * t + 3.83197126e-4;
    r = r * s + (-3.88396438e-3 * t + 2.42546219e-2);
    r = ((r * t - 1.06777877e-1) * t - 6.34846687e-1) * t - 1.28717512e-1;
    r = 1 - Math.exp(r * t - t);
    return x < 0 ? -r : r;
  }
  let r = (-5.96761703e-4 * s + 4.99119423e-3) * s - 2.67681349e-2;
  r = ((r * s + 1.12819925e-1) * s - 3.76125336e-1) * s + 1.28379166e-1;
  return r * x + x;
}

const HALVES = 3 * 2 ** 51; // a double of this size has no bits for fractions: adding it rounds halves to even

// Operators on axes.

/**
 * @param {number} start  What nothing comes to.
 * @param {(x: Data, p: number, s: number, y: Data, q: number, t: number, n: number) => void} loop  Adds n values of x to
 *     those of y.
 * @param {boolean} [mean]
 * @returns {Operator}
 */
function reduction(start, loop, mean = false) {
  const run = (/** @type {Inputs} */ [x, given], /** @type {Attributes} */ { keepdims, noop_with_empty_axes: noop }) => {
    const rank = x.shape.length;
    const axes = given ? list(given).map((axis) => counted(axis, rank)) : [];
    if (axes.length === 0 && noop) return x;
    const all = x.shape.map((/** @type {number} */ n, /** @type {number} */ d) => (axes.length && !axes.includes(d) ? n : 1));
    const sums = new Float64Array(size(all)).fill(start);
    walk(x.shape, [stridesOf(x.shape), spread(all, x.shape)], (at, by, n) => loop(x.data, at[0], by[0], sums, at[1], by[1], n));
    if (mean) for (let i = 0, n = x.data.length / sums.length; i < sums.length; i++) sums[i] /= n;
    const shape = keepdims ? all : all.filter((_, d) => axes.length && !axes.includes(d));
    const y = empty(x.data.constructor, shape);
    y.data.set(sums);
    return y;
  };
  return operator(1, 2, run, { keepdims: 1, noop_with_empty_axes: 0 });
}

/** @type {Run} */
function argMax([x], { axis, keepdims }) {
  const along = counted(axis, x.shape.length);
  const [before, length, after] = around(x.shape, along);
  const y = empty(Float64Array, keepdims ? x.shape.with(along, 1) : x.shape.toSpliced(along, 1));
  for (let i = 0; i < before * after; i++) {
    const first = Math.floor(i / after) * length * after + (i % after);
    let best = 0;
    for (let k = 1; k < length; k++) if (x.data[first + k * after] > x.data[first + best * after]) best = k;
    y.data[i] = best;
  }
  return y;
}

/** @type {Run} */
function cumSum([x, axis]) {
  const [before, length, after] = around(x.shape, counted(axis.data[0], x.shape.length));
  const y = { data: x.data.slice(), shape: x.shape };
  for (let i = 0; i < before; i++) {
    for (let p = (i * length + 1) * after; p < (i + 1) * length * after; p++) y.data[p] += y.data[p - after];
  }
  return y;
}

/** @type {Run} */
function softmax([x], { axis }) {
  const [before, length, after] = around(x.shape, counted(axis, x.shape.length));
  const y = empty(Float32Array, x.shape);
  const [from, into] = [x.data, y.data];
  for (let i = 0; i < before * after; i++) {
    const first = Math.floor(i / after) * length * after + (i % after);
    const end = first + length * after;
    let [most, sum] = [-Infinity, 0];
    for (let p = first; p < end; p += after) most = Math.max(most, from[p]);
    for (let p = first; p < end; p += after) sum += into[p] = Math.exp(from[p] - most);
    for (let p = first; p < end; p += after) into[p] /= sum;
  }
  return y;
}

/** @type {Run} */
function layerNormalization([x, scale, bias], { axis, epsilon }) {
  const length = size(x.shape.slice(counted(axis, x.shape.length)));
  if (scale.data.length !== length || (bias && bias.data.length !== length)) throw fail("its scale has another shape");
  const y = empty(Float32Array, x.shape);
  const [from, into] = [x.data, y.data];
  for (let first = 0; first < from.length; first += length) {
    let [mean, variance] = [0, 0];
    for (let k = 0; k < length; k++) mean += from[first + k];
    mean /= length;
    for (let k = 0; k < length; k++) variance += (from[first + k] - mean) ** 2;
    const factor = 1 / Math.sqrt(variance / length + epsilon);
    for (let k = 0; k < length; k++) {
      into[first + k] = (from[first + k] - mean) * factor * scale.data[k] + (bias ? bias.data[k] : 0);
    }
  }
  return y;
}

/** @type {Run} */
function topK([x, count], { axis, largest }) {
  const along = counted(axis, x.shape.length);
  const [before, length, after] = around(x.shape, along);
  const k = count.data[0];
  if (!(k >= 0 && k <= length)) throw fail(`there are no ${k} values among ${length}`);
  const shape = x.shape.with(along, k);
  const [values, places] = [empty(x.data.constructor, shape), empty(Float64Array, shape)];
  const sign = largest ? 1 : -1;
  for (let i = 0; i < before * after; i++) {
    const [row, column] = [Math.floor(i / after), i % after];
    const value = (/** @type {number} */ place) => x.data[(row * length + place) * after + column];
    const order = Array.from({ length }, (_, place) => place).sort((a, b) => sign * (value(b) - value(a)) || a - b);
    for (let j = 0; j < k; j++) {
      values.data[(row * k + j) * after + column] = value(order[j]);
      places.data[(row * k + j) * after + column] = order[j];
    }
  }
  return [values, places];
}

/** @type {Run} */
function oneHot([x, depth, values], { axis }) {
  const n = depth.data[0];
  const along = counted(axis, x.shape.length + 1);
  const y = empty(values.data.constructor, x.shape.toSpliced(along, 0, n));
  const after = size(x.shape.slice(along));
  y.data.fill(values.data[0]);
  for (let i = 0; i < x.data.length; i++) {
    const place = x.data[i] < 0 ? x.data[i] + n : x.data[i];
    if (place >= 0 && place < n) y.data[(Math.floor(i / after) * n + place) * after + (i % after)] = values.data[1];
  }
  return y;
}

// Operators that move values.

/** @type {Run} */
function reshape([x, to], { allowzero }) {
  const shape = list(to).map((n, d) => (n === 0 && !allowzero ? x.shape[d] : n));
  const open = shape.indexOf(-1);
  if (open >= 0) shape[open] = x.data.length / size(shape.with(open, 1));
  if (size(shape) !== x.data.length || !shape.every((n) => n >= 0 && Number.isInteger(n))) {
    throw fail(`it cannot have the shape [${list(to).join(", ")}]`);
  }
  return { data: x.data, shape };
}

/** @type {Run} */
function squeeze([x, given]) {
  const rank = x.shape.length;
  const axes = given ? list(given).map((axis) => counted(axis, rank)) : [...x.shape.keys()].filter((d) => x.shape[d] === 1);
  if (axes.some((axis) => x.shape[axis] !== 1)) throw fail(`an axis of [${axes.join(", ")}] has not length 1`);
  return { data: x.data, shape: x.shape.filter((_, d) => !axes.includes(d)) };
}

/** @type {Run} */
function unsqueeze([x, given]) {
  const rank = x.shape.length + given.data.length;
  const axes = list(given).map((axis) => counted(axis, rank));
  const rest = x.shape.values();
  return { data: x.data, shape: Array.from({ length: rank }, (_, d) => (axes.includes(d) ? 1 : rest.next().value ?? 1)) };
}

/** @type {Run} */
function concat(inputs, { axis }) {
  const along = counted(axis, inputs[0].shape.length);
  const lengths = inputs.map(({ shape }) => shape[along]);
  const y = empty(inputs[0].data.constructor, inputs[0].shape.with(along, lengths.reduce((sum, n) => sum + n)));
  const strides = stridesOf(y.shape);
  let start = 0;
  for (const { data, shape } of inputs) {
    if (shape.length !== strides.length || shape.some((n, d) => d !== along && n !== y.shape[d])) throw fail("these do not fit");
    copy(shape, data, 0, stridesOf(shape), y.data, start * strides[along], strides);
    start += shape[along];
  }
  return y;
}

/** @type {Run} */
function split([x, sizes], { axis, num_outputs: parts }, outputs) {
  const along = counted(axis, x.shape.length);
  const length = x.shape[along];
  const even = Math.ceil(length / (parts || outputs));
  const lengths = sizes ? list(sizes) : Array.from({ length: outputs }, (_, i) => Math.min(even, length - i * even));
  if (lengths.length !== outputs || lengths.some((n) => n < 0) || lengths.reduce((a, b) => a + b, 0) !== length) {
    throw fail(`${length} values cannot be split into ${outputs} parts of [${lengths.join(", ")}]`);
  }
  const strides = stridesOf(x.shape);
  let start = 0;
  return lengths.map((n) => view(x, x.shape.with(along, n), ((start += n) - n) * strides[along], strides));
}

/** @type {Run} */
function slice([x, starts, ends, axes, steps]) {
  const strides = stridesOf(x.shape);
  const shape = [...x.shape];
  let from = 0;
  for (let i = 0; i < starts.data.length; i++) {
    const axis = counted(axes ? axes.data[i] : i, shape.length);
    const by = steps ? steps.data[i] : 1;
    const length = x.shape[axis];
    if (by === 0) throw fail("its step is 0");
    const [least, most] = by > 0 ? [0, length] : [-1, length - 1];
    const [start, end] = [starts.data[i], ends.data[i]].map((place, which) =>
      Math.min(Math.max(place < 0 ? place + length : place, which ? least : 0), most),
    );
    shape[axis] = Math.max(0, Math.ceil((end - start) / by));
    from += start * strides[axis];
    strides[axis] *= by;
  }
  return view(x, shape, from, strides);
}

/** @type {Run} */
function transpose([x], { perm }) {
  const order = perm.length ? perm : [...x.shape.keys()].reverse();
  const strides = stridesOf(x.shape);
  return view(x, order.map((d) => x.shape[d]), 0, order.map((d) => strides[d]));
}

/** @type {Run} */
function expand([x, to]) {
  const shape = broadcast(x.shape, list(to));
  return view(x, shape, 0, spread(x.shape, shape));
}

/** @type {Run} */
function pad([x, pads, value, given]) {
  const axes = given ? list(given).map((axis) => counted(axis, x.shape.length)) : [...x.shape.keys()];
  const [shape, inner] = [[...x.shape], [...x.shape]];
  const [xStrides, from] = [stridesOf(x.shape), x.shape.map(() => 0)];
  const to = x.shape.map(() => 0);
  axes.forEach((axis, i) => {
    const [before, after] = [pads.data[i], pads.data[i + axes.length]];
    shape[axis] += before + after;
    inner[axis] += Math.min(before, 0) + Math.min(after, 0); // a negative one cuts off
    from[axis] = Math.max(-before, 0);
    to[axis] = Math.max(before, 0);
  });
  const y = empty(x.data.constructor, shape);
  const strides = stridesOf(shape);
  if (value) y.data.fill(value.data[0]);
  const place = (/** @type {number[]} */ starts, /** @type {number[]} */ by) => starts.reduce((sum, n, d) => sum + n * by[d], 0);
  copy(inner, x.data, place(from, xStrides), xStrides, y.data, place(to, strides), strides);
  return y;
}

// Products.

/**
 * Set y (M, N) to the product of a (M, K) and b, which is (N, K) where it is transposed, else (K, N).
 *
 * @param {Data} a
 * @param {number} p  Where a starts.
 * @param {Data} b
 * @param {number} q
 * @param {boolean} transposed
 * @param {Data} y
 * @param {number} i
 * @param {number[]} lengths  M, N and K.
 */
function multiply(a, p, b, q, transposed, y, i, [M, N, K]) {
  let m = 0;
  if (transposed || N === 1) {
    for (; m + 3 <= M; m += 3) threeRows(a, p + m * K, b, q, y, i + m * N, N, K);
    for (; m < M; m++) oneRow(a, p + m * K, b, q, y, i + m * N, N, K);
    return;
  }
  const sums = new Float64Array(N);
  for (; m < M; m++) {
    sums.fill(0);
    for (let k = 0; k < K; k++) {
      const factor = a[p + m * K + k];
      for (let n = 0, r = q + k * N; n < N; n++) sums[n] += factor * b[r + n];
    }
    y.set(sums, i + m * N);
  }
}

/**
 * Multiply three rows of a with N rows of b. Each value read serves three products.
 *
 * @param {Data} a
 * @param {number} p
 * @param {Data} b
 * @param {number} q
 * @param {Data} y
 * @param {number} i
 * @param {number} N
 * @param {number} K
 */
function threeRows(a, p, b, q, y, i, N, K) {
  const [p1, p2] = [p + K, p + 2 * K];
  let n = 0;
  for (; n + 3 <= N; n += 3, q += 3 * K, i += 3) {
    const [q1, q2] = [q + K, q + 2 * K];
    let [s00, s01, s02, s10, s11, s12, s20, s21, s22] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let k = 0; k < K; k++) {
      const [a0, a1, a2] = [a[p + k], a[p1 + k], a[p2 + k]];
      const [b0, b1, b2] = [b[q + k], b[q1 + k], b[q2 + k]];
      s00 += a0 * b0;
      s01 += a0 * b1;
      s02 += a0 * b2;
      s10 += a1 * b0;
      s11 += a1 * b1;
      s12 += a1 * b2;
      s20 += a2 * b0;
      s21 += a2 * b1;
      s22 += a2 * b2;
    }
    [y[i], y[i + 1], y[i + 2]] = [s00, s01, s02];
    [y[i + N], y[i + N + 1], y[i + N + 2]] = [s10, s11, s12];
    [y[i + 2 * N], y[i + 2 * N + 1], y[i + 2 * N + 2]] = [s20, s21, s22];
  }
  for (; n < N; n++, q += K, i++) {
    let [s0, s1, s2] = [0, 0, 0];
    for (let k = 0; k < K; k++) {
      s0 += a[p + k] * b[q + k];
      s1 += a[p1 + k] * b[q + k];
      s2 += a[p2 + k] * b[q + k];
    }
    [y[i], y[i + N], y[i + 2 * N]] = [s0, s1, s2];
  }
}

/**
 * Multiply one row of a with N rows of b. Sums that do not wait for each other take half the time.
 *
 * @param {Data} a
 * @param {number} p
 * @param {Data} b
 * @param {number} q
 * @param {Data} y
 * @param {number} i
 * @param {number} N
 * @param {number} K
 */
function oneRow(a, p, b, q, y, i, N, K) {
  let n = 0;
  for (; n + 4 <= N; n += 4, q += 4 * K) {
    const [q1, q2, q3] = [q + K, q + 2 * K, q + 3 * K];
    let [s0, s1, s2, s3, t0, t1, t2, t3] = [0, 0, 0, 0, 0, 0, 0, 0];
    let k = 0;
    for (; k + 2 <= K; k += 2) {
      const [u, v] = [a[p + k], a[p + k + 1]];
      s0 += u * b[q + k];
      s1 += u * b[q1 + k];
      s2 += u * b[q2 + k];
      s3 += u * b[q3 + k];
      t0 += v * b[q + k + 1];
      t1 += v * b[q1 + k + 1];
      t2 += v * b[q2 + k + 1];
      t3 += v * b[q3 + k + 1];
    }
    if (k < K) {
      const u = a[p + k];
      s0 += u * b[q + k];
      s1 += u * b[q1 + k];
      s2 += u * b[q2 + k];
      s3 += u * b[q3 + k];
    }
    [y[i + n], y[i + n + 1], y[i + n + 2], y[i + n + 3]] = [s0 + t0, s1 + t1, s2 + t2, s3 + t3];
  }
  for (; n < N; n++, q += K) {
    let s = 0;
    for (let k = 0; k < K; k++) s += a[p + k] * b[q + k];
    y[i + n] = s;
  }
}

/** @type {Run} */
function gemm([a, b, c], { alpha, beta, transA, transB }) {
  if (a.shape.length !== 2 || b.shape.length !== 2) throw fail("it takes matrices");
  if (transA) a = transpose([a], { perm: [1, 0] }, 1);
  const [M, K] = a.shape;
  const [N, rows] = transB ? b.shape : [b.shape[1], b.shape[0]];
  if (rows !== K) throw fail("these shapes do not go together");
  const y = empty(Float32Array, [M, N]);
  multiply(a.data, 0, b.data, 0, transB !== 0, y.data, 0, [M, N, K]);
  if (alpha !== 1) for (let i = 0; i < y.data.length; i++) y.data[i] *= alpha;
  if (c) {
    walk(y.shape, [stridesOf(y.shape), spread(c.shape, y.shape)], ([i, p], [u, s], n) => {
      for (; n > 0; n--, i += u, p += s) y.data[i] += beta * c.data[p];
    });
  }
  return y;
}

/** @type {Run} */
function matMul([a, b]) {
  const [left, right] = [a.shape.length > 1 ? a.shape : [1, ...a.shape], b.shape.length > 1 ? b.shape : [...b.shape, 1]];
  const [M, K] = left.slice(-2);
  const [rows, N] = right.slice(-2);
  if (K === undefined || rows !== K) throw fail("these shapes do not go together");
  const many = broadcast(left.slice(0, -2), right.slice(0, -2));
  const shape = [...many, ...(a.shape.length > 1 ? [M] : []), ...(b.shape.length > 1 ? [N] : [])];
  const y = empty(Float32Array, shape);
  const steps = [left, right].map((each) => spread(each.slice(0, -2), many));
  walk(many, [...steps, stridesOf(many)], (start, by, n) => {
    for (let at = 0; at < n; at++) {
      const [p, q, i] = start.map((first, k) => (first + at * by[k]) * [M * K, K * N, M * N][k]);
      multiply(a.data, p, b.data, q, false, y.data, i, [M, N, K]);
    }
  });
  return y;
}

/**
 * Return the sizes that a window needs to go over an image.
 *
 * @param {readonly number[]} shape  (n, channels, height, width).
 * @param {Attributes} attributes
 * @param {readonly number[]} window  Height and width.
 */
function frame(shape, { dilations = [], pads, strides }, window) {
  if (shape.length !== 4 || window.length !== 2) throw fail("only images in two dimensions are supported");
  const [top, left, bottom, right] = pads.length ? pads : [0, 0, 0, 0];
  const [down, across] = strides.length ? strides : [1, 1];
  const [dy, dx] = dilations.length ? dilations : [1, 1];
  const height = Math.floor((shape[2] + top + bottom - dy * (window[0] - 1) - 1) / down) + 1;
  const width = Math.floor((shape[3] + left + right - dx * (window[1] - 1) - 1) / across) + 1;
  if (!(height > 0 && width > 0 && top >= 0 && left >= 0)) throw fail("the window does not fit on it");
  return { top, left, down, across, dy, dx, height, width };
}

/** @type {Run} */
function conv([x, w, bias], attributes) {
  const [n, channels, H, W] = x.shape;
  const [M, C, kh, kw] = w.shape;
  const { top, left, down, across, dy, dx, height, width } = frame(x.shape, attributes, w.shape.slice(2));
  const { group } = attributes;
  if (channels !== C * group || M % group) throw fail("these shapes do not go together");
  const y = empty(Float32Array, [n, M, height, width]);
  const [P, K, rows] = [height * width, C * kh * kw, M / group];
  const patches = /** @type {Float32Array} */ (empty(Float32Array, [P, K]).data);
  for (let image = 0; image < n * group; image++) {
    const first = image * C * H * W; // of the channels of a group
    let at = 0;
    for (let place = 0; place < P; place++) {
      const oy = Math.floor(place / width) * down - top;
      const ox = (place % width) * across - left;
      for (let c = 0; c < C; c++) {
        for (let iy = oy; iy < oy + kh * dy; iy += dy) {
          const row = first + (c * H + iy) * W;
          const inside = iy >= 0 && iy < H;
          for (let ix = ox; ix < ox + kw * dx; ix += dx) patches[at++] = inside && ix >= 0 && ix < W ? x.data[row + ix] : 0;
        }
      }
    }
    multiply(w.data, (image % group) * rows * K, patches, 0, true, y.data, image * rows * P, [rows, P, K]);
  }
  if (bias) {
    for (let plane = 0; plane < n * M; plane++) {
      const value = bias.data[plane % M];
      for (let i = plane * P; i < (plane + 1) * P; i++) y.data[i] += value;
    }
  }
  return y;
}

/** @type {Run} */
function averagePool([x], attributes) {
  const [n, channels, H, W] = x.shape;
  const [kh, kw] = attributes.kernel_shape;
  const { top, left, down, across, height, width } = frame(x.shape, attributes, attributes.kernel_shape);
  const y = empty(Float32Array, [n, channels, height, width]);
  for (let i = 0; i < y.data.length; i++) {
    const plane = Math.floor(i / (height * width));
    const oy = (Math.floor(i / width) % height) * down - top;
    const ox = (i % width) * across - left;
    let [sum, count] = [0, 0];
    for (let iy = Math.max(oy, 0); iy < Math.min(oy + kh, H); iy++) {
      for (let ix = Math.max(ox, 0); ix < Math.min(ox + kw, W); ix++, count++) sum += x.data[(plane * H + iy) * W + ix];
    }
    y.data[i] = sum / count;
  }
  return y;
}

/**
 * @param {number} least  Inputs.
 * @param {number} most
 * @param {Run} run
 * @param {Attributes} [attributes]  Those that are honoured, with their usual values.
 * @param {number} [outputs]  At most.
 * @returns {Operator}
 */
function operator(least, most, run, attributes = {}, outputs = 1) {
  return { least, most, run, attributes, outputs };
}

const WINDOW = { auto_pad: new Only("NOTSET"), kernel_shape: [], pads: [], strides: [] };

/** @type {Record<string, Operator>} */
const OPERATORS = {
  Abs: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.abs(x[i]);
  }),
  Add: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] + b[q];
  }),
  And: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] & b[q];
  }, Uint8Array),
  ArgMax: operator(1, 1, argMax, { axis: 0, keepdims: 1, select_last_index: new Only(0) }),
  AveragePool: operator(1, 1, averagePool, { ...WINDOW, ceil_mode: new Only(0), count_include_pad: new Only(0) }),
  Cast: operator(1, 1, cast, { to: new Only(FLOAT32, UINT8, INT32, INT64, BOOL) }),
  Ceil: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.ceil(x[i]);
  }),
  Clip: operator(1, 3, clip),
  Concat: operator(1, Infinity, concat, { axis: 0 }),
  Conv: operator(2, 3, conv, { ...WINDOW, dilations: [], group: 1 }),
  CumSum: operator(2, 2, cumSum, { exclusive: new Only(0), reverse: new Only(0) }),
  Div: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] / b[q];
  }),
  Equal: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] === b[q] ? 1 : 0;
  }, Uint8Array),
  Erf: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = erf(x[i]);
  }),
  Exp: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.exp(x[i]);
  }),
  Expand: operator(2, 2, expand),
  Floor: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.floor(x[i]);
  }),
  Gemm: operator(2, 3, gemm, { alpha: 1, beta: 1, transA: 0, transB: 0 }),
  Greater: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] > b[q] ? 1 : 0;
  }, Uint8Array),
  GreaterOrEqual: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] >= b[q] ? 1 : 0;
  }, Uint8Array),
  Identity: operator(1, 1, ([x]) => x),
  LayerNormalization: operator(2, 3, layerNormalization, { axis: -1, epsilon: 1e-5, stash_type: new Only(FLOAT32) }),
  Less: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] < b[q] ? 1 : 0;
  }, Uint8Array),
  LessOrEqual: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] <= b[q] ? 1 : 0;
  }, Uint8Array),
  Log: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.log(x[i]);
  }),
  MatMul: operator(2, 2, matMul),
  Max: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = Math.max(a[p], b[q]);
  }, undefined, Infinity),
  Min: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = Math.min(a[p], b[q]);
  }, undefined, Infinity),
  Mod: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] - b[q] * Math.floor(a[p] / b[q]);
  }),
  Mul: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] * b[q];
  }),
  Neg: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = -x[i];
  }),
  Not: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = 1 - x[i];
  }),
  OneHot: operator(3, 3, oneHot, { axis: -1 }),
  Or: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] | b[q];
  }, Uint8Array),
  Pad: operator(2, 4, pad, { mode: new Only("constant") }),
  Pow: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = b[q] === 2 ? a[p] * a[p] : a[p] ** b[q];
  }),
  ReduceMax: reduction(-Infinity, (x, p, s, y, q, t, n) => {
    for (; n > 0; n--, p += s, q += t) y[q] = Math.max(y[q], x[p]);
  }),
  ReduceMean: reduction(0, (x, p, s, y, q, t, n) => {
    for (; n > 0; n--, p += s, q += t) y[q] += x[p];
  }, true),
  ReduceMin: reduction(Infinity, (x, p, s, y, q, t, n) => {
    for (; n > 0; n--, p += s, q += t) y[q] = Math.min(y[q], x[p]);
  }),
  ReduceSum: reduction(0, (x, p, s, y, q, t, n) => {
    for (; n > 0; n--, p += s, q += t) y[q] += x[p];
  }),
  Relu: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.max(x[i], 0);
  }),
  Reshape: operator(2, 2, reshape, { allowzero: 0 }),
  Round: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.abs(x[i]) < HALVES ? x[i] + HALVES - HALVES : x[i];
  }),
  Shape: operator(1, 1, ([x], { start, end }) => vector(x.shape.slice(start, end)), { start: 0, end: Infinity }),
  Sigmoid: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = 1 / (1 + Math.exp(-x[i]));
  }),
  Sign: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.sign(x[i]);
  }),
  Slice: operator(3, 5, slice),
  Softmax: operator(1, 1, softmax, { axis: -1 }),
  Softsign: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = x[i] / (1 + Math.abs(x[i]));
  }),
  Split: operator(1, 2, split, { axis: 0, num_outputs: 0 }, Infinity),
  Sqrt: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.sqrt(x[i]);
  }),
  Squeeze: operator(1, 2, squeeze),
  Sub: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] - b[q];
  }),
  Tanh: unary((x, y, n) => {
    for (let i = 0; i < n; i++) y[i] = Math.tanh(x[i]);
  }),
  TopK: operator(2, 2, topK, { axis: -1, largest: 1, sorted: 1 }, 2),
  Transpose: operator(1, 1, transpose, { perm: [] }),
  Unsqueeze: operator(2, 2, unsqueeze),
  Where: operator(3, 3, where),
  Xor: binary((a, p, s, b, q, t, y, i, u, n) => {
    for (; n > 0; n--, p += s, q += t, i += u) y[i] = a[p] ^ b[q];
  }, Uint8Array),
};
