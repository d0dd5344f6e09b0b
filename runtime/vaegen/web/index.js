/**
 * vaegen in JavaScript: colored digits from models of 4 MB, in browsers, Node and Deno, without dependencies.
 *
 *     const model = await load("models/joint/");
 *     const pixels = await model.sample(3, "red");   // Uint8Array of 28 * 28 * 3, RGB
 */

/** @typedef {import("./bundle.js").Source} Source */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./model.js").Posterior} Posterior */
/** @typedef {import("./request.js").ItemOptions} ItemOptions */
/** @typedef {import("./request.js").SampleOptions} SampleOptions */
/** @typedef {import("./sampling.js").Draw} Draw */
/** @typedef {import("./session.js").Onnxruntime} Onnxruntime */
/** @typedef {import("./spec.js").ModelSpec} ModelSpec */

export { parseColor } from "./color.js";
export { BundleError, IntegrityError, RequestError, VaegenError } from "./errors.js";
export { Model, load } from "./model.js";
export { uniform } from "./noise.js";
export { toRgb, toRgba } from "./pixels.js";
