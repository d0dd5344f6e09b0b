/** The models of this page: those packed into it, or, where it is served from a folder, those beside it. */

import { load } from "../index.js";

/** @typedef {import("../index.js").Model} Model */
/** @typedef {import("./latent.js").Spec} Spec */
/** @typedef {string | Record<string, Uint8Array | string>} Source what `load` takes */

/** @type {() => Record<string, Source>} */
function sources() {
  const packed = /** @type {{ vaegenBundles?: Record<string, Source> }} */ (globalThis).vaegenBundles;
  if (packed) return packed;
  const names = new URLSearchParams(location.search).get("models") ?? "joint";
  return Object.fromEntries(names.split(",").map((name) => {
    return [name, new URL(`../../models/${encodeURIComponent(name)}/`, import.meta.url).href];
  }));
}

/** @type {(source: Source) => Promise<Spec>} */
async function specOf(source) {
  if (typeof source === "string") return (await (await fetch(`${source}manifest.json`)).json()).model;
  const file = source["manifest.json"];
  return JSON.parse(typeof file === "string" ? file : new TextDecoder().decode(file)).model;
}

/** Opens each model once, when it is first wanted. */
export class Models {
  #sources;
  /** @type {Map<string, Promise<Model>>} */
  #opened = new Map();

  /**
   * @param {Record<string, Source>} from
   * @param {Record<string, Spec>} specs
   */
  constructor(from, specs) {
    this.#sources = from;
    /** What each is, by name. */
    this.specs = specs;
  }

  /** @returns {Promise<Models>} those of this page, none of them open yet */
  static async find() {
    const found = sources();
    const specs = await Promise.all(Object.entries(found).map(async ([name, source]) => [name, await specOf(source)]));
    return new Models(found, Object.fromEntries(specs));
  }

  /** @returns {string[]} */
  get names() {
    return Object.keys(this.specs);
  }

  /**
   * Return a model, opened.
   * @param {string} name
   * @returns {Promise<Model>}
   */
  open(name) {
    const known = this.#opened.get(name);
    if (known) return known;
    const opening = load(this.#sources[name]);
    this.#opened.set(name, opening);
    return opening;
  }
}
