/** One recorded evaluation: what was asked, what was answered, and what people decided since. */

import { formatMoney } from "./amounts.js";
import { answerBlocks, decisionBadge, definitions, paperActions } from "./answer.js";
import { fetchRecord, sendReview } from "./api.js";
import { AMOUNT_FIELDS } from "./applicant.js";
import { element, endLoading, fill, hook } from "./dom.js";
import { clearErrors, showErrors } from "./errors.js";
import { filtersFrom, listAddress } from "./filters.js";
import { neighbourhood } from "./neighbourhood.js";
import { pendingBlocks, problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";
import { readReview } from "./review.js";
import { followToAnswer } from "./waiting.js";
import { decisionWords, formatMoment } from "./words.js";

// The reviewer's own name, kept for the next review of this tab and no longer.
const REVIEWER_KEY = "revisor";

const PAGE_TITLE = document.title;

/** Show the evaluation with this id, and go on to its answer when it is still queued. */
export async function showDetail(root, id) {
  root.hidden = false;
  hook("back", root).href = listAddress(filtersFrom(location.search));
  try {
    const record = await fetchRecord(id);
    showHead(root, record);
    if (record.avaliacao === null) await waitFor(root, record);
    else showDecided(root, record);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showState(root, "problem", ...problemBlocks(problem, () => showDetail(root, id)));
  }
}

async function waitFor(root, { id }) {
  const words = "O pedido está guardado e a resposta aparece aqui sozinha.";
  showState(root, "pending", ...pendingBlocks(id, words));
  hook("status").textContent = `Em análise. ${words}`;
  const record = await followToAnswer(id, { fetchRecord });
  showDecided(root, record);
  hook("status").textContent =
    `${record.pedido.name}: ${decisionWords(record.decisao_final).word}.`;
}

function showHead(root, { pedido, recebido_em: received }) {
  document.title = `${pedido.name} · ${PAGE_TITLE}`;
  hook("client", root).textContent = pedido.name;
  hook("received", root).textContent = `Recebida em ${formatMoment(received)}`;
}

async function showDecided(root, record) {
  const evaluation = record.avaliacao;
  const blocks = answerBlocks(evaluation, "Decisão automática", paperActions(record.id));
  showState(root, "answer", ...blocks);
  showReviews(root, record);
  const plot = await neighbourhood(record.pedido, evaluation);
  if (plot) blocks.at(-1).before(plot);
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
  showFinal(root, record.decisao_final);
  fill(hook("reviews", root), ...record.revisoes.map(reviewEntry));
  prepareForm(root, record.id);
}

function requestedAmounts(applicant) {
  return definitions(
    "amounts",
    AMOUNT_FIELDS.map(({ name, label }) => [label, formatMoney(applicant[name])]),
  );
}

function showFinal(root, code) {
  fill(hook("final-decision", root), decisionBadge(code));
}

function reviewEntry({ id, decisao, justificativa, revisor, revisado_em: when }) {
  return element(
    "li",
    { class: "review", "data-review": id },
    decisionBadge(decisao),
    element("p", { class: "review-words" }, justificativa),
    element("p", { class: "quiet" }, `${revisor}, ${formatMoment(when)}`),
  );
}

function prepareForm(root, id) {
  const form = hook("review-form", root);
  form.elements.namedItem("revisor").value = sessionStorage.getItem(REVIEWER_KEY) ?? "";
  form.onsubmit = (event) => {
    event.preventDefault();
    submitReview(root, form, id);
  };
  hook("send-review", form).disabled = false;
}

async function submitReview(root, form, id) {
  const button = hook("send-review", form);
  const { review, errors } = readReview(Object.fromEntries(new FormData(form)));
  if (button.disabled) return;
  if (errors.length > 0) {
    showErrors(form, errors);
    return;
  }
  clearErrors(form);
  button.disabled = true;
  await record(root, form, id, review).finally(() => {
    button.disabled = false;
  });
}

async function record(root, form, id, review) {
  try {
    const recorded = await sendReview(id, review);
    hook("reviews", root).append(reviewEntry(recorded));
    showFinal(root, recorded.decisao);
    sessionStorage.setItem(REVIEWER_KEY, review.revisor);
    form.reset();
    form.elements.namedItem("revisor").value = review.revisor;
    hook("status").textContent = `Revisão registrada: ${decisionWords(recorded.decisao).word}.`;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showErrors(
      form,
      problem.errors.length > 0 ? problem.errors : [{ field: null, message: advice(problem) }],
    );
  }
}

// A review has no idempotency key: when its answer was lost, it may stand already.
function advice(problem) {
  const doubt =
    problem.status === 0 ? " Recarregue a página para ver se a revisão foi registrada." : "";
  return `${problem.title}. ${problem.detail}${doubt}`;
}
