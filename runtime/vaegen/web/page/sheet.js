/** A sheet of many digits in many colors, as `vaegen sample --grid` makes it. */

import { sheetCommand } from "./command.js";
import { button, element, textField } from "./dom.js";
import { version } from "./hero.js";
import { SIDE, styleOf, toRgba } from "./picture.js";
import { encodePng, enlarge, factsOf, join } from "./png.js";
import { copy } from "./save.js";
import { read } from "./store.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./store.js").State} State */

const SCALE = 4; // of the file
const MOST = 200; // pictures, so that a phone is not busy for long
const SETTLED = 250; // ms after a change

/**
 * Read a list of digits as `--digit` does: "3", "0-9", "1,3,5".
 * @param {string} text
 */
export function parseDigits(text) {
  return text.split(",").flatMap((part) => {
    const found = /^\s*([0-9])\s*(?:-\s*([0-9])\s*)?$/.exec(part);
    const [first, last] = found ? [Number(found[1]), Number(found[2] ?? found[1])] : [1, 0];
    if (first > last) throw new Error(`Digits are a list such as 3, 0-9 or 1,3,5; "${part.trim()}" is none.`);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/**
 * Read a list of colors as `--color` does: "red,hsl(30,100%,50%)".
 * @param {string} text
 */
export const parseColors = (text) => text.split(/,(?![^(]*\))/).map((color) => read.color(color));

/** @type {(digits: number[], colors: string[]) => void} */
function check(digits, colors) {
  const n = digits.length * colors.length;
  if (n > MOST) throw new Error(`${n} pictures are too many for this page; ask for up to ${MOST}.`);
}

/**
 * Draw a sheet, one row after the other: a row for each digit, a column for each color.
 * @param {import("../index.js").Model} model
 * @param {State} state gives the seed, the first item and the style
 * @param {number[]} digits
 * @param {string[]} colors
 * @returns {AsyncGenerator<Uint8Array>} RGB, 28 lines of 28 times as many pixels as there are colors
 */
export async function* drawRows(model, state, digits, colors) {
  const line = 3 * SIDE;
  for (const [row, digit] of digits.entries()) {
    const start = state.item + BigInt(row * colors.length);
    const images = await model.sample(digit, colors, { seed: state.seed, start, ...styleOf(state) });
    const made = new Uint8Array(images.length);
    for (let at = 0; at < SIDE * colors.length; at++) {
      const [y, column] = [Math.floor(at / colors.length), at % colors.length];
      const from = line * (SIDE * column + y);
      made.set(images.subarray(from, from + line), line * at);
    }
    yield made;
    await new Promise((resolve) => void setTimeout(resolve)); // lets a page answer meanwhile
  }
}

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  const { store, specs } = app;
  let digits = parseDigits("0-9");
  let colors = parseColors("red,orange,yellow,lime,cyan,blue,magenta,white");
  let sheet = new Uint8Array();
  let inView = false;
  let [timer, turn] = [0, 0];

  const canvas = element("canvas", { role: "img", class: "sheet", width: 1, height: 1 });
  const digitField = textField("Digits", (text) => {
    const list = parseDigits(text);
    check(list, colors);
    digits = list;
    later();
  });
  const colorField = textField("Colors", (text) => {
    const list = parseColors(text);
    check(digits, list);
    colors = list;
    later();
  });
  const lists = () => ({ digit: digitField.input.value.trim(), color: colors.join(",") });
  const download = button("Save the sheet", async () => {
    const width = SIDE * colors.length;
    const state = { ...store.get(), latent: null };
    const facts = factsOf(state, specs[state.model], version(), { digit: digits.join(","), color: colors.join(",") });
    app.save(await encodePng(enlarge(sheet, width, SCALE), SCALE * width, facts), "sheet.png");
  });
  const command = button("Copy its command", async () => {
    const { digit, color } = lists();
    const done = await copy(sheetCommand(store.get(), digit, color, SCALE));
    app.announce(done ? "Copied" : "This browser does not let pages copy");
  });

  const later = () => {
    clearTimeout(timer);
    turn += 1;
    if (inView) timer = window.setTimeout(make, SETTLED);
  };
  const make = async () => {
    const mine = (turn += 1);
    const [width, height] = [SIDE * colors.length, SIDE * digits.length];
    download.disabled = true;
    const rows = [];
    for await (const row of drawRows(app.model(), store.get(), digits, colors)) {
      if (mine !== turn) return; // something else is asked for meanwhile
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      canvas.getContext("2d")?.putImageData(toRgba(row, width), 0, SIDE * rows.length);
      rows.push(row);
    }
    sheet = join(...rows);
    download.disabled = false;
    canvas.setAttribute("aria-label", `A sheet of the digits ${digits.join(", ")} in ${colors.join(", ")}`);
  };

  let model = "";
  store.subscribe((state, before) => {
    const parts = /** @type {const} */ (["seed", "item", "slant", "thickness", "hand"]);
    if (parts.some((part) => state[part] !== before[part])) later();
  });
  app.onPicture(({ state }) => {
    if (state.model !== model) later(); // only now is it open
    model = state.model;
  });
  new IntersectionObserver(([entry]) => {
    if (entry.isIntersecting === inView) return;
    inView = entry.isIntersecting;
    if (inView && download.disabled) later();
  }).observe(section);
  download.disabled = true;
  digitField.show("0-9");
  colorField.show(colors.join(","));
  canvas.setAttribute("aria-label", "A sheet of digits, drawn when it comes into view");
  section.append(
    element("div", { class: "fields" }, digitField.field, colorField.field), canvas,
    element("div", { class: "actions" }, download, command),
  );
}
