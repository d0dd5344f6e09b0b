/** Colors as hue, saturation and value, as text, in plain words, and as a stroke has them. */

import { DARKEST, hsvToRgb } from "../color.js";

/** @typedef {{ hue: number, saturation: number, value: number }} Hsv degrees, and 0 to 1 each */

/** @type {(rgb: ArrayLike<number>) => string} "#rrggbb" */
export const hex = (rgb) => {
  return `#${Array.from(rgb, (value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
};

/** @type {(hsv: Hsv) => string} "#rrggbb" */
export const hsvToHex = ({ hue, saturation, value }) => {
  return hex(hsvToRgb(hue / 360, saturation, value).map((channel) => 255 * channel));
};

/**
 * Return a color's hue, saturation and value; the hue of a gray is 0.
 * @param {ArrayLike<number>} rgb 0 to 255 each
 * @returns {Hsv}
 */
export function toHsv({ 0: red, 1: green, 2: blue }) {
  const value = Math.max(red, green, blue);
  const chroma = value - Math.min(red, green, blue);
  if (chroma === 0) return { hue: 0, saturation: 0, value: value / 255 };
  const [turn, difference] = value === red ? [6, green - blue] : value === green ? [2, blue - red] : [4, red - green];
  return { hue: (60 * (turn + difference / chroma)) % 360, saturation: chroma / value, value: value / 255 };
}

/** @type {[number, string][]} names of hues, each up to so many degrees */
const HUES = [
  [15, "red"], [45, "orange"], [70, "yellow"], [165, "green"], [195, "turquoise"], [255, "blue"], [290, "purple"],
  [340, "pink"], [360, "red"],
];

/**
 * Name a color roughly: "red", "dark blue", "light green", "gray".
 * @param {ArrayLike<number>} rgb 0 to 255 each
 */
export function nameColor(rgb) {
  const { hue, saturation, value } = toHsv(rgb);
  if (saturation < 0.15) return value > 0.86 ? "white" : value > 0.35 ? "gray" : "dark gray";
  const name = /** @type {[number, string]} */ (HUES.find(([end]) => hue < end))[1];
  if (value < 0.55) return name === "orange" ? "brown" : `dark ${name}`;
  return saturation < 0.45 ? `light ${name}` : name;
}

const BRIGHTEST = 40;

/**
 * Measure the color of a stroke as the judge does: the mean of all pixels at least as bright as the 40th brightest. A
 * color too dark to be asked for is lightened until it can be.
 * @param {Uint8Array} image 28 x 28 x 3
 * @returns {string} "#rrggbb"
 */
export function strokeColor(image) {
  const bright = Array.from({ length: image.length / 3 }, (_, at) => Math.max(...image.subarray(3 * at, 3 * at + 3)));
  const least = Math.max(1, [...bright].sort((a, b) => b - a)[BRIGHTEST - 1]);
  const sum = [0, 0, 0];
  let count = 0;
  bright.forEach((value, at) => {
    if (value < least) return;
    count += 1;
    sum.forEach((_, channel) => void (sum[channel] += image[3 * at + channel]));
  });
  const color = count ? sum.map((value) => value / Math.max(count, BRIGHTEST)) : [1, 1, 1];
  const scale = Math.max(1, DARKEST / Math.max(...color));
  return hex(color.map((value) => scale * value));
}
