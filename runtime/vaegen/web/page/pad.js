/** The pad: handwriting near the digit that is shown, along the two directions in which it varies most. */

import { Background } from "./background.js";
import { button, element } from "./dom.js";
import { dot, nearest, principal } from "./math.js";
import { settle } from "./moves.js";
import { styleOf } from "./picture.js";
import { Plane } from "./plane.js";
import { borderButton, bordersInWords, pathButton, routeAlong, toggle, walkButton } from "./toggles.js";
import { shared } from "./shared.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./plane.js").Place} Place */

const SEED = 20240607; // of the digits that show how handwriting varies; any would do, but always the same
const DRAWN = 96;
const NEAR = 48; // of them, those most like the digit shown
const SLICE = 4; // digits drawn at a time
const REACH = 2.4; // standard deviations from the mean; digits stay whole up to there
const REACH_OF_CODES = 6; // likewise where there are codes alone, which change over late
const LEAST = 0.6; // of them, in each direction, wherever the digit stands
const FURTHER = 2; // times as far, where asked for
const MIDDLE = { x: 0.5, y: 0.5 };

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  /** @type {WeakSet<Float32Array>} */
  const own = new WeakSet();
  /** @type {{ key: string, latents: Float32Array }} */
  let drawn = { key: "", latents: new Float32Array() };
  let further = false;

  const said = element("p", { class: "hint", role: "status" });
  const plane = new Plane(app, "Handwriting near this digit", {
    path: (path) => {
      shared.offer("pad", { label: "The path nearby", at: routeAlong(path, latentAt), closed: false });
    },
    borders: (digits) => void (said.textContent = bordersInWords(digits)),
  });
  /** @type {(place: Place) => Float32Array} */
  let latentAt = () => app.picture().latent;

  const layer = new Background(app, section, async (turn) => {
    const { latent, digit, color, state } = app.picture();
    const { model, slant, thickness, hand } = state;
    const key = [model, digit, color, slant, thickness, hand].join(";");
    if (key !== drawn.key) {
      const latents = new Float32Array(DRAWN * latent.length);
      for (let start = 0; start < DRAWN; start += SLICE) {
        if (!await turn()) return;
        const options = { count: SLICE, seed: SEED, start, tries: 1, ...styleOf(state) };
        latents.set((await app.model().draw(digit, color, options)).latents, start * latent.length);
      }
      drawn = { key, latents };
    }
    if (!await turn()) return;
    latentAt = around(latent, drawn.latents, app.specs[model], further);
    shared.offer("pad", null);
    plane.lay((place) => {
      const found = latentAt(place);
      own.add(found);
      return found;
    }, MIDDLE);
  });

  const begin = () => {
    plane.hold(MIDDLE);
    layer.start();
  };
  const middle = button("Center here", begin);
  const reach = toggle("Further out", (pressed) => {
    further = pressed;
    begin();
  });
  section.append(
    element("p", { class: "hint" }, "The same digit, as others write it. Drag, or use the arrow keys."),
    plane.element,
    element("div", { class: "row" }, middle, reach, borderButton(plane), pathButton(plane, app), walkButton("pad")),
    said,
  );
  app.onPicture((picture) => {
    if (!own.has(picture.latent)) begin();
  });
  begin();
}

/**
 * Return what lies around a latent: at the middle of the square itself, and to its sides what differs along the two
 * principal directions of latents like it.
 * @param {Float32Array} center
 * @param {Float32Array} latents of the same digit, color and style
 * @param {import("./latent.js").Spec} spec
 * @param {boolean} further whether to go out to where digits may break
 * @returns {(place: Place) => Float32Array}
 */
export function around(center, latents, spec, further) {
  const { mean, directions, deviations } = principal(nearest(latents, center, NEAR), center.length, 2);
  const most = (spec.latent.continuous ? REACH : REACH_OF_CODES) * (further ? FURTHER : 1);
  const [right, up] = directions.map((direction, which) => {
    const at = (dot(center, direction) - dot(mean, direction)) / (deviations[which] || 1);
    const ahead = (/** @type {number} */ sign) => Math.max(LEAST, Math.min(most, most - sign * at));
    return (/** @type {number} */ share) => share * ahead(Math.sign(share)) * deviations[which];
  });
  return ({ x, y }) => {
    const [along, across] = [right(2 * x - 1), up(1 - 2 * y)];
    return settle(center.map((value, at) => value + along * directions[0][at] + across * directions[1][at]), spec);
  };
}
