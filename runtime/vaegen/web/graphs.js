/**
 * Each graph of a bundle as a function on rows of any number: batches, layout and number types end here.
 *
 * Outside, images are bytes (n * 28 * 28 * 3); between the graphs they are float32 (n * 3 * 28 * 28), 0 to 1.
 */

import { BundleError } from "./errors.js";
import { uniforms } from "./manifest.js";
import { uniform } from "./noise.js";
import { CHANNELS, PIXELS, SIDE } from "./spec.js";

/** @typedef {import("./session.js").Feeds} Feeds */
/** @typedef {import("./manifest.js").GraphName} GraphName */
/** @typedef {Uint8Array | Uint8ClampedArray} Bytes */

/** Images a graph sees at a time: it bounds the memory, and how long a page stands still. */
export const BATCH = 16;

const AREA = SIDE * SIDE;
const LEVELS = Float32Array.from({ length: 256 }, (_, level) => level / 255);

/** The five graphs of one bundle. */
export class Graphs {
  #sessions;
  #manifest;
  #uniforms;

  /**
   * @param {import("./session.js").Sessions} sessions  All opened.
   * @param {import("./manifest.js").Manifest} manifest  Of the same bundle.
   */
  constructor(sessions, manifest) {
    this.#sessions = sessions;
    this.#manifest = manifest;
    this.#uniforms = { sampler: uniforms(manifest, "sampler"), prior: uniforms(manifest, "prior") };
  }

  /**
   * Return outputs of the encoder for images, (n * ...) each.
   *
   * @param {Bytes} images  (n * 28 * 28 * 3).
   * @param {string[]} outputs  Of "latent", "mean", "log_variance" and "logits".
   */
  encode(images, outputs) {
    return this.#batches("encoder", images.length / PIXELS, outputs, (start, stop) => ({
      image: toFloats(images.subarray(start * PIXELS, stop * PIXELS)),
    }));
  }

  /**
   * Draw a latent for each row of a posterior.
   *
   * @param {Record<string, Float32Array>} posterior  What the graph takes, (n * ...) each.
   * @param {bigint} seed  Of the noise.
   * @param {bigint[]} items  Of the noise, (n).
   * @returns {Promise<Float32Array>} (n * L).
   */
  async sampler(posterior, seed, items) {
    const { latent } = await this.#batches("sampler", items.length, ["latent"], (start, stop) => {
      /** @type {Feeds} */
      const feeds = { uniform: this.noise("sampler", seed, 0n, items.slice(start, stop)) };
      for (const [name, data] of Object.entries(posterior)) {
        const shape = [stop - start, ...this.#row("sampler", "inputs", name)];
        const width = data.length / items.length;
        feeds[name] = { data: data.subarray(start * width, stop * width), shape };
      }
      return feeds;
    });
    return /** @type {Float32Array} */ (latent);
  }

  /**
   * Return the uniforms of some items of a seed, as a graph takes them.
   *
   * @param {"sampler" | "prior"} graph  Which takes them.
   * @param {bigint} seed  0 to 2^64 - 1.
   * @param {bigint} attempt  0 to 2^64 - 1.
   * @param {bigint[]} items  (n).
   * @returns {{data: Float32Array, shape: [number, number]}} (n * S).
   */
  noise(graph, seed, attempt, items) {
    const size = this.#uniforms[graph];
    return { data: uniform(seed, attempt, items, size), shape: [items.length, size] };
  }

  /**
   * Draw latents.
   *
   * @param {Feeds} asked  The graph's inputs, of one batch; one of a model without style does not take `style`.
   * @returns {Promise<Float32Array>} (n * L).
   * @throws {BundleError} The prior gives no numbers.
   */
  async prior(asked) {
    const names = Object.keys(this.#manifest.graphs.prior.inputs);
    const feeds = Object.fromEntries(names.map((name) => [name, asked[name]]));
    const { latent } = await this.#sessions.run("prior", feeds, ["latent"]);
    if (latent.every(Number.isFinite)) return /** @type {Float32Array} */ (latent);
    throw new BundleError("the prior gave latents that are no numbers; try a temperature nearer to 1");
  }

  /**
   * Answer one batch of requests: draw latents, decode them and have the images judged.
   *
   * @param {Feeds} asked  What `prior` takes.
   * @param {string[]} verdict  Outputs of the judge that are wanted; where there are none, it is not asked.
   */
  async answer(asked, verdict) {
    const latents = await this.prior(asked);
    const n = asked.digit.shape[0];
    const code = { latent: { data: latents, shape: [n, latents.length / n] } };
    const wanted = verdict.length ? ["image", "pixels"] : ["pixels"];
    const { image, pixels } = await this.#sessions.run("decoder", code, wanted);
    /** @type {Record<string, import("./session.js").Data>} */
    let said = {};
    if (verdict.length) {
      const feeds = { image: { data: image, shape: [n, CHANNELS, SIDE, SIDE] }, digit: asked.digit, rgb: asked.rgb };
      said = await this.#sessions.run("judge", feeds, verdict);
    }
    return { pixels, latents, said };
  }

  /**
   * Return an output of the decoder for latents.
   *
   * @param {Float32Array} latents  (n * L).
   * @param {"pixels" | "image"} output  Which.
   * @returns {Promise<import("./session.js").Data>} (n * 2352).
   */
  async decode(latents, output) {
    const [size] = this.#row("decoder", "inputs", "latent");
    const found = await this.#batches("decoder", latents.length / size, [output], (start, stop) => ({
      latent: { data: latents.subarray(start * size, stop * size), shape: [stop - start, size] },
    }));
    return found[output];
  }

  /**
   * Return the judge's probability of each digit for images.
   *
   * @param {Bytes} images  (n * 28 * 28 * 3).
   * @returns {Promise<Float32Array>} (n * 10).
   */
  async judge(images) {
    // Whatever digit and color are asked for, the probabilities are the same.
    const found = await this.#batches("judge", images.length / PIXELS, ["probabilities"], (start, stop) => ({
      image: toFloats(images.subarray(start * PIXELS, stop * PIXELS)),
      digit: { data: new Float64Array(stop - start), shape: [stop - start] },
      rgb: { data: new Float32Array((stop - start) * CHANNELS), shape: [stop - start, CHANNELS] },
    }));
    return /** @type {Float32Array} */ (found.probabilities);
  }

  /**
   * Return the size of one row of a tensor.
   *
   * @param {GraphName} graph  Of which graph.
   * @param {"inputs" | "outputs"} side  Which tensors.
   * @param {string} name  Which tensor.
   * @returns {number[]}
   */
  #row(graph, side, name) {
    return this.#manifest.graphs[graph][side][name].shape.slice(1).map(Number);
  }

  /**
   * Run a graph batch by batch and lay its outputs end to end.
   *
   * @param {GraphName} graph  Which.
   * @param {number} n  Rows.
   * @param {string[]} outputs  Their names.
   * @param {(start: number, stop: number) => Feeds} inputs  Gives those of some rows.
   * @returns {Promise<Record<string, import("./session.js").Data>>}
   */
  async #batches(graph, n, outputs, inputs) {
    /** @type {Record<string, import("./session.js").Data>} */
    const results = {};
    for (const name of outputs) {
      const values = n * this.#row(graph, "outputs", name).reduce((product, size) => product * size, 1);
      const isBytes = this.#manifest.graphs[graph].outputs[name].dtype === "uint8";
      results[name] = isBytes ? new Uint8Array(values) : new Float32Array(values);
    }
    for (let start = 0; start < n; start += BATCH) {
      if (start) await pause();
      const stop = Math.min(start + BATCH, n);
      const found = await this.#sessions.run(graph, inputs(start, stop), outputs);
      for (const name of outputs) results[name].set(found[name], start * (results[name].length / n));
    }
    return results;
  }
}

/**
 * Return images as the graphs take them.
 *
 * @param {Bytes} images  (n * 28 * 28 * 3).
 * @returns {{data: Float32Array, shape: number[]}} (n * 3 * 28 * 28), each value divided by 255.
 */
function toFloats(images) {
  const data = new Float32Array(images.length);
  for (let at = 0; at < data.length; at++) {
    const place = at % PIXELS;
    const channel = Math.floor(place / AREA);
    data[at] = LEVELS[images[at - place + (place - channel * AREA) * CHANNELS + channel]];
  }
  return { data, shape: [images.length / PIXELS, CHANNELS, SIDE, SIDE] };
}

/**
 * Return what the graphs give with the channels last, as images outside are.
 *
 * @param {import("./session.js").Data} floats  (n * 3 * 28 * 28).
 * @returns {Float32Array} (n * 28 * 28 * 3).
 */
export function channelsLast(floats) {
  const result = new Float32Array(floats.length);
  for (let at = 0; at < result.length; at++) {
    const place = at % PIXELS;
    result[at] = floats[at - place + (place % CHANNELS) * AREA + Math.floor(place / CHANNELS)];
  }
  return result;
}

/** Let a page answer its user before the next batch. */
export function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}
