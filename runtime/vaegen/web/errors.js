/**
 * Every error that vaegen throws on purpose, of the same names and in the same words as Python's `vaegen.errors`:
 *
 *     VaegenError            the one class an embedding program needs
 *     +-- BundleError        the model cannot be used
 *     |   +-- IntegrityError its bytes are not the ones the manifest vouches for
 *     +-- RequestError       the call asks for something that does not exist
 *
 * Each message is one line: the value, the choices, what to do next. It may quote names that anybody made, so what
 * cannot be printed in it is escaped.
 */

const LONGEST = 80; // characters of a quoted text
const LONGEST_NUMBER = 40;
const MOST_ENTRIES = 6; // of a quoted array
const DEEPEST = 6;

// What Python calls not printable: control characters, marks that change the direction of writing, lone surrogates and
// all separators but the plain space.
const UNPRINTABLE = /[\p{C}\p{Z}]/gu;
/** @type {Record<string, string>} */
const SHORT_ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t", " ": " " };

/** Base class of all errors that vaegen throws on purpose. */
export class VaegenError extends Error {
  static {
    this.prototype.name = "VaegenError"; // written out, for a bundler may shorten the class's own
  }

  /**
   * @param {string} message  What went wrong, in one line.
   * @param {{cause?: unknown}} [options]  The error behind it.
   */
  constructor(message, options) {
    super(shown(message), options);
  }
}

/** A source is not a model bundle, or one this version of vaegen cannot use. */
export class BundleError extends VaegenError {
  static {
    this.prototype.name = "BundleError";
  }
}

/** A file of a bundle differs from what its manifest records: damaged or tampered with. */
export class IntegrityError extends BundleError {
  static {
    this.prototype.name = "IntegrityError";
  }
}

/** A call asks for a value, a length or a type that does not exist. */
export class RequestError extends VaegenError {
  static {
    this.prototype.name = "RequestError";
  }
}

/**
 * Return a text as one line that is safe in every terminal and page; what cannot be printed is escaped as in Python.
 *
 * @param {string} text  Any text.
 * @returns {string}
 */
export function shown(text) {
  return text.replace(UNPRINTABLE, (sign) => {
    const code = /** @type {number} */ (sign.codePointAt(0));
    const [letter, width] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return SHORT_ESCAPES[sign] ?? `\\${letter}${code.toString(16).padStart(width, "0")}`;
  });
}

/**
 * Return a value of a call, texts as Python writes them and the rest as JavaScript does, shortened where it is long.
 *
 * @param {unknown} value  Anything.
 * @param {number} [depth]  Levels of arrays that may still be opened.
 * @returns {string}
 */
export function quoted(value, depth = DEEPEST) {
  if (typeof value === "string") {
    const signs = [...value];
    const whole = inQuotes(signs.length > LONGEST ? signs.slice(0, LONGEST).join("") : value);
    return [...whole].length > LONGEST ? shortened(signs, LONGEST, inQuotes) : whole;
  }
  if (typeof value === "number" || typeof value === "bigint") {
    const digits = [...String(value)];
    return digits.length > LONGEST_NUMBER ? shortened(digits, LONGEST_NUMBER, String) : digits.join("");
  }
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    const entries = /** @type {ArrayLike<unknown>} */ (value);
    if (depth === 0 && entries.length > 0) return "[...]";
    const parts = Array.from(entries).slice(0, MOST_ENTRIES).map((entry) => quoted(entry, depth - 1));
    if (entries.length > MOST_ENTRIES) parts.push("...");
    return `[${parts.join(", ")}]`;
  }
  if (typeof value === "function") return `function ${value.name || "without a name"}`;
  if (typeof value === "object" && value !== null) return `an object of type ${value.constructor?.name ?? "Object"}`;
  return String(value);
}

/**
 * Return the start and the end of what is too long to be written whole.
 *
 * @param {string[]} signs  The characters of the value.
 * @param {number} most  Characters of the result.
 * @param {(text: string) => string} write  Writes a part of the value.
 * @returns {string}
 */
function shortened(signs, most, write) {
  const head = Math.floor((most - 3) / 2);
  const tail = most - 3 - head;
  const written = [...write([...signs.slice(0, head), ...signs.slice(signs.length - tail)].join(""))];
  return [...written.slice(0, head), "...", ...written.slice(written.length - tail)].join("");
}

/**
 * Return a text as Python writes it in code.
 *
 * @param {string} text  Any text.
 * @returns {string}
 */
function inQuotes(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  return mark + shown(text.replaceAll("\\", "\\\\").replaceAll(mark, `\\${mark}`)) + mark;
}

/**
 * Return a number with six significant digits, as Python's "%g" writes it.
 *
 * @param {number} value  A finite number.
 * @returns {string}
 */
export function general(value) {
  const [digits, power] = value.toExponential(5).split("e");
  if (Number(power) >= -4 && Number(power) < 6) return String(Number(value.toPrecision(6)));
  return `${Number(digits)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}
