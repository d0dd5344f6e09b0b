/** Animated PNGs (PNG 3rd edition, 2025) of whole frames without loss; what knows no animation shows the first. */

import { chunk, deflateRows, head, join, textChunk } from "./png.js";

/**
 * Return an animated PNG that runs for ever.
 * @param {Uint8Array[]} frames one or more, RGB, row by row
 * @param {number} width
 * @param {number} delay milliseconds that each frame stands
 * @param {string[][]} [texts] keywords and texts to carry
 * @returns {Promise<Uint8Array>}
 */
export async function encodeAnimation(frames, width, delay, texts = []) {
  const height = frames[0].length / (3 * width);
  const parts = [head(width, height), chunk("acTL", numbers([4, frames.length], [4, 0]))];
  for (const [keyword, text] of texts) parts.push(textChunk(keyword, text));
  let sequence = 0;
  for (const frame of frames) {
    const first = sequence === 0;
    const place = /** @type {const} */ ([[4, sequence++], [4, width], [4, height], [4, 0], [4, 0]]);
    parts.push(chunk("fcTL", numbers(...place, [2, Math.round(delay)], [2, 1000], [1, 0], [1, 0])));
    const content = await deflateRows(frame, width);
    parts.push(first ? chunk("IDAT", content) : chunk("fdAT", join(numbers([4, sequence++]), content)));
  }
  return join(...parts, chunk("IEND", new Uint8Array()));
}

/** @type {(...entries: (readonly [size: number, value: number])[]) => Uint8Array} each big-endian */
const numbers = (...entries) => Uint8Array.from(entries.flatMap(([size, value]) => {
  return Array.from({ length: size }, (_, at) => (value >>> (8 * (size - 1 - at))) & 0xff);
}));
