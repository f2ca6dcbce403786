/** A person's review of a decision: the rules that its form and the server share. */

import { DECISIONS } from "./words.js";

export const SHORTEST_JUSTIFICATION = 10;
export const LONGEST_JUSTIFICATION = 2000;
export const LONGEST_REVIEWER = 120;

/**
 * Read what was typed, a text for each field name.
 *
 * Returns `{ review, errors }` as `readApplicant` does: a list of `{ field, message }`, and
 * the body for the server or null.
 */
export function readReview({ decisao, justificativa = "", revisor = "" }) {
  const review = { decisao, justificativa: justificativa.trim(), revisor: revisor.trim() };
  const errors = [
    { field: "decisao", message: decisionError(review.decisao) },
    { field: "justificativa", message: justificationError(review.justificativa) },
    { field: "revisor", message: reviewerError(review.revisor) },
  ].filter(({ message }) => message !== null);
  return { review: errors.length > 0 ? null : review, errors };
}

function decisionError(code) {
  return Object.hasOwn(DECISIONS, code) ? null : "Escolha uma decisão.";
}

function justificationError(text) {
  const length = [...text].length;
  if (length < SHORTEST_JUSTIFICATION)
    return `Explique em pelo menos ${SHORTEST_JUSTIFICATION} caracteres.`;
  if (length > LONGEST_JUSTIFICATION) return `Use no máximo ${LONGEST_JUSTIFICATION} caracteres.`;
  return null;
}

function reviewerError(name) {
  if (name === "") return "Informe quem está revisando.";
  return [...name].length > LONGEST_REVIEWER
    ? `Use no máximo ${LONGEST_REVIEWER} caracteres.`
    : null;
}
