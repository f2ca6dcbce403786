import assert from "node:assert/strict";
import test from "node:test";

import { utilisation } from "../../../frontend/js/utilisation.js";

test("balance over limit comes as a share and in words", () => {
  assert.deepEqual(utilisation(270, 1000), {
    share: 0.27,
    key: "low",
    words: "27% (folgada)",
  });
});

const BANDS = [
  [300, "low"],
  [301, "middle"],
  [700, "middle"],
  [1000, "high"],
  [1001, "over"],
  [9000, "over"],
];

for (const [balance, key] of BANDS) {
  test(`${balance} of 1000 is in the band "${key}"`, () => {
    assert.equal(utilisation(balance, 1000).key, key);
  });
}

test("a limit exceeded many times is told without a row of zeros", () => {
  assert.equal(utilisation(10_000_000, 1).words, "mais de 1.000% (acima do limite)");
});

test("there is no utilisation without both amounts, or for a limit of zero", () => {
  assert.equal(utilisation(undefined, 1000), null);
  assert.equal(utilisation(100, undefined), null);
  assert.equal(utilisation(100, 0), null);
});
