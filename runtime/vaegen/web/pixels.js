/** Images to and from the canvas of a page, whose pixels have an alpha channel. */

import { checkImages } from "./checks.js";
import { RequestError } from "./errors.js";
import { CHANNELS, SIDE } from "./spec.js";

const RGBA = CHANNELS + 1;
const OPAQUE = 255;

/**
 * Return images as `ImageData` takes them: `context.putImageData(new ImageData(toRgba(image), 28), 0, 0)`.
 *
 * @param {import("./graphs.js").Bytes} images  (n * 28 * 28 * 3), RGB; several come to stand one below the other.
 * @returns {Uint8ClampedArray<ArrayBuffer>} (n * 28 * 28 * 4), all opaque.
 * @throws {RequestError} They are no images.
 */
export function toRgba(images) {
  const { length } = checkImages(images);
  const result = new Uint8ClampedArray((length / CHANNELS) * RGBA).fill(OPAQUE);
  for (let from = 0, to = 0; from < length; from += CHANNELS, to += RGBA) {
    for (let channel = 0; channel < CHANNELS; channel++) result[to + channel] = images[from + channel];
  }
  return result;
}

/**
 * Return what `getImageData` gives of 28 x 28 pixels as the calls of a model take it, laid on black.
 *
 * @param {Uint8ClampedArray | Uint8Array} rgba  (n * 28 * 28 * 4).
 * @returns {Uint8Array<ArrayBuffer>} (n * 28 * 28 * 3), RGB.
 * @throws {RequestError} It is of another type or length.
 */
export function toRgb(rgba) {
  if (!ArrayBuffer.isView(rgba) || rgba.length % (SIDE * SIDE * RGBA)) {
    const is = rgba?.length ?? "none";
    throw new RequestError(`pixels have length ${is}; it must be n * ${SIDE} * ${SIDE} * ${RGBA}`);
  }
  const result = new Uint8Array((rgba.length / RGBA) * CHANNELS);
  for (let from = 0, to = 0; from < rgba.length; from += RGBA, to += CHANNELS) {
    const share = rgba[from + CHANNELS] / OPAQUE;
    for (let channel = 0; channel < CHANNELS; channel++) {
      result[to + channel] = Math.round(rgba[from + channel] * share);
    }
  }
  return result;
}
