/** Handwriting to pixels, as MNIST was made: the ink fits 20 x 20, and its center of mass is the middle of 28 x 28. */

import { SIDE } from "../spec.js";
import { clamp } from "./math.js";

const BOX = 20; // pixels of the longer side of the ink
const FADE = 1.3; // pixels over which an edge goes from full to nothing, as MNIST's do
const THINNEST = 0.05; // of a point's pressure, below which a pen counts as lifted in all but name

/**
 * @typedef {object} Point
 * @property {number} x         In any unit, to the right.
 * @property {number} y         Likewise, down.
 * @property {number} [weight]  Of the line there, 1 where it is as wide as asked for.
 */

/**
 * Return the pixels of a drawing.
 *
 * @param {Point[][]} strokes Lines through points; one point is a dot.
 * @param {number} [width] Of the line, in pixels of the result. MNIST's are 1.4 to 5, at the median 2.5.
 * @returns {Float32Array} (28, 28) from 0 to 1; all 0 where nothing is drawn.
 */
export function rasterize(strokes, width = 2.5) {
  const lines = strokes.filter((stroke) => stroke.length);
  const result = new Float32Array(SIDE * SIDE);
  if (!lines.length) return result;
  const placed = fit(lines, width);
  paint(placed, width, result);
  const mass = centerOfMass(result);
  const points = placed.flat();
  for (const axis of /** @type {const} */ (["x", "y"])) {
    const ends = points.map((point) => point[axis]);
    const margin = width / 2; // the ink stays inside
    const move = clamp(SIDE / 2 - mass[axis], margin - Math.min(...ends), SIDE - margin - Math.max(...ends));
    for (const point of points) point[axis] += move;
  }
  result.fill(0);
  paint(placed, width, result);
  return result;
}

/**
 * Return a drawing in a color, as the models know images.
 *
 * @param {Float32Array} shares (28, 28) from 0 to 1.
 * @param {ArrayLike<number>} color Red, green and blue, 0 to 255.
 * @returns {Uint8Array} (28, 28, 3)
 */
export function inked(shares, color) {
  const length = 3 * shares.length;
  return Uint8Array.from({ length }, (_, at) => Math.round(shares[Math.floor(at / 3)] * color[at % 3]));
}

/**
 * Return a line without corners: it passes through the middle of each part of another.
 *
 * @param {Point[]} stroke
 * @returns {Point[]}
 */
export function smooth(stroke) {
  if (stroke.length < 3) return stroke;
  const result = [stroke[0]];
  for (let at = 1; at + 1 < stroke.length; at++) {
    const [before, here, after] = [stroke[at - 1], stroke[at], stroke[at + 1]];
    for (const share of [0.25, 0.5, 0.75]) {
      const [a, b, c] = [(1 - share) ** 2 / 2, 0.5 + share * (1 - share), share ** 2 / 2];
      result.push({
        x: a * before.x + b * here.x + c * after.x,
        y: a * before.y + b * here.y + c * after.y,
        weight: a * (before.weight ?? 1) + b * (here.weight ?? 1) + c * (after.weight ?? 1),
      });
    }
  }
  result.push(stroke[stroke.length - 1]);
  return result;
}

/** Return lines in pixels, at the box's corner. @param {Point[][]} lines @param {number} width */
function fit(lines, width) {
  const points = lines.flat();
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const extent = Math.max(Math.max(...xs) - left, Math.max(...ys) - top);
  const scale = extent > 0 ? (BOX - width) / extent : 0;
  const edge = (SIDE - BOX + width) / 2;
  return lines.map((line) => line.map(({ x, y, weight = 1 }) => (
    { x: edge + (x - left) * scale, y: edge + (y - top) * scale, weight: Math.max(weight, THINNEST) })));
}

/** @param {Required<Point>[][]} lines @param {number} width @param {Float32Array} pixels Painted on. */
function paint(lines, width, pixels) {
  for (const line of lines) {
    for (let at = 0; at < Math.max(1, line.length - 1); at++) {
      segment(line[at], line[at + 1] ?? line[at], width, pixels);
    }
  }
}

/**
 * @param {Required<Point>} from @param {Required<Point>} to @param {number} width
 * @param {Float32Array} pixels Of which each keeps the most that any part of a line gives it.
 */
function segment(from, to, width, pixels) {
  const reach = (width * Math.max(from.weight, to.weight) + FADE) / 2;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const [left, right] = range(from.x, to.x, reach);
  const [top, bottom] = range(from.y, to.y, reach);
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const [x, y] = [column + 0.5 - from.x, row + 0.5 - from.y];
      const share = length > 0 ? clamp((x * dx + y * dy) / length, 0, 1) : 0;
      const distance = Math.hypot(x - share * dx, y - share * dy);
      const radius = (width * (from.weight + share * (to.weight - from.weight))) / 2;
      const inside = clamp(0.5 + (radius - distance) / FADE, 0, 1);
      const at = row * SIDE + column;
      pixels[at] = Math.max(pixels[at], inside);
    }
  }
}

/** @param {number} from @param {number} to @param {number} reach */
function range(from, to, reach) {
  const first = Math.floor(Math.min(from, to) - reach - 0.5);
  const last = Math.ceil(Math.max(from, to) + reach + 0.5);
  return [Math.max(0, first), Math.min(SIDE - 1, last)];
}

/** @param {Float32Array} pixels @returns {{x: number, y: number}} */
function centerOfMass(pixels) {
  let [sum, x, y] = [0, 0, 0];
  pixels.forEach((value, at) => {
    sum += value;
    x += value * ((at % SIDE) + 0.5);
    y += value * (Math.floor(at / SIDE) + 0.5);
  });
  return { x: x / sum, y: y / sum };
}
