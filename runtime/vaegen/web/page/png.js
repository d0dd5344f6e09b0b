/** PNG files (W3C, Portable Network Graphics, third edition), with the text chunks that `vaegen sample` writes. */

import { TRIES } from "../request.js";
import { spellLatent } from "./latent.js";

/** @typedef {import("./store.js").State} State */
/** @typedef {import("./latent.js").Spec} Spec */

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** @type {(bytes: Uint8Array) => number} CRC-32 of ISO 3309 */
function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}

/** @type {(...parts: Uint8Array[]) => Uint8Array} */
export function join(...parts) {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/**
 * Return a chunk of a PNG file.
 * @param {string} kind four letters
 * @param {Uint8Array} content
 */
export function chunk(kind, content) {
  const made = join(new Uint8Array(4), latin1(kind), content, new Uint8Array(4));
  const view = new DataView(made.buffer);
  view.setUint32(0, content.length);
  view.setUint32(8 + content.length, crc32(made.subarray(4, 8 + content.length)));
  return made;
}

/** @type {(text: string) => Uint8Array} */
const latin1 = (text) => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

/**
 * Return a text as a chunk: tEXt where it is Latin-1, else iTXt.
 * @param {string} keyword 1 to 79 characters of Latin-1
 * @param {string} value
 */
export function textChunk(keyword, value) {
  if (/^[\0-\xff]*$/.test(value)) return chunk("tEXt", latin1(`${keyword}\0${value}`));
  return chunk("iTXt", join(latin1(`${keyword}\0\0\0\0\0`), new TextEncoder().encode(value)));
}

/**
 * Return the rows of an image as a PNG holds them, compressed.
 * @param {Uint8Array} image RGB, row by row
 * @param {number} width
 */
export async function deflateRows(image, width) {
  const height = image.length / (3 * width);
  const stride = 3 * width;
  const rows = new Uint8Array(height * (1 + stride)); // each begins with the number of its filter, 0 for none
  for (let y = 0; y < height; y++) rows.set(image.subarray(stride * y, stride * (y + 1)), (1 + stride) * y + 1);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Return the first chunk of a PNG file, with its signature: 8 bits a channel, RGB, not interlaced.
 * @param {number} width
 * @param {number} height
 */
export function head(width, height) {
  const content = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  new DataView(content.buffer).setUint32(0, width);
  new DataView(content.buffer).setUint32(4, height);
  return join(SIGNATURE, chunk("IHDR", content));
}

/**
 * Return an image as a PNG file.
 * @param {Uint8Array} image RGB, row by row
 * @param {number} width
 * @param {[string, string][]} [texts] keywords and texts to carry
 * @returns {Promise<Uint8Array>}
 */
export async function encodePng(image, width, texts = []) {
  const content = await deflateRows(image, width);
  const chunks = texts.map(([keyword, value]) => textChunk(keyword, value));
  const height = image.length / (3 * width);
  return join(head(width, height), ...chunks, chunk("IDAT", content), chunk("IEND", new Uint8Array()));
}

/**
 * Enlarge an image, sharply.
 * @param {Uint8Array} image RGB, row by row
 * @param {number} width
 * @param {number} scale
 */
export function enlarge(image, width, scale) {
  const height = image.length / (3 * width);
  const large = new Uint8Array(image.length * scale * scale);
  for (let y = 0, to = 0; y < height * scale; y++) {
    for (let x = 0; x < width * scale; x++, to += 3) {
      const from = 3 * (Math.floor(y / scale) * width + Math.floor(x / scale));
      large[to] = image[from];
      large[to + 1] = image[from + 1];
      large[to + 2] = image[from + 2];
    }
  }
  return large;
}

/** @type {(value: number) => string} a number as Python's str writes a float */
export function floatText(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e16) return `${value}.0`;
  const text = size >= 1e-4 && size < 1e16 ? String(value) : value.toExponential();
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

/**
 * Return what a picture's file says of it, as `vaegen sample` and `vaegen decode` do.
 * @param {State} state
 * @param {Spec} spec of its model
 * @param {string} bundle what stands for the weights of its model
 * @param {string} version of vaegen; "" where it is not known
 * @param {{ digit: string, color: string, grid: string, count: number } | null} [lists] of a sheet
 * @returns {[string, string][]} keywords and texts
 */
export function factsOf(state, spec, bundle, version, lists = null) {
  const { digit, color, seed, item, slant, thickness, hand, latent } = state;
  const made = { model: spec.name, bundle, version: version || null };
  const decoded = { ...made, index: 0, latent: latent && spellLatent(latent, spec) };
  const sampled = {
    ...made,
    seed,
    temperature: floatText(spec.prior_temperature),
    tries: TRIES,
    slant: slant === null ? null : floatText(slant),
    thickness: thickness === null ? null : floatText(thickness),
    hand,
    index: item,
    digit,
    color,
    ...lists,
  };
  return Object.entries(latent ? decoded : sampled).flatMap(([name, value]) => {
    return value === null ? [] : [[`vaegen:${name}`, String(value)]];
  });
}

/**
 * Name a picture's file as `vaegen sample` and `vaegen decode` do: "red-3.png", "hsl-30-100-50-3.png".
 * @param {State} state
 */
export function fileName({ digit, color, latent }) {
  if (latent) return "latent.png";
  return `${color.replace(/^#/, "").replace(/[^A-Za-z0-9.]+/g, "-").replace(/^-+|-+$/g, "")}-${digit}.png`;
}
