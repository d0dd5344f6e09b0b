/** The color: eight to start with, a wheel, a slider for brightness, and a field that reads what Python reads. */

import { parseColor } from "../index.js";
import { button, element, textField } from "./dom.js";
import { hex, hsvToHex, nameColor, toHsv } from "./shades.js";
import { read } from "./store.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./shades.js").Hsv} Hsv */

const NAMED = ["red", "orange", "yellow", "lime", "cyan", "blue", "magenta", "white"];
const DARKEST = 0.13; // of 1; darker colors are refused
const STEPS = /** @type {Record<string, [number, number]>} */ ({
  ArrowRight: [5, 0], ArrowLeft: [-5, 0], PageUp: [30, 0], PageDown: [-30, 0],
  ArrowUp: [0, 0.05], ArrowDown: [0, -0.05], Home: [0, -1], End: [0, 1],
}); // degrees of hue, and saturation

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, { store }) {
  let hsv = toHsv(parseColor(store.get().color));
  const thumb = element("span", { class: "thumb" });
  const wheel = element("div", {
    class: "wheel", role: "slider", tabindex: "0", "aria-label": "Hue, and saturation with up and down",
    "aria-valuemin": "0", "aria-valuemax": "360",
  }, thumb);
  const brightness = element("input", { id: "brightness", type: "range", min: DARKEST, max: 1, step: 0.01 });
  const text = textField("Name or numbers", (typed) => store.set({ color: read.color(typed) }));
  const swatches = NAMED.map((name) => {
    const look = { class: "swatch", "aria-label": name, style: `--its: ${name}` };
    return button("", () => store.set({ color: name }), look);
  });

  const choose = (/** @type {Partial<Hsv>} */ patch) => {
    hsv = { ...hsv, ...patch };
    store.set({ color: hsvToHex(hsv) });
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
    // What the wheel asked for keeps its hue, which gray has none of, and its fractions.
    if (hex(rgb) !== hsvToHex(hsv)) hsv = toHsv(rgb);
    const { hue, saturation, value } = hsv;
    const [x, y] = [Math.cos((hue * Math.PI) / 180), Math.sin((hue * Math.PI) / 180)];
    wheel.style.setProperty("--x", String(saturation * x));
    wheel.style.setProperty("--y", String(saturation * y));
    wheel.style.setProperty("--dark", String(1 - value));
    section.style.setProperty("--chosen", hex(rgb));
    section.style.setProperty("--bright", hsvToHex({ ...hsv, value: 1 }));
    wheel.setAttribute("aria-valuenow", String(Math.round(hue)));
    const percent = Math.round(100 * saturation);
    wheel.setAttribute("aria-valuetext", `${nameColor(rgb)}: hue ${Math.round(hue)} degrees, saturation ${percent}%`);
    brightness.value = String(value);
    brightness.setAttribute("aria-valuetext", `${Math.round(100 * value)}%`);
    text.show(color);
    swatches.forEach((swatch, at) => {
      swatch.setAttribute("aria-pressed", String(hex(parseColor(NAMED[at])) === hex(rgb)));
    });
  };
  store.subscribe(show);
  section.append(
    element("div", { class: "swatches" }, ...swatches),
    element("div", { class: "wheel-and-more" }, wheel, element("div", {},
      element("div", { class: "field" }, element("label", { for: "brightness" }, "Brightness"), brightness),
      text.field,
      element("p", { class: "hint" }, "Such as teal, #ff8000 or hsl(30, 100%, 50%)"),
    )),
  );
  show();
}
