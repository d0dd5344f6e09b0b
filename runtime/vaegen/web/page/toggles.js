/** The buttons beside a plane, and the routes drawn on it. */

import { button } from "./dom.js";
import { shared } from "./shared.js";

/** @typedef {import("./plane.js").Plane} Plane */
/** @typedef {import("./plane.js").Place} Place */

/**
 * Make a button that stays pressed.
 * @param {string} text
 * @param {(pressed: boolean) => void} onChange
 */
export function toggle(text, onChange) {
  const made = button(text, () => {
    const pressed = made.getAttribute("aria-pressed") !== "true";
    made.setAttribute("aria-pressed", String(pressed));
    onChange(pressed);
  }, { "aria-pressed": "false" });
  return made;
}

/** @type {(plane: Plane) => HTMLButtonElement} shows where the judge begins to read another digit */
export const borderButton = (plane) => toggle("Borders", (pressed) => void (plane.bordered = pressed));

/**
 * Make the button that turns dragging into drawing.
 * @param {Plane} plane
 * @param {import("./main.js").App} app
 */
export const pathButton = (plane, app) => toggle("Draw a path", (pressed) => {
  plane.drawing = pressed;
  plane.element.classList.toggle("drawing", pressed);
  if (pressed) app.announce("Drag along a path, or move with the arrow keys and press Enter at each bend.");
});

/**
 * Make the button that sets out on a part's path, once there is one.
 * @param {string} name of the route
 */
export function walkButton(name) {
  const made = button("Walk the path", () => shared.walk(name));
  const update = () => void (made.hidden = !shared.routes.has(name));
  shared.subscribe(update);
  update();
  return made;
}

/** @type {(digits: number[] | null) => string} what borders show, in words */
export function bordersInWords(digits) {
  if (!digits) return "";
  if (digits.length === 1) return `The judge reads ${digits[0]} everywhere here.`;
  return `The judge reads ${digits.slice(0, -1).join(", ")} and ${digits[digits.length - 1]} here.`;
}

/**
 * Return a route's latents.
 * @param {Place[]} path at an even pace
 * @param {(place: Place) => Float32Array} latentAt
 * @returns {(t: number) => Float32Array}
 */
export function routeAlong(path, latentAt) {
  return (t) => {
    const place = t * (path.length - 1);
    const [from, to] = [path[Math.floor(place)], path[Math.ceil(place)]];
    const share = place - Math.floor(place);
    return latentAt({ x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y) });
  };
}
