/**
 * vaegen in JavaScript: colored digits from models of 4 MB, in browsers, Node and Deno, without dependencies.
 *
 *     const model = await load("models/joint/");
 *     const pixels = await model.sample(3, "red");   // Uint8Array of 28 * 28 * 3, RGB
 */

export { parseColor } from "./color.js";
export { BundleError, IntegrityError, RequestError, VaegenError } from "./errors.js";
export { Model, load } from "./model.js";
export { uniform } from "./noise.js";
