/** How much of the credit limit the client owes, as a share and in words. */

// Bands of everyday credit advice (30 % and 70 % of the limit); they inform the analyst and
// play no part in the decision, which is the policy's.
const BANDS = [
  { upTo: 0.3, key: "low", words: "folgada" },
  { upTo: 0.7, key: "middle", words: "moderada" },
  { upTo: 1, key: "high", words: "alta" },
  { upTo: Infinity, key: "over", words: "acima do limite" },
];

// Beyond it the exact figure says nothing more, and takes a line of zeros.
const LARGEST_SHARE_IN_WORDS = 10;

const percent = new Intl.NumberFormat("pt-BR", { style: "percent", maximumFractionDigits: 0 });

/**
 * Compare balance and limit, both in R$.
 *
 * Returns `{ share, key, words }`, `share` being balance over limit (1 = the whole limit), or
 * null when either amount is missing or the limit is zero.
 */
export function utilisation(balance, limit) {
  if (balance === undefined || !(limit > 0)) return null;
  const share = balance / limit;
  const { key, words } = BANDS.find(({ upTo }) => share <= upTo);
  return { share, key, words: `${shareWords(share)} (${words})` };
}

function shareWords(share) {
  const most = percent.format(LARGEST_SHARE_IN_WORDS);
  return share > LARGEST_SHARE_IN_WORDS ? `mais de ${most}` : percent.format(share);
}
