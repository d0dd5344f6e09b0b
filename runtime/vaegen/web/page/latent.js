/** Latents as text, in the spelling of `vaegen decode --latent`. */

import { MAX_LATENT } from "../checks.js";

/** @typedef {{ continuous: string[], categorical: string[] }} Names of each coordinate and each categorical */

/**
 * @typedef {object} Spec what a model is: "model" in its manifest
 * @property {string} name
 * @property {{ continuous: number, categorical: [number, number], names: Names }} latent
 * @property {number} prior_temperature
 * @property {{ slant: number[], thickness: number[] } | null} style
 */

/** @type {(spec: Spec) => number} the numbers in a latent */
export const sizeOf = ({ latent: { continuous, categorical: [n, k] } }) => continuous + n * k;

/** @type {(value: number) => string} the shortest text that is this float32 again */
function spellNumber(value) {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

/**
 * Write a latent: the coordinates, then after a semicolon the class of each categorical; or all numbers, where a
 * categorical is no one-hot.
 * @param {Float32Array} latent L numbers
 * @param {Spec} spec
 */
export function spellLatent(latent, spec) {
  const { continuous, categorical: [n, k] } = spec.latent;
  const spell = (/** @type {Float32Array} */ part) => Array.from(part, spellNumber).join(",");
  const classes = [];
  for (let at = continuous; at < latent.length; at += k) {
    const code = latent.subarray(at, at + k);
    const place = code.indexOf(1);
    if (place < 0 || code.some((value, other) => other !== place && value !== 0)) return spell(latent);
    classes.push(place);
  }
  return spell(latent.subarray(0, continuous)) + (n ? `;${classes.join(",")}` : "");
}

/**
 * Read what `spellLatent` writes.
 * @param {string} text
 * @param {Spec} spec
 * @returns {Float32Array} L numbers
 */
export function parseLatent(text, spec) {
  const { continuous, categorical: [n, k] } = spec.latent;
  const [left, right, ...rest] = text.split(";");
  const place = (/** @type {string} */ part) => (/^\d{1,4}$/.test(part) ? Number(part) : k);
  const numbers = left === "" ? [] : left.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  const classes = right === undefined ? [] : right.split(",").map(place);
  const size = right === undefined && n ? sizeOf(spec) : continuous;
  const fits = !rest.length && numbers.length === size && (right === undefined || classes.length === n);
  if (!fits || !numbers.every((value) => Math.abs(value) <= MAX_LATENT) || !classes.every((one) => one < k)) {
    throw new Error(`The link's latent does not fit the model ${spec.name}.`);
  }
  const latent = new Float32Array(sizeOf(spec));
  latent.set(numbers);
  classes.forEach((one, index) => void (latent[continuous + index * k + one] = 1));
  return latent;
}
