/**
 * Answers what test_client.py asks. Takes {engine, bundle, calls: [[method, ...arguments], ...]} on standard input, and
 * writes what each call gives: {value}, or {error: [class, message]}. Integers beyond 2^53 travel as texts "123n".
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import * as vaegen from "../../runtime/vaegen/web/index.js";

const revive = (_, value) => (/^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value);
const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);

const { engine, bundle, calls } = JSON.parse(readFileSync(0, "utf8"), revive);
const options = engine ? { engine: createRequire(import.meta.url)(engine) } : {};
const model = bundle ? await vaegen.load(bundle, options) : vaegen;
const results = [];
for (const [method, ...args] of calls) {
  const images = args.map((value) => (value?.bytes ? Uint8Array.from(value.bytes) : value));
  try {
    results.push({ value: await model[method](...images) });
  } catch (error) {
    if (!(error instanceof vaegen.VaegenError)) throw error;
    results.push({ error: [error.name, error.message] });
  }
}
process.stdout.write(JSON.stringify(results, plain));
