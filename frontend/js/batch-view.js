/** One batch: how its file was read, how far it is, what came out, and the buttons for it. */

import { definitions } from "./answer.js";
import { fetchBatch, fetchPolicy, resultAddress, stepBatch } from "./api.js";
import { countedBars } from "./batch-charts.js";
import {
  announcement,
  formatPairs,
  isMoving,
  isOver,
  linesWords,
  lookDelay,
  obstacleWords,
  shareDone,
  stateWords,
  stepsOf,
  tenthWords,
  timeLeftWords,
  waitWords,
} from "./batch-words.js";
import { button, element, endLoading, fill, hook, named } from "./dom.js";
import { problemBlocks } from "./notice.js";
import { isPassing, Problem } from "./problem.js";
import { sleep } from "./waiting.js";
import { DECISIONS, formatCount, formatShare } from "./words.js";

const BEFORE_CANCELLING =
  "Cancelar a avaliação deste arquivo? As linhas que faltam não serão avaliadas, e isso não pode ser desfeito.";

const STEP_BUTTONS = {
  iniciar: { words: "Começar a avaliar", look: "btn-primary" },
  pausar: { words: "Pausar", look: "btn-outline-primary" },
  retomar: { words: "Continuar", look: "btn-primary" },
  cancelar: { words: "Cancelar a avaliação", look: "btn-outline-primary" },
};

/** Show the batch with this id, and follow it for as long as it runs. */
export async function showBatch(root, id) {
  root.hidden = false;
  const page = { root, id, profiles: [], followed: false };
  try {
    const batch = await fetchBatch(id);
    page.profiles = (await fetchPolicy().catch(() => null))?.perfis ?? [];
    document.title = `${batch.nome} · ${document.title}`;
    fill(hook("batch-name", root), named(batch.nome));
    show(page, batch);
    endLoading();
    if (batch.situacao === "pronto") hook("batch-name", root).focus(); // the buttons come next
    await follow(page, batch);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    fill(hook("batch-problem", root), ...problemBlocks(problem, () => location.reload()));
    endLoading();
  }
}

// One look at a time, also when somebody pauses and goes on within a second.
async function follow(page, batch) {
  if (page.followed) return;
  page.followed = true;
  try {
    let latest = batch;
    for (let count = 0; isMoving(latest.situacao); count += 1) {
      await sleep(lookDelay(count));
      latest = (await look(page)) ?? latest;
      show(page, latest);
    }
  } finally {
    page.followed = false;
  }
}

// The service may be restarting: the batch goes on when it is back, and so does the page.
async function look(page) {
  try {
    const batch = await fetchBatch(page.id);
    fill(hook("batch-problem", page.root));
    return batch;
  } catch (problem) {
    if (!(problem instanceof Problem) || !isPassing(problem)) throw problem;
    fill(hook("batch-problem", page.root), ...problemBlocks(problem, () => look(page)));
    return null;
  }
}

function show(page, batch) {
  const state = hook("batch-state", page.root);
  state.textContent = `${stateWords(batch.situacao)} · ${linesWords(batch.linhas)}`;
  showProgress(page, batch);
  showActions(page, batch);
  showSummary(page, batch);
  showPreview(page, batch);
  hook("preview-panel", page.root).hidden = isOver(batch.situacao) || batch.amostra.length === 0;
  announce(batch);
}

function announce(batch) {
  const status = hook("status");
  const words = announcement(batch);
  if (status.textContent !== words) status.textContent = words;
}

function showProgress({ root }, batch) {
  hook("progress-panel", root).hidden = false;
  const place = hook("progress", root);
  const obstacle = obstacleWords(batch);
  if (obstacle) {
    fill(place, element("p", {}, obstacle));
    return;
  }
  if (batch.situacao === "pronto") {
    fill(place, element("p", {}, "Confira abaixo como o arquivo foi lido. Nada foi avaliado ainda."));
    return;
  }
  if (!hook("progress-bar", place))
    fill(place, progressBar(), element("div", { "data-progress-words": "" }));
  const share = shareDone(batch);
  const bar = hook("progress-bar", place);
  bar.value = share;
  bar.textContent = formatShare(share);
  fill(hook("progress-words", place), facts(batch));
}

function progressBar() {
  return element("progress", {
    class: "batch-progress",
    max: 1,
    value: 0,
    "aria-labelledby": "progress-title",
    "data-progress-bar": "",
  });
}

function facts(batch) {
  const pairs = [
    ["Linhas processadas", `${formatCount(batch.feitas)} de ${formatCount(batch.linhas)}`],
    ["Com decisão", formatCount(batch.decididas)],
    ["Com erro", formatCount(batch.com_erro)],
  ];
  if (batch.repetidas > 0) pairs.push(["Já avaliadas antes", formatCount(batch.repetidas)]);
  if (batch.linhas_por_segundo !== null) {
    pairs.push(["Linhas por segundo", formatCount(Math.round(batch.linhas_por_segundo))]);
  }
  if (batch.situacao === "em_andamento") {
    pairs.push(["Tempo restante", waitWords(batch) || timeLeftWords(batch.segundos_restantes)]);
  }
  return definitions("batch-facts", pairs);
}

// Buttons stay as long as they are the same ones, or the focus would be lost with every look.
function showActions(page, batch) {
  const place = hook("actions", page.root);
  const key = `${batch.situacao} ${batch.feitas > 0}`;
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const steps = stepsOf(batch.situacao).map((step) => stepButton(page, step));
  fill(place, ...steps, batch.feitas > 0 ? resultLink(batch) : null);
  if (focused) successor(place, focused, hook("batch-name", page.root)).focus();
}

// The same button drawn again, or the first of the new ones.
function successor(place, focused, otherwise) {
  const same = [...place.children].find(({ textContent }) => textContent === focused.textContent);
  return same ?? place.firstElementChild ?? otherwise;
}

function stepButton(page, step) {
  const { words, look } = STEP_BUTTONS[step];
  const made = button(step, look, words, () => take(page, step, made));
  return made;
}

function resultLink(batch) {
  const words = isOver(batch.situacao) ? "Baixar o resultado" : "Baixar o que está pronto";
  const look = batch.situacao === "concluido" ? "btn-primary" : "btn-outline-primary";
  const address = resultAddress(batch.id);
  return element("a", { class: `btn ${look}`, href: address, download: "", "data-result": "" }, words);
}

async function take(page, step, pressed) {
  if (pressed.ariaBusy === "true") return;
  if (step === "cancelar" && !window.confirm(BEFORE_CANCELLING)) return;
  pressed.ariaBusy = "true"; // a disabled button would lose the focus
  try {
    const batch = await stepBatch(page.id, step);
    fill(hook("batch-problem", page.root));
    show(page, batch);
    await follow(page, batch);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    fill(hook("batch-problem", page.root), ...problemBlocks(problem, () => location.reload()));
    pressed.ariaBusy = "false";
  }
}

function showSummary({ root, profiles }, { feitas, resumo }) {
  hook("summary-panel", root).hidden = feitas === 0;
  if (feitas === 0) return;
  const decisions = Object.entries(DECISIONS).map(([code, { key, word }]) => ({
    label: word,
    count: resumo.decisoes[code] ?? 0,
    look: key,
  }));
  const clusters = resumo.perfis.map((count, cluster) => ({
    label: profiles[cluster]?.nome ?? `Perfil ${cluster}`,
    count,
  }));
  const tenths = resumo.confianca.map((count, place) => ({ label: tenthWords(place), count }));
  fill(
    hook("summary", root),
    countedBars("Decisões", "decisions", decisions),
    countedBars("Perfis", "profiles", clusters),
    countedBars("Certeza do perfil, de 0 (na fronteira) a 1", "confidence", tenths),
  );
}

function showPreview({ root }, { formato, amostra }) {
  const place = hook("preview", root);
  const key = JSON.stringify([formato, amostra]);
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  fill(hook("preview", root), definitions("batch-facts", formatPairs(formato)), sample(formato, amostra));
}

function sample({ colunas }, lines) {
  const words = "Primeiras linhas";
  const heads = ["Linha", ...colunas].map((name) => element("th", { scope: "col" }, name));
  const rows = lines.map(({ linha, valores }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, String(linha)),
      ...valores.map((value) => element("td", {}, value)),
    ),
  );
  const table = element(
    "table",
    { class: "table batch-sample", translate: "no" },
    element("caption", {}, words),
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...rows),
  );
  return element(
    "div",
    { class: "scroll-sideways", tabindex: "0", role: "region", "aria-label": words },
    table,
  );
}
