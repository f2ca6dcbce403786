/** One evaluation as people read it: decision and figures, then why, then what would change it. */

import { dossierAddress } from "./api.js";
import { factFigure, reasonsChart } from "./charts.js";
import { button, element, identifier, named } from "./dom.js";
import { icon } from "./icons.js";
import { notice, protocol } from "./notice.js";
import {
  confidenceWords,
  formatConfidence,
  decisionWords,
  erasedWords,
  formatDate,
  formatMoment,
} from "./words.js";

const ERASED =
  "O nome, os valores, os motivos e as justificativas das revisões não existem mais aqui. Ficaram a decisão, quando foi tomada e por quais critérios.";

/**
 * The whole answer, as a list of blocks; `reviews` are those recorded so far, oldest first, and
 * `actions` the buttons and links. The plot of profiles goes in before `data-provenance` when it
 * is ready. An answer of an earlier release lacks facts and main reasons, and is shown without.
 * `confirmation` says what was just done about the decision.
 */
export function answerBlocks(evaluation, reviews, actions, confirmation = null) {
  return [
    decisionLine(evaluation, reviews, confirmation),
    figures(evaluation.fatos ?? [], evaluation.motivos_principais ?? []),
    element("p", { class: "answer-sentence" }, evaluation.resposta),
    ...reasons(evaluation, isOverruled(evaluation, reviews)),
    simulation(evaluation.simulacao, isOverruled(evaluation, reviews)),
    element("div", { class: "actions" }, ...actions),
    technicalDetails(evaluation),
  ].filter((block) => block !== null);
}

// The final decision, whose it is, and how to name it on the telephone. It can take the focus.
function decisionLine(evaluation, reviews, confirmation) {
  const final = reviews.at(-1)?.decisao ?? evaluation.decisao;
  const { key, word } = decisionWords(final);
  return element(
    "div",
    { class: `decision is-${key}`, "data-decision": final, tabindex: "-1" },
    icon(key),
    element(
      "div",
      {},
      confirmation && element("p", { "data-confirmation": "" }, confirmation),
      element(
        "div",
        { class: "decision-line" },
        element("h2", { class: "decision-word", "data-final-decision": "" }, word),
        element("span", { "data-whose": "" }, named(evaluation.nome)),
        element("span", {}, "Protocolo ", protocol(evaluation.id)),
        element("span", {}, formatDate(evaluation.avaliado_em)),
      ),
      reviews.length > 0 ? element("p", {}, ...origin(evaluation, reviews)) : null,
    ),
  );
}

/** What is left of an answer when the person was taken out of it, as a list of blocks. */
export function erasedBlocks(record, actions) {
  const { id, avaliacao, revisoes, decisao_final: final, apagado_em: when } = record;
  const pairs = [
    ["Decisão final", decisionBadge(final)],
    ["Protocolo", protocol(id)],
  ];
  if (revisoes.length > 0) pairs.push(["Decisão do sistema", decisionBadge(avaliacao.decisao)]);
  return [
    notice("note", erasedWords(when), ERASED),
    definitions("facts", pairs),
    element("div", { class: "actions" }, ...actions),
    provenance(avaliacao),
  ];
}

/** The decision in one sentence, for the live region. */
export function spokenAnswer(evaluation, reviews = []) {
  const { word } = decisionWords(reviews.at(-1)?.decisao ?? evaluation.decisao);
  return `${evaluation.nome}: ${word}. ${evaluation.resposta}`;
}

/** A decision as icon, word and colour. */
export function decisionBadge(code) {
  const { key, word } = decisionWords(code);
  return element("span", { class: `badge-decision is-${key}` }, icon(key), word);
}

/** What turns an evaluation into paper: its report, and the printer. */
export function paperActions(id) {
  const look = { class: "btn btn-outline-primary", href: dossierAddress(id), "data-dossier": "" };
  return [
    element("a", look, "Abrir relatório"),
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

function origin({ decisao }, reviews) {
  const system = decisionWords(decisao).word.toLowerCase();
  const rest = `, na revisão. Decisão original do sistema: ${system}.`;
  return ["Decisão de ", named(reviews.at(-1).revisor), rest];
}

function figures(facts, mainReasons) {
  if (facts.length === 0) return null;
  const shown = facts.map((fact) => factFigure(fact, mainReasons));
  return element("ul", { class: "figures", "data-figures": "" }, ...shown);
}

// Whatever comes first says why a person has to look; in an answer without main reasons (amounts
// outside of the range, or an earlier release) these are the observations.
function reasons({ decisao, motivos_principais: main, observacoes: remarks }, overruled) {
  const decided = overruled ? "Motivos da decisão do sistema" : "Principais motivos";
  const referred = `Por que o caso ${overruled ? "foi" : "vai"} para análise manual`;
  const why = decisao === "analise_manual" ? referred : decided;
  const first = !main?.length && decisao === "analise_manual" ? why : "Observações";
  return [
    sentences(why, "main-reasons", (main ?? []).map(({ frase }) => frase)),
    sentences(first, "observations", remarks ?? []),
  ];
}

function sentences(title, name, list) {
  if (list.length === 0) return null;
  const entries = list.map((sentence) => element("li", {}, sentence));
  return element(
    "section",
    { class: "answer-section", [`data-${name}`]: "" },
    element("h3", {}, title),
    element("ul", { class: "sentences" }, ...entries),
  );
}

// The reasons are the system's, also where a person has decided otherwise since.
function isOverruled({ decisao }, reviews) {
  return reviews.length > 0 && reviews.at(-1).decisao !== decisao;
}

function simulation(change, overruled) {
  if (!change) return null;
  return element(
    "section",
    { class: "answer-section", "data-simulation": "" },
    element("h3", {}, `O que mudaria a decisão${overruled ? " do sistema" : ""}`),
    element("p", {}, change.frase),
  );
}

function technicalDetails(evaluation) {
  return element(
    "details",
    { class: "technical", "data-technical": "" },
    element("summary", {}, "Detalhes técnicos"),
    profileFacts(evaluation),
    contributions(evaluation),
    provenance(evaluation),
  );
}

function profileFacts({ perfil, perfil_vizinho: neighbour, confianca }) {
  const figure = confianca == null ? "" : ` (${formatConfidence(confianca)} numa escala de 0 a 1)`;
  const certainty = element("span", { "data-confidence": "" }, confidenceWords(confianca) + figure);
  const pairs = [
    ["Perfil", profileWords(perfil)],
    ["Certeza do perfil", certainty],
  ];
  if (neighbour) pairs.push(["Perfil vizinho", profileWords(neighbour)]);
  return definitions("facts", pairs);
}

const profileWords = ({ nome, cluster }) => `${nome} (perfil\u00a0${cluster})`;

function contributions({ motivos, perfil, perfil_vizinho: neighbour }) {
  if (!motivos?.length) return null;
  const than = neighbour ? ` e não em “${neighbour.nome}”` : "";
  return element(
    "section",
    { class: "answer-section" },
    element("h3", {}, "O que pesou no perfil"),
    element("p", { class: "quiet" }, `O que colocou este cliente em “${perfil.nome}”${than}.`),
    element(
      "div",
      { class: "reasons-key", "aria-hidden": "true" },
      element("span", {}, "◀ afasta do perfil"),
      element("span", {}, "aproxima do perfil ▶"),
    ),
    reasonsChart(motivos),
  );
}

// Which versions decided, and when.
function provenance(evaluation) {
  const list = definitions("provenance", [
    ["Código da avaliação", identifier(evaluation.id, "evaluation-id")],
    ["Quando", `${formatMoment(evaluation.avaliado_em)} (horário de Brasília)`],
    ["Modelo", identifier(evaluation.modelo)],
    ["Política", identifier(evaluation.politica)],
  ]);
  list.dataset.provenance = "";
  return list;
}
