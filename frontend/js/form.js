/** The applicant's form: what was typed, how it is read, and the utilisation bar below. */

import { formatAmount, formatMoney } from "./amounts.js";
import { AMOUNT_FIELDS, readAmount } from "./applicant.js";
import { hook } from "./dom.js";
import { clearField } from "./errors.js";
import { utilisation } from "./utilisation.js";

/**
 * Let the form answer while it is being filled in.
 *
 * Mistakes wait until the form is sent: a message that appears when a field is left pushes the
 * button away from under the pointer that is about to press it.
 */
export function bringToLife(form) {
  for (const { name } of AMOUNT_FIELDS) {
    form.elements.namedItem(name).addEventListener("input", () => refresh(form, name));
  }
  form.elements.namedItem("name").addEventListener("input", () => clearField(form, "name"));
}

/** The text in each field, by name, untouched. */
export function textsOf(form) {
  return Object.fromEntries(new FormData(form));
}

/** Fill the form with an applicant as the service knows one. */
export function fillForm(form, applicant) {
  form.elements.namedItem("name").value = applicant.name;
  for (const { name } of AMOUNT_FIELDS) {
    form.elements.namedItem(name).value = formatAmount(applicant[name]);
    refresh(form, name);
  }
  clearField(form, "name");
}

/** Empty every field. */
export function emptyForm(form) {
  form.reset();
  for (const { name } of AMOUNT_FIELDS) refresh(form, name);
}

function refresh(form, name) {
  clearField(form, name);
  const reading = readAmount(name, form.elements.namedItem(name).value);
  hook(`reading="${name}"`, form).textContent = reading.ambiguous
    ? `lido como ${formatMoney(reading.value)}`
    : "";
  showUtilisation(form);
}

function showUtilisation(form) {
  const read = (name) => readAmount(name, form.elements.namedItem(name).value).value;
  const use = utilisation(read("balance"), read("credit_limit"));
  const meter = hook("utilisation-meter", form);
  const percent = Math.min(Math.round((use?.share ?? 0) * 100), 100);
  meter.setAttribute("aria-valuenow", percent);
  meter.setAttribute("aria-valuetext", use?.words ?? "sem valores ainda");
  hook("utilisation-bar", form).style.width = `${percent}%`;
  hook("utilisation-words", form).textContent = use?.words ?? "informe saldo e limite";
}
