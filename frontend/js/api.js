/**
 * The evaluation service over HTTP: one function for each thing that a page asks of it.
 *
 * Every function answers parsed JSON or throws a `Problem`; no page sees a response.
 */

import { problemFromAnswer, problemOfSilence, readRetryAfter } from "./problem.js";

// Longer than any deadline behind it, so that the service's own answer comes first.
const DEADLINE_MILLISECONDS = 20_000;
// The service gives a file a quarter of an hour, and says so by itself.
const UPLOAD_DEADLINE_MILLISECONDS = 16 * 60_000;

/**
 * Ask for a decision. Answers `{ evaluation }`, or `{ pending: { id, retryAfter } }` when the
 * model is away and the request is queued.
 */
export async function evaluate(body, idempotencyKey) {
  const { response, answer } = await request("/avaliar", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": idempotencyKey,
      Prefer: "respond-async",
    },
    body,
  });
  if (response.status !== 202) return { evaluation: answer };
  return {
    pending: { id: answer.id, retryAfter: readRetryAfter(response.headers.get("Retry-After")) },
  };
}

export const fetchRecord = (id) => getJson(`/avaliacoes/${encodeURIComponent(id)}`);

/** One page of the history. Names stay out of the address, which every proxy writes down. */
export async function fetchRecords(query) {
  const { answer } = await request("/avaliacoes/busca", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(query),
  });
  return answer;
}

/** Who is signed in, and what they may do. */
export const fetchAccess = () => getJson("/acesso");

/** Sign in by what a one-time link carries. */
export async function enter(link) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ link });
  const { answer } = await request("/entrar", { method: "POST", headers, body });
  return answer;
}

/** Sign out, here and at every replica. */
export const leave = () => request("/sair", { method: "POST" });

/** The policy in force, or the earlier one of this version. */
export const fetchPolicy = (version = null) => getJson(versioned("/politica", version));

/** The model in service, or the earlier one of this tag. */
export const fetchModel = (tag = null) => getJson(versioned("/modelo", tag));

const versioned = (path, version) =>
  version === null ? path : `${path}?${new URLSearchParams({ versao: version })}`;

/** The page that shows an evaluation and takes its reviews; `filters` are those of the way back. */
export function recordAddress(id, filters = {}) {
  const way = new URLSearchParams(filters).toString();
  return `/historico.html?${new URLSearchParams({ id })}${way && `#${way}`}`;
}

/** The printable page that the service makes of an evaluation. */
export const dossierAddress = (id) => `/avaliacoes/${encodeURIComponent(id)}/dossie`;

/** Add a person's decision to an evaluation, once for each key; answers the review as recorded. */
export async function sendReview(id, body, idempotencyKey) {
  const { answer } = await request(`/avaliacoes/${encodeURIComponent(id)}/revisao`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
    body,
  });
  return answer;
}

/** A file to start a batch from. */
export const TEMPLATE_ADDRESS = "/lotes/modelo.csv";

/** The page that shows a batch. */
export const batchAddress = (id) => `/lote.html?id=${encodeURIComponent(id)}`;

/** What became of each line of a batch, as a file. */
export const resultAddress = (id) => `/lotes/${encodeURIComponent(id)}/resultado.csv`;

/** Its faulty lines alone, to be mended. */
export const faultsAddress = (id) => `/lotes/${encodeURIComponent(id)}/erros.csv`;

/** It, as it was sent. */
export const sentAddress = (id) => `/lotes/${encodeURIComponent(id)}/enviado`;

export const fetchBatch = (id) => getJson(`/lotes/${encodeURIComponent(id)}`);
export const fetchBatches = () => getJson("/lotes");

/** Send a file; answers the batch, which is looked at before it can start. */
export async function sendBatch(file) {
  const options = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file };
  const address = `/lotes?${new URLSearchParams({ nome: file.name })}`;
  const { answer } = await request(address, options, UPLOAD_DEADLINE_MILLISECONDS);
  return answer;
}

/** Start, pause, resume or cancel a batch (`iniciar`, `pausar`, …); answers the batch. */
export async function stepBatch(id, step) {
  const { answer } = await request(`/lotes/${encodeURIComponent(id)}/${step}`, { method: "POST" });
  return answer;
}

/** Answer what a batch asks, in place of what was answered before; answers the batch, looked at again. */
export async function answerBatch(id, answers) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(answers);
  const address = `/lotes/${encodeURIComponent(id)}/respostas`;
  const { answer } = await request(address, { method: "POST", headers, body });
  return answer;
}

async function getJson(address) {
  const { answer } = await request(address);
  return answer;
}

async function request(address, options = {}, deadline = DEADLINE_MILLISECONDS) {
  const response = await send(address, options, deadline);
  const answer = await response.json().catch(() => null);
  if (!response.ok) {
    const [wait, id] = ["Retry-After", "X-Request-ID"].map((name) => response.headers.get(name));
    throw problemFromAnswer(response.status, answer, wait, id);
  }
  if (answer === null) throw problemOfSilence();
  return { response, answer };
}

// Never from the browser's store: after a review, its back button would show what stood before, and
// clients' amounts would lie on the disk.
async function send(address, options, deadline) {
  try {
    const signal = AbortSignal.timeout(deadline);
    return await fetch(address, { ...options, cache: "no-store", signal });
  } catch {
    throw problemOfSilence();
  }
}
