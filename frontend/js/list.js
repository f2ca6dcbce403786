/** The history as a list: filters above, the newest first, more on request. */

import { fetchPolicy, fetchRecords, recordAddress } from "./api.js";
import { decisionBadge } from "./answer.js";
import { button, element, endLoading, fill, hook, named, onReturn } from "./dom.js";
import { FILTERS, filtersFrom, listAddress, pageQuery, shownFilters } from "./filters.js";
import { problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";
import { confidenceWords, decisionWords, erasedWords, formatDay, formatMoment } from "./words.js";

const COLUMNS = ["Recebida", "Cliente", "Perfil", "Decisão", "Certeza do perfil", "Revisões"];

/** Show the evaluations that the address asks for, and others when the filters change. */
export async function showList(root) {
  const form = hook("filters", root);
  root.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    history.pushState(null, "", listAddress(filtersFrom(new FormData(form))));
    showAddress(root, form);
  });
  window.addEventListener("popstate", () => showAddress(root, form));
  onReturn(() => showAddress(root, form)); // after a review, say
  offerProfiles(form).then(() => tellFilters(root, form));
  await showAddress(root, form);
  endLoading();
}

async function showAddress(root, form) {
  const filters = shownFilters();
  for (const name of FILTERS) form.elements.namedItem(name).value = filters[name] ?? "";
  tellFilters(root, form);
  await showPage(root, filters, null);
}

// For paper, where the form that says it is not printed.
function tellFilters(root, form) {
  const asked = FILTERS.map((name) => form.elements.namedItem(name)).filter(({ value }) => value);
  const words = asked.map((field) => `${field.labels[0].textContent}: ${chosen(field)}`);
  hook("filter-words", root).textContent = words.join("; ") || "Todas as avaliações.";
}

function chosen({ type, value, selectedOptions }) {
  if (selectedOptions) return selectedOptions[0].textContent;
  return type === "date" ? formatDay(value) : `“${value}”`;
}

async function showPage(root, filters, cursor) {
  const address = location.href;
  const isLate = () => location.href !== address;
  try {
    const page = await fetchRecords(pageQuery(filters, cursor));
    if (isLate()) return;
    if (cursor === null) startTable(root, page.itens);
    addRows(root, page.itens, filters);
    offerMore(root, filters, page.proximo);
    announce(root, page);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (isLate()) return;
    if (cursor === null) fill(hook("records", root)); // what is there is of another filter
    fill(hook("more", root), ...problemBlocks(problem, () => showPage(root, filters, cursor)));
  }
}

function startTable(root, records) {
  if (records.length === 0) {
    fill(
      hook("records", root),
      element(
        "p",
        { class: "nothing", "data-none": "" },
        "Nenhuma avaliação encontrada. Mude os filtros ou avalie um cliente.",
      ),
    );
    return;
  }
  const heads = COLUMNS.map((title) =>
    element("th", { scope: "col", role: "columnheader" }, title),
  );
  const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads));
  const body = element("tbody", { role: "rowgroup", "data-rows": "" });
  fill(
    hook("records", root),
    element(
      "table",
      { class: "table records", role: "table", "aria-label": "Avaliações" },
      head,
      body,
    ),
  );
}

function addRows(root, records, filters) {
  hook("rows", root)?.append(...records.map((record) => row(record, filters)));
}

// On a narrow page the table is laid out as cards, and browsers then drop its roles: they are
// written out.
function row(record, filters) {
  const cells = [
    formatMoment(record.recebido_em),
    element("a", { href: recordAddress(record.id, filters) }, client(record)),
    record.perfil ?? "–",
    decisionCell(record),
    record.situacao === "pendente" ? "–" : confidenceWords(record.confianca),
    String(record.revisoes),
  ];
  const labelled = cells.map((content, i) =>
    element("td", { role: "cell", "data-column": COLUMNS[i] }, content),
  );
  return element("tr", { role: "row", "data-record": record.id }, ...labelled);
}

const client = ({ nome, apagado_em: erased }) => (erased ? erasedWords(erased) : named(nome));

function decisionCell({ decisao, decisao_final: final, corrigida_por: newer }) {
  const machine =
    final === decisao
      ? null
      : element(
          "span",
          { class: "quiet" },
          `sistema: ${decisionWords(decisao).word.toLowerCase()}`,
        );
  const corrected = newer ? element("span", { class: "quiet" }, "corrigida: não vale mais") : null;
  return element("span", { class: "decision-cell" }, decisionBadge(final), machine, corrected);
}

function offerMore(root, filters, cursor) {
  if (cursor === null) {
    fill(hook("more", root));
    return;
  }
  const more = button("load-more", "btn-outline-primary", "Mostrar mais", () => {
    more.disabled = true;
    showPage(root, filters, cursor);
  });
  fill(hook("more", root), more);
}

function announce(root, { proximo }) {
  const count = root.querySelectorAll("[data-record]").length;
  const words = count === 1 ? "1 avaliação na lista" : `${count} avaliações na lista`;
  hook("status").textContent = `${words}${proximo ? ", e há mais" : ""}.`;
}

// The list is of use without the names of the profiles: when the policy can't be had, the
// numbers written in the page stay.
async function offerProfiles(form) {
  const policy = await fetchPolicy().catch(() => null);
  const select = form.elements.namedItem("perfil");
  for (const { cluster, nome } of policy?.perfis ?? []) {
    select.querySelector(`[value="${cluster}"]`).textContent = `${cluster} · ${nome}`;
  }
}
