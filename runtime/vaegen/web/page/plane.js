/** A square of digits to move in: a coarse grid of them, a handle that shows the one under it, borders, a path. */

import { SIDE } from "../spec.js";
import { Background } from "./background.js";
import { borders, regions } from "./contour.js";
import { element } from "./dom.js";
import { along, clamp } from "./math.js";
import { stacked } from "./moves.js";
import { imageOf } from "./picture.js";
import { smooth } from "./stroke.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {{ x: number, y: number }} Place 0 left to 1 right, 0 top to 1 bottom */

const GRID = 7; // digits in a row of the ground
const EDGE = 0.5 / GRID; // of the square: the handle stays that far from its sides
const FINE = 21; // readings in a row, from side to side
const SLICE = 6; // digits decoded at a time, about 20 ms of work
const STEP = 1 / 24; // of the way across, that an arrow key moves
const GLIDE = 35; // ms in which the handle comes two thirds of the way to where it is wanted
const LEAST = 4; // readings in a region that is named

const SVG = "http://www.w3.org/2000/svg";

/** @type {(place: number) => number} from the square to the way across, and back */
const inner = (place) => clamp((place - EDGE) / (1 - 2 * EDGE), 0, 1);
/** @type {(share: number) => number} */
const outer = (share) => EDGE + share * (1 - 2 * EDGE);

export class Plane {
  /** @type {HTMLElement} */
  element;
  /** Whether the pointer draws a path; Enter then adds the handle's place to it. */
  drawing = false;
  #app;
  #handle;
  #lens = element("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
  #ground = element("canvas", { width: 2 * SIDE * GRID, height: 2 * SIDE * GRID, "aria-hidden": "true" });
  #lines = svg("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" });
  /** @type {(place: Place) => Float32Array} */
  #at;
  /** @type {Place} */
  #now = { x: 0.5, y: 0.5 };
  /** @type {Place} */
  #goal = { x: 0.5, y: 0.5 };
  #frame = 0;
  #held = true; // until a plane is laid
  #model = "";
  #bordered = false;
  /** @type {Place[]} */
  #path = [];
  #onPath;
  #onBorders;
  #painter;
  #reader;

  /**
   * @param {App} app
   * @param {string} label for screen readers
   * @param {object} on
   * @param {(path: Place[]) => void} on.path called with each path that was drawn, smooth, at an even pace
   * @param {(digits: number[] | null) => void} on.borders called when the borders stand, with the digits that are
   *   read, the most frequent first; null while they are not known
   */
  constructor(app, label, on) {
    this.#app = app;
    this.#at = () => app.picture().latent;
    this.#onPath = on.path;
    this.#onBorders = on.borders;
    this.#handle = element("div", {
      class: "plane-handle", tabindex: 0, role: "slider", "aria-label": label, "aria-roledescription": "pad",
      "aria-valuemin": 0, "aria-valuemax": 100,
    }, this.#lens);
    this.element = element("div", { class: "plane" }, this.#ground, this.#lines, this.#handle);
    this.#painter = new Background(app, this.element, (turn) => this.#paintGround(turn));
    this.#reader = new Background(app, this.element, (turn) => this.#findBorders(turn));
    const follow = (/** @type {import("./picture.js").Picture} */ picture) => {
      app.paint(picture.image, this.#lens);
      this.#describe();
    };
    app.onPicture(follow);
    follow(app.picture());
    this.#place();
    this.#listen();
  }

  /** Hold moves back until a plane is laid: the one there is another picture's. @param {Place} place of the handle */
  hold(place) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#held = true;
    this.#goal = place;
  }

  /**
   * Lay the plane through the latent space, and make the moves that were held back.
   * @param {(place: Place) => Float32Array} latentAt
   * @param {Place} place of the handle
   */
  lay(latentAt, place) {
    this.#at = latentAt;
    this.#model = this.#app.picture().state.model;
    const goal = this.#held ? this.#goal : place;
    this.hold(place);
    this.#held = false;
    this.#now = place;
    this.#place();
    if (goal.x !== place.x || goal.y !== place.y) this.move(goal);
    this.clear();
    this.#painter.start();
    this.#draw([], []);
    if (this.#bordered) this.#reader.start();
  }

  /** Whether borders are shown. @param {boolean} shown */
  set bordered(shown) {
    this.#bordered = shown;
    this.#draw([], []);
    this.#onBorders(null);
    this.#reader.start();
  }

  /** Where the handle is. */
  get place() {
    return this.#now;
  }

  /** Move the handle, and the picture with it. @param {Place} goal */
  move({ x, y }) {
    const goal = { x: clamp(x, 0, 1), y: clamp(y, 0, 1) };
    if (this.#held || this.#model === this.#app.picture().state.model) this.#goal = goal;
    if (this.#held || this.#goal !== goal) return; // not laid through this model's space yet
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.#now = this.#goal;
    if (!this.#frame) this.#glide(performance.now());
  }

  /** Forget the path. */
  clear() {
    this.#path = [];
    this.#drawPath();
  }

  /** @param {number} before time of the last frame */
  #glide(before) {
    this.#frame = requestAnimationFrame((time) => {
      this.#frame = 0;
      if (this.#model !== this.#app.picture().state.model) return;
      const share = 1 - Math.exp(-Math.max(0, time - before) / GLIDE);
      const [dx, dy] = [this.#goal.x - this.#now.x, this.#goal.y - this.#now.y];
      const arrived = Math.hypot(dx, dy) < 1e-3;
      this.#now = arrived ? this.#goal : { x: this.#now.x + share * dx, y: this.#now.y + share * dy };
      this.#place();
      void this.#app.show(this.#at(this.#now));
      if (!arrived) this.#glide(time);
    });
  }

  #place() {
    this.#handle.style.left = `${100 * outer(this.#now.x)}%`;
    this.#handle.style.top = `${100 * outer(this.#now.y)}%`;
    this.#describe();
  }

  #describe() {
    const [right, up] = [Math.round(200 * this.#now.x - 100), Math.round(100 - 200 * this.#now.y)];
    const words = [
      right ? `${Math.abs(right)}% ${right > 0 ? "right" : "left"}` : "",
      up ? `${Math.abs(up)}% ${up > 0 ? "up" : "down"}` : "",
    ].filter(Boolean).join(", ") || "middle";
    const { read, probability } = this.#app.picture();
    this.#handle.setAttribute("aria-valuenow", String(Math.round(100 * this.#now.x)));
    this.#handle.setAttribute("aria-valuetext", `${words}: read as ${read} with ${Math.floor(100 * probability)}%`);
  }

  #listen() {
    /** @type {number | null} */
    let pointer = null;
    const moved = (/** @type {PointerEvent} */ event) => {
      if (event.pointerId !== pointer) return;
      const box = this.element.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(inner);
      if (this.drawing) this.#extend({ x, y });
      this.move({ x, y });
    };
    this.element.addEventListener("pointerdown", (event) => {
      if (pointer !== null || event.button !== 0) return;
      event.preventDefault();
      pointer = event.pointerId;
      this.element.setPointerCapture(pointer);
      this.element.classList.add("held");
      this.#handle.focus({ preventScroll: true });
      if (this.drawing) this.#path = [];
      moved(event);
    });
    this.element.addEventListener("pointermove", moved);
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      this.element.addEventListener(end, (event) => {
        if (event.pointerId !== pointer) return;
        pointer = null;
        this.element.classList.remove("held");
        if (this.drawing) this.#finish();
      });
    }
    this.#handle.addEventListener("keydown", (event) => {
      const size = event.shiftKey ? 4 * STEP : STEP;
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (step) this.move({ x: this.#goal.x + size * step[0], y: this.#goal.y + size * step[1] });
      else if (event.key === "Home") this.move({ x: 0.5, y: 0.5 });
      else if (event.key === "Enter" && this.drawing) {
        this.#extend(this.#goal);
        this.#finish();
      } else return;
      event.preventDefault();
    });
  }

  /** @param {Place} place Added to the path. */
  #extend(place) {
    const last = this.#path[this.#path.length - 1];
    if (last && Math.hypot(place.x - last.x, place.y - last.y) < 0.015) return;
    this.#path.push(place);
    this.#drawPath();
  }

  #finish() {
    if (this.#path.length > 1) this.#onPath(along(smooth(this.#path), 257));
  }

  /** @param {import("./background.js").Turn} turn */
  async #paintGround(turn) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#ground.getContext("2d"));
    const small = element("canvas", { width: SIDE, height: SIDE });
    const middle = (GRID - 1) / 2;
    const cells = Array.from({ length: GRID * GRID }, (_, at) => ({ column: at % GRID, row: Math.floor(at / GRID) }));
    const far = (/** @type {typeof cells[0]} */ { column, row }) => Math.hypot(column - middle, row - middle);
    cells.sort((one, other) => far(one) - far(other));
    for (let at = 0; at < cells.length; at += SLICE) {
      if (!await turn()) return;
      const slice = cells.slice(at, at + SLICE);
      const places = slice.map(({ column, row }) => ({ x: column / (GRID - 1), y: row / (GRID - 1) }));
      const images = await this.#decode(places);
      slice.forEach(({ column, row }, which) => {
        this.#app.paint(imageOf(images, which), small);
        context.drawImage(small, 2 * SIDE * column, 2 * SIDE * row, 2 * SIDE, 2 * SIDE);
      });
    }
  }

  /** @param {import("./background.js").Turn} turn */
  async #findBorders(turn) {
    if (!this.#bordered) return;
    const places = Array.from({ length: FINE * FINE }, (_, at) => (
      { x: inner((at % FINE) / (FINE - 1)), y: inner(Math.floor(at / FINE) / (FINE - 1)) }));
    const probabilities = new Float32Array(10 * places.length);
    for (let at = 0; at < places.length; at += SLICE) {
      if (!await turn()) return;
      probabilities.set(await this.#app.model().judge(await this.#decode(places.slice(at, at + SLICE))), 10 * at);
    }
    const found = regions(probabilities, FINE, LEAST);
    this.#draw(borders(probabilities, FINE), found);
    this.#onBorders([...new Set(found.map((region) => region.digit))]);
  }

  /** @param {Place[]} places @returns {Promise<Uint8Array>} */
  #decode(places) {
    return this.#app.model().decode(stacked(places.map((place) => this.#at(place))));
  }

  /** @param {ArrayLike<number>} lines @param {import("./contour.js").Region[]} found */
  #draw(lines, found) {
    const percent = Array.from(lines, (value) => (100 * value).toFixed(2));
    let outline = "";
    for (let at = 0; at < percent.length; at += 4) {
      outline += `M${percent[at]} ${percent[at + 1]}L${percent[at + 2]} ${percent[at + 3]}`;
    }
    const names = found.length > 1 ? found.map(({ digit, x, y }) => {
      const place = { x: String(clamp(100 * x, 4, 96)), y: String(clamp(100 * y, 5, 95)), class: "plane-name" };
      return svg("text", place, String(digit));
    }) : [];
    this.#lines.replaceChildren(
      svg("path", { d: outline, class: "plane-casing" }), svg("path", { d: outline, class: "plane-border" }), ...names,
      svg("polyline", { class: "plane-path-casing" }), svg("polyline", { class: "plane-path" }),
    );
    this.#drawPath();
  }

  #drawPath() {
    const points = this.#path.map(({ x, y }) => [x, y].map((share) => (100 * outer(share)).toFixed(2)).join(","));
    for (const line of this.#lines.querySelectorAll("polyline")) line.setAttribute("points", points.join(" "));
  }
}

/** @param {string} tag @param {Record<string, string>} attributes @param {...string} children */
function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
