/** Four corners that hold digits, and the plane between them. */

import { parseColor } from "../index.js";
import { SIDE } from "../spec.js";
import { Background } from "./background.js";
import { button, element } from "./dom.js";
import { bilinear } from "./math.js";
import { blender } from "./moves.js";
import { Plane } from "./plane.js";
import { hsvToHex, toHsv } from "./shades.js";
import { CORNERS, shared } from "./shared.js";
import { borderButton, bordersInWords, pathButton, routeAlong, walkButton } from "./toggles.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./plane.js").Place} Place */

const COMPANY = [8, 5, 0, 9]; // digits that others turn into without breaking, for the corners at first
const HUES = [0, 50, 110, 160]; // degrees that the corners' colors are turned by
const AROUND = [0, 1, 3, 2, 0]; // the corners in the order of a walk

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  const said = element("p", { class: "hint", role: "status" });
  const plane = new Plane(app, "Between the four corners", {
    path: (path) => {
      shared.offer("between", { label: "The path between the corners", at: routeAlong(path, latentAt), closed: false });
    },
    borders: (digits) => void (said.textContent = bordersInWords(digits)),
  });
  /** @type {(place: Place) => Float32Array} */
  let latentAt = () => app.picture().latent;

  const tiles = CORNERS.map((name, corner) => {
    const canvas = element("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
    const tile = button("", () => {
      shared.put(corner, app.picture().latent);
      app.announce(`The digit is in the ${name} corner.`);
    }, { class: "corner", "aria-label": `Put the digit in the ${name} corner` });
    tile.append(canvas);
    return { tile, canvas };
  });

  const layer = new Background(app, section, async (turn) => {
    if (!await turn()) return;
    const { digit, color, state } = app.picture();
    if (shared.corners.includes(null)) {
      const digits = [digit, ...COMPANY.filter((other) => other !== digit).slice(0, 3)];
      const hsv = toHsv(parseColor(color));
      const colors = HUES.map((turn) => hsvToHex({ ...hsv, hue: (hsv.hue + turn) % 360 }));
      const { latents } = await app.model().draw(digits, colors, { seed: state.seed, start: state.item });
      const size = latents.length / digits.length;
      if (!await turn()) return;
      shared.fill(digits.map((_, at) => latents.slice(at * size, (at + 1) * size)));
      return;
    }
    const corners = /** @type {Float32Array[]} */ (shared.corners);
    for (const [at, { canvas }] of tiles.entries()) app.paint(await app.model().decode(corners[at]), canvas);
    const blend = blender(corners, app.specs[state.model]);
    latentAt = ({ x, y }) => blend(bilinear(x, y));
    plane.lay(latentAt, plane.place);
    shared.offer("between", null);
    shared.offer("corners", {
      label: "Around the four corners",
      at: routeAlong(AROUND.map((corner) => ({ x: corner % 2, y: Math.floor(corner / 2) })), latentAt),
      closed: true,
    });
  });
  let laid = shared.corners;
  shared.subscribe(() => {
    if (laid === shared.corners) return;
    laid = shared.corners;
    layer.start();
  });
  app.onPicture((_picture, isOther) => {
    if (isOther) shared.clear();
  });

  const row = (/** @type {number[]} */ corners, /** @type {string} */ text) => element("div", { class: "corner-row" },
    tiles[corners[0]].tile, element("p", { class: "hint" }, text), tiles[corners[1]].tile);
  section.append(
    row([0, 1], "Tap a corner to put the digit there."),
    plane.element,
    row([2, 3], ""),
    element("div", { class: "row" }, borderButton(plane), pathButton(plane, app), walkButton("between")),
    said,
  );
  layer.start();
}
