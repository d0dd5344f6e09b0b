/** Makes the page: finds the models, mounts each part, and keeps picture and address at what the store holds. */

import * as vaegen from "../index.js";
import { Models } from "./models.js";
import { Drawer, paint } from "./picture.js";
import { save } from "./save.js";
import { readAddress, Store, writeAddress } from "./store.js";

/** @typedef {import("./picture.js").Picture} Picture */

/**
 * What each part of the page works with.
 * @typedef {object} App
 * @property {string[]} models names of the models in this page
 * @property {Record<string, import("./latent.js").Spec>} specs what each model is
 * @property {() => vaegen.Model} model the loaded model of the picture
 * @property {Store} store what is asked for; picture and address follow it
 * @property {() => Picture} picture what is shown
 * @property {(listener: (picture: Picture) => void) => void} onPicture call a function with each new picture
 * @property {(latent: Float32Array) => Promise<void>} show decode a latent and show it; resolves once it stands
 * @property {typeof paint} paint put an image on a canvas
 * @property {(text: string) => void} announce say something to a screen reader
 * @property {(text: string) => void} tell show a message, until the next change
 * @property {typeof save} save hand a file to the reader
 */

/** @typedef {(section: HTMLElement, app: App) => void} Mount makes a part of the page in its section */

const ADDRESS_EVERY = 300; // ms between changes of the address; Safari allows 100 in half a minute

/** @type {(id: string) => HTMLElement} */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

async function start() {
  const models = await Models.find();
  const { specs } = models;
  const { state, problems } = readAddress(location.hash, specs);
  const store = new Store(state, specs);

  /** @type {Picture} */
  let current;
  /** @type {vaegen.Model} */
  let model;
  /** @type {((picture: Picture) => void)[]} */
  const listeners = [];
  const drawer = new Drawer((name) => models.open(name), store, (picture, its) => {
    [current, model] = [picture, its];
    for (const listener of listeners) listener(picture);
  });

  /** @type {App} */
  const app = {
    models: models.names,
    specs,
    model: () => model,
    store,
    picture: () => current,
    onPicture: (listener) => void listeners.push(listener),
    show: (latent) => {
      store.set({ latent });
      return drawer.refresh();
    },
    paint,
    announce,
    tell,
    save,
  };
  keepAddress(app);
  store.subscribe(() => drawer.refresh().catch(fail));
  for (const [id, mount] of Object.entries(OWN)) mount(find(id), app);
  if (problems.length) tell(problems.join(" "));
  await drawer.refresh();
  document.documentElement.dataset.state = "ready";
  for (const id of ["pad", "strip", "chips", "corners", "pen"]) {
    const part = /** @type {{ mount: Mount }} */ (await import(`./${id}.js`).catch((error) => console.error(error)));
    part?.mount(find(id), app);
  }
}

/** @type {Record<string, Mount>} */
const OWN = {
  picture: (section, app) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
    canvas.setAttribute("role", "img");
    section.append(canvas);
    app.onPicture((picture) => app.paint(picture.image, canvas));
  },
};

/** @type {(app: App) => void} keep the address at the state, and the state at an address that the reader enters */
function keepAddress({ store, specs }) {
  let waiting = 0;
  let written = "";
  const write = () => {
    waiting = 0;
    const state = store.get();
    written = writeAddress(state, specs[state.model]);
    history.replaceState(null, "", written);
  };
  write();
  store.subscribe(() => void (waiting ||= window.setTimeout(write, ADDRESS_EVERY)));
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    const { state, problems } = readAddress(location.hash, specs);
    store.set(state);
    write();
    if (problems.length) tell(problems.join(" "));
  });
}

/** @type {(text: string) => void} */
function announce(text) {
  find("live").textContent = text;
}

/** @type {(text: string) => void} */
function tell(text) {
  announce(text);
}

/** @type {(error: unknown) => void} */
function fail(error) {
  console.error(error);
}

Object.assign(globalThis, { vaegen });
await start();
