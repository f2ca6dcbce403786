/**
 * Elements without HTML strings: whatever a client is called, it is shown as text.
 *
 * Attributes never include `style`, which the Content-Security-Policy refuses.
 */

const SVG = "http://www.w3.org/2000/svg";

/** The one element that carries `data-<hook>`, within `root`. */
export function hook(name, root = document) {
  return root.querySelector(`[data-${name}]`);
}

/** Make an HTML element; children are elements or texts, null ones are left out. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Make a button that acts when pressed; scripts and tests find it by `data-<name>`. */
export function button(name, look, words, act) {
  const made = element(
    "button",
    { type: "button", class: `btn ${look}`, [`data-${name}`]: "" },
    words,
  );
  made.addEventListener("click", act);
  return made;
}

/** Make an SVG element. */
export function vector(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** A person's or a file's name: no direction of its letters reaches what stands beside it, and no
 * translator changes it. */
export function named(text) {
  return element("bdi", { translate: "no" }, text);
}

/** An id or a version, to be copied and never translated; tests find it by `data-<name>`. */
export function identifier(text, name) {
  const found = name ? { [`data-${name}`]: "" } : {};
  return element("code", { translate: "no", ...found }, text);
}

/** Put these children in the place of whatever a node held; no line breaks within their amounts. */
export function fill(node, ...children) {
  node.replaceChildren(
    ...children
      .flat()
      .filter((child) => child !== null)
      .map(unbroken),
  );
}

function unbroken(child) {
  return typeof child === "string" ? child.replaceAll("R$ ", "R$\u00a0") : child;
}

/**
 * Say that the first thing to read is there.
 *
 * Until then the style sheet keeps back what lies below it, which would jump.
 */
export function endLoading() {
  delete document.querySelector("main").dataset.loading;
}

/** Take away the words that the page shows when its modules do not come: they are here. */
export function arrived() {
  hook("not-arrived")?.remove();
}

/**
 * Act when the browser brings a page back as it was left, its scripts too (the back/forward
 * cache): what it shows may be old, and what it was busy with is over.
 */
export function onReturn(act) {
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) act();
  });
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  fill(node, ...children);
  return node;
}
