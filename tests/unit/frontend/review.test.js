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
