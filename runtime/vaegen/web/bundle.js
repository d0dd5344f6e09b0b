/** Bundles: reading each file once, from a server, a disk or memory, and believing none of it before it is checked. */

import { BundleError, IntegrityError, RequestError, quoted } from "./errors.js";
import { GRAPHS, readManifest } from "./manifest.js";
import { sha256 } from "./sha256.js";

/** @typedef {Uint8Array | ArrayBuffer | Blob | string} Content  Bytes or, of the manifest, text. */
/** @typedef {string | URL | Record<string, Content>} Source  A bundle's folder, or its files by their names. */

/**
 * A bundle whose files were all read and found to be what the manifest says.
 *
 * @typedef {object} Bundle
 * @property {import("./manifest.js").Manifest} manifest
 * @property {import("./spec.js").ModelSpec} spec
 * @property {Record<import("./manifest.js").GraphName, Uint8Array>} graphs  Bytes of each graph.
 * @property {string} place  What the source is called in messages, with a slash at its end.
 */

/**
 * Where the files of a bundle are.
 *
 * @typedef {object} Reader
 * @property {string} place  What it is called in messages, with a slash at its end.
 * @property {(file: string) => Promise<Uint8Array | null>} read  Gives a file's bytes; null where there is none.
 */

const MANIFEST = "manifest.json";
const MAX_GRAPH = 64 * 2 ** 20; // bytes; sixteen times what a shipped bundle may have in all
const MAX_MANIFEST = 2 ** 20; // bytes
// In a page or a worker a text is a URL, relative to the page; elsewhere it may be a path.
const IN_PAGE = "document" in globalThis || "WorkerGlobalScope" in globalThis;

/**
 * Read a bundle and check it as a whole.
 *
 * @param {Source} source  A URL or, in Node and Deno, a path, of the folder; or its files.
 * @returns {Promise<Bundle>}
 * @throws {RequestError} The source is neither.
 * @throws {BundleError} It is not a bundle, or not one that this version can use.
 * @throws {IntegrityError} A graph is not the one the manifest records.
 */
export async function readBundle(source) {
  if (typeof source === "string" || source instanceof URL) {
    const folder = folderOf(source);
    if (!(folder instanceof URL) || (folder.protocol === "file:" && !IN_PAGE)) return readFiles(await onDisk(folder));
    try {
      return await readFiles(onServer(folder, "default"));
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      return readFiles(onServer(folder, "reload")); // a browser may have kept a file that has been replaced since
    }
  }
  if (typeof source === "object" && source !== null) return readFiles(inMemory(source));
  throw new RequestError(`unknown model ${quoted(source)}; give the URL of a bundle's folder, or its files`);
}

/**
 * Return where a folder is: a URL in a page or a worker, or if it is one, else a path.
 *
 * @param {string | URL} source  As the call has it.
 * @returns {URL | string} With a slash at its end.
 */
function folderOf(source) {
  const text = String(source);
  if (!text) throw new RequestError("unknown model ''; give the URL of a bundle's folder, or its files");
  if (!IN_PAGE && !/^[a-z][a-z0-9+.-]+:/i.test(text)) return /[\\/]$/.test(text) ? text : `${text}/`;
  try {
    const url = new URL(text, IN_PAGE ? (globalThis.document?.baseURI ?? globalThis.location.href) : undefined);
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    return url;
  } catch (error) {
    throw new RequestError(`${quoted(text)} leads nowhere from here; give a whole URL`, { cause: error });
  }
}

/**
 * Read all files of a bundle.
 *
 * @param {Reader} reader  Where they are.
 * @returns {Promise<Bundle>}
 */
async function readFiles({ place, read }) {
  const json = await readFile(MANIFEST, MAX_MANIFEST);
  let parsed;
  try {
    parsed = readManifest(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    const where = place ? `${quoted(place)}: ` : "";
    if (error instanceof BundleError) throw new BundleError(where + error.message, { cause: error });
    throw new BundleError(`${quoted(place + MANIFEST)}: not UTF-8 text`, { cause: error });
  }
  const { manifest, spec } = parsed;
  const graphs = await Promise.all(GRAPHS.map((name) => readGraph(manifest.graphs[name])));
  const [encoder, sampler, prior, decoder, judge] = graphs;
  return { manifest, spec, place, graphs: { encoder, sampler, prior, decoder, judge } };

  /** @param {string} file @param {number} most */
  async function readFile(file, most) {
    const bytes = await read(file);
    if (bytes === null) throw new BundleError(`${quoted(place)} is no model bundle: it has no ${file}`);
    if (bytes.length > most) throw new BundleError(`${quoted(place + file)} is larger than ${most} bytes`);
    return bytes;
  }

  /** @param {import("./manifest.js").GraphSpec} graph */
  async function readGraph(graph) {
    const bytes = await readFile(graph.file, MAX_GRAPH);
    if (bytes.length === graph.bytes && (await digestOf(bytes)) === graph.sha256) return bytes;
    throw new IntegrityError(
      `${quoted(place + graph.file)} is not the file its manifest records: damaged or tampered with; ` +
        "get the bundle again",
    );
  }
}

/**
 * @param {URL} folder  On a server.
 * @param {RequestCache} cache  How the browser's cache is used.
 * @returns {Reader}
 */
function onServer(folder, cache) {
  return {
    place: folder.href,
    async read(file) {
      const url = new URL(folder);
      url.pathname += file;
      let status;
      try {
        const response = await fetch(url, { cache });
        if (response.ok) return new Uint8Array(await response.arrayBuffer());
        status = response.status;
      } catch (error) {
        const hint =
          url.protocol === "file:"
            ? "a page from a disk may not read files; serve its folder, or load the files' bytes"
            : "no answer, or the server does not allow this page to read it (CORS)";
        throw new BundleError(`cannot read ${quoted(url.href)}: ${hint}`, { cause: error });
      }
      if (status === 404 || status === 410) return null;
      throw new BundleError(`cannot read ${quoted(url.href)}: the server says ${status}`);
    },
  };
}

/**
 * @param {URL | string} folder  On a disk.
 * @returns {Promise<Reader>}
 */
async function onDisk(folder) {
  const { readFile } = await import("node:fs/promises");
  const place = String(folder);
  return {
    place,
    async read(file) {
      try {
        return new Uint8Array(await readFile(folder instanceof URL ? new URL(file, folder) : folder + file));
      } catch (error) {
        const { code, message } = /** @type {Error & {code?: string}} */ (error);
        if (code === "ENOENT" || code === "ENOTDIR") return null;
        throw new BundleError(`cannot read ${quoted(place + file)}: ${message}`, { cause: error });
      }
    },
  };
}

/**
 * @param {Record<string, Content>} files  By their names.
 * @returns {Reader}
 */
function inMemory(files) {
  return {
    place: "",
    async read(file) {
      if (!Object.hasOwn(files, file)) {
        throw new BundleError(`${file} is not among the files given: ${quoted(Object.keys(files))}`);
      }
      const content = files[file];
      if (typeof content === "string") return new TextEncoder().encode(content);
      if (content instanceof Uint8Array) return content;
      if (content instanceof ArrayBuffer) return new Uint8Array(content);
      if (content instanceof Blob) return new Uint8Array(await content.arrayBuffer());
      throw new RequestError(`${file} is ${quoted(content)}; give its bytes, as a Uint8Array`);
    },
  };
}

/**
 * Return the SHA-256 of some bytes, by the platform where it has one: pages by plain http have none.
 *
 * @param {Uint8Array} bytes  Any.
 * @returns {Promise<string>} 64 hexadecimal digits.
 */
async function digestOf(bytes) {
  if (!globalThis.crypto?.subtle) return sha256(bytes);
  const digest = await crypto.subtle.digest("SHA-256", /** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
