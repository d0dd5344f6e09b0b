/** The one border to what runs graphs: the engine of this library, or an onnxruntime that the program has. */

import { compile } from "./engine.js";
import { BundleError, RequestError, quoted } from "./errors.js";
import { GRAPHS, compare } from "./manifest.js";

/** @typedef {import("./bundle.js").Bundle} Bundle */
/** @typedef {import("./manifest.js").GraphName} GraphName */
/** @typedef {import("./manifest.js").GraphSpec} GraphSpec */
/** @typedef {Float32Array | Float64Array | Uint8Array} Data  float32; int64, as numbers; uint8 and bool. */
/** @typedef {{data: Data, shape: number[]}} Feed */
/** @typedef {Record<string, Feed>} Feeds  Inputs of a graph by their names. */

/**
 * A graph that is open.
 *
 * @typedef {object} Session
 * @property {(feeds: Feeds, wanted: string[]) => Promise<Record<string, Data>>} run
 * @property {() => void} close
 */

/**
 * What is used of an onnxruntime: the modules `onnxruntime-web` and `onnxruntime-node` fit.
 *
 * @typedef {object} Onnxruntime
 * @property {{create: (bytes: Uint8Array, options: object) => Promise<OnnxSession>}} InferenceSession
 * @property {new (type: any, data: any, shape: number[]) => any} Tensor
 */

/**
 * A session of an onnxruntime.
 *
 * @typedef {object} OnnxSession
 * @property {(feeds: any, wanted: string[]) => Promise<Record<string, {data: any}>>} run
 * @property {() => Promise<void>} [release]
 */

/** The graphs of one bundle, all opened. */
export class Sessions {
  /** @type {Bundle} */
  #bundle;
  /** @type {Map<GraphName, Session>} */
  #open;

  /**
   * @param {Bundle} bundle  Checked.
   * @param {Map<GraphName, Session>} open  Its graphs.
   */
  constructor(bundle, open) {
    this.#bundle = bundle;
    this.#open = open;
  }

  /**
   * Run one graph on one batch.
   *
   * @param {GraphName} graph  Which.
   * @param {Feeds} feeds  Every input of the graph; those with a batch have the same n.
   * @param {string[]} wanted  Names of outputs.
   * @returns {Promise<Record<string, Data>>} (n * ...) each.
   * @throws {BundleError} The graph cannot be used.
   * @throws {RequestError} The sessions are closed.
   */
  async run(graph, feeds, wanted) {
    const session = this.#open.get(graph);
    if (!session) throw new RequestError("this model is closed; load it again");
    const spec = this.#bundle.manifest.graphs[graph];
    const found = await session.run(feeds, wanted);
    const n = Object.values(feeds).find((feed) => feed.shape.length)?.shape[0] ?? 0;
    for (const name of wanted) {
      const must = sizes(spec.outputs[name].shape, n).reduce((product, size) => product * size, 1);
      if (found[name]?.length === must) continue;
      const is = `output ${name} has ${found[name]?.length ?? "no"} values for ${n} rows; it must have ${must}`;
      throw new BundleError(`${whereOf(this.#bundle, graph)}: ${is}`);
    }
    return found;
  }

  /** Free the graphs; whatever runs afterwards throws RequestError. */
  close() {
    for (const session of this.#open.values()) session.close();
    this.#open.clear();
  }
}

/**
 * Open all graphs of a bundle.
 *
 * @param {Bundle} bundle  Checked.
 * @param {Onnxruntime} [engine]  An onnxruntime; this library's own engine where it is left out.
 * @returns {Promise<Sessions>}
 * @throws {RequestError} The engine is not an onnxruntime.
 * @throws {BundleError} A graph cannot be used.
 */
export async function open(bundle, engine) {
  const runtime = engine === undefined ? null : onnxruntimeOf(engine);
  /** @type {Map<GraphName, Session>} */
  const sessions = new Map();
  for (const name of GRAPHS) {
    const [spec, bytes, where] = [bundle.manifest.graphs[name], bundle.graphs[name], whereOf(bundle, name)];
    sessions.set(name, runtime ? await openForeign(runtime, spec, bytes, where) : openOwn(spec, bytes, where));
  }
  return new Sessions(bundle, sessions);
}

/**
 * @param {GraphSpec} spec  What the manifest says of the graph.
 * @param {Uint8Array} bytes  The graph.
 * @param {string} where  What it is called in messages.
 * @returns {Session}
 */
function openOwn(spec, bytes, where) {
  const program = compile(bytes, where);
  compare(`${where}: input`, tensorsOf(program.inputs), spec.inputs);
  compare(`${where}: output`, tensorsOf(program.outputs), spec.outputs);
  return {
    async run(feeds, wanted) {
      const found = program.run(feeds, wanted);
      return Object.fromEntries(wanted.map((name) => [name, /** @type {Data} */ (found[name].data)]));
    },
    close() {},
  };
}

// The sessions of onnxruntime-web share one memory and must not run at the same time: each waits for the one before.
/** @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * @param {Onnxruntime} runtime  What opens and runs it.
 * @param {GraphSpec} spec  What the manifest says of the graph.
 * @param {Uint8Array} bytes  The graph.
 * @param {string} where  What it is called in messages.
 * @returns {Promise<Session>}
 */
async function openForeign({ InferenceSession, Tensor }, spec, bytes, where) {
  // One thread is best for graphs this small; 3 stands for errors, all else would go to the console.
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };
  const session = await InferenceSession.create(bytes, options).catch((error) => {
    throw new BundleError(`${where}: onnxruntime cannot load it: ${firstLine(error)}`, { cause: error });
  });
  return {
    async run(feeds, wanted) {
      /** @type {Record<string, unknown>} */
      const tensors = {};
      for (const [name, { data, shape }] of Object.entries(feeds)) {
        const type = spec.inputs[name].dtype;
        tensors[name] = new Tensor(type, type === "int64" ? BigInt64Array.from(data, BigInt) : data, shape);
      }
      const run = last.then(() => session.run(tensors, wanted));
      last = run.catch(() => {}); // whose error is not the next one's
      const found = await run.catch((error) => {
        throw new BundleError(`${where}: onnxruntime failed: ${firstLine(error)}`, { cause: error });
      });
      return Object.fromEntries(
        wanted.map((name) => {
          const data = found[name].data;
          return [name, data instanceof BigInt64Array ? Float64Array.from(data, Number) : data];
        }),
      );
    },
    close() {
      void session.release?.();
    },
  };
}

/**
 * @param {any} engine  As the call has it: a module, or what a CommonJS module looks like from another.
 * @returns {Onnxruntime}
 */
function onnxruntimeOf(engine) {
  for (const module of [engine, engine?.default]) {
    if (typeof module?.InferenceSession?.create === "function" && typeof module.Tensor === "function") return module;
  }
  const choices = "leave it out, or give the module onnxruntime-web or onnxruntime-node";
  throw new RequestError(`engine ${quoted(engine)} is not usable; ${choices}`);
}

/** @param {readonly import("./onnx.js").Value[]} values  Inputs or outputs of a graph. */
function tensorsOf(values) {
  return Object.fromEntries(
    values.map(({ name, type, shape }) => [
      name,
      { dtype: type, shape: shape.map((size) => (typeof size === "number" ? size : /** @type {const} */ ("n"))) },
    ]),
  );
}

/** @param {(number | "n")[]} shape @param {number} n */
function sizes(shape, n) {
  return shape.map((size) => (size === "n" ? n : size));
}

/** @param {Bundle} bundle @param {GraphName} graph */
function whereOf(bundle, graph) {
  return quoted(bundle.place + bundle.manifest.graphs[graph].file);
}

/** @param {unknown} error  Of another library. */
function firstLine(error) {
  return String(error instanceof Error ? error.message : error).trim().split("\n")[0];
}
