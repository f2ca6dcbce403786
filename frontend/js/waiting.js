/**
 * Waiting for what comes later: the delays, and a queued evaluation followed to its answer.
 *
 * Takes its clock and its fetch as arguments; knows nothing of documents.
 */

import { isPassing } from "./problem.js";

const FIRST_DELAY_SECONDS = 1;
const LONGEST_DELAY_SECONDS = 5;
const GROWTH = 1.5;
const MOST_REPEATS = 3;

/** Sleep for some seconds; rejects with the signal's reason when it is aborted. */
export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/**
 * Run a request again, as often as `MOST_REPEATS`, when the service says after how long.
 *
 * Only a passing problem with a `Retry-After` is repeated; any other is thrown at once.
 * `onWait(problem, seconds)` tells the page; `signal` gives up, with the last problem.
 */
export async function patiently(run, { onWait, signal, pause = sleep }) {
  for (let repeats = 0; ; repeats += 1) {
    try {
      return await run();
    } catch (problem) {
      const hopeless = repeats === MOST_REPEATS || problem.retryAfter == null;
      if (hopeless || !isPassing(problem)) throw problem;
      onWait(problem, problem.retryAfter);
      await pause(problem.retryAfter, signal).catch(() => {
        throw problem;
      });
    }
  }
}

/** Seconds to wait before poll number `count` (from 0): 1, 1.5, 2.25 … up to 5. */
export function pollDelay(count) {
  return Math.min(FIRST_DELAY_SECONDS * GROWTH ** count, LONGEST_DELAY_SECONDS);
}

/**
 * Ask for a queued evaluation until it is decided, and answer its record.
 *
 * A passing problem (network lost, service restarting) is waited out, at least as long as the
 * service asks; any other one is thrown. `signal` ends the waiting.
 */
export async function followToAnswer(id, { fetchRecord, signal, pause = sleep }) {
  for (let count = 0; ; count += 1) {
    const { record, retryAfter } = await recordOrDelay(id, fetchRecord);
    signal?.throwIfAborted();
    if (record?.situacao === "concluida") return record;
    await pause(Math.max(pollDelay(count), retryAfter ?? 0), signal);
  }
}

async function recordOrDelay(id, fetchRecord) {
  try {
    return { record: await fetchRecord(id) };
  } catch (problem) {
    if (!isPassing(problem)) throw problem;
    return { retryAfter: problem.retryAfter };
  }
}
