/** Answering "a red 3": draw, have the judge look at what came out, and redraw what is not what was asked for. */

import { BATCH, pause } from "./graphs.js";
import { uniform } from "./noise.js";
import { CHANNELS, PIXELS, STYLE_SHARES } from "./spec.js";

/** @typedef {import("./request.js").Request} Request */
/** @typedef {import("./graphs.js").Graphs} Graphs */

/**
 * Sampled images and what is known of them; image i has row i of every array. The last eight are null where nothing was
 * checked, that is with `tries: 1`.
 *
 * @typedef {object} Draw
 * @property {Uint8Array} images  (n * 28 * 28 * 3).
 * @property {Uint8Array} digits  (n), as asked for.
 * @property {Uint8Array} colors  (n * 3), as asked for.
 * @property {Float32Array} latents  (n * L), what the images were decoded from.
 * @property {Uint16Array} triesUsed  (n), draws made for each image, from 1 on.
 * @property {Uint8Array | null} judged  (n), the digit that the judge reads.
 * @property {Float32Array | null} confidence  (n), the judge's probability of the digit that was asked for.
 * @property {Float32Array | null} measured  (n * 3), the color of the stroke, 0 to 255.
 * @property {Float32Array | null} colorError  (n), CIEDE2000 between the measured and the requested color.
 * @property {Float32Array | null} realism  (n), the critic's score, a logit: higher is more like real handwriting.
 * @property {Uint8Array | null} accepted  (n), 1 where confidence, color and realism reach the thresholds, else 0.
 * @property {Float32Array | null} rank  (n), by which the best of several draws is kept; above 10 accepted.
 * @property {Uint8Array | null} reached  (n), 1 where the color is within 5 of the one asked for, else 0.
 */

const COLOR_REACH = 5; // CIEDE2000; an image further off, after all its tries, shows another color
const VERDICT = ["read", "probability", "color", "color_error", "realism", "accepted", "rank"];
const HAND_STREAM = 2n ** 64n - 2n; // an attempt that no redraw gets to
const OWN = 4; // of four uniforms of the prior's noise three are the hand's, where there is one

/**
 * Answer a request.
 *
 * Attempt t draws with the noise of (seed, t, item). The judge's graph says whether an image is accepted; only what is
 * not is drawn again, or, where the best is asked for, all is. An image is the candidate of the highest rank, and of
 * these the earliest: ranks of what is accepted are above all others.
 *
 * @param {Graphs} graphs  Of the model.
 * @param {Request} request  Checked.
 * @param {number} size  L.
 * @returns {Promise<Draw>}
 */
export async function draw(graphs, request, size) {
  const n = request.digits.length;
  const result = {
    images: new Uint8Array(n * PIXELS),
    digits: request.digits,
    colors: request.colors,
    latents: new Float32Array(n * size),
    triesUsed: new Uint16Array(n),
  };
  const found = {
    read: new Uint8Array(n),
    probability: new Float32Array(n),
    color: new Float32Array(n * CHANNELS),
    color_error: new Float32Array(n),
    realism: new Float32Array(n),
    accepted: new Uint8Array(n),
    rank: new Float32Array(n),
  };
  const isChecked = request.tries > 1 || request.best;
  const verdict = isChecked ? VERDICT : [];
  let pending = Array.from({ length: n }, (_, row) => row);
  for (let attempt = 0; pending.length && attempt < request.tries; attempt++) {
    for (let start = 0; start < pending.length; start += BATCH) {
      if (start) await pause();
      const rows = pending.slice(start, start + BATCH);
      const { pixels, latents, said } = await graphs.answer(asked(graphs, request, rows, BigInt(attempt)), verdict);
      rows.forEach((row, at) => {
        result.triesUsed[row] = attempt + 1;
        if (attempt && !(said.rank[at] > found.rank[row])) return;
        copyRow(pixels, at, result.images, row, PIXELS);
        copyRow(latents, at, result.latents, row, size);
        for (const [name, place] of Object.entries(found)) {
          if (isChecked) copyRow(said[name], at, place, row, place.length / n);
        }
      });
    }
    if (!request.best) pending = isChecked ? pending.filter((row) => !found.accepted[row]) : [];
  }
  if (!isChecked) return { ...result, ...NOTHING };
  return {
    ...result,
    judged: found.read,
    confidence: found.probability,
    measured: found.color.map((value) => value * 255),
    colorError: found.color_error,
    realism: found.realism,
    accepted: found.accepted,
    rank: found.rank,
    reached: Uint8Array.from(found.color_error, (error) => Number(error <= COLOR_REACH)),
  };
}

const NOTHING = Object.freeze({
  judged: null,
  confidence: null,
  measured: null,
  colorError: null,
  realism: null,
  accepted: null,
  rank: null,
  reached: null,
});

/**
 * Return slant and thickness of a hand: drawn from those of the training digits.
 *
 * Uniforms 0 and 4 of item 0 of the hand's seed, which no image takes, go through the quantiles, joined by straight
 * lines.
 *
 * @param {{slant: number[], thickness: number[]}} style  The quantiles.
 * @param {bigint} hand  0 to 2^64 - 1.
 * @returns {[number, number]}
 */
export function styleOfHand(style, hand) {
  const noise = uniform(hand, HAND_STREAM, 0n, OWN + 1);
  return [interpolated(noise[0], style.slant), interpolated(noise[OWN], style.thickness)];
}

/**
 * @param {number} share  0 to 1.
 * @param {number[]} quantiles  At STYLE_SHARES.
 */
function interpolated(share, quantiles) {
  const after = STYLE_SHARES.findIndex((known) => share < known);
  if (after <= 0) return quantiles.at(after) ?? NaN; // below all of them, or beyond
  const [low, high] = [STYLE_SHARES[after - 1], STYLE_SHARES[after]];
  const slope = (quantiles[after] - quantiles[after - 1]) / (high - low);
  return slope * (share - low) + quantiles[after - 1];
}

/**
 * Return the inputs of the prior for some rows and one attempt.
 *
 * @param {Graphs} graphs  Of the model.
 * @param {Request} request  Checked.
 * @param {number[]} rows  Which.
 * @param {bigint} attempt  From 0 on.
 * @returns {import("./session.js").Feeds}
 */
function asked(graphs, request, rows, attempt) {
  const noise = graphs.noise("prior", request.seed, attempt, rows.map((row) => request.start + BigInt(row)));
  if (request.hand !== null) {
    const hand = graphs.noise("prior", request.hand, HAND_STREAM, [0n]).data;
    noise.data.forEach((_, at) => {
      const place = at % hand.length;
      if (place % OWN) noise.data[at] = hand[place];
    });
  }
  const n = rows.length;
  const levels = rowsOf(request.colors, rows, CHANNELS);
  return {
    digit: { data: Float64Array.from(rows, (row) => request.digits[row]), shape: [n] },
    rgb: { data: Float32Array.from(levels, (level) => level / 255), shape: [n, CHANNELS] },
    style: { data: Float32Array.from(rowsOf(request.style, rows, 2)), shape: [n, 2] },
    uniform: noise,
    temperature: { data: Float32Array.of(request.temperature), shape: [] },
  };
}

/**
 * @param {Uint8Array | Float32Array} values  (n * width).
 * @param {number[]} rows  Which are wanted.
 * @param {number} width  Of a row.
 */
function rowsOf(values, rows, width) {
  return rows.flatMap((row) => [...values.subarray(row * width, (row + 1) * width)]);
}

/**
 * @param {import("./session.js").Data} from  (n * width).
 * @param {number} at  The row that is read.
 * @param {import("./session.js").Data} to  (m * width).
 * @param {number} row  The row that is written.
 * @param {number} width  Of a row.
 */
function copyRow(from, at, to, row, width) {
  to.set(from.subarray(at * width, (at + 1) * width), row * width);
}
