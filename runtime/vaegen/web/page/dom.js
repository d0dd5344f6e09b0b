/** A short way to make elements. */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean>} [attributes] a boolean sets or leaves out an attribute
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") made.style.cssText = String(value); // the page's policy refuses the attribute
    else if (value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/**
 * Make a button.
 * @param {string} text
 * @param {() => void} onClick
 * @param {Record<string, string | boolean>} [attributes]
 */
export function button(text, onClick, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", onClick);
  return made;
}

/**
 * Make a group of choices, one of which is always taken.
 * @param {string} legend for screen readers
 * @param {string[]} choices
 * @param {(choice: string) => void} onChoice
 * @returns {{ group: HTMLElement, choose: (choice: string) => void }} `choose` shows another as taken
 */
export function choiceGroup(legend, choices, onChoice) {
  const name = `choice-${legend.toLowerCase()}`;
  const inputs = choices.map((choice) => element("input", { type: "radio", name, value: choice, class: "unseen" }));
  const labels = inputs.map((input, at) => element("label", {}, input, element("span", {}, choices[at])));
  const group = element("fieldset", { class: "choices" }, element("legend", { class: "unseen" }, legend), ...labels);
  group.addEventListener("change", () => onChoice(inputs.find((input) => input.checked)?.value ?? choices[0]));
  return { group, choose: (choice) => inputs.forEach((input) => void (input.checked = input.value === choice)) };
}

/**
 * Make a text field with its label, and a line below it for what is wrong with the text.
 * @param {string} label
 * @param {(text: string) => void} onText called with each text; throws an Error whose message is shown
 * @param {Record<string, string>} [attributes]
 * @returns {{ field: HTMLElement, input: HTMLInputElement, show: (text: string) => void }} `show` puts in a valid text,
 *   unless the reader is typing one
 */
export function textField(label, onText, attributes = {}) {
  const id = `field-${label.toLowerCase().replace(/\W+/g, "-")}`;
  const input = element("input", {
    id, type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    "aria-describedby": `${id}-problem`, ...attributes,
  });
  const problem = element("p", { id: `${id}-problem`, class: "problem", "aria-live": "polite" });
  const report = (/** @type {string} */ message) => {
    problem.textContent = message;
    input.setAttribute("aria-invalid", String(message !== ""));
  };
  input.addEventListener("input", () => {
    try {
      onText(input.value);
      report("");
    } catch (error) {
      report(/** @type {Error} */ (error).message);
    }
  });
  const show = (/** @type {string} */ text) => {
    if (document.activeElement === input && input.value.trim() === text) return;
    input.value = text;
    report("");
  };
  const field = element("div", { class: "field" }, element("label", { for: id }, label), input, problem);
  return { field, input, show };
}
