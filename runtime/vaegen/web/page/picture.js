/** The large picture: what is asked for, drawn, read by the judge, and shown. */

import { sha256 } from "../bundle.js";
import { parseColor } from "../index.js";
import { nameColor, strokeColor } from "./names.js";

/** @typedef {import("../index.js").Model} Model */
/** @typedef {import("./store.js").State} State */

export const SIDE = 28;
const PIXELS = SIDE * SIDE;

/**
 * @typedef {object} Picture
 * @property {State} state what was asked for
 * @property {Float32Array} latent L numbers that it was decoded from
 * @property {Uint8Array} image 28 x 28 x 3, row by row
 * @property {number} digit asked for, or read where a latent was
 * @property {string} color asked for, or of the stroke where a latent was
 * @property {number} read the digit that the judge reads
 * @property {number} probability of that digit
 * @property {boolean} accepted whether it came out as asked; true for a latent, which asks for nothing
 */

/**
 * Put an image on a canvas of any size, with sharp edges.
 * @param {Uint8Array} image 28 x 28 x 3
 * @param {HTMLCanvasElement} canvas
 */
export function paint(image, canvas) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = new ImageData(SIDE, SIDE);
  for (let at = 0; at < PIXELS; at++) {
    pixels.data.set(image.subarray(3 * at, 3 * at + 3), 4 * at);
    pixels.data[4 * at + 3] = 255;
  }
  if (canvas.width === SIDE && canvas.height === SIDE) {
    context.putImageData(pixels, 0, 0);
    return;
  }
  small.getContext("2d")?.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

const small = Object.assign(globalThis.document?.createElement("canvas") ?? {}, { width: SIDE, height: SIDE });

/**
 * Draw what a state asks for.
 * @param {Model} model
 * @param {State} state
 * @returns {Promise<Picture>}
 */
export async function draw(model, state) {
  if (state.latent) {
    const image = await model.decode(state.latent);
    const { read, probability } = mostProbable(await model.judge(image));
    const color = strokeColor(image);
    return { state, latent: state.latent, image, digit: read, color, read, probability, accepted: true };
  }
  const { digit, color, seed, item: start, slant, thickness, hand } = state;
  const style = Object.fromEntries(Object.entries({ slant, thickness, hand }).filter(([, value]) => value !== null));
  const drawn = await model.draw(digit, color, { seed, start, ...style });
  const { read, probability } = mostProbable(await model.judge(drawn.images));
  const accepted = drawn.accepted?.[0] === 1;
  return { state, latent: drawn.latents, image: drawn.images, digit, color, read, probability, accepted };
}

/** @type {(probabilities: ArrayLike<number>) => { read: number, probability: number }} */
function mostProbable(probabilities) {
  const list = Array.from(probabilities);
  const probability = Math.max(...list);
  return { read: list.indexOf(probability), probability };
}

/** @type {(picture: Picture) => string} a picture in words: "3, red, read as 3 with 99%" */
export function describe({ state, digit, color, read, probability }) {
  const percent = Math.min(Math.round(100 * probability), probability < 1 ? 99 : 100);
  const name = nameColor(parseColor(color));
  const words = color.toLowerCase() === name ? name : `${color} (${name})`;
  return `${state.latent ? "" : `${digit}, `}${state.latent ? name : words}, read as ${read} with ${percent}%`;
}

/**
 * Keeps a canvas at what the store asks for. One picture is drawn at a time, in step with the screen; what is asked for
 * meanwhile waits, and only the last of it is drawn. So no old picture ever comes after a newer one.
 */
export class Drawer {
  #open;
  #store;
  #shown;
  /** @type {Promise<void> | null} */
  #running = null;
  #wanted = false;

  /**
   * @param {(name: string) => Promise<Model>} open
   * @param {import("./store.js").Store} store
   * @param {(picture: Picture, model: Model) => void} shown called with each picture
   */
  constructor(open, store, shown) {
    this.#open = open;
    this.#store = store;
    this.#shown = shown;
  }

  /** @returns {Promise<void>} resolves when the picture is that of the newest state */
  refresh() {
    this.#wanted = true;
    this.#running ??= this.#run().finally(() => void (this.#running = null));
    return this.#running;
  }

  async #run() {
    for (; this.#wanted; await nextFrame()) {
      this.#wanted = false;
      const state = this.#store.get();
      const model = await this.#open(state.model);
      const picture = await draw(model, state);
      if (this.#store.get().model === state.model) this.#shown(picture, model);
    }
  }
}

/** @type {() => Promise<unknown>} resolves before the screen is next painted; in a hidden page, at once */
const nextFrame = () => new Promise((resolve) => {
  if (document.hidden) setTimeout(resolve);
  else requestAnimationFrame(resolve);
});

/** @type {(canvas: HTMLCanvasElement, picture: Picture) => void} */
export function show(canvas, picture) {
  paint(picture.image, canvas);
  canvas.dataset.sha256 = sha256(picture.image);
  canvas.setAttribute("aria-label", describe(picture));
}
