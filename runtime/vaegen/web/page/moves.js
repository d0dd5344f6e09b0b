/** Moves through a latent space that stay where digits are legible: clamped coordinates, codes that stay codes. */

import { clamp } from "./math.js";
import { toHsv } from "./shades.js";

/** @typedef {import("./latent.js").Spec} Spec */

/**
 * A part of a latent: a coordinate, or a categorical with its classes.
 *
 * @typedef {object} Part
 * @property {string} name
 * @property {number} at     Its first place in the latent.
 * @property {number} width  Places: 1 for a coordinate, K for a categorical.
 * @property {"hue" | "saturation" | "value" | "digit" | "shape"} role  What it says; "hue 1" is of the hue too.
 */

const FURTHEST = 4; // standard deviations; no digit of the training data is further out
const SHARP = 2; // Gumbel-Softmax at the temperature 0.5, as in training, raises shares to this power
const SPREAD = 0.7; // how far apart the codes of a blend change over, in logarithms of shares

/**
 * Return the parts of a model's latents, in their order.
 *
 * @param {Spec} spec
 * @returns {Part[]}
 */
export function partsOf({ latent: { continuous, categorical: [, classes], names } }) {
  return [
    ...names.continuous.map((name, at) => ({ name, at, width: 1, role: role(name) })),
    ...names.categorical.map((name, at) =>
      ({ name, at: continuous + at * classes, width: classes, role: role(name) })),
  ];
}

/**
 * Return a latent that decodes well, from one that was moved along a straight line: shapes within FURTHEST, saturation
 * and value between 0 and 1, the shares of each code 0 or more, sharpened, and 1 in all.
 *
 * @param {ArrayLike<number>} moved (L,), one-hots taken as coordinates.
 * @param {Spec} spec
 * @returns {Float32Array} (L,)
 */
export function settle(moved, spec) {
  const result = Float32Array.from(moved);
  for (const part of partsOf(spec)) {
    if (part.width > 1) sharpen(result.subarray(part.at, part.at + part.width));
    else result[part.at] = bounded(result[part.at], part.role);
  }
  return result;
}

/**
 * Return a number that a coordinate can have: hues turn without end, the others have ends.
 *
 * @param {number} value
 * @param {Part["role"]} role
 */
export function bounded(value, role) {
  if (role === "hue") return value;
  return role === "saturation" || role === "value" ? clamp(value, 0, 1) : clamp(value, -FURTHEST, FURTHEST);
}

/**
 * Return a function from weights to the blend of some latents; a weight of 1 gives that latent itself.
 *
 * Coordinates are averaged; a hue takes the shorter way around, and counts as much as it is seen: gray has none.
 * Codes change over one after the other, each at a place of its own: half of many codes is no handwriting. Those of the
 * color change together.
 *
 * @param {ArrayLike<number>[]} ends m latents (L,).
 * @param {Spec} spec
 * @returns {(weights: number[]) => Float32Array} From m weights, 0 or more, 1 in all.
 */
export function blender(ends, spec) {
  const parts = partsOf(spec);
  const coordinate = (/** @type {string} */ which) => parts.find((part) => part.width === 1 && part.role === which);
  const [hue, saturation] = [coordinate("hue"), coordinate("saturation")];
  const latents = ends.map((end) => Float32Array.from(end));
  if (hue) {
    const first = latents[0][hue.at];
    for (const latent of latents) latent[hue.at] -= Math.round(latent[hue.at] - first);
  }
  return (weights) => {
    const result = new Float32Array(latents[0].length);
    for (const part of parts) {
      const shares = weights.map((weight, end) => {
        if (part === hue && saturation) return weight * (1e-6 + Math.max(0, latents[end][saturation.at]));
        const plain = part.width === 1 || part.role !== "shape";
        return plain ? weight : (weight * Math.exp(SPREAD * scatter(part.at, end))) ** SHARP;
      });
      const whole = shares.reduce((sum, share) => sum + share, 0);
      for (let at = part.at; at < part.at + part.width; at++) {
        result[at] = latents.reduce((sum, latent, end) => sum + (shares[end] / whole) * latent[at], 0);
      }
    }
    return result;
  };
}

/**
 * Return a latent with the color of another.
 *
 * @param {ArrayLike<number>} latent (L,)
 * @param {ArrayLike<number>} from (L,), of the color wanted.
 * @param {Spec} spec
 * @returns {Float32Array | null} null where the model has no parts for the color alone.
 */
export function recolored(latent, from, spec) {
  const colors = partsOf(spec).filter((part) => part.role !== "shape" && part.role !== "digit");
  if (!colors.length) return null;
  const result = Float32Array.from(latent);
  for (const { at, width } of colors) {
    for (let place = at; place < at + width; place++) result[place] = from[place];
  }
  return result;
}

/**
 * Return a color by the names of its latents.
 *
 * @param {ArrayLike<number>} rgb 0 to 255 each
 */
export function asLatents(rgb) {
  const { hue, saturation, value } = toHsv(rgb);
  return { hue: hue / 360, saturation, value };
}

/**
 * Return the class with the largest share.
 *
 * @param {ArrayLike<number>} latent
 * @param {Part} part A categorical.
 */
export function classOf(latent, part) {
  let best = 0;
  for (let which = 1; which < part.width; which++) {
    if (latent[part.at + which] > latent[part.at + best]) best = which;
  }
  return best;
}

/**
 * Return a latent with another class in a categorical, or another number in a coordinate.
 *
 * @param {ArrayLike<number>} latent
 * @param {Part} part
 * @param {number} value
 * @returns {Float32Array}
 */
export function withPart(latent, part, value) {
  const result = Float32Array.from(latent);
  if (part.width === 1) result[part.at] = bounded(value, part.role);
  else for (let which = 0; which < part.width; which++) result[part.at + which] = Number(which === value);
  return result;
}

/**
 * Return latents as one batch.
 *
 * @param {Float32Array[]} latents n of them, (L,) each.
 * @returns {Float32Array} (n, L)
 */
export function stacked(latents) {
  const size = latents[0].length;
  const all = new Float32Array(size * latents.length);
  latents.forEach((latent, at) => all.set(latent, at * size));
  return all;
}

/** @param {string} name @returns {Part["role"]} */
function role(name) {
  const stem = name.replace(/ \d+$/, "");
  return stem === "hue" || stem === "saturation" || stem === "value" || stem === "digit" ? stem : "shape";
}

/** @param {Float32Array} shares Of one code, changed in place. */
function sharpen(shares) {
  let sum = 0;
  for (let at = 0; at < shares.length; at++) sum += shares[at] = Math.max(0, shares[at]) ** SHARP;
  for (let at = 0; at < shares.length; at++) shares[at] = sum > 0 ? shares[at] / sum : 1 / shares.length;
}

/** Return a number from -1 to 1 that looks drawn at random. @param {number} at @param {number} end */
function scatter(at, end) {
  let bits = Math.imul(at + 1, 0x9e3779b1) ^ Math.imul(end + 1, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  return ((bits ^ (bits >>> 12)) >>> 0) / 2 ** 31 - 1;
}
