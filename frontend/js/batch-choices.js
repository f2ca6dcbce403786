/** What a person chooses where a file does not say it: a column for each field, the decimal mark. */

import { FIELD_OF, FIELDS, MARKS, markReading } from "./batch-words.js";
import { element, fill } from "./dom.js";
import { clearErrors, problemErrors, showErrors } from "./errors.js";
import { Problem } from "./problem.js";

/** A form for what a file asks; `save` sends what was chosen, and throws a `Problem`. */
export function questionsForm({ perguntas, formato }, save) {
  const columns = perguntas.find(({ codigo }) => codigo === "colunas");
  const marks = perguntas.find(({ codigo }) => codigo === "decimais");
  const sentences = perguntas.map(({ frase }) => element("p", {}, frase));
  const fields = (columns?.campos ?? []).map((field) => [field, ""]);
  const asked = [
    ...fields.map(([field, chosen]) => select(field, columns.opcoes, chosen)),
    marks ? radios("", marks.exemplos) : null,
  ];
  return choicesForm([...sentences, ...asked], save, {});
}

/** The same form for what was understood already, to be understood otherwise. */
export function changesForm({ formato: { colunas, campos, decimal, codificacao } }, save) {
  const shown = Object.fromEntries(campos.map((field, place) => [FIELD_OF[field], colunas[place]]));
  shown.decimais = decimal === "," ? "virgula" : "ponto";
  const asked = Object.keys(FIELDS).map((field) => select(field, colunas, shown[field]));
  const isTyped = codificacao === "parquet";
  return choicesForm([...asked, isTyped ? null : radios(shown.decimais, [])], save, shown);
}

function choicesForm(asked, save, shown) {
  const send = element("button", { type: "submit", class: "btn btn-primary" }, "Usar estas escolhas");
  const form = element(
    "form",
    { class: "batch-choices", novalidate: "", "data-choices": "" },
    element("div", { class: "error-summary", tabindex: "-1", "data-error-summary": "", hidden: "" }),
    ...asked,
    element("p", { class: "hint" }, "As escolhas ficam guardadas para os próximos arquivos com as mesmas colunas."),
    element("div", { class: "actions" }, send),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(form, send, save, shown);
  });
  return form;
}

function select(field, columns, chosen) {
  const choice = (name) => element("option", { value: name, selected: name === chosen ? "" : null }, name || "Escolha a coluna");
  const id = `campo-${field}`;
  const label = field === "nome" ? "Nome ou código do cliente" : FIELDS[field];
  const look = { class: "form-select", id, name: field, "aria-describedby": `${id}-erro` };
  return element(
    "div",
    { class: "field" },
    element("label", { class: "form-label", for: id, "data-label": field }, label),
    element("select", look, ...["", ...new Set(columns)].map(choice)),
    element("p", { class: "field-error", id: `${id}-erro`, "data-error": field }),
  );
}

function radios(chosen, examples) {
  const choices = Object.keys(MARKS).map((mark) => {
    const checked = mark === chosen ? "" : null;
    const look = { class: "form-check-input", type: "radio", name: "decimais", id: `decimais-${mark}`, value: mark, checked };
    const words = [MARKS[mark], examples.map((cell) => markReading(cell, mark)).join("; ")];
    return element(
      "div",
      { class: "form-check" },
      element("input", look),
      element("label", { class: "form-check-label", for: look.id }, words.filter(Boolean).join(": ")),
    );
  });
  return element(
    "fieldset",
    { class: "batch-marks" },
    element("legend", { "data-label": "decimais" }, "Decimais"),
    ...choices,
    element("p", { class: "field-error", "data-error": "decimais" }),
  );
}

async function submit(form, send, save, shown) {
  const chosen = Object.fromEntries([...controlNames(form)].map((name) => [name, form.elements[name].value]));
  const mistakes = mistakesIn(chosen);
  if (mistakes.length > 0) return showErrors(form, mistakes);
  clearErrors(form);
  send.ariaBusy = "true"; // a disabled button would lose the focus
  try {
    // What stays as it was understood is not chosen: another file may say it otherwise.
    await save(Object.fromEntries(Object.entries(chosen).filter(([name, value]) => value !== shown[name])));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showErrors(form, problemErrors(problem), problem);
  } finally {
    send.ariaBusy = "false";
  }
}

const controlNames = (form) => new Set([...form.elements].map(({ name }) => name).filter(Boolean));

function mistakesIn({ decimais, ...columns }) {
  const names = Object.values(columns);
  const mistakes = Object.entries(columns).flatMap(([field, name]) => {
    if (!name) return [{ field, message: "Escolha a coluna." }];
    const isTwin = names.indexOf(name) !== names.lastIndexOf(name);
    return isTwin ? [{ field, message: `“${name}” foi escolhida mais de uma vez.` }] : [];
  });
  return decimais === "" ? [...mistakes, { field: "decimais", message: "Escolha vírgula ou ponto." }] : mistakes;
}
