/** What the service's codes and figures are called in Portuguese. */

/** Of a request that is kept until the model is back; no decision, neither a person's. */
export const AWAITING_THE_MODEL = "Aguardando o modelo";

export const DECISIONS = {
  aprovado: { key: "approved", word: "Aprovado" },
  analise_manual: { key: "manual", word: "Análise manual" },
  recusado: { key: "refused", word: "Recusado" },
};

// Below 0.05 a client may change profile when the model is trained again, which the policy has a
// remark for. The other two thresholds split the training clients: about a quarter lie below
// 0.20, and about four in ten above 0.50.
const CONFIDENCE = [
  { below: 0.05, words: "na fronteira" },
  { below: 0.2, words: "baixa" },
  { below: 0.5, words: "média" },
  { below: Infinity, words: "alta" },
];

// As many digits as the service tells a figure from a bound by.
const MOST_DIGITS = 11;
const upTo = (least, most) =>
  new Intl.NumberFormat("pt-BR", { minimumFractionDigits: least, maximumFractionDigits: most });
const ratios = Array.from({ length: MOST_DIGITS - 1 }, (_, more) => upTo(2, 2 + more));
const bound = new Intl.NumberFormat("pt-BR", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 4,
});
const wholePercent = new Intl.NumberFormat("pt-BR", { style: "percent", maximumFractionDigits: 0 });
const percents = Array.from({ length: MOST_DIGITS + 1 }, (_, most) => upTo(0, most));
// Beyond it the exact figure says nothing more, and takes a line of zeros.
const LARGEST_PERCENT = 1000;
const integer = new Intl.NumberFormat("pt-BR");
const moment = new Intl.DateTimeFormat("pt-BR", {
  dateStyle: "short",
  timeStyle: "medium",
  timeZone: "America/Sao_Paulo",
});
const date = new Intl.DateTimeFormat("pt-BR", {
  dateStyle: "short",
  timeZone: "America/Sao_Paulo",
});
const day = new Intl.DateTimeFormat("pt-BR", { dateStyle: "long", timeZone: "America/Sao_Paulo" });

/** The decision's key and word; an unknown code is shown as it came, never as approved. */
export function decisionWords(code) {
  if (Object.hasOwn(DECISIONS, code)) return DECISIONS[code];
  return { key: "pending", word: code ?? AWAITING_THE_MODEL };
}

/** Confidence from 0 to 1 in words; null is what a model without geometry gives. */
export function confidenceWords(confidence) {
  if (confidence === null || confidence === undefined) return "não calculada por este modelo";
  return CONFIDENCE.find(({ below }) => confidence < below).words;
}

/** Confidence as a figure that rounds to none of those where it is called otherwise. */
export function formatConfidence(confidence) {
  const bounds = CONFIDENCE.map(({ below }) => below);
  return (formatThatTells(ratios, confidence, bounds) ?? ratios[0]).format(confidence);
}

/** The first of some formats that shows a value other than each of the bounds, if any does. */
function formatThatTells(formats, value, bounds) {
  return formats.find((one) => !bounds.some((bound) => one.format(bound) === one.format(value)));
}

export const formatRatio = (value) => ratios[0].format(value);
/** A bound that the policy sets, as it sets it: 0,05 and 0,125. */
export const formatBound = (value) => bound.format(value);
export const formatShare = (value) => wholePercent.format(value);
export const formatCount = (value) => integer.format(value);

/** The service has rounded it before: 3.85 may have been 3.846, of which its sentence says 3,8%. */
const isHalfway = (value, digits) => ((value * 10 ** digits) % 1).toFixed(6) === "0.500000";

/** So many percent as a round figure (83.21 is 83%, 3.21 is 3,2%) that rounds to none of the bounds. */
export function formatPercent(value, ...bounds) {
  if (value > LARGEST_PERCENT) return `mais de ${integer.format(LARGEST_PERCENT)}%`;
  const fewest = value < 10 ? 1 : 0;
  const formats = percents.slice(isHalfway(value, fewest) ? fewest + 1 : fewest);
  const told = bounds.length > 0 ? formatThatTells(formats, value, bounds) : undefined;
  return `${(told ?? percents.at(-1)).format(value)}%`;
}

/** What names an evaluation on the telephone: the end of its id, which is random. */
export function protocolOf(id) {
  return id.slice(-8).toUpperCase().replace(/^(.{4})/, "$1 ");
}

export function capitalised(words) {
  return words.charAt(0).toLocaleUpperCase("pt-BR") + words.slice(1);
}

/** An RFC 3339 instant as the day and time in São Paulo. */
export function formatMoment(instant) {
  return moment.format(new Date(instant)).replace(",", "");
}

/** An instant as its day in São Paulo, in figures. */
export const formatDate = (instant) => date.format(new Date(instant));

/** What stands in the place of a person who was taken out of the record. */
export const erasedWords = (instant) => `Dados apagados em ${formatDate(instant)}`;

/** A date (`2026-11-01`, a whole day) or an instant as a day in words. */
export function formatDay(text) {
  return day.format(new Date(text.length === 10 ? `${text}T12:00:00-03:00` : text));
}
