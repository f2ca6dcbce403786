import assert from "node:assert/strict";
import test from "node:test";

import { readReview } from "../../../frontend/js/review.js";

const TYPED = { decisao: "aprovado", justificativa: "  Renda comprovada. ", revisor: " Ana " };

test("a complete review is trimmed and sent", () => {
  assert.deepEqual(readReview(TYPED), {
    review: { decisao: "aprovado", justificativa: "Renda comprovada.", revisor: "Ana" },
    errors: [],
  });
});

test("an empty form asks for all three", () => {
  const { review, errors } = readReview({});
  assert.equal(review, null);
  assert.deepEqual(
    errors.map(({ field }) => field),
    ["decisao", "justificativa", "revisor"],
  );
});

const MISTAKES = [
  ["decisao", "toString"],
  ["justificativa", "curta    "],
  ["justificativa", "a".repeat(2001)],
  ["revisor", "a".repeat(121)],
];

for (const [field, text] of MISTAKES) {
  test(`${field} "${text.slice(0, 12)}" (${text.length}) is refused`, () => {
    const { errors } = readReview({ ...TYPED, [field]: text });
    assert.deepEqual(
      errors.map((error) => error.field),
      [field],
    );
  });
}

test("a justification may use all of its 2,000 characters", () => {
  assert.deepEqual(readReview({ ...TYPED, justificativa: "😀".repeat(2000) }).errors, []);
});
