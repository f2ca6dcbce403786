/**
 * The pictures: facts beside the policy's bounds, reasons for a profile and against it, and how
 * five amounts share out.
 *
 * Bars are SVG with widths in percent, so that they follow the page without shrinking their
 * letters. Every picture says in words what it shows.
 */

import { AMOUNT_FIELDS } from "./applicant.js";
import { element, named, vector } from "./dom.js";
import { formatMoney } from "./amounts.js";
import { capitalised, formatPercent, formatShare } from "./words.js";

// Under these shares a figure does not fit its segment, on a wide page or on a narrow one; the
// table has it.
const SMALLEST_LABELLED_SHARE = 0.07;
const SMALLEST_LABELLED_WHEN_NARROW = 0.14;
const WHOLE = 100;

// The amount that a fact is about, what lies on the far side of its bound, as the policy calls it,
// and what a reason about that amount is measured against.
const FACTS = {
  uso_do_limite: {
    field: "balance",
    bound: (share) => `uso alto a partir de ${share}`,
    reference: (share) => `referência: até ${share}`,
  },
  parte_paga: {
    field: "payments",
    bound: (share) => `pouco pago abaixo de ${share}`,
    reference: (share) => `referência: ${share} ou mais`,
  },
  saques: {
    field: "cash_advance",
    bound: (share) => `saques altos acima de ${share}`,
    reference: (share) => `referência: até ${share}`,
  },
};
const OTHER_FACT = { bound: (share) => `limite da política: ${share}` };

/**
 * One fact of a client as a large figure, with a bar on which the policy's bound is marked, and the
 * reference that a main reason cites where it is another.
 */
export function factFigure({ codigo, rotulo, valor, limite, frase }, mainReasons) {
  const words = FACTS[codigo] ?? OTHER_FACT;
  const reason = mainReasons.find(({ campo }) => campo === words.field);
  const reference = reason && reason.referencia !== limite ? reason.referencia : null;
  const bounds = reference === null ? [limite] : [limite, reference];
  return element(
    "li",
    { class: "figure", "data-fact": codigo },
    element("p", { class: "figure-label" }, capitalised(rotulo)),
    element("p", { class: "figure-value" }, valor === null ? "–" : formatPercent(valor, ...bounds)),
    factBar(valor ?? 0, limite, reference),
    element(
      "p",
      { class: "figure-bound" },
      reference === null ? null : `${words.reference(formatPercent(reference))}; `,
      words.bound(formatPercent(limite)),
    ),
    element("p", { class: "figure-words" }, frase),
  );
}

function factBar(value, bound, reference) {
  const width = Math.min(value, WHOLE);
  return vector(
    "svg",
    { class: "figure-bar", "aria-hidden": "true", focusable: "false" },
    vector("rect", { class: "bar-track", y: 4, width: "100%", height: 8, rx: 3 }),
    vector("rect", { class: "bar-value", y: 4, width: `${width}%`, height: 8, rx: 3 }),
    value > WHOLE ? beyondTheWhole() : null,
    boundLine(bound, "bar-bound"),
    reference === null ? null : boundLine(reference, "bar-bound bar-reference"),
  );
}

function boundLine(share, look) {
  return vector("line", { class: look, x1: `${share}%`, x2: `${share}%`, y1: 0, y2: 16 });
}

// The bar ends with the whole limit, or the whole debt; an arrow says that the figure goes on.
function beyondTheWhole() {
  const arrow = vector("path", { class: "bar-beyond", d: "M-11 5.5l4 2.5-4 2.5M-6 5.5l4 2.5-4 2.5" });
  return vector("svg", { x: "100%", overflow: "visible" }, arrow);
}

/** The reasons as a list: amount, bar to the right (nearer to the profile) or left (farther), and a sentence. */
export function reasonsChart(reasons) {
  const strongest = Math.max(...reasons.map(({ contribuicao }) => Math.abs(contribuicao)), 1e-9);
  return element(
    "ol",
    { class: "reasons", "data-reasons": "" },
    ...reasons.map((reason) => reasonRow(reason, strongest)),
  );
}

/** One bar of shares (adding up to 1) in the order of the features; `label` names it. */
export function sharesBar(shares, label) {
  const words = AMOUNT_FIELDS.map(({ label: name }, i) => `${name} ${formatShare(shares[i])}`);
  const starts = shares.map((_, i) => shares.slice(0, i).reduce((sum, share) => sum + share, 0));
  return vector(
    "svg",
    { class: "shares-bar", role: "img", "aria-label": `${label}: ${words.join(", ")}` },
    ...shares.flatMap((share, i) => segment(AMOUNT_FIELDS[i].name, starts[i], share)),
  );
}

/** What the colours of the shares mean. */
export function sharesLegend() {
  const entries = AMOUNT_FIELDS.map(({ name, label }) =>
    element("li", {}, swatch(name), element("span", {}, label)),
  );
  return element("ul", { class: "legend" }, ...entries);
}

/** The same shares as a table; `rows` is a list of `{ label, isName, shares }`, and `name` is not seen. */
export function sharesTable(name, rows) {
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, "Perfil"),
    ...AMOUNT_FIELDS.map(({ label }) => element("th", { scope: "col" }, label)),
  );
  const table = element(
    "table",
    { class: "table table-sm", "aria-label": name },
    element("thead", {}, head),
    element("tbody", {}, ...rows.map(sharesTableRow)),
  );
  return element(
    "div",
    { class: "scroll-sideways", tabindex: "0", role: "region", "aria-label": name },
    table,
  );
}

function reasonRow(reason, strongest) {
  const title = element(
    "div",
    { class: "reason-title" },
    element("strong", {}, capitalised(reason.rotulo)),
    element("span", {}, formatMoney(reason.valor)),
    element("span", { class: "reason-direction" }, `${reason.sentido} do perfil`),
  );
  return element(
    "li",
    { class: "reason", "data-reason": reason.campo, "data-direction": reason.sentido },
    title,
    reasonBar(reason, strongest),
    element("p", {}, reason.frase),
  );
}

function reasonBar({ contribuicao, sentido }, strongest) {
  const width = (Math.abs(contribuicao) / strongest) * 50;
  const start = sentido === "aproxima" ? 50 : 50 - width;
  return vector(
    "svg",
    { class: "reason-bar", "aria-hidden": "true", focusable: "false" },
    vector("rect", { class: "bar-track", width: "100%", height: "100%", rx: 3 }),
    vector("rect", {
      class: "bar-value",
      x: `${start}%`,
      width: `${width}%`,
      height: "100%",
      rx: 3,
    }),
    vector("line", { class: "bar-axis", x1: "50%", x2: "50%", y1: 0, y2: "100%" }),
  );
}

function segment(field, start, share) {
  const x = `${start * 100}%`;
  const bar = vector("rect", {
    class: `segment segment-${field}`,
    x,
    width: `${share * 100}%`,
    height: "100%",
  });
  if (share < SMALLEST_LABELLED_SHARE) return [bar];
  const look = `segment-text segment-text-${field}`;
  const seen = share < SMALLEST_LABELLED_WHEN_NARROW ? `${look} wide-only` : look;
  const middle = `${(start + share / 2) * 100}%`;
  return [bar, vector("text", { class: seen, x: middle, y: "50%" }, formatShare(share))];
}

function swatch(field) {
  return vector(
    "svg",
    { class: "swatch", "aria-hidden": "true", focusable: "false" },
    vector("rect", { class: `segment segment-${field}`, width: "100%", height: "100%", rx: 3 }),
  );
}

function sharesTableRow({ label, isName, shares }) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, isName ? named(label) : label),
    ...shares.map((share) => element("td", {}, formatShare(share))),
  );
}
