/**
 * The ONNX models of a bundle, read from their protobuf without a library.
 *
 * What only people or other tools need (documentation, names of nodes, inferred shapes) is skipped. What the engine
 * could not honour is refused: external and sparse tensors, functions, subgraphs. Nothing is allocated for what a file
 * declares before its bytes are there. Wire format: https://protobuf.dev/programming-guides/encoding/
 */

import { BundleError, quoted } from "./errors.js";

/**
 * @typedef {object} Value  What a graph takes or returns.
 * @property {string} name
 * @property {string} type  As NumPy names it: "float32".
 * @property {(string | number)[]} shape  A text where a dimension is free.
 *
 * @typedef {object} Node  One step of a graph.
 * @property {string} operator  With its domain before it, where that is not ONNX's own: "com.microsoft:Gelu".
 * @property {string[]} inputs  Names of values; an empty one stands for an input that is not given.
 * @property {string[]} outputs
 * @property {Record<string, number | string | number[]>} attributes
 *
 * @typedef {object} Constant  A tensor that the file holds, not yet turned into numbers.
 * @property {number} type  TensorProto.DataType.
 * @property {number[]} shape
 * @property {Uint8Array | number[]} stored  The file's own bytes, or numbers (of float16 their bits).
 *
 * @typedef {object} Graph
 * @property {number} opset  The version of ONNX's own operators.
 * @property {Value[]} inputs
 * @property {Value[]} outputs
 * @property {Node[]} nodes
 * @property {Map<string, Constant>} constants
 *
 * @typedef {Float32Array | Float64Array | Int32Array | Uint8Array} Data  The numbers of a tensor, the last dimension
 *     running fastest: float32, int64, int32, and uint8 or bool (0 and 1). An int64 is a double, exact up to 2^53.
 */

// TensorProto.DataType
export const FLOAT32 = 1;
export const UINT8 = 2;
export const INT32 = 6;
export const INT64 = 7;
export const BOOL = 9;
export const FLOAT16 = 10;

/** @type {Record<number, {name: string, bytes: number, field: string}>} */
const TYPES = {
  [FLOAT32]: { name: "float32", bytes: 4, field: "floats" },
  [UINT8]: { name: "uint8", bytes: 1, field: "int32s" },
  [INT32]: { name: "int32", bytes: 4, field: "int32s" },
  [INT64]: { name: "int64", bytes: 8, field: "int64s" },
  [BOOL]: { name: "bool", bytes: 1, field: "int32s" },
  [FLOAT16]: { name: "float16", bytes: 2, field: "int32s" },
};

// Of onnx/onnx-ml.proto, what is read: in each message a field's number, its name here, and what it holds. A "*" stands
// for a repeated field, "refused" for what no bundle may have.
/** @type {Record<string, Record<number, string>>} */
const MESSAGES = {
  Model: { 7: "graph Graph", 8: "opsets OperatorSet*", 20: "training refused", 25: "function refused" },
  OperatorSet: { 1: "domain text", 2: "version int" },
  Graph: {
    1: "nodes Node*", 5: "tensors Tensor*", 11: "inputs Value*", 12: "outputs Value*", 15: "sparse_tensor refused",
  },
  Node: { 1: "inputs text*", 2: "outputs text*", 4: "operator text", 5: "attributes Attribute*", 7: "domain text" },
  Attribute: {
    1: "name text", 2: "f float", 3: "i int", 4: "s text", 5: "tensor refused", 6: "subgraph refused", 7: "floats float*",
    8: "ints int*", 11: "subgraphs refused", 20: "type int", 22: "sparse_tensor refused", 23: "sparse_tensors refused",
  },
  Tensor: {
    1: "shape int*", 2: "type int", 4: "floats float*", 5: "int32s int*", 7: "int64s int*", 8: "name text", 9: "raw bytes",
    13: "external_data refused", 14: "location int",
  },
  Value: { 1: "name text", 2: "type Type" },
  Type: { 1: "tensor TensorType" },
  TensorType: { 1: "type int", 2: "shape Shape" },
  Shape: { 1: "dimensions Dimension*" },
  Dimension: { 1: "length int", 2: "free text" },
};
/** @type {Record<number, string>} */
const ATTRIBUTES = { 1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints" }; // by AttributeProto.type: the field of the value

const VARINT = 0; // wire types
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/**
 * Read the model in the bytes of an ONNX file.
 *
 * @param {Uint8Array} bytes  The file; constants are views of it.
 * @returns {Graph}
 * @throws {BundleError}  It is no ONNX model, is damaged, or has a part that no bundle may have.
 */
export function readModel(bytes) {
  const { graph, opsets } = read(new Reader(bytes), "Model");
  if (!graph) throw damaged("there is no graph in it");
  const constants = new Map(graph.tensors.map((/** @type {any} */ tensor) => [tensor.name, toConstant(tensor)]));
  if (constants.size < graph.tensors.length) throw damaged("two of its tensors have one name");
  return {
    opset: opsets.find((/** @type {any} */ each) => !each.domain)?.version ?? 0,
    inputs: graph.inputs.map(toValue),
    outputs: graph.outputs.map(toValue),
    nodes: graph.nodes.map(toNode),
    constants,
  };
}

/**
 * Return the numbers of a constant; those of float16 as float32.
 *
 * @param {Constant} constant
 * @returns {Data}
 */
export function decode({ type, stored }) {
  if (stored instanceof Uint8Array) {
    const { buffer } = new Uint8Array(stored); // a copy, for the other arrays may not start at any byte
    if (type === FLOAT32) return new Float32Array(buffer);
    if (type === FLOAT16) return halves(new Uint16Array(buffer));
    if (type === INT64) return Float64Array.from(new BigInt64Array(buffer), Number);
    return type === INT32 ? new Int32Array(buffer) : new Uint8Array(buffer);
  }
  if (type === FLOAT16) return halves(Uint16Array.from(stored));
  return { [FLOAT32]: Float32Array, [INT64]: Float64Array, [INT32]: Int32Array }[type]?.from(stored) ?? Uint8Array.from(stored);
}

/**
 * Return the numbers that have these bits in float16.
 *
 * @param {Uint16Array} bits
 * @returns {Float32Array}
 */
function halves(bits) {
  const numbers = new Float32Array(bits.length);
  const words = new Uint32Array(numbers.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i];
    // Sign and digits go where float32 has them; its exponent counts from 112 below. So even the least numbers come out
    // right. In infinities and what is no number, all bits of the exponent are set in both.
    words[i] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13) | ((half & 0x7c00) === 0x7c00 ? 0x7f800000 : 0);
  }
  for (let i = 0; i < numbers.length; i++) numbers[i] *= 2 ** 112;
  return numbers;
}

/**
 * @param {any} tensor
 * @returns {Constant}
 */
function toConstant(tensor) {
  const { type, shape } = tensor;
  const { bytes, field } = known(type);
  if (tensor.location) throw new BundleError(`tensor ${quoted(tensor.name)} is kept outside of its file`);
  const stored = tensor.raw ?? tensor[field];
  const held = tensor.raw ? stored.length / bytes : stored.length;
  if (held !== size(shape)) throw damaged(`tensor ${quoted(tensor.name)} holds not as many values as its shape says`);
  return { type, shape, stored };
}

/**
 * @param {any} value
 * @returns {Value}
 */
function toValue({ name, type }) {
  if (!type?.tensor?.shape) throw damaged(`${quoted(name)}, which it takes or returns, is no tensor with a shape`);
  const shape = type.tensor.shape.dimensions.map((/** @type {any} */ { free, length }) => free || length);
  return { name, type: known(type.tensor.type).name, shape };
}

/**
 * @param {any} node
 * @returns {Node}
 */
function toNode({ domain, operator, inputs, outputs, attributes }) {
  const named = attributes.map((/** @type {any} */ attribute) => {
    const field = ATTRIBUTES[attribute.type];
    if (!field) throw new BundleError(`attribute ${quoted(attribute.name)} of a ${operator} has a type that is not read`);
    return [attribute.name, attribute[field]];
  });
  const spelt = domain && domain !== "ai.onnx" ? `${domain}:${operator}` : operator;
  return { operator: spelt, inputs, outputs, attributes: Object.fromEntries(named) };
}

/** @param {number} type */
function known(type) {
  if (TYPES[type]) return TYPES[type];
  const names = Object.values(TYPES).map(({ name }) => name);
  throw new BundleError(`tensors have ONNX's type ${type}; choose from ${names.join(", ")}`);
}

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
 * Return a message as an object: [] for a repeated field that is not there, 0 or "" for a number or a text.
 *
 * @param {Reader} reader
 * @param {string} kind  A name of MESSAGES.
 * @returns {any}
 */
function read(reader, kind) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const field of Object.values(MESSAGES[kind])) {
    const [name, holds] = field.split(" ");
    if (holds.endsWith("*")) found[name] = [];
    else if (holds === "text" || holds === "int" || holds === "float") found[name] = holds === "text" ? "" : 0;
  }
  while (!reader.done) {
    const [number, wire] = reader.tag();
    const [name, holds] = MESSAGES[kind][number]?.split(" ") ?? ["", ""];
    if (holds === "refused") throw new BundleError(`it has what no bundle may have: ${kind}.${name}`);
    const one = holds.replace("*", "");
    if (holds === "") reader.skip(wire);
    else if (one === holds) found[name] = reader.value(wire, one);
    else if (wire === BYTES && (one === "int" || one === "float")) found[name].push(...reader.run(one));
    else found[name].push(reader.value(wire, one));
  }
  return found;
}

/** Reads bytes from the first to the last, and never beyond. */
class Reader {
  #bytes;
  #view;
  #at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done() {
    return this.#at === this.#bytes.length;
  }

  /** Return the number of the next field, and its wire type. */
  tag() {
    const tag = this.#varint();
    if (tag < 8 || tag >= 2 ** 32) throw damaged("a field has a number that cannot be");
    return [Math.floor(tag / 8), tag % 8];
  }

  /** @param {number} wire  The type of a value to pass over. */
  skip(wire) {
    if (wire === VARINT) this.#varint();
    else if (wire === BYTES) this.#take(this.#varint());
    else if (wire === FIXED32 || wire === FIXED64) this.#take(wire === FIXED32 ? 4 : 8);
    else throw damaged(`a field has wire type ${wire}`);
  }

  /**
   * @param {number} wire
   * @param {string} holds  "int", "float", "text", "bytes" or a message.
   * @returns {any}
   */
  value(wire, holds) {
    if (wire !== (holds === "int" ? VARINT : holds === "float" ? FIXED32 : BYTES)) {
      throw damaged(`wire type ${wire} where ${holds} is expected`);
    }
    if (holds === "int") return this.#varint();
    if (holds === "float") return this.#view.getFloat32(this.#step(4), true);
    const bytes = this.#take(this.#varint());
    if (holds === "text") return new TextDecoder().decode(bytes);
    return holds === "bytes" ? bytes : read(new Reader(bytes), holds);
  }

  /** @param {string} holds  "int" or "float", of which there are many in a row. */
  run(holds) {
    const reader = new Reader(this.#take(this.#varint()));
    const numbers = [];
    while (!reader.done) numbers.push(reader.value(holds === "int" ? VARINT : FIXED32, holds));
    return numbers;
  }

  /** Return a signed integer of 64 bits. */
  #varint() {
    let value = 0n;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#step(1)];
      value |= BigInt(byte & 0x7f) << BigInt(shift);
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw damaged("a number takes more than ten bytes");
  }

  /** @param {number} length */
  #take(length) {
    const start = this.#step(length);
    return this.#bytes.subarray(start, start + length);
  }

  /**
   * Return where the next bytes start, and go behind them.
   *
   * @param {number} length
   */
  #step(length) {
    if (length < 0 || length > this.#bytes.length - this.#at) throw damaged("it ends before it should");
    this.#at += length;
    return this.#at - length;
  }
}

/** @param {string} reason */
function damaged(reason) {
  return new BundleError(`no ONNX file, or a damaged one: ${reason}`);
}
