/** One latent at a time: what each does to the digit, from end to end. */

import { parseColor } from "../index.js";
import { SIDE } from "../spec.js";
import { Background } from "./background.js";
import { element } from "./dom.js";
import { asLatents, bounded, classOf, partsOf, recolored, stacked, withPart } from "./moves.js";
import { imageOf } from "./picture.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./moves.js").Part} Part */

/**
 * @typedef {object} Line something that can be changed by itself
 * @property {string} name
 * @property {readonly [number, number]} ends
 * @property {number} count of the digits shown
 * @property {number} step of the slider
 * @property {(picture: Picture) => number} valueOf
 * @property {(picture: Picture, value: number) => Promise<Float32Array>} moved the latent with another value
 */

const SHOWN = 3; // of the latents that have no name that tells what they do; the others are folded away
const COUNT = 9;
const WIDE = 3; // standard deviations, to both sides
const DARKEST = 0.15; // of the value; a darker digit cannot be seen
const COLORS = /** @type {const} */ (["hue", "saturation", "value"]);

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  /** @type {ReturnType<typeof rowOf>[]} */
  let rows = [];
  const list = element("div", { class: "traverses" });
  const painter = new Background(app, section, async (turn) => {
    if (!await turn()) return; // to ask what is visible lays the page out: not while the picture moves
    const picture = app.picture();
    for (const row of rows) {
      if (!row.element.checkVisibility()) continue;
      if (!await turn()) return;
      await row.paint(picture);
    }
  });

  const build = () => {
    const lines = linesOf(app);
    const first = lines.findIndex((line) => /\d$/.test(line.name));
    const shown = first < 0 ? lines.length : first + SHOWN;
    rows = lines.map((line) => rowOf(line, app));
    const [above, below] = [rows.slice(0, shown), rows.slice(shown)];
    list.replaceChildren(...above.map((row) => row.element));
    if (below.length) {
      const more = element("details", {}, element("summary", {}, `${below.length} more`));
      more.append(...below.map((row) => row.element));
      more.addEventListener("toggle", () => painter.start());
      list.append(more);
    }
    update();
  };
  const update = () => {
    for (const row of rows) row.update(app.picture());
    painter.start();
  };

  section.append(element("p", { class: "hint" }, "Each row changes one thing and keeps the rest."), list);
  app.onPicture((_picture, isOther) => (isOther ? build() : update()));
  build();
}

/** @type {(app: App) => Line[]} those that say what they do first */
function linesOf(app) {
  const parts = partsOf(app.specs[app.picture().state.model]);
  const colors = COLORS.flatMap((role) => {
    const part = parts.find((one) => one.role === role);
    if (!part) return [];
    return [part.width === 1 ? lineOf(part, role === "value" ? [DARKEST, 1] : [0, 1]) : colorLine(app, role)];
  });
  const digit = parts.filter((part) => part.role === "digit");
  const rest = parts.filter((part) => part.role === "shape");
  return [...colors, ...[...digit, ...rest].map((part) => lineOf(part, [-WIDE, WIDE]))];
}

/** @type {(part: Part, ends: readonly [number, number]) => Line} a latent of its own */
function lineOf(part, ends) {
  if (part.width > 1) {
    return {
      name: part.name, ends: [0, part.width - 1], count: part.width, step: 1,
      valueOf: ({ latent }) => classOf(latent, part),
      moved: async ({ latent }, value) => withPart(latent, part, value),
    };
  }
  return {
    name: part.name, ends, count: COUNT, step: 0.01,
    valueOf: ({ latent }) => {
      const value = latent[part.at];
      return part.role === "hue" ? value - Math.floor(value) : bounded(value, part.role);
    },
    moved: async ({ latent }, value) => withPart(latent, part, value),
  };
}

/** @type {(app: App, role: typeof COLORS[number]) => Line} a part of the color that several codes hold together */
function colorLine(app, role) {
  const values = (/** @type {Picture} */ { color }) => asLatents(parseColor(color));
  return {
    name: role, ends: role === "value" ? [DARKEST, 1] : [0, 1], count: COUNT, step: 0.01,
    valueOf: (picture) => values(picture)[role],
    moved: async (picture, value) => {
      const colored = await app.model().latent({ digit: picture.digit, ...values(picture), [role]: value });
      return recolored(picture.latent, colored, app.specs[picture.state.model]) ?? picture.latent;
    },
  };
}

/** @type {(line: Line, app: App) => { element: HTMLElement, update: (picture: Picture) => void,
 *   paint: (picture: Picture) => Promise<void> }} */
function rowOf({ name, ends: [low, high], count, step, valueOf, moved }, app) {
  const id = `strip-${name.replace(/\W+/g, "-")}`;
  const input = element("input", { type: "range", id, min: low, max: high, step });
  const output = element("output", { for: id });
  const film = element("canvas", { width: SIDE * count, height: SIDE, "aria-hidden": "true" });
  const small = element("canvas", { width: SIDE, height: SIDE });
  const row = element("div", { class: "traverse", style: `--count: ${count}` },
    element("div", { class: "slider-head" }, element("label", { for: id }, name), output), film, input);
  input.addEventListener("input", async () => {
    output.textContent = spelled(Number(input.value), step);
    await app.show(await moved(app.picture(), Number(input.value)));
  });
  film.addEventListener("click", (event) => {
    const cell = Math.floor((event.offsetX / film.clientWidth) * count);
    input.value = String(low + ((high - low) * cell) / (count - 1));
    input.dispatchEvent(new Event("input"));
  });
  return {
    element: row,
    update: (picture) => {
      const value = valueOf(picture);
      if (document.activeElement !== input || Math.abs(Number(input.value) - value) > step) input.value = String(value);
      output.textContent = spelled(value, step);
    },
    paint: async (picture) => {
      const latents = [];
      for (let at = 0; at < count; at++) latents.push(await moved(picture, low + ((high - low) * at) / (count - 1)));
      const images = await app.model().decode(stacked(latents));
      const context = film.getContext("2d");
      for (let at = 0; at < count; at++) {
        app.paint(imageOf(images, at), small);
        context?.drawImage(small, SIDE * at, 0);
      }
    },
  };
}

/** @type {(value: number, step: number) => string} */
const spelled = (value, step) => (step === 1 ? String(value) : value.toFixed(2).replace("-", "\u2212"));
