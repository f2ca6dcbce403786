/** A person's review of a decision: the rules that its form and the server share. */

import {
  areReadable,
  isReadable,
  lengthOf,
  LONGEST_JUSTIFICATION,
  LONGEST_NAME,
  SHORTEST_JUSTIFICATION,
  nameFault,
  trimmed,
  UNREADABLE,
} from "./limits.js";
import { DECISIONS } from "./words.js";

/**
 * Read what was typed, a text for each field name.
 *
 * Returns `{ review, errors }` as `readApplicant` does: a list of `{ field, message }`, and
 * the body for the server or null.
 */
export function readReview({ decisao, justificativa = "", revisor = "", ...chosen }) {
  const typed = { justificativa: trimmed(justificativa), revisor: trimmed(revisor) };
  const review = { decisao, ...typed, ...chosen };
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
  const length = lengthOf(text);
  if (length < SHORTEST_JUSTIFICATION)
    return `Explique em pelo menos ${SHORTEST_JUSTIFICATION} caracteres.`;
  if (length > LONGEST_JUSTIFICATION) return `Use no máximo ${LONGEST_JUSTIFICATION} caracteres.`;
  return areReadable(text) ? null : UNREADABLE;
}

function reviewerError(name) {
  if (name === "") return "Informe o nome do revisor.";
  if (lengthOf(name) > LONGEST_NAME) return `Use no máximo ${LONGEST_NAME} caracteres.`;
  return isReadable(name) ? nameFault(name) : UNREADABLE;
}
