/** One recorded evaluation: what was asked, what was answered, and what people decided since. */

import { formatMoney } from "./amounts.js";
import {
  answerBlocks,
  decisionBadge,
  definitions,
  erasedBlocks,
  paperActions,
} from "./answer.js";
import { fetchRecord, recordAddress, sendReview } from "./api.js";
import { AMOUNT_FIELDS } from "./applicant.js";
import { Attempts } from "./attempt.js";
import { element, endLoading, fill, hook, named } from "./dom.js";
import { clearErrors, showErrors } from "./errors.js";
import { listAddress, shownFilters } from "./filters.js";
import { neighbourhood } from "./neighbourhood.js";
import { notice, pendingBlocks, problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";
import { readReview } from "./review.js";
import { followToAnswer } from "./waiting.js";
import { AWAITING_THE_MODEL, decisionWords, erasedWords, formatMoment } from "./words.js";

// The reviewer's own name, kept for the next review of this tab and no longer.
const REVIEWER_KEY = "revisor";

const PAGE_TITLE = document.title;
// Problems after which a case takes no review any more.
const OVER = ["dados_apagados", "avaliacao_corrigida"];
const CORRECTED = "Esta decisão não vale mais";
const attempts = new Attempts();

/** Show the evaluation with this id, and go on to its answer when it is still queued. */
export async function showDetail(root, id) {
  root.hidden = false;
  hook("back", root).href = listAddress(shownFilters());
  try {
    const record = await fetchRecord(id);
    showHead(root, record);
    showCorrections(root, record);
    if (record.apagado_em) showErased(root, record);
    else if (record.avaliacao === null) await waitFor(root, record);
    else showDecided(root, record);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showState(root, "problem", ...problemBlocks(problem, () => showDetail(root, id)));
  }
}

async function waitFor(root, { id }) {
  const words = "O pedido está guardado e a resposta aparecerá aqui automaticamente.";
  showState(root, "pending", ...pendingBlocks(id, words));
  hook("status").textContent = `${AWAITING_THE_MODEL}. ${words}`;
  const record = await followToAnswer(id, { fetchRecord });
  showDecided(root, record);
  hook("status").textContent =
    `${record.pedido.name}: ${decisionWords(record.decisao_final).word}.`;
}

function showHead(root, { pedido, recebido_em: received, apagado_em: erased }) {
  document.title = `${erased ? "Dados apagados" : pedido.name} · ${PAGE_TITLE}`;
  fill(hook("client", root), erased ? erasedWords(erased) : named(pedido.name));
  hook("received", root).textContent = `Recebida em ${formatMoment(received)}`;
}

// What was corrected does not count any more: the other one is shown the way to, and reviewed.
function showCorrections(root, { corrige, corrigida_por: newer }) {
  const blocks = [];
  if (newer) blocks.push(notice("note", CORRECTED, "Vale a avaliação com os dados corrigidos."));
  if (newer) blocks.push(toRecord(newer, "Ver a avaliação que vale"));
  if (corrige) blocks.push(toRecord(corrige, "Ver a avaliação que esta corrigiu"));
  fill(hook("corrections", root), ...blocks);
  if (newer) hook("review-form", root).hidden = true;
}

const toRecord = (id, words) => element("p", {}, element("a", { href: recordAddress(id) }, words));

// Nobody's amounts are shown, and no form that the service would refuse.
function showErased(root, record) {
  const reviews = record.revisoes.map((one) => ({ ...one, justificativa: "Justificativa apagada." }));
  fill(hook("reviews", root), ...reviews.map(reviewEntry));
  for (const name of ["request-panel", "review-form"]) hook(name, root).hidden = true;
  hook("aside", root).hidden = reviews.length === 0;
  showState(root, "erased", ...erasedBlocks(record, paperActions(record.id)));
}

async function showDecided(root, record) {
  showReviews(root, record);
  await showAnswer(root, record);
}

async function showAnswer(root, record, confirmation) {
  const evaluation = record.avaliacao;
  const actions = paperActions(record.id);
  showState(root, "answer", ...answerBlocks(evaluation, record.revisoes, actions, confirmation));
  const plot = await neighbourhood(record.pedido, evaluation);
  if (plot) hook("provenance", root).before(plot);
}

function showState(root, state, ...blocks) {
  const panel = hook("answer", root);
  panel.dataset.state = state;
  fill(panel, ...blocks);
  endLoading();
}

function showReviews(root, record) {
  hook("aside", root).hidden = false;
  fill(hook("request", root), requestedAmounts(record.pedido));
  fill(hook("reviews", root), ...record.revisoes.map(reviewEntry));
  prepareForm(root, record);
}

function requestedAmounts(applicant) {
  return definitions(
    "amounts",
    AMOUNT_FIELDS.map(({ name, label }) => [label, formatMoney(applicant[name])]),
  );
}

function reviewEntry({ id, decisao, justificativa, revisor, revisado_em: when }) {
  return element(
    "li",
    { class: "review", "data-review": id },
    decisionBadge(decisao),
    element("p", { class: "review-words" }, justificativa),
    element("p", { class: "quiet" }, named(revisor), `, ${formatMoment(when)}`),
  );
}

function prepareForm(root, shown) {
  const form = hook("review-form", root);
  const reviewer = form.elements.namedItem("revisor");
  if (reviewer.type !== "hidden") reviewer.value = sessionStorage.getItem(REVIEWER_KEY) ?? "";
  form.onsubmit = (event) => {
    event.preventDefault();
    submitReview(root, form, shown);
  };
  hook("send-review", form).disabled = false;
}

async function submitReview(root, form, shown) {
  const button = hook("send-review", form);
  const { review, errors } = readReview(Object.fromEntries(new FormData(form)));
  if (button.disabled) return;
  if (errors.length > 0) {
    showErrors(form, errors);
    return;
  }
  clearErrors(form);
  button.disabled = true;
  await record(root, form, shown, review).finally(() => {
    button.disabled = false;
  });
}

async function record(root, form, shown, review) {
  try {
    const recorded = await sendOnce(shown, review);
    shown.revisoes.push(recorded);
    hook("reviews", root).append(reviewEntry(recorded));
    sessionStorage.setItem(REVIEWER_KEY, review.revisor);
    form.reset();
    form.elements.namedItem("revisor").value = review.revisor;
    confirm(root, shown);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (OVER.includes(problem.kind)) return showOver(root, shown, problem);
    if (problem.reviews.length > 0) showUnseen(root, shown, problem.reviews);
    showErrors(
      form,
      problem.errors.length > 0
        ? problem.errors
        : [{ field: null, message: `${problem.title}. ${problem.detail}` }],
      problem,
    );
  }
}

// Sent again unchanged, as after an answer that was lost, it is the same review.
function sendOnce(shown, review) {
  const body = JSON.stringify({ ...review, revisoes_vistas: shown.revisoes.length });
  return sendReview(shown.id, body, attempts.keyFor(`${shown.id} ${body}`));
}

// What was typed stays, to be sent again by whoever still means it.
function showUnseen(root, shown, reviews) {
  shown.revisoes = reviews;
  fill(hook("reviews", root), ...reviews.map(reviewEntry));
  showAnswer(root, shown);
}

// As the case is now: nobody's amounts stay on the page that the record has no more.
async function showOver(root, { id }, { title, detail }) {
  await showDetail(root, id);
  const told = notice("note", title, detail);
  told.tabIndex = -1;
  hook("corrections", root).prepend(told);
  told.focus();
}

// The reasons below are the system's from now on. On a narrow page the form ends far below.
function confirm(root, record) {
  showAnswer(root, record, "Revisão registrada. Decisão final:");
  const line = hook("decision", root);
  line.focus();
  hook("status").textContent = `Revisão registrada: ${decisionWords(line.dataset.decision).word}.`;
}
