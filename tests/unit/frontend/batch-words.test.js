import assert from "node:assert/strict";
import { test } from "node:test";

import {
  announcement,
  formatPairs,
  isOver,
  linesWords,
  markReading,
  obstacleWords,
  lookDelay,
  shareDone,
  stateWords,
  stepsOf,
  tenthWords,
  timeLeftWords,
  waitWords,
  WORKER_AWAY,
} from "../../../frontend/js/batch-words.js";

const running = (feitas) => ({ nome: "a.csv", situacao: "em_andamento", feitas, linhas: 1000 });

test("a batch that runs is announced by quarters and not at every look", () => {
  assert.equal(announcement(running(260)), announcement(running(490)));
  assert.equal(announcement(running(500)), "a.csv: em andamento, 50%.");
});

test("the end tells how many lines were decided and how many were not", () => {
  const done = { nome: "a.csv", situacao: "concluido", decididas: 950, com_erro: 1 };
  assert.equal(announcement(done), "a.csv: concluído, 950 linhas com decisão e 1 linha com erro.");
});

test("time left is told so roughly that it does not change with every look", () => {
  const told = [null, 4, 41, 49, 61, 100, 3700, 9000].map(timeLeftWords);
  assert.deepEqual(told, [
    "calculando",
    "poucos segundos",
    "cerca de 50 segundos",
    "cerca de 50 segundos",
    "cerca de 1 minuto",
    "cerca de 2 minutos",
    "cerca de 1 hora",
    "cerca de 3 horas",
  ]);
});

test("a state offers the steps that the service allows in it, and no others", () => {
  const steps = (situacao) => stepsOf({ situacao, conferencia: { a_avaliar: 3 } });
  assert.deepEqual(steps("pronto"), ["iniciar", "desistir"]);
  assert.deepEqual(steps("em_andamento"), ["pausar", "cancelar"]);
  assert.deepEqual(steps("pausado"), ["retomar", "cancelar"]);
  assert.deepEqual([steps("concluido"), steps("cancelado")], [[], []]);
  assert.ok(isOver("concluido") && isOver("cancelado") && !isOver("pausado"));
});

test("a file of which nothing is new does not begin", () => {
  assert.deepEqual(stepsOf({ situacao: "pronto", conferencia: { a_avaliar: 0 } }), ["desistir"]);
});

test("a cell of two meanings is shown as each mark has it", () => {
  const plain = (words) => words.replaceAll("\u00a0", " ");
  assert.equal(plain(markReading("1,234", "virgula")), "1,234 é R$ 1,23");
  assert.equal(plain(markReading("1,234", "ponto")), "1,234 é R$ 1.234,00");
  assert.equal(plain(markReading("R$ 2.500", "virgula")), "R$ 2.500 é R$ 2.500,00");
});

test("a file that is ready says aloud how much of it will be decided", () => {
  const ready = { nome: "a.csv", situacao: "pronto", conferencia: { a_avaliar: 9, com_erro: 1 } };
  assert.equal(announcement(ready), "a.csv: pronto para começar, 9 linhas a avaliar e 1 linha com erro.");
});

test("a file that waits says for what, and that it begins by itself where it was told to", () => {
  const checking = { situacao: "conferindo", recusa: null, comeca_sozinho: true, espera: "trabalhador" };
  assert.match(obstacleWords(checking), /^O serviço que avalia arquivos está parado.*começa sozinha\.$/);
  assert.equal(obstacleWords({ ...checking, situacao: "recusado", recusa: "Vazio." }), "Vazio.");
  assert.equal(obstacleWords({ ...checking, situacao: "pronto" }), "");
});

test("an unknown state is shown as it came", () => {
  assert.equal(stateWords("novo_estado"), "novo_estado");
});

test("the format is told in words, with examples of its amounts", () => {
  const format = { codificacao: "windows-1252", separador: ";", decimal: "," };
  assert.deepEqual(formatPairs(format), [
    ["Formato", "Latin-1 (Windows-1252)"],
    ["Separador de colunas", "ponto e vírgula"],
    ["Decimais", "vírgula, como 1.234,56"],
  ]);
});

test("a spreadsheet has neither a separator nor a decimal mark to tell of", () => {
  const format = { codificacao: "planilha", separador: ";", decimal: "." };
  assert.deepEqual(formatPairs(format), [["Formato", "Planilha do Excel, primeira aba"]]);
});

test("a share of no lines is none", () => {
  assert.equal(shareDone({ feitas: 0, linhas: 0 }), 0);
  assert.equal(shareDone({ feitas: 1, linhas: 4 }), 0.25);
});

test("lines and tenths are spelled as people read them", () => {
  assert.deepEqual([linesWords(1), linesWords(1000000)], ["1 linha", "1.000.000 linhas"]);
  assert.deepEqual([tenthWords(0), tenthWords(3), tenthWords(9)], ["0,0 a 0,1", "0,3 a 0,4", "0,9 a 1"]);
});

test("a batch is looked at soon, then twice a second", () => {
  assert.deepEqual([0, 1, 2, 50].map(lookDelay), [0.2, 0.4, 0.5, 0.5]);
});

test("a batch that stands still says what it waits for, and says nothing while it goes on", () => {
  assert.equal(waitWords({ espera: "trabalhador" }), WORKER_AWAY);
  assert.match(waitWords({ espera: "modelo" }), /^À espera do modelo/);
  assert.equal(waitWords({ espera: null }), "");
  assert.equal(waitWords({}), "");
});
