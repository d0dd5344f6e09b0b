/** The color: a wheel of hues, a slider for brightness, a field that reads what Python reads, and eight to start with. */

import { parseColor } from "../index.js";
import { button, element, textField } from "./dom.js";
import { hex, nameColor } from "./names.js";
import { read } from "./store.js";

/** @typedef {import("./main.js").App} App */

const NAMED = ["red", "orange", "yellow", "lime", "cyan", "blue", "magenta", "white"];
const DARKEST = 0.13; // of 1; darker colors are refused
const STEPS = /** @type {Record<string, [number, number]>} */ ({
  ArrowRight: [5, 0], ArrowLeft: [-5, 0], PageUp: [30, 0], PageDown: [-30, 0],
  ArrowUp: [0, 0.05], ArrowDown: [0, -0.05], Home: [0, -1], End: [0, 1],
}); // degrees of hue, and saturation

/** @typedef {{ hue: number, saturation: number, value: number }} Hsv degrees, and 0 to 1 each */

/** @type {(rgb: ArrayLike<number>, before: Hsv) => Hsv} gray has no hue, so it keeps the one before */
function toHsv({ 0: red, 1: green, 2: blue }, before) {
  const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)];
  const chroma = most - least;
  const value = most / 255;
  if (!chroma) return { hue: before.hue, saturation: 0, value };
  const turn = most === red ? (green - blue) / chroma : most === green ? 2 + (blue - red) / chroma : 4 + (red - green) / chroma;
  return { hue: (60 * turn + 360) % 360, saturation: chroma / most, value };
}

/** @type {(hsv: Hsv) => string} "#rrggbb" */
function toHex({ hue, saturation, value }) {
  const channel = (/** @type {number} */ shift) => {
    const place = (shift + hue / 60) % 6;
    return 255 * value * (1 - saturation * Math.max(0, Math.min(place, 4 - place, 1)));
  };
  return hex([channel(5), channel(3), channel(1)]);
}

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, { store }) {
  let hsv = toHsv(parseColor(store.get().color), { hue: 0, saturation: 1, value: 1 });
  const thumb = element("span", { class: "thumb" });
  const wheel = element("div", {
    class: "wheel", role: "slider", tabindex: "0", "aria-label": "Hue, and saturation with up and down",
    "aria-valuemin": "0", "aria-valuemax": "360",
  }, thumb);
  const brightness = element("input", { id: "brightness", type: "range", min: DARKEST, max: 1, step: 0.01 });
  const text = textField("Name or numbers", (typed) => store.set({ color: read.color(typed) }));
  const swatches = NAMED.map((name) => {
    return button("", () => store.set({ color: name }), { class: "swatch", "aria-label": name, style: `--its: ${name}` });
  });

  const choose = (/** @type {Partial<Hsv>} */ patch) => {
    hsv = { ...hsv, ...patch };
    store.set({ color: toHex(hsv) });
  };
  const follow = (/** @type {PointerEvent} */ event) => {
    const { left, top, width, height } = wheel.getBoundingClientRect();
    const [x, y] = [(2 * (event.clientX - left)) / width - 1, (2 * (event.clientY - top)) / height - 1];
    const hue = (Math.atan2(y, x) * (180 / Math.PI) + 360) % 360;
    choose({ hue, saturation: Math.min(1, Math.hypot(x, y)) });
  };
  wheel.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    wheel.setPointerCapture(event.pointerId);
    follow(event);
  });
  wheel.addEventListener("pointermove", (event) => {
    if (wheel.hasPointerCapture(event.pointerId)) follow(event);
  });
  wheel.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const saturation = Math.max(0, Math.min(1, hsv.saturation + step[1]));
    choose({ hue: (hsv.hue + step[0] + 360) % 360, saturation });
  });
  brightness.addEventListener("input", () => choose({ value: Number(brightness.value) }));

  const show = () => {
    const { color } = store.get();
    const rgb = parseColor(color);
    if (hex(rgb) !== toHex(hsv)) hsv = toHsv(rgb, hsv);
    const { hue, saturation, value } = hsv;
    const [x, y] = [Math.cos((hue * Math.PI) / 180), Math.sin((hue * Math.PI) / 180)];
    wheel.style.setProperty("--x", String(saturation * x));
    wheel.style.setProperty("--y", String(saturation * y));
    wheel.style.setProperty("--dark", String(1 - value));
    section.style.setProperty("--chosen", hex(rgb));
    section.style.setProperty("--bright", toHex({ ...hsv, value: 1 }));
    wheel.setAttribute("aria-valuenow", String(Math.round(hue)));
    const percent = Math.round(100 * saturation);
    wheel.setAttribute("aria-valuetext", `${nameColor(rgb)}: hue ${Math.round(hue)} degrees, saturation ${percent}%`);
    brightness.value = String(value);
    brightness.setAttribute("aria-valuetext", `${Math.round(100 * value)}%`);
    text.show(color);
    swatches.forEach((swatch, at) => swatch.setAttribute("aria-pressed", String(hex(parseColor(NAMED[at])) === hex(rgb))));
  };
  store.subscribe(show);
  section.append(
    element("div", { class: "swatches" }, ...swatches),
    element("div", { class: "wheel-and-more" }, wheel, element("div", {},
      element("div", { class: "field" }, element("label", { for: "brightness" }, "Brightness"), brightness),
      text.field,
      element("p", { class: "hint" }, "A CSS name, #ff8000, rgb(255, 128, 0) or hsl(30, 100%, 50%)"),
    )),
  );
  show();
}
