/** Bars that count: each with its name, its figure in words, and as long as its share of the whole. */

import { element, vector } from "./dom.js";
import { formatCount, formatShare } from "./words.js";

/** A titled list of bars; `bars` is a list of `{ label, count, look }`. */
export function countedBars(title, name, bars) {
  const total = bars.reduce((sum, { count }) => sum + count, 0);
  const rows = bars.map((bar) => row(bar, total));
  return element(
    "div",
    { [`data-plot-${name}`]: "" },
    element("h3", {}, title),
    element("ul", { class: "bars" }, ...rows),
  );
}

function row({ label, count, look }, total) {
  const share = count / Math.max(total, 1);
  const words = element(
    "div",
    { class: "bars-label" },
    element("span", {}, label),
    element("span", { class: "bars-count" }, `${formatCount(count)} · ${formatShare(share)}`),
  );
  return element("li", { class: look ? `is-${look}` : null }, words, bar(share));
}

function bar(share) {
  return vector(
    "svg",
    { "aria-hidden": "true", focusable: "false" },
    vector("rect", { class: "bar-track", width: "100%", height: "100%", rx: 3 }),
    vector("rect", { class: "bar-value", width: `${share * 100}%`, height: "100%", rx: 3 }),
  );
}
