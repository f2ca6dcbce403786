/**
 * The evaluation service over HTTP: one function for each thing that a page asks of it.
 *
 * Every function answers parsed JSON or throws a `Problem`; no page sees a response.
 */

import { problemFromAnswer, problemOfSilence, readRetryAfter } from "./problem.js";

// Longer than any deadline behind it, so that the service's own answer comes first.
const DEADLINE_MILLISECONDS = 20_000;

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
export const fetchRecords = (query) => getJson(`/avaliacoes?${query}`);
export const fetchPolicy = () => getJson("/politica");
export const fetchModel = () => getJson("/modelo");

/** The page that shows an evaluation and takes its reviews. */
export const recordAddress = (id) => `/historico.html?id=${encodeURIComponent(id)}`;

/** The printable page that the service makes of an evaluation. */
export const dossierAddress = (id) => `/avaliacoes/${encodeURIComponent(id)}/dossie`;

/** Add a person's decision to an evaluation; answers the review as recorded. */
export async function sendReview(id, review) {
  const { answer } = await request(`/avaliacoes/${encodeURIComponent(id)}/revisao`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(review),
  });
  return answer;
}

async function getJson(address) {
  const { answer } = await request(address);
  return answer;
}

async function request(address, options = {}) {
  const response = await send(address, options);
  const answer = await response.json().catch(() => null);
  if (!response.ok) {
    throw problemFromAnswer(response.status, answer, response.headers.get("Retry-After"));
  }
  if (answer === null) throw problemOfSilence();
  return { response, answer };
}

async function send(address, options) {
  try {
    return await fetch(address, { ...options, signal: AbortSignal.timeout(DEADLINE_MILLISECONDS) });
  } catch {
    throw problemOfSilence();
  }
}
