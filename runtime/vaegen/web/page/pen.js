/** A digit of the reader's own hand: encoded, decoded, recolored, walked to another digit, put in a corner. */

import { parseColor } from "../index.js";
import { SIDE } from "../spec.js";
import { button, element } from "./dom.js";
import { Ink } from "./ink.js";
import { asLatents, blender, recolored } from "./moves.js";
import { hex } from "./shades.js";
import { CORNERS, shared } from "./shared.js";
import { inked, rasterize, smooth } from "./stroke.js";

/** @typedef {import("./main.js").App} App */

const ARROWS = ["\u2196", "\u2197", "\u2199", "\u2198"]; // of the corners

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  /** @type {Float32Array | null} of the drawing */
  let latent = null;
  let color = hex(parseColor(app.store.get().color));
  let fresh = 0n; // the item that the next walk leads to
  let running = false;
  let waiting = false;

  const [drawn, made] = ["Your drawing, 28 pixels wide", "The drawing as the network writes it"].map((label) => (
    element("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": label })));
  const says = element("span", {}, "The network\u2019s");
  const tint = element("input", { type: "color", id: "pen-color", value: color });

  const spec = () => app.specs[app.store.get().model];

  const image = () => inked(rasterize(ink.strokes.map(smooth)), parseColor(color));

  /** Encode the drawing and decode it again; one run at a time, the last of what was drawn meanwhile follows. */
  const follow = async () => {
    waiting = true;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        waiting = false;
        const pixels = image();
        app.paint(pixels, drawn);
        latent = pixels.some((value) => value > 0) ? await app.model().encode(pixels) : null;
        app.paint(latent ? await app.model().decode(latent) : pixels, made);
      }
    } finally {
      running = false;
    }
    for (const one of actions.querySelectorAll("button")) one.disabled = !latent;
  };
  /** Show large what is drawn. */
  const show = async () => {
    await follow();
    if (latent) await app.show(latent);
  };
  const ink = new Ink({
    change: () => void follow().catch(fail), end: () => void show().catch(fail), announce: app.announce,
  });
  const fail = (/** @type {Error} */ error) => app.tell(error.message);

  const recolor = async () => {
    const rgb = parseColor(tint.value);
    color = tint.value;
    ink.color = color;
    app.paint(image(), drawn);
    if (!latent) return;
    const like = await app.model().latent({ digit: app.picture().read, ...asLatents(rgb) });
    const other = recolored(latent, like, spec());
    if (!other) return show();
    latent = other;
    app.paint(await app.model().decode(latent), made);
    await app.show(latent);
  };

  /** @param {number} digit */
  const walkTo = async (digit) => {
    if (!latent) return;
    const { latents } = await app.model().draw(digit, color, { seed: app.store.get().seed, start: fresh });
    fresh += 1n;
    const blend = blender([latent, latents], spec());
    const label = `From your drawing to ${spelled(digit)}`;
    shared.offer("pen", { label, at: (t) => blend([1 - t, t]), closed: false });
    shared.walk("pen");
  };

  const actions = element("div", { class: "pen-actions" },
    element("div", { role: "group", "aria-label": "Walk to a digit" }, element("p", {}, "Walk to"),
      element("div", { class: "row" }, ...Array.from({ length: 10 }, (_, digit) => {
        const named = { disabled: true, "aria-label": `Walk to ${spelled(digit)}` };
        return button(String(digit), () => void walkTo(digit).catch(fail), named);
      }))),
    element("div", { role: "group", "aria-label": "Put it in a corner" }, element("p", {}, "Put in a corner"),
      element("div", { class: "row" }, ...CORNERS.map((name, corner) => button(ARROWS[corner], () => {
        if (!latent) return;
        shared.put(corner, latent);
        app.announce(`Your digit is in the ${name} corner.`);
      }, { disabled: true, "aria-label": `Put it in the ${name} corner` })))),
  );
  tint.addEventListener("input", () => void recolor().catch(fail));
  app.store.subscribe((state, before) => {
    if (state.model !== before.model) latent = null;
    if (state.latent || state.color === before.color) return; // the color of a latent is measured, not chosen
    tint.value = ink.color = color = hex(parseColor(state.color));
    void follow().catch(fail);
  });
  app.onPicture((picture, isOther) => {
    if (picture.latent === latent) {
      says.textContent = `The network\u2019s: ${spelled(picture.read)}, ${Math.floor(100 * picture.probability)}%`;
    }
    if (isOther) void follow().catch(fail);
  });

  ink.color = color;
  section.append(
    element("p", { class: "hint" }, "The network reads your digit, and writes it again in its own hand."),
    element("div", { class: "pen" }, ink.element, element("div", { class: "pen-side" },
      element("div", { class: "both" },
        element("figure", {}, drawn, element("figcaption", {}, "Yours")),
        element("figure", {}, made, element("figcaption", {}, says))),
      element("div", { class: "field" }, element("label", { for: tint.id }, "Color"), tint),
      actions)),
  );
}

/** @type {(digit: number) => string} "a 3", "an 8" */
const spelled = (digit) => `${digit === 8 ? "an" : "a"} ${digit}`;
