/** The large picture: what is asked for, drawn, read by the judge, and shown. */

import { parseColor, toRgba } from "../index.js";
import { PIXELS, SIDE } from "../spec.js";
import { nameColor, strokeColor } from "./shades.js";

/** @typedef {import("../index.js").Model} Model */
/** @typedef {import("./store.js").State} State */

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

const SAME = 10; // of 255 in any channel; a stroke's measured color is rarely further from the one it was asked in

/** @type {HTMLCanvasElement | undefined} */
let small;

/**
 * Put an image on a canvas of any size, with sharp edges.
 * @param {Uint8Array} image 28 x 28 x 3
 * @param {HTMLCanvasElement} canvas
 */
export function paint(image, canvas) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = new ImageData(toRgba(image), SIDE);
  if (canvas.width === SIDE && canvas.height === SIDE) {
    context.putImageData(pixels, 0, 0);
    return;
  }
  small ??= Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  small.getContext("2d")?.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** @type {(images: Uint8Array, at: number) => Uint8Array} one image of several that lie end to end */
export const imageOf = (images, at) => images.subarray(PIXELS * at, PIXELS * (at + 1));

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
    const stroke = strokeColor(image);
    const [asked, measured] = [parseColor(state.color), parseColor(stroke)];
    // Else "red" would drift a little further with each digit that is walked to.
    const color = asked.every((value, channel) => Math.abs(value - measured[channel]) <= SAME) ? state.color : stroke;
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

/**
 * Return a picture in words: "3, red, read as 3 with 99%". A color that was given in numbers gets a name.
 * @param {Picture} picture
 */
export function describe({ digit, color, read, probability }) {
  const name = /[#(]/.test(color) ? nameColor(parseColor(color)) : color;
  return `${digit}, ${name}, read as ${read} with ${Math.floor(100 * probability)}%`;
}
