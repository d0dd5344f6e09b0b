/** The large picture: what is asked for, drawn, read by the judge, and shown. */

import { parseColor } from "../index.js";
import { nameColor, strokeColor } from "./shades.js";

/** @typedef {import("../index.js").Model} Model */
/** @typedef {import("./store.js").State} State */

export const SIDE = 28;

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
 * Return an image as a canvas takes it.
 * @param {Uint8Array} image RGB, row by row
 * @param {number} width
 */
export function toRgba(image, width) {
  const pixels = new ImageData(width, image.length / (3 * width));
  for (let from = 0, to = 0; from < image.length; to += 4) {
    pixels.data[to] = image[from++];
    pixels.data[to + 1] = image[from++];
    pixels.data[to + 2] = image[from++];
    pixels.data[to + 3] = 255;
  }
  return pixels;
}

/** @type {HTMLCanvasElement | undefined} */
let small;

/**
 * Put an image on a canvas of any size, with sharp edges.
 * @param {Uint8Array} image 28 x 28 x 3
 * @param {HTMLCanvasElement} canvas
 */
export function paint(image, canvas) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = toRgba(image, SIDE);
  if (canvas.width === SIDE && canvas.height === SIDE) {
    context.putImageData(pixels, 0, 0);
    return;
  }
  small ??= Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  small.getContext("2d")?.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/**
 * Return the style that a state asks for, as the calls of a model take it.
 * @param {State} state
 * @returns {{ slant?: number, thickness?: number, hand?: bigint }}
 */
export function styleOf({ slant, thickness, hand }) {
  return Object.fromEntries(Object.entries({ slant, thickness, hand }).filter(([, value]) => value !== null));
}

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
  const { digit, color, seed, item: start } = state;
  const drawn = await model.draw(digit, color, { seed, start, ...styleOf(state) });
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
