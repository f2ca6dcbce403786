/** How much of the credit limit the client owes, as a share and in words. */

import { formatPercent } from "./words.js";

// Where the policy as delivered begins to name the use as a reason (30 % of the limit), and to call
// it high (60 %); the words inform the analyst, the decision is the policy's.
const BANDS = [
  { holds: (percent) => percent <= 30, words: "baixo" },
  { holds: (percent) => percent < 60, words: "moderado" },
  { holds: (percent) => percent <= 100, words: "alto" },
  { holds: () => true, words: "acima do limite" },
];

const BOUNDS = [30, 60, 100];

/**
 * Compare balance and limit, both in R$.
 *
 * Returns `{ share, words }`, `share` being balance over limit (1 = the whole limit), or
 * null when either amount is missing or the limit is zero.
 */
export function utilisation(balance, limit) {
  if (balance === undefined || !(limit > 0)) return null;
  // In whole cents, as the policy compares them: as doubles have it 2.01 is less than 60 % of 3.35.
  const [owed, whole] = [Math.round(balance * 100), Math.round(limit * 100)];
  const percent = (100 * owed) / whole;
  const { words } = BANDS.find(({ holds }) => holds(percent));
  return { share: owed / whole, words: `${formatPercent(percent, ...BOUNDS)} (${words})` };
}
