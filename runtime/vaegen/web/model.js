/** A loaded model: the calls that most users of vaegen make, under the names that they have in Python. */

import { readBundle } from "./bundle.js";
import { checkFinite, checkImages, checkInteger, checkLatents, checkOptions } from "./checks.js";
import { RequestError } from "./errors.js";
import { Graphs, channelsLast } from "./graphs.js";
import { namedLatent } from "./latent.js";
import { MAX_SEED } from "./noise.js";
import { ask, parseItems } from "./request.js";
import { draw, styleOfHand } from "./sampling.js";
import { open } from "./session.js";

/** @typedef {import("./graphs.js").Bytes} Bytes */
/** @typedef {import("./request.js").Colors} Colors */
/** @typedef {import("./request.js").Digits} Digits */
/** @typedef {import("./request.js").ItemOptions} ItemOptions */
/** @typedef {import("./request.js").SampleOptions} SampleOptions */
/** @typedef {import("./sampling.js").Draw} Draw */
/** @typedef {ArrayLike<number>} Floats  A `Float32Array`, a `Float64Array` or an array of numbers. */

/**
 * q(latent | image) of n images: a Gaussian and categoricals, as the model has them.
 *
 * @typedef {object} Posterior
 * @property {Float32Array} latent  (n * L), the deterministic path: the mean, and one-hots of the largest logits.
 * @property {Float32Array | null} mean  (n * Z); null where Z is 0.
 * @property {Float32Array | null} logVariance  (n * Z), natural logarithm of the variance; null where Z is 0.
 * @property {Float32Array | null} logits  (n * N * K), unnormalised log-probabilities; null where N is 0.
 */

/**
 * One loaded model; made by `load`.
 *
 * All calls are stateless. Images are `Uint8Array`, RGB, row by row: 28 * 28 * 3 values each, many laid end to end. The
 * same call gives the same values everywhere, within 1/255. A call throws `RequestError` where it asks for something
 * that does not exist, and `BundleError` where a graph fails.
 */
export class Model {
  #bundle;
  #sessions;
  #graphs;

  /**
   * @param {import("./bundle.js").Bundle} bundle  Checked.
   * @param {import("./session.js").Sessions} sessions  Its graphs.
   */
  constructor(bundle, sessions) {
    this.#bundle = bundle;
    this.#sessions = sessions;
    this.#graphs = new Graphs(sessions, bundle.manifest);
  }

  /** All that the bundle says about itself, as its file has it. */
  get manifest() {
    return this.#bundle.manifest;
  }

  /** What the model is: name, latent space, temperatures, thresholds. */
  get spec() {
    return this.#bundle.spec;
  }

  /**
   * Make images of digits in colors.
   *
   * @param {Digits} digit  0 to 9, or one for each image.
   * @param {Colors} color  What `parseColor` reads, or one for each image.
   * @param {SampleOptions} [options]  All else that may be asked for.
   * @returns {Promise<Uint8Array>} (count * 28 * 28 * 3), RGB.
   */
  async sample(digit, color, options) {
    return (await this.draw(digit, color, options)).images;
  }

  /**
   * Make the images of `sample`, and tell what is known of each.
   *
   * @param {Digits} digit  0 to 9, or one for each image.
   * @param {Colors} color  What `parseColor` reads, or one for each image.
   * @param {SampleOptions} [options]  All else that may be asked for.
   * @returns {Promise<Draw>}
   */
  async draw(digit, color, options = {}) {
    const { style, latent } = this.spec;
    const request = ask(this.spec, digit, color, options, (hand) => (style ? styleOfHand(style, hand) : [0, 0]));
    return draw(this.#graphs, request, latent.size);
  }

  /**
   * Return a latent in which some parts are chosen by name, and the others are as the prior finds them typical.
   *
   * @param {Record<string, number>} values  By `spec.names`: a number for a coordinate, a class from 0 on for a
   *   categorical. "hue" in turns, "saturation" and "value", 0 to 1, in any model that codes colors apart. A digit or
   *   color that is not chosen is a red 3.
   * @returns {Promise<Float32Array>} (L), for `decode`.
   */
  async latent(values) {
    return namedLatent(this.#graphs, this.spec, values);
  }

  /**
   * Return the latent of each image by the deterministic path: means, and one-hots of the largest logits.
   *
   * @param {Bytes} images  (n * 28 * 28 * 3).
   * @returns {Promise<Float32Array>} (n * L).
   */
  async encode(images) {
    const { latent } = await this.#graphs.encode(checkImages(images), ["latent"]);
    return /** @type {Float32Array} */ (latent);
  }

  /**
   * Return q(latent | image) for each image, from one run of the encoder.
   *
   * @param {Bytes} images  (n * 28 * 28 * 3).
   * @returns {Promise<Posterior>}
   */
  async posterior(images) {
    const names = Object.keys(this.manifest.graphs.encoder.outputs);
    const found = /** @type {Record<string, Float32Array>} */ (await this.#graphs.encode(checkImages(images), names));
    const { latent, mean = null, log_variance: logVariance = null, logits = null } = found;
    return { latent, mean, logVariance, logits };
  }

  /**
   * Draw a latent from each posterior: mean + sigma * eps, and Gumbel-Softmax codes at the model's temperature.
   *
   * @param {Posterior} posterior  Of n images, from this model.
   * @param {ItemOptions} [options]  Whose noise the rows get.
   * @returns {Promise<Float32Array>} (n * L).
   */
  async samplePosterior(posterior, options = {}) {
    checkOptions(options, ["seed", "start", "items"]);
    const seed = checkInteger("seed", options.seed ?? 0, 0n, MAX_SEED);
    const parameters = this.#parameters(posterior);
    return this.#graphs.sampler(parameters, seed, parseItems(posterior.latent.length / this.spec.latent.size, options));
  }

  /**
   * Turn latents into images.
   *
   * @param {Floats} latents  (n * L), finite: Z coordinates, then N one-hots (or soft codes) of K.
   * @returns {Promise<Uint8Array>} (n * 28 * 28 * 3), RGB.
   */
  async decode(latents) {
    const checked = checkLatents(latents, this.spec.latent.size);
    return /** @type {Promise<Uint8Array>} */ (this.#graphs.decode(checked, "pixels"));
  }

  /**
   * Turn latents into the decoder's own output, for losses: 8 bits are too coarse for nats.
   *
   * @param {Floats} latents  What `decode` takes.
   * @returns {Promise<Float32Array>} (n * 28 * 28 * 3), 0 to 1; times 255 and rounded, what `decode` returns.
   */
  async decodeUnrounded(latents) {
    return channelsLast(await this.#graphs.decode(checkLatents(latents, this.spec.latent.size), "image"));
  }

  /**
   * Send images through the model: encode and decode.
   *
   * @param {Bytes} images  (n * 28 * 28 * 3).
   * @param {ItemOptions & {stochastic?: boolean}} [options]  `stochastic` draws the latents from the posterior instead
   *   of taking the deterministic path; the others say with whose noise.
   * @returns {Promise<Uint8Array>} (n * 28 * 28 * 3).
   */
  async reconstruct(images, options = {}) {
    checkOptions(options, ["stochastic", "seed", "start", "items"]);
    const { stochastic = false, ...items } = options;
    if (!stochastic) return this.decode(await this.encode(images));
    return this.decode(await this.samplePosterior(await this.posterior(images), items));
  }

  /**
   * Return the probability of each digit, as the bundle's own judge sees the images.
   *
   * @param {Bytes} images  (n * 28 * 28 * 3).
   * @returns {Promise<Float32Array>} (n * 10), rows sum to 1.
   */
  async judge(images) {
    return this.#graphs.judge(checkImages(images));
  }

  /** Free the graphs; later calls throw RequestError. */
  close() {
    this.#sessions.close();
  }

  /**
   * Return what the sampler takes of a posterior.
   *
   * @param {Posterior} posterior  As the call has it.
   */
  #parameters(posterior) {
    /** @type {Record<string, Float32Array>} */
    const found = {};
    const n = (posterior?.latent?.length ?? 0) / this.spec.latent.size;
    for (const [name, { shape }] of Object.entries(this.manifest.graphs.sampler.inputs)) {
      if (name === "uniform") continue;
      const key = /** @type {"mean" | "logVariance" | "logits"} */ (name === "log_variance" ? "logVariance" : name);
      const value = posterior?.[key];
      const width = shape.slice(1).reduce((/** @type {number} */ product, size) => product * Number(size), 1);
      if (!(value instanceof Float32Array) || value.length !== n * width) {
        throw new RequestError(`the posterior's ${key} does not fit this model; take it from its own posterior()`);
      }
      checkFinite(`the posterior's ${key}`, value);
      found[name] = value;
    }
    return found;
  }
}

/**
 * Load a model: read and check all its files, and open its graphs.
 *
 * @param {import("./bundle.js").Source} source  The URL of a bundle's folder, relative to the page; in Node and Deno
 *   also a path; or the files by their names, `{"manifest.json": ..., "prior.onnx": bytes, ...}`.
 * @param {{engine?: import("./session.js").Onnxruntime}} [options]  `engine` is an onnxruntime to run the graphs
 *   instead of this library's own engine: the module `onnxruntime-web` or `onnxruntime-node`.
 * @returns {Promise<Model>}
 * @throws {RequestError} The source or the engine is nothing of the kind.
 * @throws {BundleError} The source is not a bundle, or one that cannot be used.
 * @throws {IntegrityError} A file of the bundle is not the one its manifest records.
 */
export async function load(source, options = {}) {
  checkOptions(options, ["engine"]);
  const bundle = await readBundle(source);
  return new Model(bundle, await open(bundle, options.engine));
}
