/** Notices that take the place of an answer: waiting for it, or what kept it from coming. */

import { button, element, identifier } from "./dom.js";
import { icon } from "./icons.js";
import { isPassing } from "./problem.js";
import { AWAITING_THE_MODEL, protocolOf } from "./words.js";

/** A notice in one of the tones of the style sheet, with a heading and its sentences. */
export function notice(tone, title, ...sentences) {
  const paragraphs = sentences
    .filter((sentence) => sentence !== null)
    .map((sentence) => element("p", {}, sentence));
  const words = element("div", {}, element("h2", {}, title), ...paragraphs);
  return element("div", { class: `notice is-${tone}` }, icon(tone), words);
}

/** A problem in words with its code, and a button that tries again where that may help. */
export function problemBlocks(problem, repeat) {
  const wrong = problem.errors.map(({ message }) => message);
  const words = notice("note", problem.title, problem.detail, ...wrong, problemCode(problem));
  if (!isPassing(problem)) return [words];
  return [words, button("again", "btn-primary", "Tentar de novo", () => repeat())];
}

/** What to tell whoever looks after the service, or null when no answer brought a code. */
export function problemCode({ kind, code }) {
  if (!code) return null;
  const what = kind ? [identifier(kind, "problem-kind"), " · pedido "] : [];
  const request = identifier(code, "problem-code");
  return element("span", { class: "quiet" }, "Código do problema: ", ...what, request);
}

/** The protocol of an evaluation, to be said or copied. */
export function protocol(id) {
  const look = { class: "protocol", translate: "no", "data-protocol": "" };
  return element("span", look, protocolOf(id));
}

/** A request that is kept until the model is back; `words` say what happens to it. */
export function pendingBlocks(id, words) {
  const advice =
    "O modelo está fora do ar neste momento. Você pode recarregar a página ou voltar mais tarde a este mesmo endereço.";
  const reference = identifier(id, "evaluation-id");
  return [
    notice("pending", AWAITING_THE_MODEL, words, advice),
    element("p", { class: "quiet" }, "Protocolo ", protocol(id), " · código ", reference),
  ];
}
