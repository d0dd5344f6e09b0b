/** Messages: shown until they are closed or something is changed, or only said to screen readers. */

/** @type {(id: string) => HTMLElement} */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {(text: string) => void} say something to a screen reader */
export function announce(text) {
  find("live").textContent = text;
}

/** @type {(text: string) => void} show a message; "" closes it */
export function tell(text) {
  find("message").textContent = text;
  find("close").hidden = text === "";
}

const PHOTOGRAPH = "This page reads only what is drawn on it, under Draw your own. "
  + "For a photograph or a scan, use the command vaegen reconstruct FILE.";

/** @type {() => void} */
export function mountNotice() {
  find("close").addEventListener("click", () => tell(""));
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
  addEventListener("drop", () => tell(PHOTOGRAPH));
  addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData?.files.length) tell(PHOTOGRAPH);
  });
}
