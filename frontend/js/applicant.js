/**
 * The applicant that the form describes: its fields, and the rules each one follows.
 *
 * Mirrors the server's rules so that most mistakes are answered at once; the server stays the
 * judge. Knows nothing of documents or HTTP.
 */

import { parseAmount } from "./amounts.js";
import { isReadable, lengthOf, LONGEST_NAME, nameFault, trimmed, UNREADABLE } from "./limits.js";

/** The five amounts in the model's order, with the words the analyst knows them by. */
export const AMOUNT_FIELDS = [
  { name: "balance", label: "Saldo devedor" },
  { name: "purchases", label: "Compras" },
  { name: "cash_advance", label: "Saques" },
  { name: "credit_limit", label: "Limite de crédito" },
  { name: "payments", label: "Pagamentos" },
];

/** A client of the well-paying profile, with amounts as they come in practice. */
export const EXAMPLE = {
  name: "Maria da Silva",
  balance: 1055,
  purchases: 3345,
  cash_advance: 147,
  credit_limit: 3854,
  payments: 3233,
};

// Of the other amounts, an empty field is told that there may be none.
const LIMIT_NEEDED = "Informe um valor maior que zero.";

/**
 * Read what was typed, a text for each field name.
 *
 * Returns `{ applicant, errors }`: `errors` is a list of `{ field, message }` in the form's
 * order; `applicant` is the body for the server, or null while there are errors.
 */
export function readApplicant(texts) {
  const readings = [
    { field: "name", ...readName(texts.name ?? "") },
    ...AMOUNT_FIELDS.map(({ name }) => ({ field: name, ...readAmount(name, texts[name] ?? "") })),
  ];
  const errors = readings
    .filter(({ error }) => error)
    .map(({ field, error }) => ({ field, message: error }));
  return { applicant: errors.length > 0 ? null : applicantFrom(readings), errors };
}

/** Read one amount under the rules of its field; the shape is `parseAmount`'s. */
export function readAmount(field, text) {
  const reading = parseAmount(text);
  const isMissing = reading.isEmpty || reading.value === 0;
  return field === "credit_limit" && isMissing ? { error: LIMIT_NEEDED } : reading;
}

/** Read a name. Returns `{ value }`, trimmed and in one form, or `{ error }`. */
export function readName(text) {
  const name = trimmed(text).normalize();
  if (name === "") return { error: "Informe o nome do cliente." };
  if (lengthOf(name) > LONGEST_NAME)
    return { error: `Use no máximo ${LONGEST_NAME} caracteres no nome.` };
  if (!isReadable(name)) return { error: UNREADABLE };
  const fault = nameFault(name);
  return fault ? { error: fault } : { value: name };
}

function applicantFrom(readings) {
  return Object.fromEntries(readings.map(({ field, value }) => [field, value]));
}
