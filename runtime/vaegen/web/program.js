/** A graph as a program: its steps in order, checked before they run, with all that is constant computed once. */

import { BundleError, RequestError, quoted } from "./errors.js";
import { FLOAT16, decode, readModel } from "./onnx.js";
import { size, small } from "./shapes.js";

/**
 * @typedef {import("./onnx.js").Value} Value
 * @typedef {import("./shapes.js").Tensor} Tensor
 * @typedef {{data: ArrayLike<number> | BigInt64Array, shape: readonly number[]}} Feed  Copied where the data is not of
 *     the type that the engine works with; never changed.
 *
 * @typedef {Record<string, any>} Attributes
 * @typedef {(inputs: Tensor[], attributes: Attributes, outputs: number) => Tensor | Tensor[]} Run  Of the inputs,
 *     optional ones may be undefined; `outputs` is how many a node has.
 * @typedef {{least: number, most: number, run: Run, attributes: Attributes, outputs: number}} Operator  How many inputs
 *     it takes, the attributes that it honours with their usual values, and the most outputs.
 * @typedef {{name: string, run: Run, attributes: Attributes, inputs: number[], outputs: number[]}} Step
 */

const OPSET = 18;

/** @type {Record<string, any>} */
const ARRAYS = { float32: Float32Array, int64: Float64Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array };

/** A graph that can run. */
export class Program {
  #where;
  #constants;
  #places = new Map([["", 0]]); // of each value by name; an empty name stands for none
  /** @type {(Tensor | undefined)[]} */
  #fixed = []; // by place: what does not depend on inputs
  /** @type {Step[]} */
  #steps;
  /** @type {Map<string, Step[]>} */
  #plans = new Map(); // by names of outputs, the steps that they need

  /**
   * Check a graph. Its weights are decoded when it first runs.
   *
   * @param {Uint8Array} bytes  An ONNX file.
   * @param {string} where  What to call it in errors.
   * @param {Record<string, Operator>} operators
   * @throws {BundleError}  It is damaged, or needs what none of the operators does.
   */
  constructor(bytes, where, operators) {
    const { opset, inputs, outputs, nodes, constants } = readModel(bytes);
    if (opset !== OPSET) throw new BundleError(`it is of ONNX opset ${opset}; this engine runs ${OPSET}`);
    for (const name of constants.keys()) this.#define(name);
    for (const { name, type } of inputs) {
      if (!ARRAYS[type]) throw new BundleError(`input ${quoted(name)} is ${type}, which only constants may be`);
      this.#define(name);
    }
    this.#steps = nodes.map((node) => {
      const name = node.operator;
      const { run, attributes } = chosen(operators, node);
      if (name !== "Cast" && node.inputs.some((input) => constants.get(input)?.type === FLOAT16)) {
        throw new BundleError(`${name} takes a float16 tensor, which only Cast may`);
      }
      const places = node.inputs.map((input) => this.#find(input));
      const results = node.outputs.map((output) => (output === "" ? 0 : this.#define(output)));
      return { name, run, attributes, inputs: places, outputs: results };
    });
    if (outputs.some(({ name }) => this.#find(name) === 0)) throw new BundleError("an output has no name");
    this.#where = where;
    this.#constants = constants;
    /** What it takes. */
    this.inputs = inputs;
    /** What it can give. */
    this.outputs = outputs;
  }

  /**
   * Run it.
   *
   * @param {Record<string, Feed>} feeds  All inputs.
   * @param {readonly string[]} [wanted]  Outputs; by default all.
   * @returns {Record<string, Tensor>}  Their arrays are the caller's: float32 is a Float32Array, int64 a Float64Array,
   *     int32 an Int32Array, uint8 and bool an Uint8Array.
   * @throws {RequestError}  An input is missing or has another shape, or there is no such output.
   * @throws {BundleError}  An operator cannot do what the graph asks for.
   */
  run(feeds, wanted = this.outputs.map(({ name }) => name)) {
    return within(this.#where, () => {
      const plan = this.#plan(wanted);
      const values = this.#fixed.slice();
      for (const input of this.inputs) values[this.#find(input.name)] = accepted(input, feeds[input.name]);
      const lent = new Set(values.map((value) => value?.data));
      for (const step of plan) perform(step, values);
      const results = wanted.map((name) => {
        const { data, shape } = /** @type {Tensor} */ (values[this.#find(name)]);
        return [name, { data: lent.has(data) ? data.slice() : data, shape: [...shape] }];
      });
      return Object.fromEntries(results);
    });
  }

  /**
   * Return the steps that some outputs need.
   *
   * @param {readonly string[]} wanted
   */
  #plan(wanted) {
    if (this.#constants.size) this.#prepare();
    const key = wanted.join("\n");
    const known = this.#plans.get(key);
    if (known) return known;
    const names = this.outputs.map(({ name }) => name);
    const missing = wanted.find((name) => !names.includes(name));
    if (missing !== undefined) throw new RequestError(`no output ${quoted(missing)}; choose from ${names.join(", ")}`);
    const needed = new Set(wanted.map((name) => this.#find(name)));
    const plan = this.#steps.toReversed().filter(({ inputs, outputs }) => {
      const used = outputs.some((place) => needed.has(place));
      if (used) for (const place of inputs) needed.add(place);
      return used;
    });
    this.#plans.set(key, plan.reverse());
    return plan;
  }

  /** Decode the constants, and run the steps that depend on nothing else. */
  #prepare() {
    for (const [name, constant] of this.#constants) {
      this.#fixed[this.#find(name)] = { data: decode(constant), shape: constant.shape };
    }
    this.#steps = this.#steps.filter((step) => {
      const varies = step.inputs.some((place) => place > 0 && !this.#fixed[place]);
      if (!varies) perform(step, this.#fixed);
      return varies;
    });
    this.#constants.clear();
  }

  /** @param {string} name */
  #define(name) {
    if (this.#places.has(name)) throw new BundleError(`two of its values are called ${quoted(name)}`);
    this.#places.set(name, this.#places.size);
    return this.#places.size - 1;
  }

  /** @param {string} name */
  #find(name) {
    const place = this.#places.get(name);
    if (place === undefined) throw new BundleError(`${quoted(name)} is used, but nothing before gives it`);
    return place;
  }
}

/**
 * Return what an operator does, and its attributes with those of a node in place of the usual ones.
 *
 * @param {Record<string, Operator>} operators
 * @param {import("./onnx.js").Node} node
 */
function chosen(operators, { operator: name, inputs, outputs, attributes }) {
  if (!Object.hasOwn(operators, name)) {
    throw new BundleError(`this engine has no operator ${quoted(name)}; load the model with onnxruntime-web as engine`);
  }
  const { least, most, run, attributes: usual, outputs: many } = operators[name];
  const [given, gives] = [inputs.length, outputs.length];
  if (given < least || given > most || inputs.slice(0, least).includes("") || gives > many || !outputs[0]) {
    throw new BundleError(`this engine has no ${name} with ${given} inputs and ${gives} outputs`);
  }
  /** @type {Attributes} */
  const all = {};
  for (const [key, value] of Object.entries(usual)) all[key] = value instanceof Only ? value.of[0] : value;
  for (const [key, value] of Object.entries(attributes)) {
    const here = Object.hasOwn(usual, key) ? usual[key] : new Only();
    if (here instanceof Only ? !here.of.includes(value) : typeof here !== typeof value) {
      throw new BundleError(`this engine has no ${name} with the attribute ${quoted(key)} of ${quoted(value)}`);
    }
    all[key] = value;
  }
  return { run, attributes: all };
}

/** The values that an attribute may have here, the usual one first, where ONNX knows more. */
export class Only {
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
  const taken = /** @type {Tensor[]} */ (inputs.map((place) => values[place])); // at 0 there is none
  try {
    const results = run(taken, attributes, outputs.length);
    if (Array.isArray(results)) outputs.forEach((place, i) => place && (values[place] = results[i]));
    else values[outputs[0]] = results;
  } catch (error) {
    const shapes = taken.map((tensor) => `[${tensor?.shape.join(", ") ?? ""}]`).join(", ");
    const reason = error instanceof Error ? error.message : error;
    throw new BundleError(`${name} of ${shapes} failed: ${reason}`, { cause: error });
  }
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
  const ranks = feed.shape.length === shape.length;
  const fits = ranks && shape.every((n, d) => typeof n === "string" || n === feed.shape[d]);
  if (!fits || feed.data.length !== size(feed.shape)) {
    const [given, asked] = [feed.shape.join(", "), shape.join(", ")];
    throw new RequestError(`input ${quoted(name)} is ${feed.data.length} values as [${given}]; it takes [${asked}]`);
  }
  const data = feed.data instanceof ARRAYS[type] ? feed.data : ARRAYS[type].from(feed.data, Number);
  return { data, shape: small(feed.shape) };
}

/**
 * Return what some work returns; if it finds fault with the graph, say where.
 *
 * @template T
 * @param {string} where
 * @param {() => T} work
 */
export function within(where, work) {
  try {
    return work();
  } catch (error) {
    throw error instanceof BundleError ? new BundleError(`${where}: ${error.message}`, { cause: error }) : error;
  }
}
