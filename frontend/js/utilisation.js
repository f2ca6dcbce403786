/** How much of the credit limit the client owes, as a share and in words. */

// Where the policy as delivered begins to name the use as a reason (30 % of the limit), and to call
// it high (60 %); the words inform the analyst, the decision is the policy's.
const BANDS = [
  { holds: (share) => share <= 0.3, words: "baixo" },
  { holds: (share) => share < 0.6, words: "moderado" },
  { holds: (share) => share <= 1, words: "alto" },
  { holds: () => true, words: "acima do limite" },
];

// Beyond it the exact figure says nothing more, and takes a line of zeros.
const LARGEST_SHARE_IN_WORDS = 10;

const percent = new Intl.NumberFormat("pt-BR", { style: "percent", maximumFractionDigits: 0 });

/**
 * Compare balance and limit, both in R$.
 *
 * Returns `{ share, words }`, `share` being balance over limit (1 = the whole limit), or
 * null when either amount is missing or the limit is zero.
 */
export function utilisation(balance, limit) {
  if (balance === undefined || !(limit > 0)) return null;
  const share = balance / limit;
  const { words } = BANDS.find(({ holds }) => holds(share));
  return { share, words: `${shareWords(share)} (${words})` };
}

function shareWords(share) {
  const most = percent.format(LARGEST_SHARE_IN_WORDS);
  return share > LARGEST_SHARE_IN_WORDS ? `mais de ${most}` : percent.format(share);
}
