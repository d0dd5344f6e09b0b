/**
 * The ONNX models of a bundle, read from their protobuf without a library.
 *
 * What only people or other tools need (documentation, names of nodes, inferred shapes) is skipped. What the engine
 * could not honour is refused: external and sparse tensors, functions, subgraphs. Nothing is allocated for what a file
 * declares before its bytes are there.
 */

import { BundleError, quoted } from "./errors.js";
import { Reader, damaged } from "./protobuf.js";
import { size, small } from "./shapes.js";

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

// Of onnx/onnx-ml.proto, what is read: by message and number of field, its name here and what it holds. A "*" stands
// for a repeated field, "refused" for what no bundle may have.
/** @type {Record<string, Record<number, string>>} */
const MESSAGES = {
  Model: { 7: "graph Graph", 8: "opsets OperatorSet*", 20: "training refused", 25: "function refused" },
  OperatorSet: { 1: "domain text", 2: "version int" },
  Graph: { 1: "nodes Node*", 5: "tensors Tensor*", 11: "inputs Value*", 12: "outputs Value*", 15: "sparse refused" },
  Node: { 1: "inputs text*", 2: "outputs text*", 4: "operator text", 5: "attributes Attribute*", 7: "domain text" },
  Attribute: {
    1: "name text", 2: "f float", 3: "i int", 4: "s text", 7: "floats float*", 8: "ints int*", 20: "type int",
  },
  Tensor: {
    1: "shape int*", 2: "type int", 4: "floats float*", 5: "int32s int*", 7: "int64s int*", 8: "name text",
    9: "raw bytes", 13: "external refused", 14: "external int",
  },
  Value: { 1: "name text", 2: "type Type" },
  Type: { 1: "tensor TensorType" },
  TensorType: { 1: "type int", 2: "shape Shape" },
  Shape: { 1: "dimensions Dimension*" },
  Dimension: { 1: "length int", 2: "free text" },
};
const FIELDS = new Map(Object.entries(MESSAGES).map(([message, fields]) => [message, toFields(fields)]));
/** @type {Record<string, unknown>} */
const ABSENT = { int: 0, float: 0, text: "" };
/** @type {Record<number, string>} */
const ATTRIBUTES = { 1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints" }; // by AttributeProto.type: the field of the value

/**
 * Read the model in the bytes of an ONNX file.
 *
 * @param {Uint8Array} bytes  The file; constants are views of it.
 * @returns {Graph}
 * @throws {BundleError}  It is no ONNX model, is damaged, or has a part that no bundle may have.
 */
export function readModel(bytes) {
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length); // a Buffer of Node is slow
  const { graph, opsets } = read(plain, "Model");
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
  if (type === FLOAT32) return Float32Array.from(stored);
  if (type === INT64) return Float64Array.from(stored);
  return type === INT32 ? Int32Array.from(stored) : Uint8Array.from(stored);
}

/** @type {Float32Array | undefined} */
let float16; // all numbers of it, by their bits

/**
 * Return the numbers that have these bits in float16.
 *
 * @param {Uint16Array} bits
 * @returns {Float32Array}
 */
function halves(bits) {
  const known = (float16 ??= allHalves());
  const numbers = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) numbers[i] = known[bits[i]];
  return numbers;
}

function allHalves() {
  const numbers = new Float32Array(2 ** 16);
  const words = new Uint32Array(numbers.buffer);
  // Sign and digits go where float32 has them, and its exponent counts from 112 below; so even the least numbers come
  // out right. Infinity, and what is no number, has all bits of the exponent in both.
  for (let half = 0; half < 2 ** 16; half++) {
    words[half] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13) | ((half & 0x7c00) === 0x7c00 ? 0x7f800000 : 0);
  }
  for (let half = 0; half < 2 ** 16; half++) numbers[half] *= 2 ** 112;
  return numbers;
}

/**
 * @param {any} tensor
 * @returns {Constant}
 */
function toConstant(tensor) {
  const { type, shape } = tensor;
  const { bytes, field } = known(type);
  if (tensor.external) throw new BundleError(`tensor ${quoted(tensor.name)} is kept outside of its file`);
  const stored = tensor.raw ?? tensor[field];
  const held = tensor.raw ? stored.length / bytes : stored.length;
  if (held !== size(shape) || shape.some((/** @type {number} */ n) => n < 0)) {
    throw damaged(`tensor ${quoted(tensor.name)} of shape [${shape.join(", ")}] has ${Math.floor(held)} values`);
  }
  return { type, shape: small(shape), stored };
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
    if (field) return [attribute.name, attribute[field]];
    throw new BundleError(`attribute ${quoted(attribute.name)} of ${operator} has a type that is not read`);
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

/** @param {Record<number, string>} fields */
function toFields(fields) {
  return Object.entries(fields).map(([number, field]) => {
    const [name, holds] = field.split(" ");
    return { number: Number(number), name, holds: holds.replace("*", ""), many: holds.endsWith("*") };
  });
}

/**
 * Return a message as an object: [] for a repeated field that is not there, 0 or "" for a number or a text.
 *
 * @param {Uint8Array} bytes
 * @param {string} kind  A name of MESSAGES.
 * @returns {any}
 */
function read(bytes, kind) {
  const fields = FIELDS.get(kind) ?? [];
  const reader = new Reader(bytes);
  /** @type {Record<string, any>} */
  const found = {};
  for (const { name, holds, many } of fields) found[name] = many ? [] : ABSENT[holds];
  while (!reader.done) {
    const [number, wire] = reader.tag();
    const field = fields.find((each) => each.number === number);
    if (!field) {
      reader.skip(wire);
      continue;
    }
    const { name, holds, many } = field;
    if (holds === "refused") throw new BundleError(`it has what no bundle may have: ${kind}.${name}`);
    const message = FIELDS.has(holds);
    for (const held of reader.values(wire, message ? "bytes" : holds)) {
      const value = message ? read(held, holds) : held;
      if (many) found[name].push(value);
      else found[name] = value;
    }
  }
  return found;
}
