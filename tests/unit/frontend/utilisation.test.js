import assert from "node:assert/strict";
import test from "node:test";

import { utilisation } from "../../../frontend/js/utilisation.js";

test("balance over limit comes as a share and in words", () => {
  assert.deepEqual(utilisation(270, 1000), {
    share: 0.27,
    words: "27% (baixo)",
  });
});

const BANDS = [
  [300, "(baixo)"],
  [301, "(moderado)"],
  [599, "(moderado)"],
  [600, "(alto)"],
  [1000, "(alto)"],
  [1001, "(acima do limite)"],
];

for (const [balance, words] of BANDS) {
  test(`${balance} of 1000 is "${words}"`, () => {
    assert.ok(utilisation(balance, 1000).words.endsWith(words));
  });
}

test("no share is rounded to where another word begins, and none is another in floating point", () => {
  assert.equal(utilisation(599.6, 1000).words, "59,96% (moderado)");
  assert.equal(utilisation(2.01, 3.35).words, "60% (alto)");
  assert.equal(utilisation(17_999.99, 30_000).words, "59,99997% (moderado)");
  assert.equal(utilisation(1000.01, 1000).words, "100,001% (acima do limite)");
});

test("a limit exceeded many times is told without a row of zeros", () => {
  assert.equal(utilisation(10_000_000, 1).words, "mais de 1.000% (acima do limite)");
});

test("there is no utilisation without both amounts, or for a limit of zero", () => {
  assert.equal(utilisation(undefined, 1000), null);
  assert.equal(utilisation(100, undefined), null);
  assert.equal(utilisation(100, 0), null);
});
