/** When to draw: one picture at a time, the newest that is asked for, in step with the screen. */

import { draw } from "./picture.js";

/** @typedef {import("../index.js").Model} Model */
/** @typedef {import("./picture.js").Picture} Picture */

/**
 * Keeps the picture at what the store asks for. One is drawn at a time; what is asked for meanwhile waits, and only the
 * last of it is drawn. So no old picture ever comes after a newer one.
 */
export class Drawer {
  #open;
  #store;
  #shown;
  /** @type {Promise<void> | null} */
  #running = null;
  #wanted = false;

  /**
   * @param {(name: string) => Promise<Model>} open
   * @param {import("./store.js").Store} store
   * @param {(picture: Picture, model: Model) => void} shown called with each picture
   */
  constructor(open, store, shown) {
    this.#open = open;
    this.#store = store;
    this.#shown = shown;
  }

  /** @returns {Promise<void>} resolves when the picture is that of the newest state */
  refresh() {
    this.#wanted = true;
    this.#running ??= this.#run().finally(() => void (this.#running = null));
    return this.#running;
  }

  async #run() {
    for (; this.#wanted; await nextFrame()) {
      this.#wanted = false;
      const state = this.#store.get();
      const model = await this.#open(state.model);
      const picture = await draw(model, state);
      if (this.#store.get().model === state.model) this.#shown(picture, model);
    }
  }
}

/** @type {() => Promise<unknown>} resolves before the screen is next painted; in a hidden page, at once */
const nextFrame = () => new Promise((resolve) => {
  if (document.hidden) setTimeout(resolve);
  else requestAnimationFrame(resolve);
});
