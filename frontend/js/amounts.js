/**
 * Amounts of money as a Brazilian analyst types them and as the page writes them back.
 *
 * Knows notation only: neither fields nor documents.
 */

import { LARGEST_AMOUNT } from "./limits.js";

const GROUPED = /^[1-9]\d{0,2}(\.\d{3})+(,\d{1,2})?$/;
const PLAIN_WITH_COMMA = /^\d+(,\d{1,2})?$/;
const PLAIN_WITH_POINT = /^\d+\.\d{1,2}$/;
const ONE_POINT_THREE_DIGITS = /^[1-9]\d{0,2}\.\d{3}$/;
const TOO_MANY_DECIMALS = /^[\d.]*[.,]\d{3,}$/;

const money = new Intl.NumberFormat("pt-BR", { style: "currency", currency: "BRL" });
const plain = new Intl.NumberFormat("pt-BR", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/**
 * Read `1.234,56`, `1234,56` or `1234.56`, with or without a leading `R$`.
 *
 * Returns `{ value, ambiguous }`, or `{ error, isEmpty }` with a sentence for the analyst. `ambiguous`
 * marks `1.234`, which is read as one thousand two hundred and thirty-four.
 */
export function parseAmount(text) {
  const typed = withoutCurrency(text);
  const notation = typed.replace(/^-\s*/, "");
  const decimal = asDecimal(notation);
  if (typed === "") return { error: "Informe um valor. Se não houver, digite 0.", isEmpty: true };
  if (decimal === null) return { error: notationError(notation) };
  if (notation !== typed && decimal > 0) return { error: "O valor não pode ser negativo." };
  if (decimal > LARGEST_AMOUNT)
    return { error: `O maior valor aceito é ${formatMoney(LARGEST_AMOUNT)}.` };
  return { value: decimal, ambiguous: ONE_POINT_THREE_DIGITS.test(notation) };
}

/** Write an amount with its currency, to the nearest cent: `R$ 1.234,50`; -0 as 0. */
export function formatMoney(value) {
  return money.format(value + 0);
}

/** Write an amount the way a field holds it: `1.234,50`. */
export function formatAmount(value) {
  return plain.format(value);
}

function withoutCurrency(text) {
  return text.trim().replace(/^R\$\s*/i, "");
}

function asDecimal(notation) {
  if (GROUPED.test(notation) || PLAIN_WITH_COMMA.test(notation)) {
    return Number(notation.replaceAll(".", "").replace(",", "."));
  }
  return PLAIN_WITH_POINT.test(notation) ? Number(notation) : null;
}

function notationError(notation) {
  return TOO_MANY_DECIMALS.test(notation)
    ? "Use no máximo duas casas depois da vírgula, como em 1.234,56."
    : "Digite só o número, como em 1.234,56.";
}
