/**
 * What the page shows, and the address that holds all of it.
 *
 * `#model=joint&digit=3&color=red&seed=0&item=0` asks for what `vaegen sample --start 0` draws; `slant`, `thickness`
 * and `hand` may follow. With `latent`, the picture is decoded from it instead, as by `vaegen decode --latent`.
 */

import { parseColor } from "../index.js";
import { MAX_SEED } from "../noise.js";
import { MAX_START, SLANTS, THICKNESSES } from "../request.js";
import { parseLatent, spellLatent } from "./latent.js";

/** @typedef {import("./latent.js").Spec} Spec */

/**
 * @typedef {object} State
 * @property {string} model name of a model in this page
 * @property {number} digit 0 to 9
 * @property {string} color as Python reads colors
 * @property {bigint} seed 0 to 2**64 - 1
 * @property {bigint} item index in the seed's sequence, 0 to 2**62: `--start`
 * @property {number | null} slant degrees to the right; null as people write
 * @property {number | null} thickness of the stroke in pixels; null as people write
 * @property {bigint | null} hand 0 to 2**64 - 1; null for any
 * @property {Float32Array | null} latent L numbers that the picture is decoded from; null where the rest says it all
 */

/** @typedef {Record<string, Spec>} Specs the models of the page, by name */

const SHOWN = 3; // problems of an address

/** The largest of the whole numbers. */
export const MOST = { seed: MAX_SEED, item: MAX_START, hand: MAX_SEED };

/** @type {(value: unknown) => string} a value as a message shows it: short, and on one line */
const quoted = (value) => {
  const text = String(value).replace(/[^\x20-\x7e\xa1-\uffff]/g, "?");
  return `"${text.length > 40 ? `${text.slice(0, 40)}...` : text}"`;
};

/** @type {(name: string, least: bigint, most: bigint) => (text: string) => bigint} */
const integer = (name, least, most) => (text) => {
  const number = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
  if (number < least || number > most) throw new Error(`${name} ${quoted(text)}: choose from ${least} to ${most}.`);
  return number;
};

/** @type {(name: string, ends: readonly [number, number], unit: string) => (text: string) => number} */
const decimal = (name, [least, most], unit) => (text) => {
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (number >= least && number <= most) return number;
  throw new Error(`${name} ${quoted(text)}: choose from ${least} to ${most} ${unit}.`);
};

/** How each part of the state reads in a field or an address; each throws an Error whose message is for the reader. */
export const read = {
  digit: (/** @type {string} */ text) => Number(integer("Digit", 0n, 9n)(text)),
  color: (/** @type {string} */ text) => {
    try {
      parseColor(text);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      throw new Error(`${message[0].toUpperCase()}${message.slice(1).replace(/\w$/, "$&.")}`);
    }
    return text.trim();
  },
  seed: integer("Seed", 0n, MOST.seed),
  item: integer("Item", 0n, MOST.item),
  slant: decimal("Slant", SLANTS, "degrees"),
  thickness: decimal("Thickness", THICKNESSES, "pixels"),
  hand: integer("Hand", 0n, MOST.hand),
};
const STYLE = /** @type {const} */ (["slant", "thickness", "hand"]);

/** @type {(model: string) => State} what is shown where the address says nothing */
export const initial = (model) => ({
  model, digit: 3, color: "red", seed: 0n, item: 0n, slant: null, thickness: null, hand: null, latent: null,
});

/**
 * Read an address.
 * @param {string} hash what follows the page's address, with or without its "#"
 * @param {Specs} specs the models of the page; the first is the default
 * @returns {{ state: State, problems: string[] }} a state that can be drawn, and a sentence for each part that
 *   cannot, the first few of them
 */
export function readAddress(hash, specs) {
  const names = Object.keys(specs);
  const state = initial(names[0]);
  /** @type {string[]} */
  const problems = [];
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const model = given.get("model");
  if (model !== null && names.includes(model)) state.model = model;
  else if (model !== null) {
    problems.push(`This page has no model ${quoted(model)}: it has ${names.join(", ")}.`);
  }
  const spec = specs[state.model];
  for (const [name, text] of given) {
    try {
      if (name === "model") continue;
      else if (name === "latent") state.latent = parseLatent(text, spec);
      else if (!Object.hasOwn(read, name)) throw new Error(`The link's ${quoted(name)} means nothing here.`);
      else if (!spec.style && STYLE.some((part) => part === name)) {
        throw new Error(`The model ${state.model} knows no ${name}.`);
      } else Object.assign(state, { [name]: read[/** @type {keyof typeof read} */ (name)](text) });
    } catch (error) {
      problems.push(/** @type {Error} */ (error).message);
    }
  }
  return { state, problems: problems.slice(0, SHOWN) };
}

/**
 * Write a state as an address, beginning with "#"; `readAddress` brings it back.
 * @param {State} state
 * @param {Spec} spec of its model
 */
export function writeAddress(state, spec) {
  const parts = Object.entries(state).filter(([, value]) => value !== null).map(([name, value]) => {
    const text = value instanceof Float32Array ? spellLatent(value, spec) : String(value);
    // Commas and semicolons are safe in a link, and a latent has hundreds.
    return `${name}=${encodeURIComponent(text).replaceAll("%2C", ",").replaceAll("%3B", ";")}`;
  });
  return `#${parts.join("&")}`;
}

/** The one place that holds the state. */
export class Store {
  /** @type {State} */
  #state;
  #specs;
  /** @type {Set<(state: State, before: State) => void>} */
  #listeners = new Set();

  /**
   * @param {State} state
   * @param {Specs} specs
   */
  constructor(state, specs) {
    this.#state = Object.freeze({ ...state });
    this.#specs = specs;
  }

  /** @returns {Readonly<State>} */
  get() {
    return this.#state;
  }

  /**
   * Change some parts. A latent stays only where it is given, for it holds a digit, a color and a style of its own; and
   * a style only where the model knows one.
   * @param {Partial<State>} patch
   */
  set(patch) {
    const before = this.#state;
    const next = { ...before, latent: null, ...patch };
    if (!this.#specs[next.model].style) Object.assign(next, { slant: null, thickness: null, hand: null });
    const names = /** @type {(keyof State)[]} */ (Object.keys(next));
    if (names.every((name) => next[name] === before[name])) return;
    this.#state = Object.freeze(next);
    for (const listener of this.#listeners) listener(this.#state, before);
  }

  /**
   * Call a function after each change.
   * @param {(state: State, before: State) => void} listener
   * @returns {() => void} ends it
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
