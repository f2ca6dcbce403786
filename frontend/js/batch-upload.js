/** A new batch: choosing a file, sending it, and the list of the batches before it. */

import { batchAddress, fetchBatches, sendBatch, TEMPLATE_ADDRESS } from "./api.js";
import { countWords, stateWords, WORKER_AWAY } from "./batch-words.js";
import { element, endLoading, fill, hook, named, onReturn } from "./dom.js";
import { clearErrors, problemErrors, showErrors } from "./errors.js";
import { acceptDrops } from "./file-drop.js";
import { notice, problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";
import { formatMoment } from "./words.js";

const LARGEST_FILE_BYTES = 200 * 2 ** 20;

/** Offer the form and the batches before. */
export function showNew(root) {
  root.hidden = false;
  const form = hook("upload-form", root);
  const template = element("a", { href: TEMPLATE_ADDRESS, download: "" }, "Baixar planilha de exemplo");
  fill(hook("template", root), template);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
  const input = form.elements.namedItem("arquivo");
  input.addEventListener("change", () => clearErrors(form));
  acceptDrops(input, () => take(form));
  hook("upload", form).disabled = false;
  showEarlier(root);
  onReturn(() => {
    setBusy(form, false);
    showEarlier(root);
  });
}

// A dropped file is as good as a chosen one: the next thing to press is the button.
function take(form) {
  clearErrors(form);
  const upload = hook("upload", form);
  upload.focus();
  const [file] = form.elements.namedItem("arquivo").files;
  hook("status").textContent = `Arquivo escolhido: ${file.name}.`;
}

async function send(form) {
  const files = form.elements.namedItem("arquivo").files;
  const mistake = mistakeOf(files);
  if (mistake) return showErrors(form, [{ field: "arquivo", message: mistake }]);
  clearErrors(form);
  setBusy(form, true);
  try {
    const { id } = await sendBatch(files[0]);
    location.assign(batchAddress(id));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showErrors(form, fileErrors(problem), problem);
    setBusy(form, false);
  }
}

function mistakeOf(files) {
  if (files.length === 0) return "Escolha um arquivo.";
  if (files.length > 1) return "Envie um arquivo de cada vez.";
  const [file] = files;
  if (file.size === 0) return "O arquivo está vazio.";
  return file.size > LARGEST_FILE_BYTES ? "O arquivo tem mais de 200 MB. Divida-o em partes." : "";
}

// The service names columns and lines; all of them are faults of the one file.
function fileErrors(problem) {
  return problemErrors(problem).map(({ message }, i) => ({ field: i === 0 ? "arquivo" : null, message }));
}

function setBusy(form, busy) {
  const upload = hook("upload", form);
  upload.disabled = busy;
  upload.setAttribute("aria-busy", busy);
  upload.textContent = busy ? "Enviando…" : "Enviar e conferir";
  hook("status").textContent = busy ? "Enviando o arquivo." : "";
}

async function showEarlier(root) {
  const place = hook("earlier", root);
  try {
    const { itens, trabalhadores: workers } = await fetchBatches();
    const away = workers === 0 ? notice("pending", "Nada é avaliado agora", WORKER_AWAY) : null;
    fill(place, away, itens.length === 0 ? nothing() : listOf(itens));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    fill(place, ...problemBlocks(problem, () => showEarlier(root)));
  }
  endLoading();
}

function nothing() {
  return element("p", { class: "quiet" }, "Nenhum arquivo ainda. O primeiro aparecerá aqui.");
}

function listOf(batches) {
  const entries = batches.map((batch) =>
    element(
      "li",
      { "data-earlier-batch": batch.id },
      element("a", { href: batchAddress(batch.id) }, named(batch.nome)),
      element(
        "span",
        { class: "quiet" },
        [stateWords(batch.situacao), ...countWords(batch), formatMoment(batch.atualizado_em)].join(" · "),
      ),
    ),
  );
  return element("ul", { class: "batch-list" }, ...entries);
}
