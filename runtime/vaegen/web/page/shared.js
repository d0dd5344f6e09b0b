/** What the parts that move through the latent space have in common: four corners, and routes to walk. */

export const CORNERS = ["top left", "top right", "bottom left", "bottom right"];

/**
 * A way through the latent space.
 * @typedef {object} Route
 * @property {string} label what it is called in a list
 * @property {(t: number) => Float32Array} at the latent at a share of the way, 0 to 1
 * @property {boolean} closed whether it ends where it begins
 */

class Shared {
  /** @type {(Float32Array | null)[]} latents of the corners, in the order of CORNERS */
  corners = CORNERS.map(() => null);
  /** @type {Map<string, Route>} by the names of the parts that offer them */
  routes = new Map();
  /** @type {Set<(walk: string | null) => void>} */
  #listeners = new Set();

  /**
   * Put a digit in a corner.
   * @param {number} corner place in CORNERS
   * @param {Float32Array} latent
   */
  put(corner, latent) {
    this.corners = this.corners.map((old, at) => (at === corner ? latent : old));
    this.#tell(null);
  }

  /**
   * Put a digit in each corner that is empty.
   * @param {Float32Array[]} latents in the order of CORNERS
   */
  fill(latents) {
    this.corners = this.corners.map((old, at) => old ?? latents[at]);
    this.#tell(null);
  }

  /** Forget all latents, which mean nothing to another model. */
  clear() {
    this.corners = CORNERS.map(() => null);
    this.routes.clear();
    this.#tell(null);
  }

  /**
   * Offer a route, in place of the one of the same name; null withdraws it.
   * @param {string} name
   * @param {Route | null} route
   */
  offer(name, route) {
    if (!route && !this.routes.has(name)) return;
    if (route) this.routes.set(name, route);
    else this.routes.delete(name);
    this.#tell(null);
  }

  /**
   * Set out on a route.
   * @param {string} name
   */
  walk(name) {
    this.#tell(name);
  }

  /**
   * Call a function after each change.
   * @param {(walk: string | null) => void} listener given the name of a route that is to be walked now
   */
  subscribe(listener) {
    this.#listeners.add(listener);
  }

  /** @param {string | null} walk */
  #tell(walk) {
    for (const listener of this.#listeners) listener(walk);
  }
}

/** Those of this page. */
export const shared = new Shared();
