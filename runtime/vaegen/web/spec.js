/** What a model is: its latent space and what its parts are called, what it accepts, and which handwriting it knows. */

import { BundleError, general, quoted, shown } from "./errors.js";

export const SIDE = 28; // pixels, height and width of every image
export const CHANNELS = 3; // RGB
export const PIXELS = SIDE * SIDE * CHANNELS; // 2352
export const DIGITS = 10; // classes, 0 to 9
export const NO_SLANT = 90; // degrees; it and what lies beyond stands for "not given"
export const NO_THICKNESS = 0; // pixels; it and what lies below stands for "not given"
/** Whose quantiles a manifest records. */
export const STYLE_SHARES = [0.005, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.995];

const NAMES = "1 to 64 printable characters";

/**
 * The latent space: Z Gaussian coordinates, then N one-hot categoricals of K classes.
 *
 * @typedef {object} LatentSpec
 * @property {number} continuous  Z, 0 for none.
 * @property {[number, number]} categorical  N and K, [0, 0] for none.
 * @property {number} size  L = Z + N * K, the length of one latent.
 */

/**
 * What one model is, apart from its weights.
 *
 * @typedef {object} ModelSpec
 * @property {string} name  The bundle's name, "joint" for the shipped joint model.
 * @property {string} preset  The training preset it was made with.
 * @property {"continuous" | "discrete" | "joint"} kind  Which of the three models this is.
 * @property {LatentSpec} latent
 * @property {{continuous: string[], categorical: string[]}} names  Of the coordinates and the categoricals.
 * @property {number | null} gumbelTemperature  Of the sampler; null without categoricals.
 * @property {number} priorTemperature  Default for `temperature`.
 * @property {{probability: number, colorError: number, realism: number}} thresholds  What an accepted image reaches.
 * @property {{slant: number[], thickness: number[]} | null} style  Quantiles at STYLE_SHARES; null where the prior
 *   takes no style.
 */

/** @typedef {Record<string, unknown>} Part  A part of a manifest that is an object. */

/**
 * Return what a manifest says of its model.
 *
 * @param {Part} data  Its part "model".
 * @returns {ModelSpec}
 * @throws {BundleError} A value is missing, of the wrong type or out of range.
 */
export function readSpec(data) {
  const name = text(data, "name", "model");
  if (!isName(name)) throw new BundleError(`manifest: model.name is ${quoted(name)}; it must be ${NAMES}`);
  const latent = part(data, "latent", "model");
  const categorical = list(latent, "categorical", "model.latent");
  if (categorical.length !== 2 || !categorical.every(Number.isInteger)) {
    throw new BundleError(`manifest: model.latent.categorical is ${quoted(categorical)}; it must be two integers`);
  }
  const z = integer(latent, "continuous", "model.latent");
  const [n, k] = /** @type {[number, number]} */ (categorical);
  if (z < 0 || n < 0 || k < 0 || (n === 0) !== (k === 0) || k === 1) {
    throw new BundleError(`manifest: no latent space has continuous=${z}, categorical=(${n}, ${k})`);
  }
  if (z + n * k === 0) {
    throw new BundleError("manifest: a latent space needs continuous coordinates, categoricals or both");
  }
  return {
    name,
    preset: text(data, "preset", "model"),
    kind: n === 0 ? "continuous" : z > 0 ? "joint" : "discrete",
    latent: { continuous: z, categorical: [n, k], size: z + n * k },
    names: readNames(part(latent, "names", "model.latent"), z, n),
    gumbelTemperature: data.gumbel_temperature == null ? null : positive(data, "gumbel_temperature"),
    priorTemperature: positive(data, "prior_temperature"),
    thresholds: readThresholds(part(data, "thresholds", "model")),
    style: data.style == null ? null : readStyle(part(data, "style", "model")),
  };
}

/**
 * @param {Part} data  Names of the parts of a latent.
 * @param {number} coordinates  How many there are.
 * @param {number} categoricals  How many there are.
 */
function readNames(data, coordinates, categoricals) {
  const found = [["continuous", coordinates], ["categorical", categoricals]].map(([key, count]) => {
    const where = `model.latent.names.${key}`;
    const names = list(data, String(key), "model.latent.names");
    if (names.length !== count) {
      throw new BundleError(`manifest: ${where} has ${names.length} names; it must have ${count}`);
    }
    return names.map((name) => {
      if (typeof name === "string" && isName(name) && name === name.trim() && !/[=,;]/.test(name)) return name;
      throw new BundleError(`manifest: ${where} holds ${quoted(name)}; it may be ${NAMES}, no = , ;`);
    });
  });
  const all = found.flat();
  const twice = all.find((name, at) => all.indexOf(name) < at);
  if (twice !== undefined) throw new BundleError(`manifest: model.latent.names holds ${quoted(twice)} twice`);
  return { continuous: found[0], categorical: found[1] };
}

/** @param {Part} data  What an accepted image must reach. */
function readThresholds(data) {
  return {
    probability: number(data.probability, 0, 1, "model.thresholds.probability"),
    colorError: number(data.color_error, 0, 1000, "model.thresholds.color_error"),
    realism: number(data.realism, -1000, 1000, "model.thresholds.realism"),
  };
}

/** @param {Part} data  Quantiles, which never fall. */
function readStyle(data) {
  return {
    slant: quantiles(data, "slant", -NO_SLANT, NO_SLANT),
    thickness: quantiles(data, "thickness", NO_THICKNESS, SIDE),
  };
}

/**
 * @param {Part} data  Holds the quantiles.
 * @param {string} key  Their name.
 * @param {number} least  Smallest.
 * @param {number} most  Largest.
 */
function quantiles(data, key, least, most) {
  const where = `model.style.${key}`;
  const values = list(data, key, "model.style").map((value) => number(value, least, most, where));
  if (values.length !== STYLE_SHARES.length || values.some((value, at) => value < values[at - 1])) {
    const must = `it must be ${STYLE_SHARES.length} numbers in order`;
    throw new BundleError(`manifest: ${where} is ${quoted(values)}; ${must}`);
  }
  return values;
}

/** @param {string} name  Of a model or of a part of a latent. */
function isName(name) {
  const signs = [...name];
  return signs.length > 0 && signs.length <= 64 && shown(name) === name;
}

/**
 * @param {Part} data  Holds a number.
 * @param {string} key  Its name.
 */
function positive(data, key) {
  const value = data[key];
  if (typeof value === "number" && value > 0 && value < 1000) return value;
  throw new BundleError(`manifest: model.${key} is ${quoted(value)}; it must be a positive number`);
}

/**
 * @param {unknown} value  Should be a number.
 * @param {number} least  Smallest.
 * @param {number} most  Largest.
 * @param {string} where  It is found.
 */
function number(value, least, most, where) {
  if (typeof value === "number" && value >= least && value <= most) return value;
  const choices = `a number from ${general(least)} to ${general(most)}`;
  throw new BundleError(`manifest: ${where} is ${quoted(value)}; it must be ${choices}`);
}

/**
 * Return the value of a key in a part of a manifest, if it is an object.
 *
 * @param {Part} data  The part.
 * @param {string} key  The key.
 * @param {string} where  The part's name.
 * @returns {Part}
 * @throws {BundleError} It is missing or of another type; the same goes for the three that follow.
 */
export function part(data, key, where) {
  const value = own(data, key);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return /** @type {Part} */ (value);
  throw wrongType(value, key, where, "dict");
}

/** @param {Part} data @param {string} key @param {string} where @returns {unknown[]} */
export function list(data, key, where) {
  const value = own(data, key);
  if (Array.isArray(value)) return value;
  throw wrongType(value, key, where, "list");
}

/** @param {Part} data @param {string} key @param {string} where @returns {string} */
export function text(data, key, where) {
  const value = own(data, key);
  if (typeof value === "string") return value;
  throw wrongType(value, key, where, "str");
}

/** @param {Part} data @param {string} key @param {string} where @returns {number} */
export function integer(data, key, where) {
  const value = own(data, key);
  if (Number.isInteger(value)) return /** @type {number} */ (value);
  throw wrongType(value, key, where, "int");
}

/** @param {Part} data @param {string} key */
function own(data, key) {
  return Object.hasOwn(data, key) ? data[key] : null;
}

/** @param {unknown} value @param {string} key @param {string} where @param {string} kind */
function wrongType(value, key, where, kind) {
  return new BundleError(`manifest: ${where}.${key} is ${quoted(value)}; it must be of type ${kind}`);
}
