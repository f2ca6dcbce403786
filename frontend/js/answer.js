/** One evaluation as the analyst reads it: decision first, then why, then where it comes from. */

import { dossierAddress } from "./api.js";
import { reasonsChart } from "./charts.js";
import { button, element } from "./dom.js";
import { icon } from "./icons.js";
import { confidenceWords, decisionWords, formatMoment, formatRatio } from "./words.js";

/**
 * The whole answer, as a list of blocks: under `line`, which says whose or what decision it is,
 * come the `actions` (buttons and links), so that nobody has to read on to go on. The plot of
 * profiles is added before the last block when it is ready.
 */
export function answerBlocks(evaluation, line, actions) {
  return [
    decisionBanner(evaluation, line),
    element("div", { class: "actions" }, ...actions),
    profileFacts(evaluation),
    observations(evaluation.observacoes ?? []),
    reasons(evaluation),
    simulation(evaluation.simulacao),
    provenance(evaluation),
  ].filter((block) => block !== null);
}

/** The decision in one sentence, for the live region. */
export function spokenAnswer(evaluation) {
  return `${evaluation.nome}: ${decisionWords(evaluation.decisao).word}. ${evaluation.resposta}`;
}

/** A decision as icon, word and colour. */
export function decisionBadge(code) {
  const { key, word } = decisionWords(code);
  return element("span", { class: `badge-decision is-${key}` }, icon(key), word);
}

/** What turns an evaluation into paper: its dossier, and the printer. */
export function paperActions(id) {
  const look = { class: "btn btn-outline-primary", href: dossierAddress(id), "data-dossier": "" };
  return [
    element("a", look, "Abrir dossiê"),
    button("print", "btn-outline-primary", "Imprimir", () => window.print()),
  ];
}

/** A description list of `[term, description]` pairs. */
export function definitions(className, pairs) {
  const groups = pairs.map(([term, description]) =>
    element("div", {}, element("dt", {}, term), element("dd", {}, description)),
  );
  return element("dl", { class: className }, ...groups);
}

function decisionBanner(evaluation, line) {
  const { key, word } = decisionWords(evaluation.decisao);
  return element(
    "div",
    { class: `decision is-${key}`, "data-decision": evaluation.decisao },
    icon(key),
    element(
      "div",
      {},
      element("p", { class: "decision-line" }, line),
      element("h2", { class: "decision-word" }, word),
      element("p", { class: "decision-sentence" }, evaluation.resposta),
    ),
  );
}

function profileFacts({ perfil, perfil_vizinho: neighbour, confianca }) {
  const figure = confianca == null ? "" : ` (${formatRatio(confianca)} de 1)`;
  const pairs = [
    ["Perfil", `${perfil.nome} (perfil\u00a0${perfil.cluster})`],
    ["Confiança", element("span", { "data-confidence": "" }, confidenceWords(confianca) + figure)],
  ];
  if (neighbour)
    pairs.push(["Perfil vizinho", `${neighbour.nome} (perfil\u00a0${neighbour.cluster})`]);
  return definitions("facts", pairs);
}

function observations(sentences) {
  if (sentences.length === 0) return null;
  return element(
    "div",
    { class: "callout is-note", "data-observations": "" },
    icon("note"),
    element("div", {}, element("h3", {}, "Por que uma pessoa deve olhar"), sentenceList(sentences)),
  );
}

function sentenceList(sentences) {
  return element("ul", {}, ...sentences.map((sentence) => element("li", {}, sentence)));
}

function reasons({ motivos, perfil, perfil_vizinho: neighbour }) {
  if (!motivos?.length) return null;
  const than = neighbour ? ` e não em “${neighbour.nome}”` : "";
  return element(
    "section",
    { class: "answer-section" },
    element("h3", {}, "O que pesou"),
    element("p", { class: "quiet" }, `O que colocou este cliente em “${perfil.nome}”${than}.`),
    element(
      "div",
      { class: "reasons-key", "aria-hidden": "true" },
      element("span", {}, "◀ afasta"),
      element("span", {}, "aproxima ▶"),
    ),
    reasonsChart(motivos),
  );
}

// Which versions decided, and when.
function provenance(evaluation) {
  return definitions("provenance", [
    ["Avaliação", element("code", { "data-evaluation-id": "" }, evaluation.id)],
    ["Quando", `${formatMoment(evaluation.avaliado_em)} (horário de Brasília)`],
    ["Modelo", element("code", {}, evaluation.modelo)],
    ["Política", element("code", {}, evaluation.politica)],
  ]);
}

function simulation(change) {
  if (!change) return null;
  return element(
    "div",
    { class: "callout is-change", "data-simulation": "" },
    icon("approved"),
    element(
      "div",
      {},
      element("h3", {}, "O que mudaria a decisão"),
      element("p", {}, change.frase),
    ),
  );
}
