/**
 * The page *Avaliar*: one client in, one decision out.
 *
 * The address carries the evaluation's id as soon as there is one, so that a reload, the back
 * button or a link sent to a colleague shows the same answer, or goes on waiting for it.
 */

import { answerBlocks, erasedBlocks, paperActions, spokenAnswer } from "./answer.js";
import { evaluate, fetchRecord, recordAddress } from "./api.js";
import { EXAMPLE, readApplicant } from "./applicant.js";
import { Attempts } from "./attempt.js";
import { arrived, button, element, fill, hook, named, onReturn } from "./dom.js";
import { clearErrors, showErrors } from "./errors.js";
import { bringToLife, emptyForm, fillForm, textsOf } from "./form.js";
import { notice, pendingBlocks, problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";
import { followToAnswer, patiently } from "./waiting.js";
import { AWAITING_THE_MODEL, erasedWords } from "./words.js";

const form = hook("applicant-form");
const submitButton = hook("submit", form);
const panel = hook("answer");
const status = hook("status");
const emptyPanel = [...panel.childNodes];
const attempts = new Attempts();
let waiting = new AbortController();

arrived();
form.addEventListener("submit", submit);
form.addEventListener("input", () => attempts.renew());
hook("example", form).addEventListener("click", () => write(EXAMPLE));
window.addEventListener("popstate", () => showAddress());
onReturn(refresh);
bringToLife(form);
submitButton.disabled = false;
showAddress();

function submit(event) {
  event.preventDefault();
  if (submitButton.disabled) return;
  const { applicant, errors } = readApplicant(textsOf(form));
  if (errors.length > 0) {
    showErrors(form, errors);
    return;
  }
  clearErrors(form);
  send(applicant);
}

async function send(applicant) {
  const body = JSON.stringify(applicant);
  const signal = beginWaiting();
  setBusy(true);
  try {
    const ask = () => evaluate(body, attempts.keyFor(body));
    const { evaluation, pending } = await patiently(ask, { onWait: showPause, signal });
    setAddress(evaluation?.id ?? pending.id);
    if (evaluation) showAnswer(evaluation, applicant);
    else follow(pending.id, applicant.name);
  } catch (problem) {
    showRefusal(problem);
  } finally {
    setBusy(false);
  }
}

async function follow(id, name) {
  const signal = beginWaiting();
  showPending(id, name);
  try {
    const record = await followToAnswer(id, { fetchRecord, signal });
    showAnswer(record.avaliacao, record.pedido, record.revisoes);
  } catch (problem) {
    if (!signal.aborted) showProblem(problem, () => follow(id, name));
  }
}

async function showAddress(showOne = showRecord) {
  const id = shownId();
  const signal = beginWaiting();
  if (!id) {
    showEmpty();
    return;
  }
  panel.setAttribute("aria-busy", "true");
  try {
    const record = await fetchRecord(id);
    if (!signal.aborted) showOne(record);
  } catch (problem) {
    if (!signal.aborted) showProblem(problem, () => showAddress(showOne));
  }
}

function shownId() {
  return new URLSearchParams(location.search).get("id");
}

// The answer may have been reviewed since; what is typed into the form stays.
function refresh() {
  setBusy(false);
  if (shownId()) showAddress(showOutcome);
}

// What was corrected is shown on its own page, which says which one counts.
function showRecord(record) {
  if (record.corrigida_por) {
    location.replace(recordAddress(record.id));
    return;
  }
  if (!record.apagado_em) write(record.pedido);
  showOutcome(record);
}

function write(applicant) {
  attempts.renew();
  fillForm(form, applicant);
}

function showOutcome(record) {
  const { id, pedido, avaliacao, revisoes, apagado_em: erased } = record;
  if (erased) show("erased", erasedWords(erased), ...erasedBlocks(record, paperActions(id)));
  else if (avaliacao) showAnswer(avaliacao, pedido, revisoes);
  else follow(id, pedido.name);
}

function setAddress(id) {
  const address = `?id=${encodeURIComponent(id)}`;
  if (location.search !== address) history.pushState(null, "", address);
}

function beginWaiting() {
  waiting.abort();
  waiting = new AbortController();
  return waiting.signal;
}

function setBusy(busy) {
  submitButton.disabled = busy;
  submitButton.setAttribute("aria-busy", String(busy));
  submitButton.textContent = busy ? "Avaliando…" : "Avaliar";
  panel.setAttribute("aria-busy", String(busy));
  if (!busy && document.activeElement === document.body)
    submitButton.focus({ preventScroll: true });
}

function show(state, announcement, ...blocks) {
  panel.dataset.state = state;
  panel.removeAttribute("aria-busy");
  fill(panel, ...blocks);
  status.textContent = announcement;
}

function showEmpty() {
  show("empty", "", ...emptyPanel);
}

async function showAnswer(evaluation, applicant, reviews = []) {
  const signal = beginWaiting();
  const blocks = answerBlocks(evaluation, reviews, actions(evaluation));
  show("answer", spokenAnswer(evaluation, reviews), ...blocks);
  bringIntoView();
  const plot = await drawNeighbourhood(applicant, evaluation);
  if (plot && !signal.aborted) hook("provenance", panel).before(plot);
}

// Loaded with the first answer, not with the page; the answer is complete without it.
async function drawNeighbourhood(applicant, evaluation) {
  const plots = await import("./neighbourhood.js").catch(() => null);
  return plots && plots.neighbourhood(applicant, evaluation);
}

function actions({ id }) {
  const another = button("another", "btn-outline-primary", "Avaliar outro cliente", startOver);
  const look = {
    class: "btn btn-outline-primary",
    href: recordAddress(id),
    "data-review-link": "",
    "data-needs": "POST /avaliacoes/{evaluation_id}/revisao",
  };
  const review = element("a", look, "Revisar decisão");
  return [another, review, ...paperActions(id)];
}

function startOver() {
  beginWaiting();
  history.pushState(null, "", "/");
  attempts.renew();
  emptyForm(form);
  clearErrors(form);
  showEmpty();
  form.elements.namedItem("name").focus();
}

function showPending(id, name) {
  const rest = " está guardado e a resposta aparecerá aqui automaticamente.";
  const words = ["O pedido de ", named(name), rest];
  show("pending", `${AWAITING_THE_MODEL}. O pedido de ${name}${rest}`, ...pendingBlocks(id, words));
}

function showPause(problem, seconds) {
  const words = `Nova tentativa automática em ${seconds} s.`;
  const stop = button("stop", "btn-outline-primary", "Parar de tentar", () => waiting.abort());
  show(
    "pause",
    `${problem.title}. ${words}`,
    notice("pending", problem.title, problem.detail, words),
    stop,
  );
}

function showRefusal(problem) {
  if (!(problem instanceof Problem)) throw problem;
  if (problem.errors.length > 0) {
    showEmpty();
    showErrors(form, problem.errors, problem);
  } else {
    showProblem(problem, () => form.requestSubmit());
  }
}

function showProblem(problem, repeat) {
  show("problem", `${problem.title}. ${problem.detail}`, ...problemBlocks(problem, repeat));
  bringIntoView();
}

// The form is sent from its end: on a low screen the answer beside it begins above the window, and
// on a narrow page it lies below.
function bringIntoView() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const { top } = panel.getBoundingClientRect();
  const unseen = top < 0 || top > window.innerHeight * 0.6;
  if (unseen) panel.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}
