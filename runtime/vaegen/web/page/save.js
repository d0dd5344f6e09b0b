/** Handing files and texts to the reader. */

import { button } from "./dom.js";

const SHOWN = 1200; // ms that a button says "Copied"

/**
 * Save a file where the browser puts downloads.
 * @param {Uint8Array | Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const type = name.endsWith(".png") ? "image/png" : "application/octet-stream";
  const blob = content instanceof Blob ? content : new Blob([/** @type {BlobPart} */ (content)], { type });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read it after the click
}

/**
 * Copy a text; where a page may not, as over http://, the old way.
 * @param {string} text
 * @returns {Promise<boolean>} whether it is on the clipboard
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "unseen" });
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return copied;
  }
}

/**
 * Make a button that copies a text, and says so.
 * @param {string} label
 * @param {() => string} textOf
 * @param {import("./main.js").App} app
 * @param {Record<string, string>} [attributes]
 */
export function copyButton(label, textOf, app, attributes) {
  const made = button(label, async () => {
    if (!await copy(textOf())) {
      app.tell("This browser does not let a page copy. Select the text and copy it yourself.");
      return;
    }
    app.announce("Copied");
    made.textContent = "Copied";
    setTimeout(() => void (made.textContent = label), SHOWN);
  }, attributes);
  return made;
}
