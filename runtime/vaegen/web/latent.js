/** Latents by the names of their parts: a 3 whose hue is 0.55, and all else as the prior finds it typical. */

import { MAX_LATENT, checkNumber, checkSmall } from "./checks.js";
import { hsvToRgb } from "./color.js";
import { RequestError, quoted } from "./errors.js";
import { CHANNELS, NO_SLANT, NO_THICKNESS } from "./spec.js";

/** @typedef {import("./spec.js").ModelSpec} ModelSpec */

/**
 * The parts of a color (hue in turns, the others 0 to 1) and what they are where they are not given: red.
 *
 * @type {Record<string, number>}
 */
const COLOR = { hue: 0, saturation: 1, value: 1 };
const DIGIT = 3; // what is drawn where no digit is given

/**
 * Return the latent in which some parts are chosen.
 *
 * The prior gives the others, with all its uniforms at 0.5, for the digit and the color that are asked for, or a red
 * DIGIT.
 *
 * @param {import("./graphs.js").Graphs} graphs  Of the model.
 * @param {ModelSpec} spec  What its parts are called.
 * @param {Record<string, number>} values  A number for a coordinate, a class from 0 on for a categorical. Colors may be
 *   chosen by the names of COLOR wherever the model has latents of their own for them, one or several.
 * @returns {Promise<Float32Array>} (L).
 * @throws {RequestError} There is no part of that name, or no such value of it.
 */
export async function namedLatent(graphs, spec, values) {
  if (typeof values !== "object" || values === null || Symbol.iterator in values) {
    throw new RequestError(`a latent is chosen by an object such as { hue: 0.5 }, not by ${quoted(values)}`);
  }
  const numbers = new Map(Object.entries(values).map(([name, value]) => [name, check(name, value, spec)]));
  const [hue, saturation, value] = Object.entries(COLOR).map(([name, other]) => numbers.get(name) ?? other);
  const turn = hue % 1 < 0 ? (hue % 1) + 1 : hue % 1;
  const noise = graphs.noise("prior", 0n, 0n, [0n]);
  noise.data.fill(0.5);
  const latent = await graphs.prior({
    digit: { data: Float64Array.of(numbers.get("digit") ?? DIGIT), shape: [1] },
    rgb: { data: Float32Array.from(hsvToRgb(turn, saturation, value)), shape: [1, CHANNELS] },
    style: { data: Float32Array.of(NO_SLANT, NO_THICKNESS), shape: [1, 2] },
    uniform: noise,
    temperature: { data: Float32Array.of(spec.priorTemperature), shape: [] },
  });
  const { continuous: z, categorical: [, k] } = spec.latent;
  for (const [name, number] of numbers) {
    const coordinate = spec.names.continuous.indexOf(name);
    const categorical = spec.names.categorical.indexOf(name);
    if (coordinate >= 0) latent[coordinate] = number;
    else if (categorical >= 0) {
      for (let one = 0; one < k; one++) latent[z + k * categorical + one] = Number(one === number);
    }
  }
  return latent;
}

/**
 * @param {string} name  Of a part.
 * @param {unknown} value  As the call has it.
 * @param {ModelSpec} spec  Of the model.
 */
function check(name, value, { names, latent }) {
  const isColor = Object.hasOwn(COLOR, name);
  if (isColor && (names.continuous.includes(name) || names.categorical.includes(`${name} 0`))) {
    return name === "hue" ? checkNumber(name, value, -MAX_LATENT, MAX_LATENT) : checkNumber(name, value, 0, 1);
  }
  if (names.continuous.includes(name)) return checkNumber(name, value, -MAX_LATENT, MAX_LATENT);
  if (names.categorical.includes(name)) return checkSmall(name, value, 0, latent.categorical[1] - 1);
  const colors = Object.keys(COLOR).filter((part) => names.categorical.includes(`${part} 0`));
  const choices = short([...names.continuous, ...names.categorical, ...colors]);
  throw new RequestError(`unknown latent ${quoted(name)}; choose from ${choices}`);
}

/**
 * Return names in a line, those that are numbered from 0 on together: "shape 0-43, hue, saturation, value".
 *
 * @param {string[]} names  In the order of the latent.
 */
function short(names) {
  /** @type {Map<string, number>} */
  const found = new Map(); // of each stem, how many numbers it has; 0 where it has none
  for (const name of names) {
    const [, stem, number] = /^(.+) (\d+)$/.exec(name) ?? [];
    if (stem && Number(number) === (found.get(stem) ?? 0)) found.set(stem, Number(number) + 1);
    else found.set(name, 0);
  }
  return Array.from(found, ([name, count]) => name + (count > 1 ? ` 0-${count - 1}` : count ? " 0" : "")).join(", ");
}
