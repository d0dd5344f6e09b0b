/**
 * The one source of randomness: uniforms that are a function of (seed, attempt, item) and of nothing else.
 *
 * Philox 4x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC11) turns a counter of
 * 256 bits and a key of 128, here (seed, attempt), into four words of 64 bits. Words are held as halves of 32 bits, the
 * low one first, and multiplied in doubles, which is exact below 2^53: a sample takes a thousand such products, and
 * with BigInt they would take longer than the networks.
 */

import { checkInteger } from "./checks.js";

/** The largest seed, attempt and item: a word of 64 bits. */
export const MAX_SEED = 2n ** 64n - 1n;

const ROUNDS = 10;
const PER_BLOCK = 8; // uniforms: four words give two each
const UNIT = 2 ** -24; // one step of a uniform, which has as many bits as a float32 holds exactly
const BELOW_ONE = 1 - UNIT; // the largest float32 below 1
const HALF = 2 ** 32;

// What a block is computed in; a call leaves nothing in them that another needs.
const words = new Uint32Array(8);
const keys = new Uint32Array(4);
const first = new Uint32Array(4);
const second = new Uint32Array(4);

/**
 * Return the uniforms of some items of a seed.
 *
 * An item of S uniforms owns B = ceil(S / 8) blocks: item i has blocks i B to (i + 1) B - 1, and block b is Philox of
 * the counter b + 1. Each word w gives two uniforms, from k = w >> 40 first and k = (w >> 16) & 0xFFFFFF second, each
 * (k + 0.5) / 2^24 in float32. For k = 2^24 - 1 that rounds to 1, which becomes 1 - 2^-24.
 *
 * @param {number | bigint} seed  0 to 2^64 - 1.
 * @param {number | bigint} attempt  0 for the first draw, t for the t-th redraw.
 * @param {number | bigint | Iterable<number | bigint>} items  Numbers of n items from 0 on, in any order.
 * @param {number} size  S, uniforms per item.
 * @returns {Float32Array} (n * S), inside (0, 1).
 * @throws {RequestError} A number is out of range.
 */
export function uniform(seed, attempt, items, size) {
  const key = halves(checkInteger("seed", seed, 0n, MAX_SEED), checkInteger("attempt", attempt, 0n, MAX_SEED));
  const each = typeof items === "object" ? [...items] : [items];
  const width = Number(checkInteger("size", size, 1n, 2n ** 31n));
  const blocks = BigInt(Math.ceil(width / PER_BLOCK));
  const result = new Float32Array(each.length * width);
  for (let row = 0; row < each.length; row++) {
    let counter = checkInteger("item", each[row], 0n, MAX_SEED) * blocks;
    for (let at = row * width, end = at + width; at < end; at += PER_BLOCK) {
      counter++;
      const drawn = philox(halves(counter, counter >> 64n), key);
      for (let place = 0; place < PER_BLOCK && at + place < end; place++) {
        const high = place | 1; // the word's upper half
        const k = place & 1 ? ((drawn[high] & 0xff) << 16) | (drawn[high - 1] >>> 16) : drawn[high] >>> 8;
        result[at + place] = Math.min(Math.fround((k + 0.5) * UNIT), BELOW_ONE);
      }
    }
  }
  return result;
}

/**
 * Return two words, each as halves of 32 bits, the low one first.
 *
 * @param {bigint} first  Its lowest 64 bits are taken.
 * @param {bigint} second  Its lowest 64 bits are taken.
 * @returns {Uint32Array} (4).
 */
function halves(first, second) {
  return new Uint32Array(BigUint64Array.of(first, second).buffer);
}

/**
 * Return what Philox 4x64-10 gives for a counter whose upper two words are 0.
 *
 * @param {Uint32Array} counter  (4), halves of the lower two words.
 * @param {Uint32Array} key  (4), halves of both words.
 * @returns {Uint32Array} (8), halves of four words, overwritten by the next call.
 */
function philox(counter, key) {
  words.fill(0);
  words.set(counter);
  keys.set(key);
  for (let round = 0; round < ROUNDS; round++) {
    multiply(words[0], words[1], 0xe14c6c93, 0xd2e7470e, first);
    multiply(words[4], words[5], 0x95121157, 0xca5a8263, second);
    words[0] = second[2] ^ words[2] ^ keys[0];
    words[1] = second[3] ^ words[3] ^ keys[1];
    words[2] = second[0];
    words[3] = second[1];
    words[4] = first[2] ^ words[6] ^ keys[2];
    words[5] = first[3] ^ words[7] ^ keys[3];
    words[6] = first[0];
    words[7] = first[1];
    add(keys, 0, 0x7f4a7c15, 0x9e3779b9);
    add(keys, 2, 0x84caa73b, 0xbb67ae85);
  }
  return words;
}

/**
 * Add a word to one of a key.
 *
 * @param {Uint32Array} key  Changed.
 * @param {number} at  Where its low half is.
 * @param {number} low  Of the word that is added.
 * @param {number} high  Of the word that is added.
 */
function add(key, at, low, high) {
  const sum = key[at] + low;
  key[at] = sum;
  key[at + 1] += high + Math.floor(sum / HALF);
}

/**
 * Multiply two words of 64 bits.
 *
 * @param {number} low  Of the first word.
 * @param {number} high  Of the first word.
 * @param {number} otherLow  Of the second word.
 * @param {number} otherHigh  Of the second word.
 * @param {Uint32Array} result  (4), the product of 128 bits, lowest part first; overwritten.
 */
function multiply(low, high, otherLow, otherHigh, result) {
  const middle =
    upper(low, otherLow) + (Math.imul(low, otherHigh) >>> 0) + (Math.imul(high, otherLow) >>> 0);
  const top =
    upper(low, otherHigh) + upper(high, otherLow) + (Math.imul(high, otherHigh) >>> 0) + Math.floor(middle / HALF);
  result[0] = Math.imul(low, otherLow);
  result[1] = middle;
  result[2] = top;
  result[3] = upper(high, otherHigh) + Math.floor(top / HALF);
}

/**
 * Return the upper 32 of the 64 bits of a product.
 *
 * @param {number} a  0 to 2^32 - 1.
 * @param {number} b  0 to 2^32 - 1.
 * @returns {number}
 */
function upper(a, b) {
  return Math.floor((a * (b >>> 16) + Math.floor((a * (b & 0xffff)) / 0x10000)) / 0x10000);
}
