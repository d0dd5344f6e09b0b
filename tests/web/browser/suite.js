/**
 * What the explorer does in a browser; the same for all of them. Run by `pytest tests/web/test_browsers.py`, which
 * makes the page, and holds the pictures and commands that this writes down against Python.
 *
 *     node tests/web/browser/suite.js BROWSER PROGRAM FOLDER
 *
 * FOLDER holds page.html and requests.json, and gets results.json and what the page saves.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { basename, dirname, extname, join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

import { launch } from "./drive.js";
import { golden } from "./golden.js";

const require = createRequire(import.meta.url);
const [name, program, folder] = process.argv.slice(2);
const downloads = join(folder, `saved-${name}`);
mkdirSync(downloads, { recursive: true });
const requests = JSON.parse(readFileSync(join(folder, "requests.json"), "utf8"));
const page = pathToFileURL(join(folder, "page.html")).href;
/** @type {Record<string, any>} */
const results = { pictures: [], golden: {} };

const browser = await launch(name, program, downloads);
after(async () => {
  await browser.close();
  writeFileSync(join(folder, `results-${name}.json`), JSON.stringify(results));
});

/** Wait until a function of the page returns something, and return that. @type {typeof browser.evaluate} */
async function until(code, ...values) {
  for (let tries = 200; tries > 0; tries--) {
    const found = await browser.evaluate(code, ...values);
    if (found) return found;
    await sleep(50);
  }
  throw new Error(`this never came true: ${code}`);
}

/** @type {(url: string) => Promise<void>} */
async function open(url) {
  await browser.open(url);
  assert.equal(await until(() => document.documentElement.dataset.state), "ready");
}

/**
 * Wait until the command that is shown matches, and picture and address have followed; return both.
 * @param {RegExp} [command]
 */
async function picture(command = /./) {
  await until((source) => document.querySelector("#picture code").textContent.match(source), command.source);
  const read = () => browser.evaluate(() => {
    const canvas = document.querySelector("canvas[data-sha256]");
    const latent = new URLSearchParams(location.hash.slice(1)).get("latent") ?? "";
    const { data } = canvas.getContext("2d").getImageData(0, 0, 28, 28);
    const pixels = Array.from(data).filter((_, at) => at % 4 < 3);
    const command = document.querySelector("#picture code").textContent;
    const { sha256 } = canvas.dataset;
    const written = command.startsWith("vaegen decode") === (latent !== "") && command.includes(latent);
    return { sha256, pixels, command, label: canvas.getAttribute("aria-label"), written };
  });
  for (let before = await read(); ; ) {
    await sleep(200);
    const now = await read();
    if (now.written && now.sha256 === before.sha256 && now.command === before.command) return now;
    before = now;
  }
}

/** Scroll to an element and return its place on the screen. @type {(selector: string) => Promise<any>} */
const boxOf = (selector) => browser.evaluate((selector) => {
  const element = document.querySelector(selector);
  element.scrollIntoView({ block: "center", behavior: "instant" });
  const { x, y, width, height } = element.getBoundingClientRect();
  return { x, y, width, height };
}, selector);

/** Press Tab until an element has the focus. @type {(selector: string) => Promise<void>} */
async function tabTo(selector) {
  for (let tries = 150; tries > 0; tries--) {
    await browser.press("Tab");
    if (await browser.evaluate((selector) => document.activeElement.matches(selector), selector)) return;
  }
  assert.fail(`the Tab key never comes to ${selector}`);
}

/**
 * Serve what a function returns for a path.
 * @param {(path: string) => { type: string, body: Buffer | string } | undefined} answer
 */
async function serve(answer) {
  const server = createServer((request, response) => {
    const { type, body } = answer(request.url ?? "") ?? { type: "text/plain", body: "" };
    response.setHeader("content-type", type).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { address: `http://127.0.0.1:${port}`, close };
}

test("opens from a file, and the first digit stands", async () => {
  await open(page);
  const time = await browser.evaluate(() => Math.round(performance.now()));
  console.log(`# ${name}: the first digit stood after at most ${time} ms`);
  assert.match((await picture()).label, /^3, red, read as \d with \d+%/);
});

test("links give their pictures", async () => {
  for (const hash of requests.links) {
    await open(`${page}${hash}`);
    results.pictures.push(await picture());
  }
});

test("what a link gets wrong is said, and does no harm", async () => {
  await open(`${page}#digit=12&color=%3Cimg%20src=x%20onerror=alert(1)%3E&model=../joint&item=2`);
  const said = await browser.evaluate(() => document.querySelector("#message").textContent);
  for (const part of [/Digit "12"/, /<img src=x/, /no model "\.\.\/joint"/]) assert.match(said, part);
  assert.equal(await browser.evaluate(() => document.querySelectorAll("main img").length), 0);
  results.pictures.push(await picture());
});

test("a pointer moves the pad", async () => {
  await open(page);
  const before = await picture();
  const { x, y, width, height } = await boxOf("#pad .plane");
  await until(() => document.querySelector("#pad canvas")?.getContext("2d").getImageData(84, 84, 1, 1).data[3]);
  const steps = Array.from({ length: 12 }, (_, at) => [x + width * (0.5 + 0.03 * at), y + height * (0.5 - 0.02 * at)]);
  await browser.drag(/** @type {[number, number][]} */ (steps));
  await until(() => {
    const place = document.querySelector("#pad [role=slider]").getAttribute("aria-valuetext");
    return /^7\d% right, 5\d% up/.test(place); // the handle glides there
  });
  const moved = await picture(/^vaegen decode --model joint --latent/);
  assert.notEqual(moved.sha256, before.sha256);
  results.pictures.push(moved);

  const link = await browser.evaluate(() => location.href);
  await open(link);
  assert.equal((await picture()).sha256, moved.sha256, "the link of a place on the pad");
});

test("a digit drawn by a pointer is read and written again", async () => {
  await open(page);
  const { x, y, width, height } = await boxOf("#pen canvas.ink");
  const line = Array.from({ length: 15 }, (_, at) => {
    return [x + width * (0.55 - 0.007 * at), y + height * (0.15 + 0.05 * at)];
  });
  await browser.drag(/** @type {[number, number][]} */ (line));
  const drawn = await picture(/^vaegen decode/);
  assert.match(drawn.label, /read as 1 with/);
  results.pictures.push(drawn);
});

test("the keyboard alone does everything", async () => {
  await open(page);
  await tabTo("#picture button.primary");
  await browser.press("Enter");
  await picture(/--start 1\b/);
  await tabTo("#digit input");
  await browser.press("ArrowRight", "ArrowRight");
  await picture(/--digit 5\b/);
  await tabTo("#color input[type=text]");
  await browser.evaluate(() => document.activeElement.select());
  await browser.press(..."teal");
  await picture(/--color teal\b/);
  await tabTo("#style input[type=range]");
  await browser.press("ArrowRight");
  const asked = await picture(/--slant -?\d/);
  results.pictures.push(asked);
  await tabTo("#source .stepper input");
  await browser.press("ArrowUp");
  await picture(/--seed 1\b/);

  await tabTo("#pad [role=slider]");
  for (let tries = 50; tries > 0 && !await browser.evaluate(() => location.hash.includes("latent")); tries--) {
    await browser.press("ArrowLeft"); // which moves nothing while the pad is being laid around a new digit
    await sleep(100);
  }
  const moved = await picture(/^vaegen decode/);
  results.pictures.push(moved);
  await tabTo("#strip input[type=range]");
  await browser.press("ArrowLeft");
  await until((old) => document.querySelector("canvas[data-sha256]").dataset.sha256 !== old, moved.sha256);
  await tabTo("#corners button.corner");
  await browser.press("Enter");
  await tabTo("#pen canvas.ink");
  await browser.press("Enter", ..."123456789".split("").map(() => "ArrowDown"), "Enter");
  await until(() => !!document.querySelector("#pen button[aria-label^=Walk]:not(:disabled)"));
  assert.match((await picture()).label, /read as \d/);
  await tabTo("#walk button.primary");
});

test("a saved file is what its command makes", async () => {
  const saved = () => readdirSync(downloads).filter((file) => file.endsWith(".png"));
  await open(`${page}#digit=7&color=hsl(200,80%25,60%25)&seed=4&item=9&hand=2`);
  await tabTo("#picture .joined button");
  await browser.press("Enter");
  for (let tries = 100; tries > 0 && !saved().length; tries--) await sleep(50);
  const { command } = await picture();
  results.saved = { file: join(downloads, saved()[0]), command };
});

test("golden vectors, on the engine of the client", async () => {
  await open(page);
  results.golden.own = await browser.evaluate(golden, "./tiny", requests.golden);
});

test("golden vectors, from folders on a server, on onnxruntime-web", async () => {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const folders = {
    "/web": join(root, "runtime/vaegen/web"),
    "/tiny": join(root, "tests/assets/tiny"),
    "/ort": dirname(require.resolve("onnxruntime-web")),
  };
  const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
  const script = `
    import * as vaegen from "/web/index.js";
    import * as onnxruntime from "/ort/ort.wasm.min.mjs";
    Object.assign(onnxruntime.env.wasm, { wasmPaths: "/ort/", numThreads: 1 });
    Object.assign(globalThis, { vaegen, onnxruntime, vaegenBundles: { "./tiny": "/tiny/" } });
    document.documentElement.dataset.state = "ready";`;
  const server = await serve((path) => {
    if (path === "/") return { type: "text/html", body: `<!doctype html><script type="module">${script}</script>` };
    const folder = folders[/** @type {keyof typeof folders} */ (path.replace(/\/[^/]*$/, ""))];
    if (!folder) return undefined;
    const type = types[/** @type {keyof typeof types} */ (extname(path))] ?? "application/octet-stream";
    return { type, body: readFileSync(join(folder, basename(path))) };
  });
  try {
    await open(server.address);
    results.golden.onnxruntime = await browser.evaluate(golden, "./tiny", requests.golden);
  } finally {
    server.close();
  }
});

test("nothing is asked of a network, and nothing goes wrong unseen", async () => {
  await open(page);
  const resources = await browser.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.name));
  assert.deepEqual(resources.filter((/** @type {string} */ url) => !/^(blob|data):/.test(url)), []);
  assert.deepEqual(browser.problems, []);
  // And were something to ask for it, it would not get through.
  assert.equal(await browser.evaluate(() => fetch("http://127.0.0.1:9/").catch((error) => error.name)), "TypeError");
  browser.problems.length = 0; // what the browser said of that
});

test("axe finds nothing", async (context) => {
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  for (const [width, height] of browser.prefer ? [[390, 844], [1280, 800]] : [[390, 844]]) {
    for (const scheme of /** @type {const} */ (browser.prefer ? ["light", "dark"] : ["as it is"])) {
      await context.test(`${width} x ${height}, ${scheme}`, async () => {
        await browser.resize(width, height);
        if (scheme !== "as it is") await browser.prefer?.(scheme);
        await open(page);
        await until(() => !!document.querySelector("#walk button"));
        await browser.run(axe);
        const found = await browser.evaluate(async () => {
          const { violations } = await globalThis.axe.run();
          return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
        });
        assert.deepEqual(found, []);
      });
    }
  }
});

test("on a narrow screen all targets are large, and none lies outside", async () => {
  await browser.resize(320, 640);
  const [wide, small] = await browser.evaluate(() => {
    const targets = [...document.querySelectorAll("button, select, summary, input, label:has(input.unseen)")];
    const seen = targets.filter((one) => !one.matches(".unseen") && one.checkVisibility());
    const size = (/** @type {Element} */ one) => {
      const { width, height } = one.getBoundingClientRect();
      return [Math.round(width), Math.round(height)];
    };
    const { scrollWidth, clientWidth } = document.documentElement;
    const small = seen.filter((one) => Math.min(...size(one)) < 44);
    return [scrollWidth - clientWidth, small.map((one) => `${size(one)} ${one.outerHTML}`)];
  });
  assert.equal(wide, 0);
  assert.deepEqual(small, []);
  await browser.resize(1280, 800);
});

test("opens whatever encoding a server claims, and after an editor's", async (context) => {
  const bytes = readFileSync(join(folder, "page.html"));
  const text = bytes.toString("utf16le").slice(1);
  /** @type {Record<string, { type: string, body: Buffer | string }>} */
  const answers = {
    "/latin": { type: "text/html; charset=iso-8859-1", body: bytes },
    "/saved-as-utf-8": { type: "text/html; charset=utf-8", body: text },
    "/cut": { type: "text/html", body: bytes.subarray(0, 1_000_001) },
    "/changed": { type: "text/html", body: text.slice(0, 1e6) + text.slice(1e6).replace(/[\u4e00-\u5e00]/, "\u3333") },
  };
  const server = await serve((path) => answers[path]);
  try {
    for (const path of Object.keys(answers)) {
      await context.test(basename(path), async () => {
        await browser.open(`${server.address}${path}`);
        const state = await until(() => document.documentElement.dataset.state);
        if (!["/cut", "/changed"].includes(path)) return assert.equal(state, "ready");
        assert.equal(state, "failed");
        const said = await browser.evaluate(() => document.querySelector("main").innerText);
        assert.match(said, /^This page is damaged and cannot start: get the file again, or make it with: vaegen/);
      });
    }
  } finally {
    server.close();
  }
});
