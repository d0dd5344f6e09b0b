/** Checks of single values that calls are given, in Python's words. */

import { RequestError, general, quoted } from "./errors.js";
import { CHANNELS, PIXELS, SIDE } from "./spec.js";

/** @typedef {number | bigint} Integer  A safe integer, or a BigInt. */

export const MAX_LATENT = 1e6; // far outside any latent space, and far from where float32 arithmetic overflows

/**
 * Return the entries of an iterable; whatever else there is, a text or a set among it, is its own only entry.
 *
 * @param {any} value  Anything.
 * @returns {unknown[]}
 */
export function entriesOf(value) {
  const isRow = typeof value === "object" && value !== null && Symbol.iterator in value;
  return isRow && !(value instanceof Set) && !(value instanceof Map) ? [...value] : [value];
}

/**
 * Check that a call has no options but those that it knows.
 *
 * @param {unknown} options  As the call has them.
 * @param {string[]} names  Those it knows.
 * @throws {RequestError} It has others, or they are no object.
 */
export function checkOptions(options, names) {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new RequestError(`options ${quoted(options)} are not usable; give an object such as { ${names[0]}: ... }`);
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    throw new RequestError(`unknown option ${quoted(name)}; choose from ${names.join(", ")}`);
  }
}

/**
 * Return an integer from `least` to `most`.
 *
 * @param {string} name  What it is.
 * @param {unknown} value  As the call has it.
 * @param {bigint} least  Smallest.
 * @param {bigint} most  Largest.
 * @returns {bigint}
 * @throws {RequestError} It is something else, or a number so large that it may have been rounded.
 */
export function checkInteger(name, value, least, most) {
  const isInteger = typeof value === "bigint" || Number.isInteger(value);
  const whole = isInteger ? BigInt(/** @type {Integer} */ (value)) : null;
  if (whole === null || whole < least || whole > most) {
    throw new RequestError(`${name} ${quoted(value)} is not usable; choose an integer from ${least} to ${most}`);
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new RequestError(`${name} ${value} may have been rounded; above 2**53 - 1 give a BigInt, such as ${whole}n`);
  }
  return whole;
}

/**
 * Return a small integer from `least` to `most`, as a number.
 *
 * @param {string} name  What it is.
 * @param {unknown} value  As the call has it.
 * @param {number} least  Smallest.
 * @param {number} most  Largest.
 * @returns {number}
 * @throws {RequestError} It is something else.
 */
export function checkSmall(name, value, least, most) {
  return Number(checkInteger(name, value, BigInt(least), BigInt(most)));
}

/**
 * Return a number from `least` to `most`.
 *
 * @param {string} name  What it is.
 * @param {unknown} value  As the call has it.
 * @param {number} least  Smallest.
 * @param {number} most  Largest.
 * @param {string} [unit]  Of the number.
 * @returns {number}
 * @throws {RequestError} It is something else.
 */
export function checkNumber(name, value, least, most, unit = "") {
  const isNumber = typeof value === "number" || typeof value === "bigint";
  if (!isNumber || !(least <= value && value <= most)) {
    const choices = `a number from ${general(least)} to ${general(most)} ${unit}`.trimEnd();
    throw new RequestError(`${name} ${quoted(value)} is not usable; choose ${choices}`);
  }
  return Number(value);
}

/**
 * Return images as the library takes them.
 *
 * @param {unknown} images  As the call has them.
 * @returns {Uint8Array | Uint8ClampedArray} (n * 28 * 28 * 3).
 * @throws {RequestError} They have another type or length.
 */
export function checkImages(images) {
  if (!(images instanceof Uint8Array || images instanceof Uint8ClampedArray)) {
    throw new RequestError(`images are ${kindOf(images)}; they must be a Uint8Array, 0 to 255`);
  }
  if (images.length % PIXELS) {
    const hint = images.length % (SIDE * SIDE * 4) ? "" : "; leave out the alpha of a canvas";
    const must = `it must be n * ${SIDE} * ${SIDE} * ${CHANNELS}`;
    throw new RequestError(`images have length ${images.length}; ${must}${hint}`);
  }
  return images;
}

/**
 * Return latents as the graphs take them.
 *
 * @param {unknown} latents  As the call has them: floats of any width.
 * @param {number} size  L.
 * @returns {Float32Array} (n * L).
 * @throws {RequestError} They are no numbers, have another length, or one is not within MAX_LATENT.
 */
export function checkLatents(latents, size) {
  const isPlain = Array.isArray(latents) && latents.every((value) => typeof value === "number");
  if (!isPlain && !(latents instanceof Float32Array || latents instanceof Float64Array)) {
    throw new RequestError(`latents are ${kindOf(latents)}; they must be a Float32Array`);
  }
  const numbers = /** @type {ArrayLike<number>} */ (latents);
  if (numbers.length % size) {
    throw new RequestError(`latents have length ${numbers.length}; it must be n * ${size}`);
  }
  checkFinite("latents", numbers);
  return latents instanceof Float32Array ? latents : Float32Array.from(numbers);
}

/**
 * Check that all numbers of an array are within MAX_LATENT.
 *
 * @param {string} name  What they are.
 * @param {ArrayLike<number>} numbers  Any.
 * @throws {RequestError} One is not.
 */
export function checkFinite(name, numbers) {
  for (let at = 0; at < numbers.length; at++) {
    if (Math.abs(numbers[at]) <= MAX_LATENT) continue; // which NaN is not
    throw new RequestError(`${name} must be finite numbers within ${general(MAX_LATENT)}; at least one is not`);
  }
}

/**
 * Return the type of a value in words.
 *
 * @param {unknown} value  Anything.
 * @returns {string}
 */
function kindOf(value) {
  const isObject = typeof value === "object" && value !== null;
  return isObject ? `of type ${value.constructor?.name ?? "Object"}` : quoted(value);
}
