/** Colors in plain words, for those who do not see them. */

/** @type {[number, string][]} names of hues, each up to so many degrees */
const HUES = [
  [15, "red"], [45, "orange"], [70, "yellow"], [165, "green"], [195, "turquoise"], [255, "blue"], [290, "purple"],
  [340, "pink"], [361, "red"],
];

/**
 * Name a color roughly: "red", "dark blue", "light gray".
 * @param {ArrayLike<number>} rgb 0 to 255 each
 */
export function nameColor({ 0: red, 1: green, 2: blue }) {
  const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)];
  const chroma = most - least;
  if (chroma < 0.15 * most || most === 0) return most > 220 ? "white" : most < 90 ? "dark gray" : "gray";
  const turn = most === red ? (green - blue) / chroma : most === green ? 2 + (blue - red) / chroma : 4 + (red - green) / chroma;
  const hue = (60 * turn + 360) % 360;
  const name = /** @type {[number, string]} */ (HUES.find(([end]) => hue < end))[1];
  if (most < 140) return name === "orange" ? "brown" : `dark ${name}`;
  return chroma < 0.45 * most ? `light ${name}` : name;
}

const BRIGHTEST = 40;

/**
 * Measure the color of a stroke as the judge does: the mean of all pixels at least as bright as the 40th brightest.
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
  return hex(sum.map((value) => value / Math.max(count, BRIGHTEST)));
}

/** @type {(rgb: ArrayLike<number>) => string} "#rrggbb" */
export const hex = (rgb) => {
  return `#${Array.from(rgb, (value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
};
