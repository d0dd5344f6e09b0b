/** Keeps the page's address at the state, and the state at an address that the reader enters. */

import { readAddress, writeAddress } from "./store.js";

const EVERY = 400; // ms between changes of the address; Safari allows 100 in half a minute

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
    const { state, problems } = readAddress(location.hash, specs);
    store.set(state);
    write();
    if (problems.length) tell(problems.join(" "));
  });
}
