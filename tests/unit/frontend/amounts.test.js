import assert from "node:assert/strict";
import test from "node:test";

import { formatAmount, formatMoney, parseAmount } from "../../../frontend/js/amounts.js";

const READ = [
  ["1234,56", 1234.56],
  ["1234.5", 1234.5],
  ["1.234.567", 1234567],
  ["12.345,6", 12345.6],
  ["0,00", 0],
  ["0.50", 0.5],
  ["007", 7],
  ["  504 ", 504],
  ["R$ 1.055,00", 1055],
  ["r$\u00a01.055,00", 1055],
];

for (const [text, value] of READ) {
  test(`"${text}" is read as ${value}`, () => {
    assert.deepEqual(parseAmount(text), { value, ambiguous: false });
  });
}

for (const [text, value] of [
  ["1.234", 1234],
  ["12.345", 12345],
  ["123.456", 123456],
]) {
  test(`"${text}" is ambiguous and read as ${value}`, () => {
    assert.deepEqual(parseAmount(text), { value, ambiguous: true });
  });
}

const REFUSED = [
  ["   ", /Informe um valor/],
  ["+5", /Digite só o número/],
  ["12.34.56", /Digite só o número/],
  ["1.2345,00", /Digite só o número/],
  ["1 234,00", /Digite só o número/],
  ["--5", /Digite só o número/],
  ["1234,", /Digite só o número/],
  ["1234,567", /duas casas/],
  ["1,234", /duas casas/],
  ["1234.567", /duas casas/],
  ["0.123", /duas casas/],
  ["- 1.234,56", /negativo/],
  ["10000000,01", /maior valor aceito é R\$\u00a010.000.000,00/],
];

for (const [text, reason] of REFUSED) {
  test(`"${text}" is refused with a sentence`, () => {
    const { value, error } = parseAmount(text);
    assert.equal(value, undefined);
    assert.match(error, reason);
  });
}

test("an amount is written with its currency, or as a field holds it", () => {
  assert.equal(formatMoney(1234.5), "R$\u00a01.234,50");
  assert.equal(formatAmount(1234.5), "1.234,50");
});

test("an amount written for a field is read back as the same amount", () => {
  for (const value of [0, 0.1, 999.99, 1000, 1234567.89, 10_000_000]) {
    assert.equal(parseAmount(formatAmount(value)).value, value);
  }
});
