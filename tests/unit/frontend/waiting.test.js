import assert from "node:assert/strict";
import test from "node:test";

import { followToAnswer, patiently, pollDelay, sleep } from "../../../frontend/js/waiting.js";

const DECIDED = { situacao: "concluida" };
const QUEUED = { situacao: "pendente" };

/** Answers each of `turns` in order: throws the ones with a status. */
function scripted(...turns) {
  return async () => {
    const turn = turns.shift();
    if (turn.status !== undefined) throw turn;
    return turn;
  };
}

function recordedPauses() {
  const pauses = [];
  return { pauses, pause: async (seconds) => void pauses.push(seconds) };
}

test("polls slow down, and never wait longer than five seconds", () => {
  assert.deepEqual([0, 1, 2].map(pollDelay), [1, 1.5, 2.25]);
  assert.equal(pollDelay(50), 5);
});

test("a queued evaluation is followed until it is decided", async () => {
  const { pauses, pause } = recordedPauses();
  const fetchRecord = scripted(QUEUED, QUEUED, DECIDED);
  assert.equal(await followToAnswer("id", { fetchRecord, pause }), DECIDED);
  assert.deepEqual(pauses, [1, 1.5]);
});

test("a lost network and a restarting service are waited out", async () => {
  const { pauses, pause } = recordedPauses();
  const fetchRecord = scripted(
    { status: 0, retryAfter: null },
    { status: 503, retryAfter: 9 },
    DECIDED,
  );
  assert.equal(await followToAnswer("id", { fetchRecord, pause }), DECIDED);
  assert.deepEqual(pauses, [1, 9]);
});

test("an evaluation that does not exist is not waited for", async () => {
  const fetchRecord = scripted({ status: 404, retryAfter: null });
  await assert.rejects(followToAnswer("id", { fetchRecord, pause: sleep }), { status: 404 });
});

test("leaving ends the following", async () => {
  const leaving = new AbortController();
  const following = followToAnswer("id", {
    fetchRecord: async () => QUEUED,
    signal: leaving.signal,
  });
  leaving.abort();
  await assert.rejects(following, { name: "AbortError" });
});

test("a busy service is asked again after as long as it says", async () => {
  const { pauses, pause } = recordedPauses();
  const told = [];
  const run = scripted({ status: 429, retryAfter: 2 }, { status: 409, retryAfter: 1 }, DECIDED);
  assert.equal(
    await patiently(run, { onWait: (_, seconds) => told.push(seconds), pause }),
    DECIDED,
  );
  assert.deepEqual(pauses, [2, 1]);
  assert.deepEqual(told, [2, 1]);
});

test("a service that stays busy is given up after three repeats", async () => {
  const { pauses, pause } = recordedPauses();
  const run = scripted(...Array.from({ length: 9 }, () => ({ status: 503, retryAfter: 1 })));
  await assert.rejects(patiently(run, { onWait: () => {}, pause }), { status: 503 });
  assert.equal(pauses.length, 3);
});

test("a problem without Retry-After, or one to correct, is told at once", async () => {
  for (const problem of [
    { status: 0, retryAfter: null },
    { status: 422, retryAfter: 1 },
  ]) {
    const { pauses, pause } = recordedPauses();
    await assert.rejects(patiently(scripted(problem), { onWait: () => {}, pause }), problem);
    assert.deepEqual(pauses, []);
  }
});

test("whoever stops the repeats is told the problem that caused them", async () => {
  const stop = new AbortController();
  const run = scripted({ status: 503, retryAfter: 60 });
  await assert.rejects(
    patiently(run, { onWait: () => setTimeout(() => stop.abort()), signal: stop.signal }),
    {
      status: 503,
    },
  );
});
