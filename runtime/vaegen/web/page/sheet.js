/** A sheet of many digits in many colors, as `vaegen sample --grid` makes it. */

import { sheetCommand } from "./command.js";
import { button, element, textField } from "./dom.js";
import { version } from "./hero.js";
import { SIDE, toRgba } from "./picture.js";
import { encodePng, enlarge, factsOf } from "./png.js";
import { copy } from "./save.js";
import { read } from "./store.js";

/** @typedef {import("./main.js").App} App */

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
  /** Draw the sheet row by row, and stop where something else is asked for meanwhile. */
  const make = async () => {
    const mine = (turn += 1);
    const { seed, item, slant, thickness, hand } = store.get();
    const style = Object.fromEntries(Object.entries({ slant, thickness, hand }).filter(([, value]) => value !== null));
    const width = SIDE * colors.length;
    const made = new Uint8Array(digits.length * SIDE * width * 3);
    download.disabled = true;
    for (const [row, digit] of digits.entries()) {
      const start = item + BigInt(row * colors.length);
      const images = await app.model().sample(digit, colors, { seed, start, ...style });
      await new Promise((resolve) => void setTimeout(resolve)); // lets the page answer meanwhile
      if (mine !== turn) return;
      for (let y = 0; y < SIDE; y++) {
        colors.forEach((_, column) => {
          const from = 3 * SIDE * (column * SIDE + y);
          made.set(images.subarray(from, from + 3 * SIDE), 3 * (width * (row * SIDE + y) + column * SIDE));
        });
      }
      if (canvas.width !== width || canvas.height !== SIDE * digits.length) {
        [canvas.width, canvas.height] = [width, SIDE * digits.length];
      }
      const band = made.subarray(3 * width * row * SIDE, 3 * width * (row + 1) * SIDE);
      canvas.getContext("2d")?.putImageData(toRgba(band, width), 0, row * SIDE);
    }
    sheet = made;
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
