/**
 * What is accepted of applicants and reviews: each bound once for all pages.
 *
 * The services have their own; tests/cases/applicants.json holds all equal.
 */

export const LARGEST_AMOUNT = 10_000_000;
export const LONGEST_NAME = 120;
export const SHORTEST_JUSTIFICATION = 10;
export const LONGEST_JUSTIFICATION = 2000;
export const UNREADABLE = "Use apenas caracteres legíveis.";

const AROUND = /^\p{White_Space}+|\p{White_Space}+$/gu;
/** Control characters, those of direction, and halves of a UTF-16 pair. */
const CONTROL = /[\p{Cc}\p{Cs}\p{Bidi_Control}]/u;
/** A letter that is seen: Hangul's blanks are letters, too. */
const VISIBLE_LETTER = /(?![\u115f\u1160\u3164\uffa0])\p{L}/u;
const CPF = /(?<!\d)\d{3}[. ]?\d{3}[. ]?\d{3}[- ]?\d{2}(?!\d)/;
const BETWEEN_LINES = /[\t\n\r]/g;

/** The text without the white space around it; `String.trim` has other ideas of that. */
export const trimmed = (text) => text.replace(AROUND, "");

/** The characters of a text, as people count them. */
export const lengthOf = (text) => [...text].length;

/** Whether a text of one line holds no control character. */
export const isReadable = (text) => !CONTROL.test(text);

/** What keeps a readable text from being a person's name, as a sentence; else null. */
export function nameFault(text) {
  if (!VISIBLE_LETTER.test(text)) return "Informe um nome com pelo menos uma letra.";
  return CPF.test(text) ? "Informe só o nome, sem CPF." : null;
}

/** Whether a text of any number of lines holds none but those between and within them. */
export const areReadable = (lines) => isReadable(lines.replace(BETWEEN_LINES, ""));
