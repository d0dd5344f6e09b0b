/** The manifest that travels in every bundle, and the tensors that the graphs of a model have. */

import { BundleError, quoted, shown } from "./errors.js";
import { sha256 } from "./sha256.js";
import { CHANNELS, DIGITS, SIDE, integer, list, part, readSpec, text } from "./spec.js";

/** @typedef {import("./spec.js").Part} Part */
/** @typedef {import("./spec.js").ModelSpec} ModelSpec */
/** @typedef {"encoder" | "sampler" | "prior" | "decoder" | "judge"} GraphName */

/**
 * One input or output of a graph.
 *
 * @typedef {object} TensorSpec
 * @property {string} dtype  "float32", "int64", "uint8" or "bool".
 * @property {(number | "n")[]} shape  Sizes; "n" stands for the batch.
 */

/** @typedef {Record<string, TensorSpec>} Tensors */

/**
 * One ONNX file of a bundle.
 *
 * @typedef {object} GraphSpec
 * @property {string} file  Its name.
 * @property {string} sha256  Hexadecimal digest of its bytes.
 * @property {number} bytes  Its size.
 * @property {Tensors} inputs
 * @property {Tensors} outputs
 */

/**
 * What this library reads of `manifest.json`; the object holds all of it.
 *
 * @typedef {object} Manifest
 * @property {2} schema
 * @property {Part} model  As `ModelSpec` has it, with Python's names.
 * @property {Record<GraphName, GraphSpec>} graphs
 * @property {Part} quality  Figures of `vaegen evaluate`; empty where nobody measured the bundle.
 */

/** @type {GraphName[]} */
export const GRAPHS = ["encoder", "sampler", "prior", "decoder", "judge"];

const SCHEMA = 2;
const MAX_WIDTH = 2 ** 16; // latent coordinates or uniforms per item

/**
 * Read a manifest and check that its graphs fit its model.
 *
 * @param {string} json  The file's text.
 * @returns {{manifest: Manifest, spec: ModelSpec}}
 * @throws {BundleError} It is not a manifest, has a schema this version cannot read, or does not fit together.
 */
export function readManifest(json) {
  /** @type {unknown} */
  let data;
  try {
    data = JSON.parse(json);
  } catch (error) {
    throw new BundleError(`manifest: not valid JSON (${/** @type {Error} */ (error).message})`, { cause: error });
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new BundleError("manifest: the top level must be a JSON object");
  }
  checkTexts(data);
  const whole = /** @type {Part} */ (data);
  const schema = integer(whole, "schema", "manifest");
  if (schema !== SCHEMA) {
    throw new BundleError(
      schema === 1
        ? "it was exported by vaegen 0.1; export the run again with vaegen export, or train it again"
        : `manifest: schema ${schema} is not readable here; this vaegen reads schema ${SCHEMA}`,
    );
  }
  const graphs = part(whole, "graphs", "manifest");
  const [names, wanted] = [Object.keys(graphs), [...GRAPHS]].map((keys) => quoted(keys.sort()));
  if (names !== wanted) throw new BundleError(`manifest: graphs are ${names}; they must be ${wanted}`);
  const spec = readSpec(part(whole, "model", "manifest"));
  for (const name of GRAPHS) checkGraph(part(graphs, name, "graphs"), name);
  const manifest = /** @type {Manifest} */ (data);
  checkTensors(manifest, spec);
  part(whole, "quality", "manifest");
  return { manifest, spec };
}

/**
 * Return what stands for the weights: SHA-256 in hex of the five checksums of the graphs in hex, one after another.
 *
 * @param {Manifest} manifest  Of the model.
 */
export function identityOf({ graphs }) {
  return sha256(new TextEncoder().encode(GRAPHS.map((name) => graphs[name].sha256).join("")));
}

/**
 * Return S, the uniforms per item that "sampler" or "prior" takes.
 *
 * @param {Manifest} manifest  Of the model.
 * @param {"sampler" | "prior"} graph  Which of them.
 * @returns {number}
 * @throws {BundleError} The manifest gives its input `uniform` no usable shape.
 */
export function uniforms(manifest, graph) {
  const shape = manifest.graphs[graph].inputs.uniform?.shape ?? null;
  const size = shape?.length === 2 ? shape[1] : "n";
  if (size !== "n" && size <= MAX_WIDTH) return size;
  throw new BundleError(`manifest: ${graph}.inputs.uniform has shape ${quoted(shape)}; it must be ["n", S]`);
}

/**
 * Check that the tensors of all graphs are those that the model asks for.
 *
 * @param {Manifest} manifest  Of the model.
 * @param {ModelSpec} spec  Of the model.
 * @throws {BundleError} One is missing, surplus, or of another type or shape.
 */
function checkTensors(manifest, spec) {
  const { continuous, categorical, size } = spec.latent;
  if (size > MAX_WIDTH) throw new BundleError(`manifest: latents of ${size} coordinates; the most is ${MAX_WIDTH}`);
  const image = { image: floats(CHANNELS, SIDE, SIDE) };
  const latent = { latent: floats(size) };
  /** @type {Tensors} */
  const posterior = {};
  if (continuous) posterior.mean = posterior.log_variance = floats(continuous);
  if (categorical[0]) posterior.logits = floats(...categorical);
  const asked = { digit: tensor("int64", "n"), rgb: floats(CHANNELS) };
  const noise = { uniform: floats(uniforms(manifest, "prior")), temperature: tensor("float32") };
  const verdict = {
    probabilities: floats(DIGITS),
    probability: floats(),
    read: tensor("int64", "n"),
    color: floats(CHANNELS),
    color_error: floats(),
    realism: floats(),
    accepted: tensor("bool", "n"),
    rank: floats(),
  };
  /** @type {Record<GraphName, [Tensors, Tensors]>} */
  const wanted = {
    encoder: [image, { ...latent, ...posterior }],
    sampler: [{ ...posterior, uniform: floats(uniforms(manifest, "sampler")) }, latent],
    prior: [{ ...asked, ...noise, ...(spec.style ? { style: floats(2) } : {}) }, latent],
    decoder: [latent, { ...image, pixels: tensor("uint8", "n", SIDE, SIDE, CHANNELS) }],
    judge: [{ ...image, ...asked }, verdict],
  };
  for (const name of GRAPHS) {
    compare(`manifest: ${name}.inputs`, manifest.graphs[name].inputs, wanted[name][0]);
    compare(`manifest: ${name}.outputs`, manifest.graphs[name].outputs, wanted[name][1]);
  }
}

/**
 * Check that two sets of tensors are the same; their order is free.
 *
 * @param {string} where  They are found.
 * @param {Tensors} found  What there is.
 * @param {Tensors} wanted  What there must be.
 * @throws {BundleError} They differ; the message names the first difference.
 */
export function compare(where, found, wanted) {
  const [these, those] = [new Map(Object.entries(found)), new Map(Object.entries(wanted))];
  for (const name of [...new Set([...these.keys(), ...those.keys()])].sort()) {
    const [is, must] = [inWords(these.get(name)), inWords(those.get(name))];
    if (is !== must) throw new BundleError(`${where} ${name} is ${is}; it must be ${must}`);
  }
}

/** @param {TensorSpec | undefined} spec  Of one tensor. */
function inWords(spec) {
  return spec ? `${spec.dtype} (${spec.shape.join(", ")})` : "absent";
}

/** @param {...number} sizes  Of a row. */
function floats(...sizes) {
  return tensor("float32", "n", ...sizes);
}

/** @param {string} dtype @param {...(number | "n")} shape @returns {TensorSpec} */
function tensor(dtype, ...shape) {
  return { dtype, shape };
}

/** @param {Part} data @param {string} name */
function checkGraph(data, name) {
  const file = text(data, "file", name);
  if (file !== `${name}.onnx`) {
    throw new BundleError(`manifest: ${name}.file is ${quoted(file)}; it must be ${quoted(`${name}.onnx`)}`);
  }
  text(data, "sha256", name);
  integer(data, "bytes", name);
  for (const side of ["inputs", "outputs"]) {
    const tensors = part(data, side, name);
    for (const key of Object.keys(tensors)) {
      const entry = part(tensors, key, `${name}.${side}`);
      const shape = list(entry, "shape", `${name}.${side}.${key}`);
      if (!shape.every((size) => size === "n" || (Number.isInteger(size) && Number(size) > 0))) {
        const must = 'sizes are positive integers or "n"';
        throw new BundleError(`manifest: ${name}.${side}.${key}.shape is ${quoted(shape)}; ${must}`);
      }
      text(entry, "dtype", `${name}.${side}.${key}`);
    }
  }
}

/** @param {unknown} data  Of which every text must be printable: people are shown names, versions and figures. */
function checkTexts(data) {
  const todo = [data];
  while (todo.length) {
    const value = todo.pop();
    if (typeof value === "string" && shown(value) !== value) {
      throw new BundleError(`manifest: it holds ${quoted([...value].slice(0, 40).join(""))}, which cannot be printed`);
    }
    if (typeof value === "object" && value !== null) todo.push(...Object.values(value));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) todo.push(...Object.keys(value));
  }
}
