/** Animated PNGs (PNG 3rd edition, 2025), of whole frames without loss; every browser shows them. */

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const RGB = 2; // color type
const CHANNELS = 3;

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/**
 * Return an animated PNG; where an animation is not understood, its first frame is shown.
 *
 * @param {Uint8Array[]} frames One or more, (height, width, 3) each.
 * @param {number} width
 * @param {number} height
 * @param {object} [options]
 * @param {number} [options.delay]  Milliseconds that a frame stands.
 * @param {Record<string, string>} [options.texts]  Kept in the file, by their keywords of Latin-1 letters.
 * @returns {Promise<Uint8Array>}
 */
export async function animatedPng(frames, width, height, { delay = 80, texts = {} } = {}) {
  const header = numbers([4, width], [4, height], [1, 8], [1, RGB], [1, 0], [1, 0], [1, 0]);
  const parts = [SIGNATURE, chunk("IHDR", header), chunk("acTL", numbers([4, frames.length], [4, 0]))];
  for (const [keyword, text] of Object.entries(texts)) {
    parts.push(chunk("iTXt", join([new TextEncoder().encode(keyword), new Uint8Array(5), new TextEncoder().encode(text)])));
  }
  let sequence = 0;
  for (const frame of frames) {
    const first = sequence === 0;
    parts.push(chunk("fcTL", numbers(
      [4, sequence++], [4, width], [4, height], [4, 0], [4, 0], [2, Math.round(delay)], [2, 1000], [1, 0], [1, 0])));
    const data = await deflate(filtered(frame, width, height));
    parts.push(first ? chunk("IDAT", data) : chunk("fdAT", join([numbers([4, sequence++]), data])));
  }
  parts.push(chunk("IEND", new Uint8Array(0)));
  return join(parts);
}

/**
 * Return an image enlarged, each pixel a square.
 *
 * @param {Uint8Array} image (side, side, 3)
 * @param {number} side
 * @param {number} scale
 */
export function enlarged(image, side, scale) {
  const wide = side * scale;
  const result = new Uint8Array(wide * wide * CHANNELS);
  for (let row = 0; row < side; row++) {
    const start = row * scale * wide * CHANNELS;
    for (let at = 0; at < wide; at++) {
      const from = (row * side + Math.floor(at / scale)) * CHANNELS;
      for (let channel = 0; channel < CHANNELS; channel++) result[start + at * CHANNELS + channel] = image[from + channel];
    }
    for (let again = 1; again < scale; again++) {
      result.copyWithin(start + again * wide * CHANNELS, start, start + wide * CHANNELS);
    }
  }
  return result;
}

/** Return rows as their differences from the row above, which are mostly 0. @type {typeof enlarged} */
function filtered(frame, width, height) {
  const row = width * CHANNELS;
  const result = new Uint8Array(height * (row + 1));
  for (let y = 0; y < height; y++) {
    result[y * (row + 1)] = 2;
    for (let x = 0; x < row; x++) {
      result[y * (row + 1) + 1 + x] = frame[y * row + x] - (y ? frame[(y - 1) * row + x] : 0);
    }
  }
  return result;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @returns {Promise<Uint8Array>} As zlib packs them. */
async function deflate(bytes) {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** @param {string} type Four letters. @param {Uint8Array} data @returns {Uint8Array} */
function chunk(type, data) {
  const body = join([Uint8Array.from(type, (letter) => letter.charCodeAt(0)), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return join([numbers([4, data.length]), body, numbers([4, ~crc >>> 0])]);
}

/** @param {[size: number, value: number][]} entries Each big-endian. */
function numbers(...entries) {
  return Uint8Array.from(entries.flatMap(([size, value]) =>
    Array.from({ length: size }, (_, at) => (value >>> (8 * (size - 1 - at))) & 0xff)));
}

/** @param {Uint8Array[]} parts */
function join(parts) {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
