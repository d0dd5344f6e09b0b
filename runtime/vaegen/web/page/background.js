/** Work that takes longer than a frame, in slices, while a part can be seen and the picture stands still. */

/** @typedef {import("./main.js").App} App */

/**
 * Waits for the next slice; false where the work was begun anew meanwhile, and is to end.
 * @typedef {() => Promise<boolean>} Turn
 */

const STILL = 200; // ms since the last picture; while a finger moves, every frame is the picture's
const POLL = 50; // ms

/** Runs one piece of work, and begins it anew when what it works on has changed. */
export class Background {
  #work;
  #failed;
  #run = 0;
  #moved = -Infinity;
  #seen = false;
  /** @type {() => void} */
  #wake = () => {};

  /**
   * @param {App} app
   * @param {HTMLElement} part of the page that has to be seen
   * @param {(turn: Turn) => Promise<void>} work awaits `turn()` before each slice of some milliseconds
   */
  constructor(app, part, work) {
    this.#work = work;
    this.#failed = (/** @type {Error} */ error) => app.tell(error.message);
    app.onPicture((_picture, isOther) => {
      this.#moved = performance.now();
      if (isOther) this.#run++; // what was begun is of a model that is gone
    });
    new IntersectionObserver((entries) => {
      this.#seen = entries[entries.length - 1].isIntersecting;
      if (this.#seen) this.#wake();
    }, { rootMargin: "100px" }).observe(part);
  }

  /** Begin, or begin anew. */
  start() {
    const run = ++this.#run;
    this.#wake();
    this.#work(() => this.#turn(run)).catch(this.#failed);
  }

  /** @param {number} run */
  async #turn(run) {
    for (let wait = 0; ; wait = POLL) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (run === this.#run && !this.#seen) await new Promise((resolve) => void (this.#wake = () => resolve(null)));
      if (run !== this.#run) return false;
      if (performance.now() - this.#moved >= STILL) return true;
    }
  }
}
