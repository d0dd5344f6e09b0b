/** A walk through the latent space: along a path, around the corners, or from one digit to another; and saved. */

import { SIDE } from "../spec.js";
import { encodeAnimation } from "./apng.js";
import { button, element } from "./dom.js";
import { clamp, ease } from "./math.js";
import { enlarge } from "./png.js";
import { shared } from "./shared.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./shared.js").Route} Route */

const FRAMES = [2, 240];
const DELAY = 50; // ms that a frame stands
const STILLS = 8; // shown one by one where the reader wants no motion
const STAND = 1000; // ms that each of them stands
const SCALE = 10;

/**
 * Return where on a route a walk is: around and around, or there and back with a gentle turn at each end.
 * @param {Route} route
 * @param {number} turn share of the whole walk, 0 to 1
 */
export function shareAt({ closed }, turn) {
  return closed ? turn % 1 : ease(1 - Math.abs(1 - 2 * (turn % 1)));
}

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const choice = element("select", { id: "walk-route" });
  const place = element("input", {
    type: "range", id: "walk-place", min: 0, max: 1000, value: 0, "aria-valuetext": "0% of the way",
  });
  const frames = element("input", {
    type: "number", id: "walk-frames", min: FRAMES[0], max: FRAMES[1], value: 48, inputmode: "numeric",
  });
  const play = button("Play", () => (timer ? pause() : setOut(true)), { class: "primary" });
  const save = button("Save as animated PNG", () => void saved().catch((error) => app.tell(error.message)));
  /** What `cancelAnimationFrame` takes while a walk is under way; 0 where it stands. */
  let timer = 0;

  const route = () => shared.routes.get(choice.value);
  const count = () => clamp(Math.round(Number(frames.value)) || FRAMES[0], FRAMES[0], FRAMES[1]);

  /** @param {number} share of the route */
  const show = (share) => {
    const chosen = route();
    place.value = String(Math.round(1000 * share));
    place.setAttribute("aria-valuetext", `${Math.round(100 * share)}% of the way`);
    return chosen ? app.show(chosen.at(share)) : Promise.resolve();
  };

  const pause = () => {
    cancelAnimationFrame(timer);
    timer = 0;
    play.textContent = "Play";
  };

  /** @param {boolean} again whether to go on until it is paused, and not to stop at the route's end */
  const setOut = (again) => {
    cancelAnimationFrame(timer);
    play.textContent = "Pause";
    const from = performance.now();
    let shown = -1;
    const step = (/** @type {number} */ now) => {
      const chosen = route();
      if (!chosen) return pause();
      const passed = Math.max(0, now - from);
      const at = still.matches ? Math.floor(passed / STAND) / STILLS : passed / (count() * DELAY);
      const end = chosen.closed ? 1 : 0.5;
      const over = !again && at >= end;
      if (at !== shown) void show(over ? 1 : shareAt(chosen, at));
      shown = at;
      if (over) pause();
      else timer = requestAnimationFrame(step);
    };
    timer = requestAnimationFrame(step);
  };

  const saved = async () => {
    const chosen = route();
    if (!chosen) return;
    save.disabled = true;
    try {
      const n = count();
      const images = [];
      for (let frame = 0; frame < n; frame++) {
        const image = await app.model().decode(chosen.at(shareAt(chosen, frame / n)));
        images.push(enlarge(image, SIDE, SCALE));
        if (frame % 4 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      const { model } = app.store.get();
      const texts = [["vaegen:model", model], ["vaegen:bundle", app.identity(model)], ["vaegen:walk", chosen.label]];
      app.save(await encodeAnimation(images, SIDE * SCALE, DELAY, texts), "walk.png");
      app.announce(`Saved ${n} frames.`);
    } finally {
      save.disabled = false;
    }
  };

  shared.subscribe((walk) => {
    const before = choice.value;
    choice.replaceChildren(...[...shared.routes].map(([value, { label }]) => element("option", { value }, label)));
    choice.value = walk ?? (shared.routes.has(before) ? before : [...shared.routes.keys()][0] ?? "");
    section.hidden = !shared.routes.size;
    if (walk) setOut(false);
    else if (choice.value !== before) pause();
  });
  choice.addEventListener("change", () => {
    pause();
    void show(0);
  });
  place.addEventListener("input", () => {
    pause();
    void show(Number(place.value) / 1000);
  });
  frames.addEventListener("change", () => void (frames.value = String(count())));

  section.hidden = !shared.routes.size;
  section.append(
    element("div", { class: "field" }, element("label", { for: choice.id }, "Route"), choice),
    element("div", { class: "field" }, element("label", { for: place.id }, "How far"), place),
    element("div", { class: "field" }, element("label", { for: frames.id }, "Frames"), frames),
    element("div", { class: "row" }, play, save),
  );
}
