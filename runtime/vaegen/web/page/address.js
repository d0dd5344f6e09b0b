/** Keeps the page's address at the state, and the state at an address that the reader enters. */

import { readAddress, writeAddress } from "./store.js";

/** @typedef {import("./store.js").State} State */

const EVERY = 400; // ms between changes of the address; Safari allows 100 in half a minute

/**
 * Read the address that the page has now.
 * @param {import("./store.js").Specs} specs
 * @returns {{ state: State, complaint: string }} the complaint is "" where all of it could be read
 */
export function currentAddress(specs) {
  const { state, problems } = readAddress(location.hash, specs);
  return { state, complaint: problems.length ? `${problems.join(" ")} The rest of the link is shown.` : "" };
}

/** @type {(app: import("./main.js").App) => void} */
export function keepAddress({ store, specs, tell }) {
  let waiting = 0;
  let written = "";
  const write = () => {
    waiting = 0;
    const state = store.get();
    written = writeAddress(state, specs[state.model]);
    history.replaceState(null, "", written);
  };
  write();
  store.subscribe(() => void (waiting ||= window.setTimeout(write, EVERY)));
  addEventListener("pagehide", write);
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    const { state, complaint } = currentAddress(specs);
    store.set(state);
    write();
    tell(complaint);
  });
}
