/** The wire format of protobuf, https://protobuf.dev/programming-guides/encoding/, as far as ONNX files need it. */

import { BundleError } from "./errors.js";

const TEXT = new TextDecoder();

const VARINT = 0; // wire types
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Reads bytes from the first to the last, and never beyond. */
export class Reader {
  #bytes;
  #view;
  #at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done() {
    return this.#at === this.#bytes.length;
  }

  /** Return the number of the next field, and its wire type. */
  tag() {
    const tag = this.#varint();
    if (tag < 8 || tag >= 2 ** 32) throw damaged("a field has a number that cannot be");
    return [Math.floor(tag / 8), tag % 8];
  }

  /** @param {number} wire  The type of a value to pass over. */
  skip(wire) {
    if (wire === VARINT) this.#varint();
    else if (wire === BYTES) this.#take(this.#varint());
    else if (wire === FIXED32 || wire === FIXED64) this.#take(wire === FIXED32 ? 4 : 8);
    else throw damaged(`a field has wire type ${wire}`);
  }

  /**
   * Return the value of a field.
   *
   * @param {number} wire
   * @param {string} holds  "int", "float", "text" or "bytes".
   * @returns {any}
   */
  value(wire, holds) {
    if (wire !== (holds === "int" ? VARINT : holds === "float" ? FIXED32 : BYTES)) {
      throw damaged(`wire type ${wire} where ${holds} is expected`);
    }
    if (holds === "int") return this.#varint();
    if (holds === "float") return this.#view.getFloat32(this.#step(4), true);
    const bytes = this.#take(this.#varint());
    if (holds === "text") return TEXT.decode(bytes);
    return bytes;
  }

  /**
   * Return the values of a repeated field, of which numbers may stand in one run.
   *
   * @param {number} wire
   * @param {string} holds
   * @returns {any[]}
   */
  values(wire, holds) {
    if (wire !== BYTES || (holds !== "int" && holds !== "float")) return [this.value(wire, holds)];
    const run = new Reader(this.#take(this.#varint()));
    const numbers = [];
    while (!run.done) numbers.push(run.value(holds === "int" ? VARINT : FIXED32, holds));
    return numbers;
  }

  /** Return a signed integer of 64 bits; beyond 2^53 it is rounded. */
  #varint() {
    let value = 0;
    for (let place = 1; place < 2 ** 49; place *= 128) {
      const byte = this.#bytes[this.#step(1)];
      value += (byte & 0x7f) * place;
      if (byte < 0x80) return value;
    }
    let long = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#step(1)];
      long |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, long));
    }
    throw damaged("a number takes more than ten bytes");
  }

  /** @param {number} length */
  #take(length) {
    const start = this.#step(length);
    return this.#bytes.subarray(start, start + length);
  }

  /**
   * Return where the next bytes start, and go behind them.
   *
   * @param {number} length
   */
  #step(length) {
    if (length < 0 || length > this.#bytes.length - this.#at) throw damaged("it ends before it should");
    this.#at += length;
    return this.#at - length;
  }
}

/**
 * Return what says that a file is damaged, or of another kind.
 *
 * @param {string} reason
 */
export function damaged(reason) {
  return new BundleError(`no ONNX file, or a damaged one: ${reason}`);
}
