/** A file before it is decided: how its first lines were understood, and what is wrong in it. */

import { formatMoney } from "./amounts.js";
import { definitions } from "./answer.js";
import { batchAddress, faultsAddress, sentAddress } from "./api.js";
import { FIELD_OF, FIELDS, formatPairs, linesWords } from "./batch-words.js";
import { button, element, named } from "./dom.js";
import { notice } from "./notice.js";
import { withoutLabel } from "./problem.js";
import { formatCount } from "./words.js";

const OPEN_UP_TO = 10;

/** How many lines there are, and what will become of them. */
export function checkFacts({ linhas, a_avaliar, com_erro, repetidas }) {
  const counts = [
    ["Linhas no arquivo", linhas],
    ["Serão avaliadas", a_avaliar],
    ["Com erro, ficam de fora", com_erro],
    ["Já avaliadas antes", repetidas],
  ].slice(0, repetidas > 0 ? 4 : 3);
  const pairs = counts.map(([words, count]) => [words, formatCount(count)]);
  return definitions("batch-facts", pairs);
}

/** What to look at in the file as a whole before it is decided. */
export function warningBlocks({ avisos }) {
  return avisos.map((sentence) => notice("note", "Antes de começar", sentence));
}

/** Who was decided before, and whether that is done again; `choose` takes the other choice. */
export function repeatedBlocks({ conferencia, respostas }, choose) {
  const change = (words, choice) => {
    const made = button("repeated", "btn-outline-primary", words, () => choose(choice));
    made.dataset.needs = "POST /lotes/{file_id}/respostas";
    return made;
  };
  if (respostas.repetidas === "todas") {
    const words = "Todos os clientes serão avaliados, também os que já foram avaliados antes.";
    return [element("p", {}, words), change("Avaliar só os novos", "so_novas")];
  }
  if (!conferencia.repetidas) return [];
  const rest =
    "Não serão avaliados de novo, a não ser que você peça. O resultado diz em que arquivo cada um foi avaliado.";
  const title = `${linesWords(conferencia.repetidas)} com clientes já avaliados`;
  return [
    notice("note", title, earlierSentence(conferencia.ja_avaliado), rest),
    change("Avaliar todos de novo", "todas"),
  ];
}

function earlierSentence({ id, nome }) {
  if (!id) return "Foram avaliados pela linha de comando.";
  const link = element("a", { href: batchAddress(id) }, named(nome));
  return element("span", {}, "Foram avaliados antes, por exemplo no arquivo ", link, ".");
}

/** The faulty lines: each kind counted, the first one by one, and all of them to take and mend. */
export function faultBlocks({ id, conferencia: { erros, tipos_de_erro: kinds } }) {
  const counted = kinds.map(({ coluna, motivo, linhas }) => {
    const where = coluna === null ? [] : [named(coluna), ": "];
    return element("li", {}, `${linesWords(linhas)} · `, ...where, advice(coluna, motivo));
  });
  const rows = erros.map(({ linha, coluna, valor, motivo }) => [
    linha,
    coluna ?? "",
    valor,
    advice(coluna, motivo),
  ]);
  const words = erros.length < 100 ? "Ver linha por linha" : "Ver os primeiros 100 erros";
  const take = { class: "btn btn-outline-primary", href: faultsAddress(id), download: "" };
  return [
    element("ul", { class: "batch-kinds" }, ...counted),
    element(
      "details",
      { open: rows.length <= OPEN_UP_TO ? "" : null },
      element("summary", {}, words),
      table("Erros, linha por linha", ["Linha", "Coluna", "Valor", "O que corrigir"], rows),
    ),
    element(
      "p",
      { class: "hint batch-next" },
      "As outras linhas não dependem destas. Baixe só as linhas com erro, corrija e envie-as como um arquivo novo.",
    ),
    element(
      "div",
      { class: "actions" },
      element("a", { ...take, "data-faults-file": "" }, "Baixar as linhas com erro"),
      element(
        "a",
        { class: "btn btn-outline-primary", href: "/lote.html", "data-needs": "POST /lotes" },
        "Enviar as corrigidas",
      ),
    ),
  ];
}

const advice = (column, reason) => (column === null ? reason : withoutLabel(reason));

/** How the file is written, which of its columns decide, and its first lines as understood. */
export function previewBlocks({ id, formato, amostra, conferencia }) {
  const unused = conferencia?.colunas_sem_uso ?? [];
  const sent = { href: sentAddress(id), download: "" };
  return [
    definitions("batch-facts", formatPairs(formato)),
    unused.length === 0 ? null : unusedWords(unused),
    sample(formato, amostra, conferencia !== null),
    element("p", { class: "batch-next" }, element("a", sent, "Baixar o arquivo como foi enviado")),
  ];
}

function unusedWords(columns) {
  const words =
    columns.length === 1
      ? "Esta coluna não decide nada e volta no resultado: "
      : "Estas colunas não decidem nada e voltam no resultado: ";
  const names = columns.flatMap((column, i) => [i === 0 ? "" : ", ", named(column)]);
  const end = columns.at(-1).endsWith(".") ? "" : ".";
  return element("p", { class: "batch-next", "data-unused": "" }, words, ...names, end);
}

function sample({ colunas, campos: named }, lines, isUnderstood) {
  const campos = named.map((field) => FIELD_OF[field]);
  const heads = colunas.map((column, place) => {
    const field = FIELDS[campos[place]];
    if (!field && !isUnderstood) return column;
    const below = field ? column : "não decide nada";
    const isSame = field !== undefined && lettersOf(below) === lettersOf(field);
    return [field ?? column, isSame ? "" : element("span", { class: "hint" }, below)];
  });
  const rows = lines.map((line) => [
    isUnderstood && line.entendidos === null ? `${line.linha} · com erro` : line.linha,
    ...line.valores.map((value, place) => understood(line, campos[place]) ?? value),
  ]);
  const words = isUnderstood ? "Primeiras linhas, como foram entendidas" : "Primeiras linhas, como estão escritas";
  return table(words, ["Linha", ...heads], rows);
}

const lettersOf = (text) => text.normalize("NFD").replace(/[^a-z]/gi, "").toLowerCase();

function understood({ nome, entendidos }, field) {
  if (!field || entendidos === null) return null;
  return field === "nome" ? nome : formatMoney(entendidos[field]);
}

function table(words, heads, rows) {
  const row = ([first, ...cells]) => [
    element("th", { scope: "row" }, String(first)),
    ...cells.map((cell) => element("td", {}, cell)),
  ];
  const head = (content) => element("th", { scope: "col" }, ...[content].flat());
  const made = element(
    "table",
    { class: "table batch-sample", translate: "no" },
    element("caption", {}, words),
    element("thead", {}, element("tr", {}, ...heads.map(head))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...row(cells)))),
  );
  const look = { class: "scroll-sideways", tabindex: "0", role: "region", "aria-label": words };
  return element("div", look, made);
}
