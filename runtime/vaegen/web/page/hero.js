/** The large picture with what is said of it, its file, its link and its command. */

import { sha256 } from "../sha256.js";
import { SIDE } from "../spec.js";
import { commandFor } from "./command.js";
import { button, element } from "./dom.js";
import { describe, paint } from "./picture.js";
import { encodePng, enlarge, factsOf, fileName } from "./png.js";
import { copyButton } from "./save.js";
import { writeAddress } from "./store.js";

/** @typedef {import("./main.js").App} App */

const SETTLED = 600; // ms without a new picture, after which a screen reader tells it
const LONG = 40; // characters that a line of the command holds on any screen
const SCALES = [1, 10, 40];

/** @type {() => string} of vaegen, as the page's maker wrote it; "" in a page that is served from a folder */
export function version() {
  const maker = document.querySelector("meta[name=generator]")?.getAttribute("content") ?? "";
  return maker.split(" ")[1] ?? "";
}

/** @type {(section: HTMLElement, app: App) => void} */
export function mount(section, app) {
  const { store, specs } = app;
  const label = "The first digit is being drawn";
  const canvas = element("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": label });
  const caption = element("p", { id: "caption", "aria-hidden": "true" });
  const code = element("code", { tabindex: "0", "aria-label": "Command" });
  const size = element("select", { id: "size" }, ...SCALES.map((scale) => {
    return element("option", { value: scale }, `${scale * SIDE} px`);
  }));
  const scale = () => Number(size.value);
  const commandText = () => commandFor(store.get(), specs[store.get().model], scale());

  const another = button("Another", () => store.set({ item: store.get().item + 1n }), { class: "primary" });
  const link = copyButton("Copy link", () => {
    return location.href.replace(/#.*/, "") + writeAddress(store.get(), specs[store.get().model]);
  }, app);
  const command = copyButton("Copy", commandText, app, { "aria-label": "Copy command" });
  const download = button("Save", async () => {
    const { image, state } = app.picture();
    const texts = factsOf(state, specs[state.model], app.identity(state.model), version());
    app.save(await encodePng(enlarge(image, SIDE, scale()), SIDE * scale(), texts), fileName(state));
  });
  const sizeLabel = element("label", { for: "size", class: "unseen" }, "Size");
  const saving = element("div", { class: "joined" }, download, sizeLabel, size);

  section.append(
    element("div", { class: "stage" }, canvas),
    element("div", { class: "about" },
      caption,
      element("div", { class: "actions" }, another, link, saving),
      element("div", { class: "command" }, code, command),
    ),
  );
  const showCommand = () => {
    // A line breaks between options, not inside one.
    const parts = commandText().split(/ (?=--)/).map((part) => (part.length < LONG ? element("span", {}, part) : part));
    code.replaceChildren(...parts.flatMap((part) => [part, " "]));
    code.lastChild?.remove();
  };
  size.addEventListener("change", showCommand);
  store.subscribe(showCommand);
  showCommand();

  let waiting = 0;
  app.onPicture((picture) => {
    paint(picture.image, canvas);
    canvas.dataset.sha256 = sha256(picture.image);
    const words = describe(picture);
    canvas.setAttribute("aria-label", words);
    const missed = picture.accepted ? "" : ". The best of 8 tries";
    const [said, reading] = words.split(/, (?=read as)/);
    caption.replaceChildren(element("strong", {}, said), " ", element("span", {}, `${reading}${missed}`));
    clearTimeout(waiting);
    waiting = window.setTimeout(() => app.announce(words + missed), SETTLED);
  });
}
