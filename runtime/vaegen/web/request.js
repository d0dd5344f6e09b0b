/** What a call asks for, checked once at the door so that the rest can trust it. */

import { checkInteger, checkNumber, checkOptions, checkSmall, entriesOf } from "./checks.js";
import { parseColor } from "./color.js";
import { RequestError, quoted } from "./errors.js";
import { MAX_SEED } from "./noise.js";
import { CHANNELS, DIGITS, NO_SLANT, NO_THICKNESS } from "./spec.js";

/** @typedef {import("./checks.js").Integer} Integer */
/** @typedef {string | ArrayLike<Integer>} Color  A text that `parseColor` reads, or red, green and blue, 0 to 255. */
/** @typedef {Integer | Iterable<Integer>} Digits  0 to 9, or one for each image. */
/** @typedef {Color | Iterable<Color>} Colors  A color, or one for each image; many end to end in a `Uint8Array`. */
/** @typedef {number | Iterable<number>} Numbers  A number, or one for each image. */

/**
 * What `sample` and `draw` take beside digit and color. Null stands for what is left out, where it is allowed.
 *
 * @typedef {object} SampleOptions
 * @property {Integer | null} [count]  Images in all; the length of the longest sequence where it is left out.
 * @property {Integer} [seed]  0 to 2^64 - 1; 0 where it is left out.
 * @property {Integer} [start]  Image i is item start + i of the seed, whatever the count; 0 where it is left out.
 * @property {number | null} [temperature]  Of the prior, above 0: lower is surer, higher more varied.
 * @property {Integer | null} [tries]  Draws an image may take until the judge accepts it; 1 takes the first and asks no
 *   judge; 8 where it is left out.
 * @property {Integer | null} [best]  Draws of which each image is the best, by the judge's rank, in place of `tries`.
 * @property {Numbers | null} [slant]  Degrees to the right, -60 to 60.
 * @property {Numbers | null} [thickness]  Of the stroke, in pixels, 0.5 to 8.
 * @property {Integer | null} [hand]  0 to 2^64 - 1, a number for a handwriting that all images have in common.
 */

/**
 * Whose noise the rows of a call get.
 *
 * @typedef {object} ItemOptions
 * @property {Integer} [seed]  0 to 2^64 - 1; 0 where it is left out.
 * @property {Integer} [start]  Row i has the noise of item start + i of the seed; 0 where it is left out.
 * @property {Iterable<Integer> | null} [items]  The item of each row, in any order, in place of `start`.
 */

/**
 * What one call asks for, checked.
 *
 * @typedef {object} Request
 * @property {Uint8Array} digits  (n).
 * @property {Uint8Array} colors  (n * 3).
 * @property {Float32Array} style  (n * 2), slant and thickness; NO_SLANT and NO_THICKNESS where none is asked for.
 * @property {bigint} seed
 * @property {bigint | null} hand  The seed of what all images have in common; null for nothing.
 * @property {bigint} start
 * @property {number} temperature
 * @property {number} tries  Draws an image may take.
 * @property {boolean} best  Whether each takes all of them, and the best is kept.
 */

export const MAX_START = 2n ** 62n;
export const TRIES = 8; // draws an image may take where a call does not say
const MAX_COUNT = 10 ** 6; // images in one call: 2.4 GB, near the most that one typed array may hold
const MAX_TRIES = 1000;
const MAX_TEMPERATURE = 10; // far above 1, where a prior gives what it was fitted to
/** @type {[number, number]} */
export const SLANTS = [-60, 60]; // degrees; hardly any digit leans further than 35
/** @type {[number, number]} */
export const THICKNESSES = [0.5, 8]; // pixels; hardly any stroke is thinner than 1 or thicker than 5
const NUMERIC = new Set(["number", "bigint", "boolean"]); // a boolean is then refused as a channel

/**
 * Return the request that a call of `sample` makes.
 *
 * @param {import("./spec.js").ModelSpec} spec  Gives what is left open.
 * @param {Digits} digit  As the call has it.
 * @param {Colors} color  As the call has it.
 * @param {SampleOptions} options  As the call has them.
 * @param {(hand: bigint) => [number, number]} styleOf  Gives slant and thickness of a hand.
 * @returns {Request}
 * @throws {RequestError} Something does not exist, or the model knows no style.
 */
export function ask(spec, digit, color, options, styleOf) {
  checkOptions(options, ["count", "seed", "start", "temperature", "tries", "best", "slant", "thickness", "hand"]);
  const { count = null, seed = 0, start = 0, temperature = null, tries = null, best = null } = options;
  let { slant = null, thickness = null } = options;
  let hand = null;
  if (spec.style === null && [slant, thickness, options.hand ?? null].some((part) => part !== null)) {
    throw new RequestError(`the model ${quoted(spec.name)} knows no slant, thickness or hand; leave them out`);
  }
  if ((options.hand ?? null) !== null) {
    hand = checkInteger("hand", options.hand, 0n, MAX_SEED);
    const its = styleOf(hand);
    [slant, thickness] = [slant ?? its[0], thickness ?? its[1]];
  }
  const slants = slant === null ? null : entriesOf(slant);
  const thicknesses = thickness === null ? null : entriesOf(thickness);
  const digits = entriesOf(digit).map((one) => checkSmall("digit", one, 0, DIGITS - 1));
  const colors = parseColors(color);
  const longest = Math.max(digits.length, colors.length, slants?.length ?? 0, thicknesses?.length ?? 0, 1);
  const n = count === null ? longest : checkSmall("count", count, 1, MAX_COUNT);
  const style = [
    parseNumbers("slant", slants, n, SLANTS, "degrees", NO_SLANT),
    parseNumbers("thickness", thicknesses, n, THICKNESSES, "pixels", NO_THICKNESS),
  ];
  if (tries !== null && best !== null) throw new RequestError("tries and best exclude each other; choose one");
  return {
    digits: Uint8Array.from(oneEach("digits", digits, n)),
    colors: Uint8Array.from(oneEach("colors", colors, n).flat()),
    style: Float32Array.from({ length: 2 * n }, (_, at) => style[at % 2][at >> 1]),
    seed: checkInteger("seed", seed, 0n, MAX_SEED),
    hand,
    start: checkInteger("start", start, 0n, MAX_START),
    temperature: temperature === null ? spec.priorTemperature : checkTemperature(temperature),
    tries: best === null ? checkSmall("tries", tries ?? TRIES, 1, MAX_TRIES) : checkSmall("best", best, 1, MAX_TRIES),
    best: best !== null,
  };
}

/**
 * Return the item of each of n rows: those asked for, or n from `start` on.
 *
 * @param {number} n  Rows.
 * @param {ItemOptions} options  As the call has them.
 * @returns {bigint[]} (n).
 * @throws {RequestError} One is out of range, or there are more or fewer than rows.
 */
export function parseItems(n, { start = 0, items = null }) {
  if (items === null) {
    const first = checkInteger("start", start, 0n, MAX_START);
    return Array.from({ length: n }, (_, row) => first + BigInt(row));
  }
  const entries = entriesOf(items);
  if (entries.length !== n) throw new RequestError(`${entries.length} items for ${n} images; give one for each`);
  return entries.map((item) => checkInteger("item", item, 0n, MAX_START));
}

/**
 * Return numbers, one for each of n images.
 *
 * @param {string} name  What they are.
 * @param {unknown[] | null} entries  One or n; null where nothing is asked for.
 * @param {number} n  Images.
 * @param {[number, number]} ends  Least and most.
 * @param {string} unit  Of the numbers.
 * @param {number} nothing  Stands for nothing.
 * @returns {number[]} (n).
 */
function parseNumbers(name, entries, n, [least, most], unit, nothing) {
  const numbers = entries?.map((entry) => checkNumber(name, entry, least, most, unit));
  return numbers ? oneEach(`numbers of ${name}`, numbers, n) : new Array(n).fill(nothing);
}

/**
 * Return one entry for each of n images.
 *
 * @template T
 * @param {string} what  What the entries are called.
 * @param {T[]} entries  One or n.
 * @param {number} n  Images.
 * @returns {T[]} (n).
 */
function oneEach(what, entries, n) {
  if (entries.length === n) return entries;
  if (entries.length === 1) return new Array(n).fill(entries[0]);
  throw new RequestError(`${entries.length} ${what} for ${n} images; give one, or one for each image`);
}

/**
 * Return the colors of a call: three numbers are a color, anything else in a row is a row of colors.
 *
 * @param {Colors} color  As the call has it.
 * @returns {number[][]} (n, 3).
 */
function parseColors(color) {
  const isFlat = color instanceof Uint8Array || color instanceof Uint8ClampedArray;
  if (isFlat && color.length > CHANNELS && color.length % CHANNELS === 0) {
    return Array.from({ length: color.length / CHANNELS }, (_, row) => [
      ...parseColor(color.subarray(row * CHANNELS, (row + 1) * CHANNELS)),
    ]);
  }
  const entries = entriesOf(color);
  const isOne = typeof color !== "string" && entries.length > 0 && entries.every((entry) => NUMERIC.has(typeof entry));
  /** @type {Map<unknown, number[]>} */
  const found = new Map(); // each text is read once, however many images have it
  return (isOne ? [entries] : entries).map((entry) => {
    const rgb = found.get(entry) ?? parseColor(/** @type {Color} */ (entry));
    if (typeof entry === "string") found.set(entry, rgb);
    return rgb;
  });
}

/**
 * Return a temperature.
 *
 * @param {unknown} value  As the call has it.
 * @returns {number}
 * @throws {RequestError} It is not above 0 and at most MAX_TEMPERATURE.
 */
function checkTemperature(value) {
  if (typeof value !== "number" || !(value > 0 && value <= MAX_TEMPERATURE)) {
    const choices = `choose a number above 0, at most ${MAX_TEMPERATURE}`;
    throw new RequestError(`temperature ${quoted(value)} is not usable; ${choices}`);
  }
  return value;
}
