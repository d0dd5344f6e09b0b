/** SHA-256 (FIPS 180-4), for pages that have no `crypto.subtle`: those from a disk's file or by plain http. */

const BLOCK = 64; // bytes

// The fractional parts of the cube roots of the first 64 primes, and of the square roots of the first 8.
const PRIMES = Array.from({ length: 312 }, (_, n) => n).filter((n) => n > 1 && !hasDivisor(n));
const CONSTANTS = Uint32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const START = Uint32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

/**
 * Return the SHA-256 of some bytes.
 *
 * @param {Uint8Array} bytes  Any.
 * @returns {string} 64 hexadecimal digits.
 */
export function sha256(bytes) {
  const whole = bytes.length - (bytes.length % BLOCK);
  const state = START.slice();
  const schedule = new Uint32Array(BLOCK);
  for (let at = 0; at < whole; at += BLOCK) digest(state, schedule, bytes, at);
  const rest = bytes.subarray(whole);
  const end = new Uint8Array(rest.length + 9 > BLOCK ? 2 * BLOCK : BLOCK);
  end.set(rest);
  end[rest.length] = 0x80;
  new DataView(end.buffer).setBigUint64(end.length - 8, 8n * BigInt(bytes.length));
  for (let at = 0; at < end.length; at += BLOCK) digest(state, schedule, end, at);
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
}

/**
 * Work one block into the state.
 *
 * @param {Uint32Array} state  (8), changed.
 * @param {Uint32Array} w  (64), overwritten.
 * @param {Uint8Array} bytes  Hold the block.
 * @param {number} at  Where it begins.
 */
function digest(state, w, bytes, at) {
  for (let t = 0; t < 16; t++, at += 4) {
    w[t] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  }
  for (let t = 16; t < 64; t++) {
    const early = w[t - 15];
    const late = w[t - 2];
    const s0 = turned(early, 7) ^ turned(early, 18) ^ (early >>> 3);
    const s1 = turned(late, 17) ^ turned(late, 19) ^ (late >>> 10);
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 64; t++) {
    const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
    const first = (h + s1 + ((e & f) ^ (~e & g)) + CONSTANTS[t] + w[t]) | 0;
    const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
    const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] += value));
}

/**
 * @param {number} word  Of 32 bits.
 * @param {number} by  Bits that it is turned to the right.
 */
function turned(word, by) {
  return (word >>> by) | (word << (32 - by));
}

/** @param {number} n  Above 1. */
function hasDivisor(n) {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return true;
  return false;
}

/** @param {number} root  Whose first 32 bits behind the point are wanted. */
function fraction(root) {
  return Math.floor((root % 1) * 2 ** 32);
}
