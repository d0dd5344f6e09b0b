/** The models of this page: those packed into it, or, where it is served from a folder, those beside it. */

import { load } from "../index.js";
import { identityOf } from "../manifest.js";

/** @typedef {import("../index.js").Manifest} Manifest */
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

/** @type {(source: Source) => Promise<Manifest>} */
async function manifestOf(source) {
  if (typeof source === "string") return (await fetch(`${source}manifest.json`)).json();
  const file = source["manifest.json"];
  return JSON.parse(typeof file === "string" ? file : new TextDecoder().decode(file));
}

/** Opens each model once, when it is first wanted. */
export class Models {
  #sources;
  #manifests;
  /** @type {Map<string, Promise<Model>>} */
  #opened = new Map();

  /**
   * @param {Record<string, Source>} from
   * @param {Record<string, Manifest>} manifests
   */
  constructor(from, manifests) {
    this.#sources = from;
    this.#manifests = manifests;
    /** What each is, by name. */
    this.specs = Object.fromEntries(Object.entries(manifests).map(([name, { model }]) => {
      return [name, /** @type {Spec} */ (/** @type {unknown} */ (model))];
    }));
  }

  /** @returns {Promise<Models>} those of this page, none of them open yet */
  static async find() {
    const found = sources();
    const entries = Object.entries(found).map(async ([name, source]) => [name, await manifestOf(source)]);
    return new Models(found, Object.fromEntries(await Promise.all(entries)));
  }

  /** @returns {string[]} */
  get names() {
    return Object.keys(this.specs);
  }

  /**
   * Return what stands for the weights of a model that was opened.
   * @param {string} name
   */
  identity(name) {
    return identityOf(this.#manifests[name]);
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
