/** The command that makes a picture of this page. */

import { spellLatent } from "./latent.js";

/** @typedef {import("./store.js").State} State */
/** @typedef {import("./latent.js").Spec} Spec */

/**
 * Write a word so that a shell takes it as it is.
 * @param {string} word
 */
export function quote(word) {
  return /^[\w.,:=@%+/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** @type {(options: Record<string, string | number | bigint | boolean | null>) => string} what is null is left out */
const spell = (options) => Object.entries(options).flatMap(([name, value]) => {
  if (value === null || value === false) return [];
  return [value === true ? `--${name}` : `--${name} ${quote(String(value))}`];
}).join(" ");

/**
 * Return the command that draws what a state asks for.
 * @param {State} state
 * @param {Spec} spec of its model
 * @param {number} [scale] how many times the file is enlarged
 */
export function commandFor(state, spec, scale = 1) {
  const { model, digit, color, seed, item, slant, thickness, hand, latent } = state;
  const enlarged = scale > 1 ? scale : null;
  if (latent) return `vaegen decode ${spell({ model, latent: spellLatent(latent, spec), scale: enlarged })}`;
  return `vaegen sample ${spell({ model, digit, color, seed, start: item, slant, thickness, hand, scale: enlarged })}`;
}

/**
 * Return the command that draws a sheet of digits and colors.
 * @param {State} state gives all but digit and color
 * @param {string} digits a list, such as 0-9
 * @param {string} color a list, such as red,blue
 * @param {number} scale how many times it is enlarged
 */
export function sheetCommand({ model, seed, item, slant, thickness, hand }, digits, color, scale) {
  const options = { model, digit: digits, color, seed, start: item, slant, thickness, hand, grid: true, scale };
  return `vaegen sample ${spell(options)} -o sheet.png`;
}
