/**
 * A form's mistakes: one summary that takes the focus, and each message beside its field.
 *
 * A form offers `data-error-summary` and, for every field, `data-error="<field>"`; the field
 * itself has the field's name as its id.
 */

import { element, fill, hook } from "./dom.js";
import { problemCode } from "./notice.js";

const TITLE_MARK = "Erro: ";

/**
 * Show `errors`, a list of `{ field, message }`; a field that the form lacks gets no link. `problem`
 * is the service's refusal that they came with, whose code is shown.
 */
export function showErrors(form, errors, problem = {}) {
  clearErrors(form);
  for (const { field, message } of errors) markField(form, field, message);
  const summary = hook("error-summary", form);
  fill(summary, element("div", { role: "alert" }, heading(errors), list(form, errors), problemCode(problem)));
  summary.hidden = false;
  summary.focus();
  document.title = TITLE_MARK + document.title;
}

/** The mistakes that a refusal tells: each of its own, or itself as the only one. */
export function problemErrors({ title, detail, errors }) {
  return errors.length > 0 ? errors : [{ field: null, message: `${title}. ${detail}` }];
}

/** Take every message away again. */
export function clearErrors(form) {
  hook("error-summary", form).hidden = true;
  for (const place of form.querySelectorAll("[data-error]")) clearField(form, place.dataset.error);
  document.title = document.title.replace(TITLE_MARK, "");
}

/** Take one field's message away; the summary stays as the list of what was found. */
export function clearField(form, field) {
  fill(errorPlace(form, field));
  for (const control of controlsOf(form, field)) control.removeAttribute("aria-invalid");
}

/** Put a message beside its field. */
export function markField(form, field, message) {
  const place = field && errorPlace(form, field);
  if (!place) return;
  fill(place, element("span", { class: "visually-hidden" }, "Erro: "), message);
  for (const control of controlsOf(form, field)) control.setAttribute("aria-invalid", "true");
}

function heading(errors) {
  const faults = errors.length === 1 ? "Há 1 erro a corrigir" : `Há ${errors.length} erros a corrigir`;
  const words = errors.some(({ field }) => field) ? faults : "Não foi possível enviar";
  return element("h2", { class: "error-summary-title" }, words);
}

function list(form, errors) {
  return element("ul", {}, ...errors.map((error) => element("li", {}, entry(form, error))));
}

function entry(form, { field, message }) {
  const control = controlsOf(form, field)[0];
  if (!control) return field ? `${field}: ${message}` : message;
  const label = form.querySelector(`[data-label="${field}"]`)?.textContent;
  const link = element("a", { href: `#${control.id}` }, label ? `${label}: ${message}` : message);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    control.focus();
  });
  return link;
}

function errorPlace(form, field) {
  return form.querySelector(`[data-error="${CSS.escape(field)}"]`);
}

function controlsOf(form, field) {
  return field ? [...form.querySelectorAll(`[name="${CSS.escape(field)}"]`)] : [];
}
