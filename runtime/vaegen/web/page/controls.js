/** The digit, the handwriting, and which of many: model, seed and item. */

import { button, choiceGroup, element, textField } from "./dom.js";
import { MOST, read } from "./store.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./store.js").State} State */

/** @type {(section: HTMLElement, app: App) => void} */
export function mountDigit(section, { store }) {
  const digits = Array.from({ length: 10 }, (_, digit) => String(digit));
  const { group, choose } = choiceGroup("Digit", digits, (digit) => store.set({ digit: Number(digit) }));
  group.classList.add("digits");
  const show = () => choose(String(store.get().digit));
  store.subscribe(show);
  section.append(group);
  show();
}

/** @type {(section: HTMLElement, app: App) => void} */
export function mountStyle(section, app) {
  const { store, specs } = app;
  section.append(
    slider(app, "slant", "Slant", { min: -45, max: 45, step: 1 }, (value) => `${value}°`),
    slider(app, "thickness", "Thickness", { min: 1, max: 6, step: 0.1 }, (value) => `${value} pixels`),
    stepper(app, "hand", "Hand", "any"),
    element("p", { class: "hint" }, "A hand is one person's way of writing. Keep it, and change the digit."),
  );
  const show = () => void (section.hidden = !specs[store.get().model].style);
  store.subscribe(show);
  show();
}

/** @type {(section: HTMLElement, app: App) => void} */
export function mountSource(section, app) {
  const { store, models } = app;
  const { group, choose } = choiceGroup("Model", models, (model) => store.set({ model }));
  const meaning = "What the network keeps of a digit: numbers (continuous), codes (discrete) or both (joint).";
  const choice = element("div", { class: "field" }, group, element("p", { class: "hint" }, meaning));
  if (models.length > 1) section.append(choice);
  section.append(
    element("div", { class: "pair" }, stepper(app, "seed", "Seed"), stepper(app, "item", "Item")),
    element("p", { class: "hint" }, "The same seed and item always give the same picture."),
  );
  const show = () => choose(store.get().model);
  store.subscribe(show);
  show();
}

/**
 * Make a slider for a part of the style that may be left open.
 * @param {App} app
 * @param {"slant" | "thickness"} name
 * @param {string} label
 * @param {{ min: number, max: number, step: number }} range
 * @param {(value: number) => string} spell
 */
function slider({ store, specs }, name, label, range, spell) {
  const input = element("input", { id: `slider-${name}`, type: "range", ...range });
  const output = element("output", { for: input.id });
  const any = button("Any", () => store.set({ [name]: null }), { class: "any", "aria-label": `Any ${name}` });
  input.addEventListener("input", () => store.set({ [name]: Number(input.value) }));
  const show = () => {
    const value = store.get()[name];
    const usual = specs[store.get().model].style?.[name];
    const middle = usual ? usual[Math.floor(usual.length / 2)] : (range.min + range.max) / 2;
    input.value = String(value ?? middle);
    const far = value !== null && usual && (value < usual[0] || value > usual[usual.length - 1]);
    const words = value === null ? "any" : spell(value) + (far ? ", beyond what people write" : "");
    input.setAttribute("aria-valuetext", words);
    input.classList.toggle("open", value === null);
    output.textContent = value === null ? "" : words;
    any.setAttribute("aria-pressed", String(value === null));
  };
  store.subscribe(show);
  show();
  const head = element("div", { class: "slider-head" }, element("label", { for: input.id }, label), output);
  return element("div", { class: "slider" }, head, input, any);
}

/**
 * Make a field for a whole number with a button on each side.
 * @param {App} app
 * @param {"seed" | "item" | "hand"} name
 * @param {string} label
 * @param {string} [open] what the field says where the number may be left open and is
 */
function stepper({ store }, name, label, open) {
  const { field, input, show } = textField(label, (typed) => {
    store.set({ [name]: open && typed.trim() === "" ? null : read[name](typed.trim()) });
  }, { inputmode: "numeric", ...(open ? { placeholder: open } : {}) });
  const step = (/** @type {bigint} */ by) => {
    const next = (store.get()[name] ?? -1n) + by;
    if (next >= 0n && next <= MOST[name]) store.set({ [name]: next });
    else if (next < 0n && open) store.set({ [name]: null });
  };
  const less = button("−", () => step(-1n), { "aria-label": `Previous ${name}` });
  const more = button("+", () => step(1n), { "aria-label": `Next ${name}` });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    step(event.key === "ArrowUp" ? 1n : -1n);
  });
  const row = element("div", { class: "stepper" });
  input.replaceWith(row);
  row.append(less, input, more);
  const update = () => {
    const value = store.get()[name];
    show(value === null ? "" : String(value));
    less.disabled = value === null || (value === 0n && !open);
    more.disabled = value === MOST[name];
  };
  store.subscribe(update);
  update();
  return field;
}
