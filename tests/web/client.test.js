/** The client by itself: where bundles come from, what is refused, how calls behave; test_client.py has the numbers. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import {
  BundleError,
  IntegrityError,
  RequestError,
  VaegenError,
  load,
  parseColor,
  toRgb,
  toRgba,
  uniform,
} from "../../runtime/vaegen/web/index.js";
import { sha256 } from "../../runtime/vaegen/web/sha256.js";

const TINY = new URL("../assets/tiny/", import.meta.url);
const NAMES = ["manifest.json", "encoder.onnx", "sampler.onnx", "prior.onnx", "decoder.onnx", "judge.onnx"];
const files = Object.fromEntries(NAMES.map((name) => [name, new Uint8Array(readFileSync(new URL(name, TINY)))]));
const manifest = JSON.parse(new TextDecoder().decode(files["manifest.json"]));
const model = await load(files);
const red = await model.sample(3, "red");

// A bundle whose judge is what its manifest records, and no graph.
const noGraph = new TextEncoder().encode("no graph");
const recorded = structuredClone(manifest);
Object.assign(recorded.graphs.judge, { bytes: noGraph.length, sha256: sha256(noGraph) });
const unreadable = { ...files, "judge.onnx": noGraph, "manifest.json": JSON.stringify(recorded) };

/** Expect an error of a class, whose message has a text in it or is it. */
function refused(call, kind, message) {
  return assert.rejects(async () => call(), (error) => {
    assert.equal(error.constructor, kind, error.stack);
    assert.equal(error.name, kind.name);
    assert.ok(error.message.includes(message), error.message);
    return error instanceof VaegenError;
  });
}

/** Serve files by their names while a test runs, and say what was asked for. */
async function serve(context, answer) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    const [status, body] = answer(request.url);
    response.writeHead(status).end(body);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const close = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  context.after(close);
  return { url: `http://127.0.0.1:${server.address().port}`, asked, close };
}

test("a bundle comes from a path, a URL, or memory", async (context) => {
  const folder = fileURLToPath(TINY);
  const { url, asked } = await serve(context, (path) => [200, files[new URL(path, "http://x").pathname.slice(8)]]);
  const blobs = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, new Blob([bytes])]));
  const { buffer } = files["prior.onnx"].slice();
  const mixed = { ...files, "manifest.json": JSON.stringify(manifest), "prior.onnx": buffer };
  const served = [`${url}/models`, new URL(`${url}/models/?key=1`)];
  for (const source of [folder, folder.slice(0, -1), TINY, TINY.href, ...served, blobs, mixed]) {
    assert.deepEqual(await (await load(source)).sample(3, "red"), red);
  }
  assert.equal(asked.length, 12);
  assert.ok(asked.includes("/models/prior.onnx") && asked.includes("/models/prior.onnx?key=1"));
});

test("what is no bundle is refused, with what to do", async (context) => {
  const { url, close } = await serve(context, (path) =>
    path.startsWith("/html/") ? [200, "<!doctype html>"] : [path.startsWith("/closed/") ? 403 : 404, "no"],
  );
  await refused(() => load(`${url}/none`), BundleError, `'${url}/none/' is no model bundle: it has no manifest.json`);
  await refused(() => load(`${url}/closed`), BundleError, "closed/manifest.json': the server says 403");
  await refused(() => load(`${url}/html`), BundleError, "manifest: not valid JSON");
  await close();
  await refused(() => load(`${url}/gone`), BundleError, "(CORS)");
  await refused(() => load("joint"), BundleError, "'joint/' is no model bundle: it has no manifest.json");
  for (const source of [undefined, null, 3, ""]) await refused(() => load(source), RequestError, "unknown model");
  await refused(() => load({}), BundleError, "manifest.json is not among the files given: []");
  await refused(() => load({ ...files, "judge.onnx": [1, 2] }), RequestError, "judge.onnx is [1, 2]; give its bytes");
  await refused(() => load("http://[bad/"), RequestError, "leads nowhere from here");
  for (const engine of [{}, "web", null]) await refused(() => load(files, { engine }), RequestError, "engine");
  await refused(() => load(files, { threads: 4 }), RequestError, "unknown option 'threads'; choose from engine");
});

test("a file that is not the one recorded is refused, with and without the platform's SHA-256", async () => {
  const bad = { ...files, "prior.onnx": files["prior.onnx"].map((byte, at) => (at === 100 ? byte ^ 1 : byte)) };
  const own = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  for (const value of [globalThis.crypto, undefined]) {
    Object.defineProperty(globalThis, "crypto", { value, configurable: true, writable: true });
    try {
      await refused(() => load(bad), IntegrityError, "'prior.onnx' is not the file its manifest records");
      await refused(() => load({ ...files, "judge.onnx": new Uint8Array() }), IntegrityError, "'judge.onnx'");
      assert.deepEqual(await (await load(files)).sample(3, "red"), red);
    } finally {
      Object.defineProperty(globalThis, "crypto", own);
    }
  }
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, at) => 7 * at);
    assert.equal(sha256(bytes), createHash("sha256").update(bytes).digest("hex"));
  }
});

test("a graph that cannot be read is named, once", async () => {
  await refused(() => load(unreadable), BundleError, "'judge.onnx': no ONNX file");
  await assert.rejects(load(unreadable), (error) => error.message.split("judge.onnx").length === 2);
});

test("a browser's old copy of one file is fetched again, once", async (context) => {
  let stale = true;
  const { url, asked } = await serve(context, (path) => {
    if (path !== "/judge.onnx" || !stale) return [200, files[path.slice(1)]];
    stale = false;
    return [200, "the bundle that was here before"];
  });
  assert.deepEqual(await (await load(url)).sample(3, "red"), red);
  assert.equal(asked.filter((path) => path === "/judge.onnx").length, 2);
});

test("a manifest that does not fit is refused", async () => {
  const wrong = (change, message) => {
    const changed = structuredClone(manifest);
    change(changed);
    return refused(() => load({ ...files, "manifest.json": JSON.stringify(changed) }), BundleError, message);
  };
  await wrong((m) => (m.schema = 3), "manifest: schema 3 is not readable here; this vaegen reads schema 2");
  await wrong((m) => (m.schema = 1), "exported by vaegen 0.1");
  await wrong((m) => delete m.graphs.judge, "manifest: graphs are ['decoder', 'encoder', 'prior', 'sampler']");
  await wrong((m) => delete m.model.name, "manifest: model.name is null; it must be of type str");
  await wrong((m) => (m.model.name = "\u202eevil"), "which cannot be printed");
  await wrong((m) => (m.model.latent.names.continuous[0] = "a,b"), "no = , ;");
  await wrong((m) => (m.model.latent.continuous += 1), "names; it must have");
  await wrong((m) => (m.model.prior_temperature = "1"), "model.prior_temperature is '1'");
  await wrong((m) => (m.model.thresholds.realism = null), "must be a number from -1000 to 1000");
  await wrong((m) => (m.graphs.prior.file = "../x.onnx"), "it must be 'prior.onnx'");
  await wrong((m) => (m.graphs.prior.inputs.uniform.shape = ["n", 10 ** 6]), 'it must be ["n", S]');
  await wrong((m) => (m.graphs.decoder.outputs.pixels.dtype = "bool"), "decoder.outputs pixels is bool (n, 28, 28, 3)");
  await wrong((m) => (m.graphs.judge.inputs.constructor = { dtype: "bool", shape: ["n"] }), "it must be absent");
  for (const text of ["", "[]", "{}", "null", "\xff"]) {
    await refused(() => load({ ...files, "manifest.json": text }), BundleError, "manifest");
  }
});

test("what people pass by mistake is refused, in one line", async () => {
  const request = (call, message) => refused(call, RequestError, message);
  for (const digit of [null, undefined, NaN, Infinity, true, {}, new Set([3]), 12n, -0.5]) {
    await request(() => model.sample(digit, "red"), "is not usable; choose an integer from 0 to 9");
  }
  for (const color of [null, undefined, NaN, true, {}, new Map(), [true, false, 1], [NaN, 0, 0]]) {
    await request(() => model.sample(3, color), "is not usable; give a name or three integers from 0 to 255");
  }
  for (const seed of [null, NaN, true, {}, -1n, 2n ** 64n, 2 ** 70]) {
    await request(() => model.sample(3, "red", { seed }), "choose an integer from 0 to 18446744073709551615");
  }
  await request(() => model.sample(3, "red", { seed: 2 ** 53 }), "give a BigInt, such as 9007199254740992n");
  await request(() => model.sample(3, "red", { count: 10 ** 6 + 1 }), "choose an integer from 1 to 1000000");
  await request(() => model.sample(3, "red", { sed: 1 }), "unknown option 'sed'; choose from count, seed, start");
  await request(() => model.sample(3, "red", 5), "options 5 are not usable");
  await request(() => model.sample(3, "red", null), "options null are not usable");
  for (const call of ["encode", "reconstruct", "posterior", "judge"]) {
    await request(() => model[call](new Float32Array(2352)), "are of type Float32Array; they must be a Uint8Array");
    await request(() => model[call](new Uint8ClampedArray(28 * 28 * 4)), "leave out the alpha of a canvas");
    await request(() => model[call](new Uint8Array(100)), "images have length 100; it must be n * 28 * 28 * 3");
    await request(() => model[call](null), "images are null");
  }
  const size = model.spec.latent.size;
  for (const call of ["decode", "decodeUnrounded"]) {
    await request(() => model[call](new Float32Array(size + 1)), `have length ${size + 1}; it must be n * ${size}`);
    for (const value of [NaN, -Infinity, 1.1e6]) {
      await request(() => model[call](new Float32Array(size).fill(value)), "must be finite numbers within 1e+06");
    }
    await request(() => model[call](new Uint8Array(size)), "are of type Uint8Array; they must be a Float32Array");
    await request(() => model[call](["0.5"]), "latents are of type Array");
  }
  for (const values of [null, 3, ["hue"], undefined]) await request(() => model.latent(values), "by an object such as");
  const posterior = await model.posterior(red);
  await request(() => model.samplePosterior(null), "does not fit this model; take it from its own posterior()");
  await request(() => model.samplePosterior({ ...posterior, latent: new Float32Array(2 * size) }), "does not fit");
  await request(() => model.samplePosterior(posterior, { items: [1, 2] }), "2 items for 1 images; give one for each");
  await request(() => model.reconstruct(red, { stochastic: true, seed: "1" }), "seed '1' is not usable");
  await request(() => model.reconstruct(red, true), "options true are not usable");
  assert.throws(() => uniform(0, 0, 0, 0), RequestError);
  assert.throws(() => uniform(0, 0, [0, -1], 8), RequestError);
  assert.throws(() => parseColor(undefined), RequestError);
});

test("an image depends on its seed and item alone", async () => {
  const many = await model.sample([3, 4, 5], "teal", { seed: 9, start: 2n ** 62n - 1n });
  assert.deepEqual(await model.sample(4, [0, 128, 128], { seed: 9n, start: 2n ** 62n }), many.slice(2352, 4704));
  const batch = await model.draw(7, Uint8Array.from({ length: 40 * 3 }, (_, at) => 60 + at), { seed: 1 });
  for (const row of [0, 17, 39]) {
    const one = await model.draw(7, batch.colors.slice(3 * row, 3 * row + 3), { seed: 1, start: row });
    assert.deepEqual(one.images, batch.images.slice(2352 * row, 2352 * (row + 1)));
    assert.equal(one.triesUsed[0], batch.triesUsed[row]);
  }
  const both = await model.sample(batch.digits.slice(0, 2), batch.colors.slice(0, 6), { seed: 1 });
  assert.deepEqual(both, batch.images.slice(0, 2 * 2352));
  assert.deepEqual(await model.decode(batch.latents), batch.images);
  assert.deepEqual(await model.decode([...batch.latents]), batch.images);
});

test("no images are no error, and options may be null where Python has None", async () => {
  assert.equal((await model.reconstruct(new Uint8Array())).length, 0);
  assert.equal((await model.judge(new Uint8Array())).length, 0);
  const open = { count: null, temperature: null, slant: null, thickness: null, hand: null, seed: undefined };
  assert.deepEqual(await model.sample(3, "red", open), red);
  const draw = await model.draw(3, "red", { tries: 1 });
  assert.deepEqual([draw.judged, draw.rank, draw.reached, draw.accepted], [null, null, null, null]);
});

test("images go to a canvas and come back", async () => {
  const rgba = toRgba(red);
  assert.deepEqual([...rgba.slice(0, 4)], [...red.slice(0, 3), 255]);
  assert.deepEqual(toRgb(rgba), red);
  rgba.fill(0, 3, 4).fill(200, 0, 3); // not opaque: the background is black
  assert.deepEqual([...toRgb(rgba).slice(0, 3)], [0, 0, 0]);
  assert.throws(() => toRgba(model.sample(3, "red")), /images are of type Promise; they must be a Uint8Array/);
  assert.throws(() => toRgb(red), /pixels have length 2352; it must be n \* 28 \* 28 \* 4/);
});

test("a closed model says so", async () => {
  const closed = await load(files);
  closed.close();
  await refused(() => closed.sample(3, "red"), RequestError, "this model is closed; load it again");
});

test("a worker gives the same, and arrays travel to it", async () => {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.client).then(async ({ load }) => {
      parentPort.postMessage(await (await load(workerData.folder)).sample(3, "red"));
    });`;
  const client = new URL("../../runtime/vaegen/web/index.js", import.meta.url).href;
  const worker = new Worker(code, { eval: true, workerData: { client, folder: TINY.href } });
  const pixels = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  assert.deepEqual(pixels, red);
  await worker.terminate();
});

/** Return an onnxruntime that refuses what a browser's build of onnxruntime-web refuses: runs that overlap. */
function oneAtATime({ InferenceSession, Tensor }) {
  let runs = 0;
  const create = async (...args) => {
    const session = await InferenceSession.create(...args);
    const run = async (...inputs) => {
      assert.equal(++runs, 1, "Session already started");
      return session.run(...inputs).finally(() => runs--);
    };
    return { run, release: () => session.release() };
  };
  return { InferenceSession: { create }, Tensor };
}

for (const name of ["onnxruntime-node", "onnxruntime-web"]) {
  let ort;
  try {
    ort = createRequire(import.meta.url)(name);
  } catch {}
  test(`${name} runs the graphs: calls at once, errors, the end`, { skip: !ort && "not installed" }, async () => {
    if (name === "onnxruntime-web") ort.env.wasm.numThreads = 1;
    const other = await load(files, { engine: { default: oneAtATime(ort) } });
    const calls = [0, 1, 2, 3].map((seed) => other.sample([3, 8], "orange", { seed }));
    for (const [seed, pixels] of (await Promise.all(calls)).entries()) {
      const own = await model.sample([3, 8], "orange", { seed });
      assert.ok(pixels.every((value, at) => Math.abs(value - own[at]) <= 1));
    }
    const failed = "'judge.onnx': onnxruntime cannot load it";
    await refused(() => load(unreadable, { engine: ort }), BundleError, failed);
    other.close();
    await refused(() => other.sample(3, "red"), RequestError, "closed");
  });
}
