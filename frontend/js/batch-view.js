/** One batch: how its file was read, how far it is, what came out, and the buttons for it. */

import { definitions } from "./answer.js";
import { answerBatch, fetchBatch, fetchPolicy, resultAddress, stepBatch } from "./api.js";
import { countedBars } from "./batch-charts.js";
import { checkFacts, faultBlocks, previewBlocks, repeatedBlocks, warningBlocks } from "./batch-check.js";
import { changesForm, questionsForm } from "./batch-choices.js";
import {
  announcement,
  countWords,
  isMoving,
  isOver,
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
import { notice, problemBlocks } from "./notice.js";
import { isPassing, Problem } from "./problem.js";
import { sleep } from "./waiting.js";
import { DECISIONS, formatCount, formatShare } from "./words.js";

const BEFORE_CANCELLING =
  "Cancelar a avaliação deste arquivo? As linhas que faltam não serão avaliadas, e isso não pode ser desfeito.";
const BEFORE_GIVING_UP = "Desistir deste arquivo? Nenhuma linha dele será avaliada, e isso não pode ser desfeito.";
const ERASED_FILE =
  "Os dados de uma pessoa que veio neste arquivo foram apagados, e com eles o arquivo e o resultado: não há mais o que baixar. As avaliações dos outros clientes permanecem no histórico.";

const STEP_BUTTONS = {
  iniciar: { words: "Começar a avaliar", look: "btn-primary" },
  pausar: { words: "Pausar", look: "btn-outline-primary" },
  retomar: { words: "Continuar", look: "btn-primary" },
  cancelar: { words: "Cancelar a avaliação", look: "btn-outline-primary" },
  desistir: { words: "Desistir deste arquivo", look: "btn-outline-primary" },
};

/** Show the batch with this id, and follow it for as long as it runs. */
export async function showBatch(root, id) {
  root.hidden = false;
  const page = { root, id, profiles: [], followed: false, shown: {} };
  try {
    const batch = await fetchBatch(id);
    page.profiles = (await fetchPolicy().catch(() => null))?.perfis ?? [];
    document.title = `${batch.nome} · ${document.title}`;
    fill(hook("batch-name", root), named(batch.nome));
    show(page, batch);
    endLoading();
    hook("batch-name", root).focus(); // what there is to do comes next
    await follow(page, batch);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showProblem(root, problem);
    endLoading();
  }
}

// What was shown of a file that is not there any more does not stay, nor buttons for it.
function showProblem(root, problem) {
  if (problem.status === 404) {
    hook("batch-state", root).textContent = "";
    for (const shown of root.querySelectorAll("section")) shown.hidden = true;
  }
  fill(hook("batch-problem", root), ...problemBlocks(problem, () => location.reload()));
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
  const state = [stateWords(batch.situacao), ...countWords(batch)];
  hook("batch-state", page.root).textContent = state.join(" · ");
  showProgress(page, batch);
  showActions(page, batch);
  showSummary(page, batch);
  showCheck(page, batch);
  announce(batch);
}

function showCheck(page, batch) {
  const { perguntas, formato, amostra, conferencia, situacao } = batch;
  const save = (chosen) => answer(page, batch, chosen);
  const isAsked = perguntas.length > 0 && !isOver(situacao);
  panel(page, "questions", isAsked, [perguntas, formato], () => [questionsForm(batch, save)]);
  panel(page, "faults", conferencia?.com_erro > 0 && !batch.apagado, conferencia, () => faultBlocks(batch));
  const isShown = amostra.length > 0 && !isOver(situacao);
  panel(page, "preview", isShown, [formato, amostra, conferencia, situacao], () => [
    ...previewBlocks(batch),
    situacao === "pronto" ? changes(batch, save) : null,
  ]);
}

// Drawn anew only when there is something else to show, or a form would lose what was chosen in it.
function panel({ root, shown }, name, isShown, content, blocks) {
  hook(`${name}-panel`, root).hidden = !isShown;
  const key = isShown ? JSON.stringify(content) : "";
  if (shown[name] === key) return;
  shown[name] = key;
  fill(hook(name, root), ...(isShown ? blocks() : []));
}

function changes(batch, save) {
  return element(
    "details",
    { "data-changes": "", "data-needs": "POST /lotes/{file_id}/respostas" },
    element("summary", {}, "Algo foi entendido errado? Mude as colunas ou os decimais"),
    changesForm(batch, save),
  );
}

// What is sent takes the place of what was answered before.
async function answer(page, { respostas }, { decimais, repetidas, ...columns }) {
  const latest = await answerBatch(page.id, {
    colunas: { ...respostas.colunas, ...columns },
    decimais: decimais ?? respostas.decimais,
    repetidas: repetidas ?? respostas.repetidas,
  });
  show(page, latest);
  hook("batch-name", page.root).focus();
  await follow(page, latest);
}

function announce(batch) {
  const status = hook("status");
  const words = announcement(batch);
  if (status.textContent !== words) status.textContent = words;
}

function showProgress(page, batch) {
  const place = hook("progress", page.root);
  const obstacle = obstacleWords(batch);
  if (obstacle) return fill(place, element("p", {}, obstacle), goneNotice(batch));
  if (batch.situacao === "pronto") return fill(place, ...readyBlocks(page, batch));
  if (!hook("progress-bar", place))
    fill(place, progressBar(), element("div", { "data-progress-words": "" }));
  const share = shareDone(batch);
  const bar = hook("progress-bar", place);
  bar.value = share;
  bar.textContent = formatShare(share);
  const waiting = waitWords(batch);
  fill(
    hook("progress-words", place),
    waiting ? element("p", {}, waiting) : null,
    facts(batch),
    goneNotice(batch),
  );
}

const goneNotice = ({ apagado }) => (apagado ? notice("note", "Arquivo apagado", ERASED_FILE) : null);

function readyBlocks(page, batch) {
  const words =
    batch.conferencia.a_avaliar > 0
      ? "Nada foi avaliado ainda. Confira os números e, abaixo, como o arquivo foi lido."
      : "Não há nada novo a avaliar neste arquivo.";
  const choose = (repetidas) => attempt(page, () => answer(page, batch, { repetidas }));
  return [
    element("p", {}, words),
    checkFacts(batch.conferencia),
    ...warningBlocks(batch.conferencia),
    ...repeatedBlocks(batch, choose),
  ];
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
  if (batch.situacao === "em_andamento" && !waitWords(batch)) {
    pairs.push(["Tempo restante", timeLeftWords(batch.segundos_restantes)]);
  }
  return definitions("batch-facts", pairs);
}

// Buttons stay as long as they are the same ones, or the focus would be lost with every look.
function showActions(page, batch) {
  const place = hook("actions", page.root);
  const key = `${batch.situacao} ${batch.feitas > 0} ${batch.conferencia?.a_avaliar > 0}`;
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const steps = stepsOf(batch).map((step) => stepButton(page, step));
  fill(place, ...steps, batch.feitas > 0 && !batch.apagado ? resultLink(batch) : null);
  if (focused) successor(place, focused, hook("batch-name", page.root)).focus();
}

// The same button drawn again, or the first of the new ones.
function successor(place, focused, otherwise) {
  const same = [...place.children].find(({ textContent }) => textContent === focused.textContent);
  return same ?? place.firstElementChild ?? otherwise;
}

function stepButton(page, name) {
  const { words, look } = STEP_BUTTONS[name];
  const step = name === "desistir" ? "cancelar" : name;
  const made = button(step, look, words, () => take(page, name, step, made));
  made.dataset.needs = `POST /lotes/{file_id}/${step}`;
  return made;
}

function resultLink(batch) {
  const words = isOver(batch.situacao) ? "Baixar o resultado" : "Baixar o que está pronto";
  const look = batch.situacao === "concluido" ? "btn-primary" : "btn-outline-primary";
  const address = resultAddress(batch.id);
  return element("a", { class: `btn ${look}`, href: address, download: "", "data-result": "" }, words);
}

async function take(page, name, step, pressed) {
  if (pressed.ariaBusy === "true") return;
  const question = { cancelar: BEFORE_CANCELLING, desistir: BEFORE_GIVING_UP }[name];
  if (question && !window.confirm(question)) return;
  pressed.ariaBusy = "true"; // a disabled button would lose the focus
  await attempt(page, async () => {
    const batch = await stepBatch(page.id, step);
    show(page, batch);
    await follow(page, batch);
  });
  pressed.ariaBusy = "false";
}

async function attempt(page, act) {
  try {
    fill(hook("batch-problem", page.root));
    await act();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.kind === "lote_em_outra_situacao") return attempt(page, () => catchUp(page));
    showProblem(page.root, problem);
  }
}

// Somebody else was first: what the file has come to answers what was asked of it.
async function catchUp(page) {
  const latest = await fetchBatch(page.id);
  show(page, latest);
  hook("batch-name", page.root).focus();
  await follow(page, latest);
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
