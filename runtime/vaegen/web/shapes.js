/**
 * Tensors and their shapes: how two are broadcast, and how to go through values in any order. What is wrong with a
 * shape is said in brief, for program.js adds the operator and what it was given.
 */

/**
 * @typedef {import("./onnx.js").Data} Data
 * @typedef {{data: Data, shape: readonly number[]}} Tensor  The numbers of int64 are doubles, in a Float64Array.
 */

const MOST_VALUES = 2 ** 27; // in one tensor, 512 MB of float32; a batch of 128 images takes 2^19

/**
 * Return the number of values in a shape.
 *
 * @param {readonly number[]} shape
 * @returns {number}
 */
export function size(shape) {
  let n = 1;
  for (let i = 0; i < shape.length; i++) n *= shape[i];
  return n;
}

/**
 * Return a tensor of zeros.
 *
 * @param {any} Kind  The class of its array.
 * @param {readonly number[]} shape
 * @returns {Tensor}
 */
export function empty(Kind, shape) {
  const n = size(shape);
  if (!(n <= MOST_VALUES)) throw new Error(`the result has ${n} values, more than ${MOST_VALUES}`);
  return { data: new Kind(n), shape: small(shape) };
}

/**
 * Return lengths as integers of 32 bits. Those that were doubles, as int64 is here, would make all places that are
 * computed from them doubles, and loops twice as slow.
 *
 * @param {readonly number[]} shape
 */
export function small(shape) {
  return shape.map((n) => n | 0);
}

/** @param {readonly number[]} shape */
export function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let d = shape.length - 1, n = 1; d >= 0; n *= shape[d--]) strides[d] = n;
  return strides;
}

/**
 * Return the shape to which two are broadcast.
 *
 * @param {readonly number[]} a
 * @param {readonly number[]} b
 */
export function broadcast(a, b) {
  const [long, short] = a.length < b.length ? [b, a] : [a, b];
  const more = long.length - short.length;
  return long.map((m, d) => {
    const n = d < more ? 1 : short[d - more];
    if (m !== n && m !== 1 && n !== 1) throw new Error("these shapes do not go together");
    return m === 1 ? n : m;
  });
}

/**
 * Return the strides of a tensor that is broadcast to another shape: 0 where it repeats.
 *
 * @param {readonly number[]} from
 * @param {readonly number[]} to
 */
export function spread(from, to) {
  const strides = stridesOf(from);
  const more = to.length - from.length;
  return to.map((_, d) => (d < more || from[d - more] === 1 ? 0 : strides[d - more]));
}

/**
 * Go through several tensors together, row by row. Dimensions that all of them run through evenly are taken as one, and
 * the longest makes the rows.
 *
 * @param {readonly number[]} shape
 * @param {readonly number[][]} strides  Of each tensor.
 * @param {(at: number[], by: number[], n: number) => void} row  Gets for each tensor where the row starts and how far
 *     apart its values are, and how many there are.
 */
export function walk(shape, strides, row) {
  if (shape.includes(0)) return;
  let loops = [{ n: 1, by: strides.map(() => 0) }];
  shape.forEach((n, d) => {
    const [last, by] = [loops[loops.length - 1], strides.map((each) => each[d])];
    if (n > 1 && by.every((step, k) => last.by[k] === step * n)) loops[loops.length - 1] = { n: last.n * n, by };
    else if (n > 1) loops.push({ n, by });
  });
  const rows = loops.reduce((a, b) => (b.n >= a.n ? b : a));
  loops = loops.filter((each) => each !== rows).reverse();
  const [at, counts] = [strides.map(() => 0), loops.map(() => 0)];
  for (let d = 0; d < loops.length; ) {
    row(at, rows.by, rows.n);
    for (d = 0; d < loops.length; d++) {
      const { n, by } = loops[d];
      const last = ++counts[d] === n;
      for (let k = 0; k < at.length; k++) at[k] += last ? by[k] * (1 - n) : by[k];
      if (!last) break;
      counts[d] = 0;
    }
  }
  if (loops.length === 0) row(at, rows.by, rows.n);
}

/**
 * Return values of a tensor as a new one.
 *
 * @param {Tensor} x
 * @param {readonly number[]} shape  Of the new one.
 * @param {number} from  Where its first value is.
 * @param {number[]} strides  How far apart the others are.
 */
export function view(x, shape, from, strides) {
  return copy(x, shape, from, strides, empty(x.data.constructor, shape), 0);
}

/**
 * Copy values of a tensor to a part of another one, from the place `to` on, and return that.
 *
 * @param {Tensor} x
 * @param {readonly number[]} shape  Of what is copied.
 * @param {number} from
 * @param {number[]} strides
 * @param {Tensor} y
 * @param {number} to
 */
export function copy({ data }, shape, from, strides, y, to) {
  const into = y.data;
  walk(shape, [strides, stridesOf(y.shape)], (at, by, n) => {
    for (let p = from + at[0], q = to + at[1], s = by[0], t = by[1]; n > 0; n--, p += s, q += t) into[q] = data[p];
  });
  return y;
}

/**
 * Return an axis, which may count from the end, as a number from 0.
 *
 * @param {number} axis
 * @param {readonly unknown[]} shape
 */
export function counted(axis, shape) {
  if (!(axis >= -shape.length && axis < shape.length)) throw new Error(`there is no axis ${axis}`);
  return axis < 0 ? axis + shape.length : axis;
}

/**
 * Go along an axis, from each place of the others.
 *
 * @param {readonly number[]} shape
 * @param {number} axis  From 0.
 * @param {(first: number, by: number, i: number) => void} line  Gets where a line starts, how far apart its values are,
 *     and its number.
 */
export function along(shape, axis, line) {
  const by = size(shape.slice(axis + 1));
  const lines = size(shape.slice(0, axis)) * by;
  for (let i = 0; i < lines; i++) line(Math.floor(i / by) * by * shape[axis] + (i % by), by, i);
}
