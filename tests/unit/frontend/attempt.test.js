import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import test from "node:test";

import { Attempts, randomKey } from "../../../frontend/js/attempt.js";

function countedAttempts() {
  let count = 0;
  return new Attempts(() => `key-${(count += 1)}`);
}

test("the same body sent again after a failure carries the same key", () => {
  const attempts = countedAttempts();
  assert.equal(attempts.keyFor("a"), "key-1");
  assert.equal(attempts.keyFor("a"), "key-1");
});

test("a changed body is another submission", () => {
  const attempts = countedAttempts();
  attempts.keyFor("a");
  assert.equal(attempts.keyFor("b"), "key-2");
});

test("the same body of a form touched since is another submission", () => {
  const attempts = countedAttempts();
  attempts.keyFor("a");
  attempts.renew();
  assert.equal(attempts.keyFor("a"), "key-2");
});

test("without randomUUID, as on plain HTTP, the key is a version 4 UUID all the same", () => {
  const source = { getRandomValues: (octets) => webcrypto.getRandomValues(octets) };
  const keys = new Set(Array.from({ length: 200 }, () => randomKey(source)));
  assert.equal(keys.size, 200);
  for (const key of keys)
    assert.match(key, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
});
