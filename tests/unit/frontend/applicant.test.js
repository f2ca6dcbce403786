import assert from "node:assert/strict";
import test from "node:test";

import { EXAMPLE, readApplicant } from "../../../frontend/js/applicant.js";

const TYPED = {
  name: "  Maria ",
  balance: "1.055,00",
  purchases: "3345",
  cash_advance: "0",
  credit_limit: "3.854",
  payments: "3233.5",
};

test("what was typed becomes the body that the service expects", () => {
  assert.deepEqual(readApplicant(TYPED), {
    applicant: {
      name: "Maria",
      balance: 1055,
      purchases: 3345,
      cash_advance: 0,
      credit_limit: 3854,
      payments: 3233.5,
    },
    errors: [],
  });
});

test("every mistaken field is named, in the form's order", () => {
  const { applicant, errors } = readApplicant({ ...TYPED, name: "", payments: "-1", balance: "x" });
  assert.equal(applicant, null);
  assert.deepEqual(
    errors.map(({ field }) => field),
    ["name", "balance", "payments"],
  );
});

test("a form without any field asks for all six", () => {
  assert.equal(readApplicant({}).errors.length, 6);
});

test("the example can be sent as it is", () => {
  const texts = Object.fromEntries(
    Object.entries(EXAMPLE).map(([name, value]) => [name, String(value)]),
  );
  assert.deepEqual(readApplicant(texts).applicant, EXAMPLE);
});
