/**
 * Real browsers, headless, behind one small interface: Chromium and Firefox by puppeteer-core, WebKitGTK by the W3C
 * WebDriver protocol of its own driver.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(import.meta.url); // which also looks where NODE_PATH says

/**
 * @typedef {object} Browser
 * @property {string} name
 * @property {string[]} problems errors on the console, and what a page from a file asks of a network; none of WebKit
 * @property {(url: string) => Promise<void>} open go to an address
 * @property {(code: Function, ...values: any[]) => Promise<any>} evaluate call a function in the page with plain values
 * @property {(text: string) => Promise<void>} run a script in the page
 * @property {(places: [number, number][]) => Promise<void>} drag press at the first place, move, release at the last
 * @property {(...keys: string[]) => Promise<void>} press keys by the names that KeyboardEvent.key has
 * @property {(width: number, height: number) => Promise<void>} resize
 * @property {((scheme: "light" | "dark") => Promise<void>) | null} prefer a color scheme, where the driver can
 * @property {() => Promise<Uint8Array>} screenshot what is seen, as PNG
 * @property {() => Promise<void>} close
 */

/**
 * Start a browser.
 * @param {string} name chromium, firefox or webkit
 * @param {string} program path of the browser; of WebKit, of MiniBrowser
 * @param {string} downloads folder for the files that pages save
 * @returns {Promise<Browser>}
 */
export function launch(name, program, downloads) {
  return name === "webkit" ? launchWebKit(program, downloads) : launchByPuppeteer(name, program, downloads);
}

/** @type {(name: string, program: string, downloads: string) => Promise<Browser>} */
async function launchByPuppeteer(name, program, downloads) {
  const puppeteer = require("puppeteer-core");
  const root = process.getuid?.() === 0; // as whom Chromium has no sandbox
  const browser = await puppeteer.launch({
    browser: name === "firefox" ? "firefox" : "chrome",
    executablePath: program,
    headless: true,
    args: name === "chromium" && root ? ["--no-sandbox"] : [],
    extraPrefsFirefox: { "browser.download.dir": downloads, "browser.download.folderList": 2 },
    defaultViewport: { width: 1280, height: 800 },
  });
  const page = await browser.newPage();
  if (name === "chromium") {
    const session = await browser.target().createCDPSession();
    await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads });
  }
  /** @type {string[]} */
  const problems = [];
  const note = (/** @type {string} */ text) => {
    if (!problems.includes(text)) problems.push(text);
  };
  page.on("console", (message) => void (message.type() === "error" && note(message.text().slice(0, 300))));
  page.on("pageerror", (error) => note(error.message.slice(0, 300)));
  page.on("request", (request) => {
    const url = request.url();
    if (page.url().startsWith("file:") && !/^(file|blob|data):/.test(url)) note(`a request of ${url}`);
  });
  return {
    name,
    problems,
    open: async (url) => {
      await page.goto("about:blank"); // or another hash would not load it anew
      await page.goto(url);
    },
    evaluate: (code, ...values) => page.evaluate(code, ...values),
    run: async (text) => void (await page.evaluate(`${text};0`)),
    drag: async ([first, ...places]) => {
      await page.mouse.move(...first);
      await page.mouse.down();
      for (const place of places) await page.mouse.move(...place);
      await page.mouse.up();
    },
    press: async (...keys) => {
      for (const key of keys) await page.keyboard.press(key);
    },
    resize: (width, height) => page.setViewport({ width, height }),
    prefer: name === "chromium"
      ? (scheme) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }])
      : null,
    screenshot: () => page.screenshot(),
    close: () => browser.close(),
  };
}

// https://www.w3.org/TR/webdriver2/#keyboard-actions
const KEYS = {
  Tab: "\ue004", Enter: "\ue007", Shift: "\ue008", " ": "\ue00d", End: "\ue010", Home: "\ue011", ArrowLeft: "\ue012",
  ArrowUp: "\ue013", ArrowRight: "\ue014", ArrowDown: "\ue015",
};

/** @type {(program: string, downloads: string) => Promise<Browser>} */
async function launchWebKit(program, downloads) {
  const port = await freePort();
  const driver = spawn("WebKitWebDriver", [`--port=${port}`], {
    stdio: "ignore",
    env: { ...process.env, HOME: downloads, XDG_CONFIG_HOME: downloads },
  });
  const failed = once(driver, "error").then(([error]) => Promise.reject(error));

  /** @type {(method: string, path: string, body?: object) => Promise<any>} */
  const send = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = /** @type {any} */ (await answer.json());
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  const start = async () => {
    const options = { binary: program, args: ["--automation"] };
    const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": options } };
    for (let tries = 100; ; tries--) {
      try {
        return await send("POST", "/session", { capabilities });
      } catch (error) {
        if (tries === 0 || !(error instanceof TypeError)) throw error; // the driver does not listen yet
        await sleep(50);
      }
    }
  };
  const session = `/session/${(await Promise.race([start(), failed])).sessionId}`;
  /** @type {(kind: string, actions: object[]) => Promise<void>} */
  const act = async (kind, actions) => {
    const parameters = kind === "pointer" ? { pointerType: "mouse" } : undefined;
    await send("POST", `${session}/actions`, { actions: [{ type: kind, id: kind, parameters, actions }] });
  };
  /** @type {Browser["evaluate"]} */
  const evaluate = (code, ...values) => {
    return send("POST", `${session}/execute/sync`, { script: `return (${code})(...arguments)`, args: values });
  };
  return {
    name: "webkit",
    problems: [],
    open: async (url) => {
      await send("POST", `${session}/url`, { url: "about:blank" });
      await send("POST", `${session}/url`, { url });
    },
    evaluate,
    run: (text) => send("POST", `${session}/execute/sync`, { script: text, args: [] }),
    drag: ([[x, y], ...places]) => act("pointer", [
      { type: "pointerMove", x: Math.round(x), y: Math.round(y) },
      { type: "pointerDown", button: 0 },
      ...places.map(([x, y]) => ({ type: "pointerMove", x: Math.round(x), y: Math.round(y), duration: 10 })),
      { type: "pointerUp", button: 0 },
    ]),
    press: async (...keys) => {
      for (const key of keys) {
        const value = KEYS[/** @type {keyof typeof KEYS} */ (key)] ?? key;
        await act("key", [{ type: "keyDown", value }, { type: "keyUp", value }]);
      }
    },
    resize: async (width, height) => {
      const [x, y] = await evaluate(() => [outerWidth - innerWidth, outerHeight - innerHeight]);
      await send("POST", `${session}/window/rect`, { width: width + x, height: height + y });
    },
    prefer: null,
    screenshot: async () => Buffer.from(await send("GET", `${session}/screenshot`), "base64"),
    close: async () => {
      await send("DELETE", session).catch(() => {});
      driver.kill();
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}
