/**
 * Colors as people write them, read as Python reads them: the texts of Pillow's `ImageColor.getrgb`, rounded as there.
 */

import { RequestError, quoted } from "./errors.js";
import { closeMatches } from "./matches.js";

export const DARKEST = 32; // of 255; below it a stroke can hardly be told from the black background
const OPAQUE = 255; // the alpha that says nothing
const LONGEST = 100; // characters of a color

// The CSS names, each followed by its color.
const TABLE = `
  aliceblue f0f8ff antiquewhite faebd7 aqua 00ffff aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4 black
  000000 blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887 cadetblue 5f9ea0 chartreuse
  7fff00 chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc crimson dc143c cyan 00ffff darkblue
  00008b darkcyan 008b8b darkgoldenrod b8860b darkgray a9a9a9 darkgrey a9a9a9 darkgreen 006400 darkkhaki bdb76b
  darkmagenta 8b008b darkolivegreen 556b2f darkorange ff8c00 darkorchid 9932cc darkred 8b0000 darksalmon e9967a
  darkseagreen 8fbc8f darkslateblue 483d8b darkslategray 2f4f4f darkslategrey 2f4f4f darkturquoise 00ced1 darkviolet
  9400d3 deeppink ff1493 deepskyblue 00bfff dimgray 696969 dimgrey 696969 dodgerblue 1e90ff firebrick b22222
  floralwhite fffaf0 forestgreen 228b22 fuchsia ff00ff gainsboro dcdcdc ghostwhite f8f8ff gold ffd700 goldenrod daa520
  gray 808080 grey 808080 green 008000 greenyellow adff2f honeydew f0fff0 hotpink ff69b4 indianred cd5c5c indigo
  4b0082 ivory fffff0 khaki f0e68c lavender e6e6fa lavenderblush fff0f5 lawngreen 7cfc00 lemonchiffon fffacd lightblue
  add8e6 lightcoral f08080 lightcyan e0ffff lightgoldenrodyellow fafad2 lightgreen 90ee90 lightgray d3d3d3 lightgrey
  d3d3d3 lightpink ffb6c1 lightsalmon ffa07a lightseagreen 20b2aa lightskyblue 87cefa lightslategray 778899
  lightslategrey 778899 lightsteelblue b0c4de lightyellow ffffe0 lime 00ff00 limegreen 32cd32 linen faf0e6 magenta
  ff00ff maroon 800000 mediumaquamarine 66cdaa mediumblue 0000cd mediumorchid ba55d3 mediumpurple 9370db
  mediumseagreen 3cb371 mediumslateblue 7b68ee mediumspringgreen 00fa9a mediumturquoise 48d1cc mediumvioletred c71585
  midnightblue 191970 mintcream f5fffa mistyrose ffe4e1 moccasin ffe4b5 navajowhite ffdead navy 000080 oldlace fdf5e6
  olive 808000 olivedrab 6b8e23 orange ffa500 orangered ff4500 orchid da70d6 palegoldenrod eee8aa palegreen 98fb98
  paleturquoise afeeee palevioletred db7093 papayawhip ffefd5 peachpuff ffdab9 peru cd853f pink ffc0cb plum dda0dd
  powderblue b0e0e6 purple 800080 rebeccapurple 663399 red ff0000 rosybrown bc8f8f royalblue 4169e1 saddlebrown 8b4513
  salmon fa8072 sandybrown f4a460 seagreen 2e8b57 seashell fff5ee sienna a0522d silver c0c0c0 skyblue 87ceeb slateblue
  6a5acd slategray 708090 slategrey 708090 snow fffafa springgreen 00ff7f steelblue 4682b4 tan d2b48c teal 008080
  thistle d8bfd8 tomato ff6347 turquoise 40e0d0 violet ee82ee wheat f5deb3 white ffffff whitesmoke f5f5f5 yellow
  ffff00 yellowgreen 9acd32`;
const NAMES = new Map(Array.from(TABLE.matchAll(/(\S+)\s+(\S+)/g), ([, name, hex]) => [name, hex]));

// Python's idea of a space and of a digit: of any script. A space of JavaScript is not quite the same.
const S = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*";
const INTEGER = "(\\p{Nd}+)";
const DECIMAL = "(\\p{Nd}+\\.?\\p{Nd}*)";
const ENDS = new RegExp(`^${S}|${S}$`, "gu");

/** @typedef {[number, number, number]} RGB  Red, green and blue. */

/** @type {[RegExp, (...numbers: number[]) => number[]][]} */
const FORMS = [
  [form("rgb", INTEGER, INTEGER, INTEGER), (...rgb) => rgb],
  [form("rgb", `${INTEGER}%`, `${INTEGER}%`, `${INTEGER}%`), (...rgb) => bytes(rgb.map((share) => share / 100))],
  [form("hsl", DECIMAL, `${DECIMAL}%`, `${DECIMAL}%`), (h, s, l) => bytes(hlsToRgb(h / 360, l / 100, s / 100))],
  [form("hs[bv]", DECIMAL, `${DECIMAL}%`, `${DECIMAL}%`), (h, s, v) => bytes(hsvToRgb(h / 360, s / 100, v / 100))],
  [form("rgba", INTEGER, INTEGER, INTEGER, INTEGER), (...rgba) => rgba],
];

/**
 * Read one requested color.
 *
 * @param {string | ArrayLike<number | bigint>} color  A CSS name, "#rgb", "#rrggbb", "rgb()", "hsl()" or "hsv()", or
 *   one of these with an alpha channel that is opaque; or three integers from 0 to 255.
 * @returns {RGB} 0 to 255.
 * @throws {RequestError} The text names no color (close matches are named), the color is translucent, its numbers are
 *   not integers from 0 to 255, or none of them reaches 32, which is too dark on black.
 */
export function parseColor(color) {
  let values = typeof color === "string" ? parseText(color) : parseNumbers(color);
  if (values.length === 4 && typeof color === "string" && values[3] === OPAQUE) values = values.slice(0, 3);
  if (values.length === 4) {
    throw new RequestError(`color ${quoted(color)} has an alpha channel; leave it out, the background stays black`);
  }
  if (values.length !== 3 || !values.every((value) => 0 <= value && value <= 255)) {
    throw new RequestError(`color ${quoted(color)} is not usable; red, green and blue are integers from 0 to 255`);
  }
  const brightest = Math.max(...values);
  if (brightest < DARKEST) {
    throw new RequestError(
      `color ${quoted(color)} is too dark on the black background: its brightest channel is ${brightest}; ` +
        `choose a color whose brightest channel is at least ${DARKEST} of 255`,
    );
  }
  return [values[0], values[1], values[2]];
}

/**
 * Return red, green and blue of a color of HSV, as Python's `colorsys` computes them.
 *
 * @param {number} h  Hue in turns, 0 or more.
 * @param {number} s  Saturation, 0 to 1.
 * @param {number} v  Value, 0 to 1.
 * @returns {RGB} 0 to 1.
 */
export function hsvToRgb(h, s, v) {
  if (s === 0) return [v, v, v];
  const sector = Math.trunc(h * 6);
  const f = h * 6 - sector;
  const [p, q, t] = [v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))];
  /** @type {RGB[]} */
  const sectors = [[v, t, p], [q, v, p], [p, v, t], [p, q, v], [t, p, v], [v, p, q]];
  return sectors[sector % 6];
}

/**
 * Return red, green and blue of a color of HSL, as Python's `colorsys` computes them.
 *
 * @param {number} h  Hue in turns, 0 or more.
 * @param {number} l  Lightness, 0 to 1.
 * @param {number} s  Saturation, 0 to 1.
 * @returns {RGB} 0 to 1.
 */
function hlsToRgb(h, l, s) {
  if (s === 0) return [l, l, l];
  const m2 = l <= 0.5 ? l * (1 + s) : l + s - l * s;
  const m1 = 2 * l - m2;
  /** @param {number} hue  Of one channel, in turns. */
  function channel(hue) {
    const turn = hue % 1 < 0 ? (hue % 1) + 1 : hue % 1;
    if (turn < 1 / 6) return m1 + (m2 - m1) * turn * 6;
    if (turn < 0.5) return m2;
    return turn < 2 / 3 ? m1 + (m2 - m1) * (2 / 3 - turn) * 6 : m1;
  }
  return [channel(h + 1 / 3), channel(h), channel(h - 1 / 3)];
}

/**
 * Return the channels that a text names.
 *
 * @param {string} text  As the call has it.
 * @returns {number[]} Three, or four with alpha.
 */
function parseText(text) {
  const stripped = text.replace(ENDS, "");
  const color = spelled(stripped).toLowerCase();
  if ([...color].length <= LONGEST) {
    const hex = NAMES.get(color) ?? /^#([a-f0-9]{3,4}|[a-f0-9]{6}|[a-f0-9]{8})$/.exec(color)?.[1];
    if (hex) {
      const pairs = hex.length < 6 ? Array.from(hex, (digit) => digit + digit) : hex.match(/../g) ?? [];
      return pairs.map((pair) => parseInt(pair, 16));
    }
    for (const [pattern, channels] of FORMS) {
      const found = pattern.exec(color);
      if (found) return channels(...found.slice(1).map(toNumber)).map((value) => value + 0);
    }
  }
  const matches = closeMatches(stripped.toLowerCase().replaceAll(" ", ""), [...NAMES.keys()]);
  const hint = matches.length ? `did you mean ${matches.join(", ")}?` : "use a CSS name, #rrggbb, rgb() or hsl()";
  throw new RequestError(`unknown color ${quoted(text)}; ${hint}`);
}

/**
 * Return a color that people write in another way as Pillow reads it.
 *
 * @param {string} text  Without blanks around it.
 * @returns {string}
 */
function spelled(text) {
  if (/^[0-9a-fA-F]{6}$/.test(text)) return `#${text}`;
  if (/^[0-9]{1,3}( *, *[0-9]{1,3}){2}$/.test(text)) return `rgb(${text})`;
  const spaced = /^([a-zA-Z]+)\( *([^ ,()]+) +([^ ,()]+) +([^ ,()]+) *\)$/.exec(text); // as in CSS since 2018
  return spaced ? `${spaced[1]}(${spaced.slice(2)})` : text;
}

/**
 * Return the channels that are given as numbers.
 *
 * @param {unknown} numbers  As the call has them.
 * @returns {number[]}
 */
function parseNumbers(numbers) {
  const isRow = Array.isArray(numbers) || (ArrayBuffer.isView(numbers) && Symbol.iterator in numbers);
  const values = isRow ? [.../** @type {Iterable<unknown>} */ (numbers)] : [];
  if (!values.length || !values.every((value) => Number.isInteger(value) || typeof value === "bigint")) {
    throw new RequestError(`color ${quoted(numbers)} is not usable; give a name or three integers from 0 to 255`);
  }
  return values.map((value) => Number(value) + 0); // no -0
}

/**
 * Return a pattern of a name and numbers in parentheses.
 *
 * @param {string} name  In front of them.
 * @param {...string} numbers  The pattern of each.
 * @returns {RegExp}
 */
function form(name, ...numbers) {
  return new RegExp(`^${name}\\(${S}${numbers.join(`${S},${S}`)}${S}\\)$`, "u");
}

/**
 * Return the number that digits of any script stand for: in Unicode they lie in blocks of ten, from 0 to 9.
 *
 * @param {string} digits  With or without a point.
 * @returns {number}
 */
function toNumber(digits) {
  return Number(
    digits.replace(/(?![0-9])\p{Nd}/gu, (digit) => {
      const code = /** @type {number} */ (digit.codePointAt(0));
      let first = code;
      while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--;
      return String((code - first) % 10);
    }),
  );
}

/**
 * @param {number[]} rgb  0 to 1.
 * @returns {number[]} 0 to 255, rounded as Pillow does it.
 */
function bytes(rgb) {
  return rgb.map((value) => Math.trunc(value * 255 + 0.5));
}
