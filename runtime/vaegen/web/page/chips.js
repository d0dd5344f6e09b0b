/** The discrete codes of a digit, each with the class it has; a tap shows what its other classes would make of it. */

import { SIDE } from "../spec.js";
import { Background } from "./background.js";
import { button, element } from "./dom.js";
import { classOf, partsOf, stacked, withPart } from "./moves.js";
import { imageOf } from "./picture.js";

/** @typedef {import("./main.js").App} App */
/** @typedef {import("./moves.js").Part} Part */

const SHOWN = 12; // codes; the others are folded away
const MIXED = 0.95; // share of a class below which a code counts as between two

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  /** @type {{ part: Part, chip: HTMLButtonElement, says: HTMLElement }[]} */
  let chips = [];
  /** @type {Part | null} whose classes are shown */
  let open = null;
  const classes = element("div", { class: "classes", role: "group", id: "chips-classes" });
  const list = element("div", { class: "chips" });
  const rest = element("div", { class: "chips" });
  const more = element("details", {}, element("summary", {}), rest);

  const painter = new Background(app, section, async (turn) => {
    if (!open || !await turn() || !open) return;
    const part = open;
    const { latent } = app.picture();
    const others = Array.from({ length: part.width }, (_, at) => withPart(latent, part, at));
    const images = await app.model().decode(stacked(others));
    [...classes.querySelectorAll("canvas")].forEach((canvas, at) => app.paint(imageOf(images, at), canvas));
  });

  /** @param {Part | null} part */
  const show = (part) => {
    open = part;
    for (const { part: its, chip } of chips) chip.setAttribute("aria-expanded", String(its === part));
    classes.replaceChildren();
    if (!part) return;
    classes.setAttribute("aria-label", `Classes of ${part.name}`);
    for (let at = 0; at < part.width; at++) {
      const one = button("", () => void app.show(withPart(app.picture().latent, part, at)), { class: "class" });
      one.append(element("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" }), String(at));
      classes.append(one);
    }
    chips.find((chip) => chip.part === part)?.chip.after(classes);
    update();
  };

  const update = () => {
    const { latent } = app.picture();
    for (const { part, says } of chips) {
      const chosen = classOf(latent, part);
      says.textContent = latent[part.at + chosen] < MIXED ? `\u2248 ${chosen}` : String(chosen);
    }
    [...classes.children].forEach((one, at) => {
      one.setAttribute("aria-pressed", String(open !== null && classOf(latent, open) === at));
    });
    painter.start();
  };

  const build = () => {
    const codes = partsOf(app.specs[app.picture().state.model]).filter((part) => part.width > 1);
    section.hidden = !codes.length;
    chips = codes.map((part) => {
      const says = element("b", {});
      const chip = button(`${part.name} `, () => show(open === part ? null : part), {
        class: "chip", "aria-expanded": "false", "aria-controls": "chips-classes",
      });
      chip.append(says);
      return { part, chip, says };
    });
    list.replaceChildren(...chips.slice(0, SHOWN).map(({ chip }) => chip));
    rest.replaceChildren(...chips.slice(SHOWN).map(({ chip }) => chip));
    more.hidden = chips.length <= SHOWN;
    /** @type {HTMLElement} */ (more.firstElementChild).textContent = `${chips.length - SHOWN} more`;
    show(null);
    update();
  };

  const hint = element("p", { class: "hint" }, "The digit as the network spells it. Tap a code to change it.");
  section.append(hint, list, more);
  app.onPicture((_picture, isOther) => (isOther ? build() : update()));
  build();
}
