// Times the engine in one thread, beside onnxruntime-node where that is installed: `node tests/web/bench.js [BUNDLE]`.
// For batches of 1 and 64, the median of a verified sample that is accepted at once (prior, decoder, judge), of a
// decode and of an encode, in milliseconds of wall time and, in parentheses, for one image.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { compile } from "../../runtime/vaegen/web/engine.js";

const JOINT = fileURLToPath(new URL("../../runtime/vaegen/models/joint", import.meta.url));
const [folder = JOINT] = process.argv.slice(2);
const GRAPHS = ["prior", "decoder", "judge", "encoder"];
const files = GRAPHS.map((graph) => readFileSync(`${folder}/${graph}.onnx`));
const own = Object.fromEntries(GRAPHS.map((graph, at) => [graph, compile(files[at], `${graph}.onnx`)]));

/** Return sessions of onnxruntime-node that are called as those of the engine, or null where it is not installed. */
async function foreign() {
  const require = createRequire(import.meta.url);
  try {
    require.resolve("onnxruntime-node");
  } catch {
    return null;
  }
  const { InferenceSession, Tensor } = require("onnxruntime-node");
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };
  const sessions = await Promise.all(files.map((file) => InferenceSession.create(file, options)));
  const tensor = ({ data, shape }) => new Tensor(data instanceof BigInt64Array ? "int64" : "float32", data, shape);
  const run = (session) => async (feeds, wanted) => {
    const tensors = Object.entries(feeds).map(([name, feed]) => [name, tensor(feed)]);
    const found = await session.run(Object.fromEntries(tensors), wanted);
    return Object.fromEntries(wanted.map((name) => [name, { data: found[name].data, shape: found[name].dims }]));
  };
  return Object.fromEntries(GRAPHS.map((graph, at) => [graph, { run: run(sessions[at]) }]));
}

/** Return what a request feeds to a graph, for n images. */
function feeds(graph, n) {
  const values = own[graph].inputs.map(({ name, type, shape }) => {
    const sizes = shape.map((length) => (typeof length === "string" ? n : length));
    const length = sizes.reduce((a, b) => a * b, 1);
    const digits = () => BigInt64Array.from({ length }, (_, i) => BigInt(i % 10));
    const floats = () => Float32Array.from({ length }, (_, i) => (((i + 13) * 37) % 97) / 97);
    return [name, { data: type === "int64" ? digits() : floats(), shape: sizes }];
  });
  return Object.fromEntries(values);
}

async function medians(graphs, n) {
  const [request, question] = [feeds("prior", n), feeds("judge", n)];
  const times = { sample: [], decode: [], encode: [] };
  const timed = async (name, work) => {
    const start = performance.now();
    const result = await work();
    times[name].push(performance.now() - start);
    return result;
  };
  for (const end = performance.now() + 3000; performance.now() < end; ) {
    const image = await timed("sample", async () => {
      const { latent } = await graphs.prior.run(request, ["latent"]);
      const { image } = await graphs.decoder.run({ latent }, ["image", "pixels"]);
      await graphs.judge.run({ ...question, image }, ["accepted", "rank"]);
      return image;
    });
    const { latent } = await timed("encode", () => graphs.encoder.run({ image }, ["latent"]));
    await timed("decode", () => graphs.decoder.run({ latent }, ["pixels"]));
  }
  return Object.values(times).map((each) => each.sort((a, b) => a - b)[each.length >> 1]);
}

const row = (name, cells) => console.log(name.padEnd(22) + cells.map((cell) => cell.padStart(18)).join(""));
row("", ["sample", "decode", "encode"]);
for (const [name, graphs] of Object.entries({ "this engine": own, "onnxruntime-node": await foreign() })) {
  if (graphs === null) console.log("onnxruntime-node is not installed: run npm install in tests/web");
  for (const n of graphs ? [1, 64] : []) {
    const times = await medians(graphs, n);
    row(`${name}, ${n}`, times.map((time) => `${time.toFixed(2)} (${(time / n).toFixed(2)})`));
  }
}
