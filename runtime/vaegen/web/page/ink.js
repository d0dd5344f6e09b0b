/** A square to draw in, with a finger, a pen, a mouse or the keyboard. */

import { button, element } from "./dom.js";
import { clamp } from "./math.js";
import { smooth } from "./stroke.js";

/** @typedef {import("./stroke.js").Point} Point */

const SIZE = 560; // pixels of the canvas
const WIDTH = 0.085; // of a stroke, as a share of the square's side
const STEP = 1 / 24; // of the side, that an arrow key moves
const CLOSE = 0.004; // of the side; points nearer than that say nothing new

export class Ink {
  /** @type {Point[][]} lines through points in the unit square */
  strokes = [];
  #changed;
  #ended;
  #color = "#fff";
  #canvas;
  /** @type {Point} the place of the keyboard's pen */
  #cursor = { x: 0.5, y: 0.2 };
  #down = false;
  #frame = 0;

  /**
   * @param {object} on
   * @param {() => void} on.change called at most once a frame while the drawing changes
   * @param {() => void} on.end called when a stroke has ended, or was taken back
   * @param {(text: string) => void} on.announce tells a screen reader
   */
  constructor({ change, end, announce }) {
    this.#changed = change;
    this.#ended = end;
    this.#canvas = element("canvas", {
      width: SIZE, height: SIZE, class: "ink", tabindex: 0, role: "application", "aria-roledescription": "drawing area",
      "aria-label": "Draw a digit. The arrow keys move the pen; it draws while Space is held.",
    });
    const undo = button("Undo", () => this.undo());
    const clear = button("Clear", () => this.clear());
    this.element = element("div", { class: "ink-box" }, this.#canvas, element("div", { class: "row" }, undo, clear));
    this.#listenToPointer();
    this.#listenToKeys(announce);
    this.#draw();
  }

  /** Color of the strokes, as CSS has it. @param {string} color */
  set color(color) {
    this.#color = color;
    this.#draw();
  }

  /** Take back the last stroke. */
  undo() {
    this.strokes = this.strokes.slice(0, -1);
    this.#change();
    this.#ended();
  }

  /** Take back all strokes. */
  clear() {
    this.strokes = [];
    this.#change();
    this.#ended();
  }

  #change() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
      this.#changed();
    });
  }

  /** @param {Point} point */
  #extend(point) {
    const stroke = this.strokes[this.strokes.length - 1];
    const last = stroke[stroke.length - 1];
    if (last && Math.hypot(point.x - last.x, point.y - last.y) < CLOSE) return;
    stroke.push(point);
    this.#change();
  }

  #listenToPointer() {
    /** @type {number | null} */
    let pointer = null;
    const canvas = this.#canvas;
    const place = (/** @type {PointerEvent} */ event) => {
      const box = canvas.getBoundingClientRect();
      const weight = event.pointerType === "pen" && event.pressure ? 0.6 + 0.8 * event.pressure : 1;
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      return { x: clamp(x, 0, 1), y: clamp(y, 0, 1), weight };
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (pointer !== null || event.button !== 0) return;
      event.preventDefault();
      pointer = event.pointerId;
      canvas.setPointerCapture(pointer);
      this.#down = false;
      this.strokes.push([]);
      this.#extend(place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== pointer) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) this.#extend(place(one));
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(end, (event) => {
        if (event.pointerId !== pointer) return;
        pointer = null;
        this.#ended();
      });
    }
  }

  /** @param {(text: string) => void} announce */
  #listenToKeys(announce) {
    /** @type {Set<string>} */
    const held = new Set();
    const says = () => {
      const [right, down] = [this.#cursor.x, this.#cursor.y].map((share) => Math.round(100 * share));
      const place = `Pen ${this.#down ? "down" : "up"}, ${right}% across, ${down}% down`;
      this.#canvas.setAttribute("aria-description", `${place}. Enter keeps it down.`);
    };
    const lower = (/** @type {boolean} */ down) => {
      if (down === this.#down) return;
      this.#down = down;
      if (down) {
        this.strokes.push([]);
        this.#extend({ ...this.#cursor });
      } else this.#ended();
      this.#draw();
      announce(down ? "Pen down" : "Pen up");
      says();
    };
    this.#canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey) {
        if (event.key !== "z") return;
        this.undo();
      } else if (event.key === " ") lower(true);
      else if (event.key === "Enter") lower(!this.#down);
      else if (event.key === "Backspace") this.undo();
      else if (event.key.startsWith("Arrow")) {
        held.add(event.key);
        const size = event.shiftKey ? STEP / 4 : STEP;
        const has = (/** @type {string} */ key) => Number(held.has(key));
        this.#cursor = {
          x: clamp(this.#cursor.x + size * (has("ArrowRight") - has("ArrowLeft")), 0.02, 0.98),
          y: clamp(this.#cursor.y + size * (has("ArrowDown") - has("ArrowUp")), 0.02, 0.98),
        };
        if (this.#down) this.#extend({ ...this.#cursor });
        this.#draw();
      } else return;
      says();
      event.preventDefault();
    });
    this.#canvas.addEventListener("keyup", (event) => {
      held.delete(event.key);
      if (event.key === " ") lower(false);
    });
    this.#canvas.addEventListener("focus", () => this.#draw());
    this.#canvas.addEventListener("blur", () => {
      held.clear();
      lower(false);
      this.#draw();
    });
  }

  #draw() {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.setTransform(SIZE, 0, 0, SIZE, 0, 0);
    context.clearRect(0, 0, 1, 1);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = this.#color;
    for (const stroke of this.strokes) {
      const points = smooth(stroke);
      for (let at = 0; at < Math.max(1, points.length - 1); at++) {
        const [from, to] = [points[at], points[at + 1] ?? points[at]];
        context.lineWidth = WIDTH * ((from.weight ?? 1) + (to.weight ?? 1)) / 2;
        context.beginPath();
        context.moveTo(from.x, from.y);
        context.lineTo(to.x, to.y);
        context.stroke();
      }
    }
    if (!this.#canvas.matches(":focus-visible")) return;
    context.lineWidth = 0.006;
    context.strokeStyle = "#fff";
    context.setLineDash(this.#down ? [] : [0.02, 0.015]);
    context.beginPath();
    context.arc(this.#cursor.x, this.#cursor.y, WIDTH / 2, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
  }
}
