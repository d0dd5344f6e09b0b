/** Makes the page: finds the models, mounts each part, and keeps the picture at what the store holds. */

import * as vaegen from "../index.js";
import { currentAddress, keepAddress } from "./address.js";
import { mount as mountChips } from "./chips.js";
import { mountDigit, mountSource, mountStyle } from "./controls.js";
import { mount as mountCorners } from "./corners.js";
import { Drawer } from "./drawer.js";
import { mount as mountPicture } from "./hero.js";
import { Models } from "./models.js";
import { announce, mountNotice, tell } from "./notice.js";
import { mount as mountPad } from "./pad.js";
import { mount as mountPen } from "./pen.js";
import { paint } from "./picture.js";
import { save } from "./save.js";
import { mount as mountSheet } from "./sheet.js";
import { Store } from "./store.js";
import { mount as mountStrip } from "./strip.js";
import { mount as mountWalk } from "./walk.js";
import { mount as mountColor } from "./wheel.js";

/** @typedef {import("./picture.js").Picture} Picture */

/**
 * What each part of the page works with.
 * @typedef {object} App
 * @property {string[]} models names of the models in this page
 * @property {import("./store.js").Specs} specs what each model is
 * @property {(name: string) => string} identity what stands for the weights of a model
 * @property {() => vaegen.Model} model the loaded model of the picture
 * @property {Store} store what is asked for; picture and address follow it
 * @property {() => Picture} picture what is shown
 * @property {(listener: (picture: Picture, isOther: boolean) => void) => void} onPicture call a function with each new
 *   picture, and whether another model made it than the one before
 * @property {(latent: Float32Array) => Promise<void>} show decode a latent and show it; resolves once it stands
 * @property {typeof paint} paint put an image on a canvas
 * @property {(text: string) => void} announce say something to a screen reader
 * @property {(text: string) => void} tell show a message
 * @property {typeof save} save hand a file to the reader
 */

/** @typedef {(section: HTMLElement, app: App) => void} Mount makes a part of the page in its section */

/** @type {Record<string, Mount>} by the section's id; these are there before the first digit */
const FIRST = {
  picture: mountPicture, digit: mountDigit, color: mountColor, style: mountStyle, source: mountSource,
};

/** @type {Record<string, Mount>} these follow it */
const THEN = {
  pad: mountPad, strip: mountStrip, chips: mountChips, corners: mountCorners, pen: mountPen, walk: mountWalk,
  sheet: mountSheet,
};

async function start() {
  const models = await Models.find();
  const { specs } = models;
  const { state, complaint } = currentAddress(specs);
  const store = new Store(state, specs);

  /** @type {Picture} */
  let current;
  /** @type {vaegen.Model} */
  let model;
  /** @type {((picture: Picture, isOther: boolean) => void)[]} */
  const listeners = [];
  const drawer = new Drawer((name) => models.open(name), store, (picture, its) => {
    const isOther = its !== model;
    [current, model] = [picture, its];
    const { state: { latent }, digit, color } = picture;
    if (latent && latent === store.get().latent) store.set({ digit, color, latent }); // what a change goes on from
    for (const listener of listeners) listener(picture, isOther);
  });

  /** @type {App} */
  const app = {
    models: models.names,
    specs,
    identity: (name) => models.identity(name),
    model: () => model,
    store,
    picture: () => current,
    onPicture: (listener) => void listeners.push(listener),
    show: (latent) => {
      // A walk may go on while another model is opened, for which its latents mean nothing.
      if (store.get().model === current.state.model) store.set({ latent });
      return drawer.refresh();
    },
    paint,
    announce,
    tell,
    save,
  };
  const mountAll = (/** @type {Record<string, Mount>} */ parts) => {
    for (const [id, mount] of Object.entries(parts)) {
      mount(/** @type {HTMLElement} */ (document.getElementById(id)), app);
    }
  };
  store.subscribe(({ latent, model: name }, before) => {
    if (latent && latent === before.latent && name === before.model) return; // the picture is the same
    tell("");
    drawer.refresh().catch((error) => {
      if (current) store.set(current.state); // go back to what could be drawn
      report(error);
    });
  });
  keepAddress(app);
  mountNotice();
  mountAll(FIRST);
  await drawer.refresh();
  mountAll(THEN);
  document.documentElement.dataset.state = "ready";
  tell(complaint);
}

/** @type {(error: unknown) => void} */
function report(error) {
  tell(error instanceof vaegen.VaegenError ? error.message : `Something went wrong: ${error}`);
  if (!(error instanceof vaegen.VaegenError)) throw error;
}

Object.assign(globalThis, { vaegen });
start().catch((error) => {
  document.documentElement.dataset.state = "failed";
  report(error);
});
