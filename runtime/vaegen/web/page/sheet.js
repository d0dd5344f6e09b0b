/** A sheet of many digits in many colors, as `vaegen sample --grid` makes it. */

import { toRgba } from "../index.js";
import { SIDE } from "../spec.js";
import { sheetCommand } from "./command.js";
import { button, element, textField } from "./dom.js";
import { version } from "./hero.js";
import { styleOf } from "./picture.js";
import { encodePng, enlarge, factsOf, join } from "./png.js";
import { copyButton } from "./save.js";
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

const TRIPLE = /(?<![^,])[0-9]{1,3}(?:,[0-9]{1,3}){2}(?![^,])/g; // one color, not three

/**
 * Read a list of colors as `--color` does: "red,hsl(30,100%,50%)".
 * @param {string} text
 */
export const parseColors = (text) => {
  return text.replace(TRIPLE, "rgb($&)").split(/,(?![^(]*\))/).map((color) => read.color(color));
};

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

/** @type {(digits: number[], colors: string[]) => { digit: string, color: string, grid: string, count: number }} */
export function listsOf(digits, colors) {
  return { digit: digits.join(","), color: colors.join(","), grid: `${digits.length}x${colors.length}`, count: 1 };
}

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  const { store, specs } = app;
  const wanted = { digitText: "0-9", colorText: "red,orange,yellow,lime,cyan,blue,magenta,white" };
  /** @type {{ state: State, digits: number[], colors: string[], image: Uint8Array } | null} what stands */
  let sheet = null;
  let inView = false;
  let [timer, turn] = [0, 0];

  const canvas = element("canvas", { role: "img", class: "sheet", width: 1, height: 1 });
  const fields = /** @type {const} */ ([["Digits", "digitText"], ["Colors", "colorText"]]).map(([label, name]) => {
    const { field, show } = textField(label, (text) => {
      const next = { ...wanted, [name]: text.trim() };
      check(parseDigits(next.digitText), parseColors(next.colorText));
      Object.assign(wanted, next);
      later();
    });
    show(wanted[name]);
    return field;
  });
  const download = button("Save the sheet", async () => {
    if (!sheet) return;
    const { state, digits, colors, image } = sheet;
    const width = SIDE * colors.length;
    const lists = listsOf(digits, colors);
    const facts = factsOf(state, specs[state.model], app.identity(state.model), version(), lists);
    app.save(await encodePng(enlarge(image, width, SCALE), SCALE * width, facts), "sheet.png");
  }, { disabled: true });
  const command = copyButton("Copy its command", () => {
    return sheetCommand(store.get(), wanted.digitText, wanted.colorText, SCALE);
  }, app);

  const later = () => {
    turn += 1; // ends a sheet that is being drawn
    sheet = null;
    download.disabled = true;
    clearTimeout(timer);
    if (inView) timer = window.setTimeout(() => make().catch((error) => app.tell(error.message)), SETTLED);
  };
  const make = async () => {
    const mine = turn;
    const state = { ...store.get(), latent: null };
    if (state.model !== app.picture().state.model) return; // once its model is open, it is called again
    const [digits, colors] = [parseDigits(wanted.digitText), parseColors(wanted.colorText)];
    const [width, height] = [SIDE * colors.length, SIDE * digits.length];
    const rows = [];
    for await (const row of drawRows(app.model(), state, digits, colors)) {
      if (mine !== turn) return;
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      canvas.getContext("2d")?.putImageData(new ImageData(toRgba(row), width), 0, SIDE * rows.length);
      rows.push(row);
    }
    sheet = { state, digits, colors, image: join(...rows) };
    download.disabled = false;
    canvas.setAttribute("aria-label", `A sheet of the digits ${digits.join(", ")} in ${colors.join(", ")}`);
  };

  app.onPicture((_picture, isOther) => {
    if (isOther) later();
  });
  store.subscribe((state, before) => {
    const parts = /** @type {const} */ (["seed", "item", "slant", "thickness", "hand"]);
    if (parts.some((part) => state[part] !== before[part])) later();
  });
  new IntersectionObserver((entries) => {
    inView = entries[entries.length - 1].isIntersecting;
    if (inView && !sheet) later();
  }).observe(section);
  canvas.setAttribute("aria-label", "A sheet of digits, drawn when it comes into view");
  section.append(
    element("div", { class: "fields" }, ...fields), canvas, element("div", { class: "actions" }, download, command),
  );
}
