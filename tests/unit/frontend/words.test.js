import assert from "node:assert/strict";
import test from "node:test";

import {
  confidenceWords,
  decisionWords,
  formatDay,
  formatMoment,
  formatConfidence,
  formatPercent,
  protocolOf,
} from "../../../frontend/js/words.js";

test("each decision has its word", () => {
  assert.equal(decisionWords("aprovado").word, "Aprovado");
  assert.equal(decisionWords("analise_manual").word, "Análise manual");
  assert.equal(decisionWords("recusado").word, "Recusado");
});

test("no decision, or one of a later version, never looks like an approval", () => {
  assert.deepEqual(decisionWords(null), { key: "pending", word: "Aguardando o modelo" });
  assert.deepEqual(decisionWords("suspenso"), { key: "pending", word: "suspenso" });
});

const CONFIDENCE = [
  [0, "na fronteira"],
  [0.0499, "na fronteira"],
  [0.05, "baixa"],
  [0.2, "média"],
  [0.5, "alta"],
  [1, "alta"],
  [null, "não calculada por este modelo"],
];

for (const [confidence, words] of CONFIDENCE) {
  test(`a confidence of ${confidence} is "${words}"`, () => {
    assert.equal(confidenceWords(confidence), words);
  });
}

test("a confidence rounds to none of those from which on it is called otherwise", () => {
  assert.deepEqual([0.0499, 0.049999, 0.05, 0.1999, 0.59, 0, 1].map(formatConfidence), [
    "0,0499",
    "0,049999",
    "0,05",
    "0,1999",
    "0,59",
    "0,00",
    "1,00",
  ]);
});

test("a share is a round figure, with as many digits as tell it from the bound beside it", () => {
  assert.deepEqual(
    [[93.83, 60], [60, 60], [59.97, 60], [3.21, 22], [22.5], [0, 50], [1e9, 60]].map((pair) => formatPercent(...pair)),
    ["94%", "60%", "59,97%", "3,2%", "22,5%", "0%", "mais de 1.000%"],
  );
});

test("a share is told from every bound that it is judged by, however near", () => {
  assert.equal(formatPercent(9.996, 50, 10), "9,996%");
  assert.equal(formatPercent(30.04, 60, 30), "30,04%");
  assert.equal(formatPercent(59.99997, 60), "59,99997%");
  assert.equal(formatPercent(30, 60, 30), "30%");
  assert.deepEqual(
    [3.85, 9.95, 96.5, 0.05].map((value) => formatPercent(value, 60)),
    ["3,85%", "9,95%", "96,5%", "0,05%"],
    "3,846% comes as 3.85, and its sentence says 3,8%",
  );
});

test("a protocol is the random end of an id, in two groups to say", () => {
  assert.equal(protocolOf("01a203b4-6136-7c5e-9d10-4f2ab07c91de"), "B07C 91DE");
});

test("instants are told in São Paulo's time, wherever the browser is", () => {
  assert.equal(formatMoment("2026-11-22T02:30:00.123Z"), "21/11/2026 23:30:00");
});

test("a day stays that day in every time zone", () => {
  assert.equal(formatDay("2026-11-01"), "1 de novembro de 2026");
  assert.equal(formatDay("2026-11-01T02:00:00Z"), "31 de outubro de 2026");
});
