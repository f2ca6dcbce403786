/** What the page says of a batch: its state, how far it is, how long it takes. No document. */

import { formatCount, formatShare } from "./words.js";

const STATES = {
  conferindo: "Em conferência",
  com_perguntas: "Com perguntas",
  recusado: "Recusado",
  pronto: "Pronto para começar",
  em_andamento: "Em andamento",
  pausado: "Pausado",
  cancelado: "Cancelado",
  concluido: "Concluído",
};

const ENCODINGS = {
  "utf-8": "UTF-8",
  "utf-8-sig": "UTF-8 com marca (BOM)",
  "windows-1252": "Latin-1 (Windows-1252)",
};
const SEPARATORS = { ",": "vírgula", ";": "ponto e vírgula", "\t": "tabulação", "|": "barra vertical" };
const DECIMALS = { ",": "vírgula, como 1.234,56", ".": "ponto, como 1234.56" };

/** The steps that a state allows, in the order of their buttons. */
const STEPS = {
  conferindo: ["cancelar"],
  com_perguntas: ["cancelar"],
  pronto: ["iniciar", "cancelar"],
  em_andamento: ["pausar", "cancelar"],
  pausado: ["retomar", "cancelar"],
};

const FIRST_LOOK_SECONDS = 0.2;
const LONGEST_LOOK_SECONDS = 1;

const ANNOUNCED_QUARTERS = 4;

export const stateWords = (state) => STATES[state] ?? state;
export const stepsOf = (state) => STEPS[state] ?? [];
export const isOver = (state) => ["concluido", "cancelado", "recusado"].includes(state);
/** Whether a state changes by itself, so that it is worth another look. */
export const isMoving = (state) => state === "conferindo" || state === "em_andamento";

/** What stands in the way of a batch that cannot begin yet; nothing for one that can. */
export function obstacleWords(batch) {
  if (batch.situacao === "conferindo") return waitWords(batch) || "O arquivo está sendo conferido.";
  return batch.recusa ?? batch.perguntas.map(({ frase }) => frase).join(" ");
}

/** How the file is written, as pairs of a term and its words. */
export function formatPairs({ codificacao, separador, decimal }) {
  return [
    ["Codificação", ENCODINGS[codificacao] ?? codificacao],
    ["Separador de colunas", SEPARATORS[separador] ?? separador],
    ["Decimais", DECIMALS[decimal] ?? decimal],
  ];
}

/** Seconds left, in words that do not change with every look. */
export function timeLeftWords(seconds) {
  if (seconds === null || seconds === undefined) return "calculando";
  if (seconds < 10) return "poucos segundos";
  if (seconds < 60) return `cerca de ${Math.ceil(seconds / 10) * 10} segundos`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return minutes === 1 ? "cerca de 1 minuto" : `cerca de ${minutes} minutos`;
  const hours = Math.round(minutes / 60);
  return hours === 1 ? "cerca de 1 hora" : `cerca de ${hours} horas`;
}

/** Lines counted, in words. */
export function linesWords(count) {
  return count === 1 ? "1 linha" : `${formatCount(count)} linhas`;
}

/** Seconds until look number `count` (from 0): a small batch is over at once, a large one takes long. */
export function lookDelay(count) {
  return Math.min(FIRST_LOOK_SECONDS * 2 ** count, LONGEST_LOOK_SECONDS);
}

/** The part of the lines that is done, from 0 to 1. */
export function shareDone({ feitas, linhas }) {
  return linhas > 0 ? feitas / linhas : 0;
}

/**
 * What to say aloud of a batch: its state, and while it runs each quarter that is done.
 *
 * The same words come back as long as nothing is worth saying, so that who compares them stays
 * silent.
 */
export function announcement(batch) {
  const words = `${batch.nome}: ${stateWords(batch.situacao).toLowerCase()}`;
  if (batch.situacao === "concluido") {
    return `${words}, ${linesWords(batch.decididas)} com decisão e ${linesWords(batch.com_erro)} com erro.`;
  }
  if (batch.situacao !== "em_andamento") return `${words}.`;
  const quarters = Math.floor(shareDone(batch) * ANNOUNCED_QUARTERS);
  return `${words}, ${formatShare(quarters / ANNOUNCED_QUARTERS)}.`;
}

const AWAITED = {
  modelo: "do serviço do modelo, que não responde",
  registro: "do banco de dados, que não está gravando",
  trabalhador: "de quem avalia arquivos: nenhum trabalhador está em execução",
};

/** What a batch that stands still is in want of; nothing while it goes on. */
export function waitWords({ espera }) {
  return AWAITED[espera] ? `À espera ${AWAITED[espera]}` : "";
}

/** A tenth of the confidence, named: "0,3 a 0,4". */
export function tenthWords(place) {
  const figure = (tenths) => (tenths === 10 ? "1" : `0,${tenths}`);
  return `${figure(place)} a ${figure(place + 1)}`;
}
