/** What the page says of a batch: its state, how far it is, how long it takes. No document. */

import { formatMoney } from "./amounts.js";
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
  "utf-16-le": "UTF-16 (texto Unicode do Excel)",
  "utf-16-be": "UTF-16",
  "windows-1252": "Latin-1 (Windows-1252)",
  planilha: "Planilha do Excel, primeira aba",
  parquet: "Parquet",
};
const WITHOUT_TEXT = ["planilha", "parquet"];
const SEPARATORS = { ",": "vírgula", ";": "ponto e vírgula", "\t": "tabulação", "|": "barra vertical" };
const DECIMALS = { ",": "vírgula, como 1.234,56", ".": "ponto, como 1234.56" };

/** What a client's columns are called, in the order of the form. */
export const FIELDS = {
  nome: "Nome",
  saldo_devedor: "Saldo devedor",
  compras: "Compras",
  saques: "Saques",
  limite_de_credito: "Limite de crédito",
  pagamentos: "Pagamentos",
};

/** The same by what `formato.campos` calls them, as POST /avaliar does. */
export const FIELD_OF = {
  name: "nome",
  balance: "saldo_devedor",
  purchases: "compras",
  cash_advance: "saques",
  credit_limit: "limite_de_credito",
  payments: "pagamentos",
};

/** What may stand before the decimals. */
export const MARKS = { virgula: "Vírgula", ponto: "Ponto" };

/** Said of every file while nobody works on any. */
export const WORKER_AWAY =
  "O serviço que avalia arquivos está parado. O que for enviado fica guardado e continua assim que ele voltar. Se demorar, avise quem cuida do sistema.";

/** The steps that a state allows, in the order of their buttons. */
const STEPS = {
  conferindo: ["desistir"],
  com_perguntas: ["desistir"],
  pronto: ["iniciar", "desistir"],
  em_andamento: ["pausar", "cancelar"],
  pausado: ["retomar", "cancelar"],
};

const FIRST_LOOK_SECONDS = 0.2;
const LONGEST_LOOK_SECONDS = 0.5; // that nobody works on files is told within 2 s

const ANNOUNCED_QUARTERS = 4;

export const stateWords = (state) => STATES[state] ?? state;
export const isOver = (state) => ["concluido", "cancelado", "recusado"].includes(state);
/** Whether a state changes by itself, so that it is worth another look. */
export const isMoving = (state) => state === "conferindo" || state === "em_andamento";

/** The steps that a batch offers: one of which nothing is new does not begin. */
export function stepsOf({ situacao, conferencia }) {
  const steps = STEPS[situacao] ?? [];
  return conferencia?.a_avaliar === 0 ? steps.filter((step) => step !== "iniciar") : steps;
}

/** What stands in the way of a batch that cannot begin yet; nothing for one that can. */
export function obstacleWords(batch) {
  if (batch.recusa !== null) return batch.recusa;
  if (batch.situacao === "com_perguntas") return "Nada foi avaliado ainda. Antes é preciso responder ao que o arquivo não diz.";
  if (batch.situacao !== "conferindo") return "";
  const start = batch.comeca_sozinho ? " Depois, a avaliação começa sozinha." : "";
  return `${waitWords(batch) || "O arquivo está sendo conferido."}${start}`;
}

/** How the file is written, as pairs of a term and its words. */
export function formatPairs({ codificacao, separador, decimal }) {
  const format = ["Formato", ENCODINGS[codificacao] ?? codificacao];
  if (WITHOUT_TEXT.includes(codificacao)) return [format];
  return [
    format,
    ["Separador de colunas", SEPARATORS[separador] ?? separador],
    ["Decimais", DECIMALS[decimal] ?? decimal],
  ].filter(([, words]) => words);
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

/** How many lines a file has, once that is known; a list of no or one word. */
export function countWords({ linhas }) {
  return linhas > 0 ? [linesWords(linhas)] : [];
}

/** What a cell means with one mark before its decimals: "1,234 é R$ 1.234,00". */
export function markReading(cell, mark) {
  const [group, decimal] = mark === "virgula" ? [".", ","] : [",", "."];
  const value = cell.replace(/[^\d.,]/g, "").replaceAll(group, "").replace(decimal, ".");
  return `${cell} é ${formatMoney(Number(value))}`;
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
  if (waitWords(batch)) return `${words}. ${waitWords(batch)}`;
  if (batch.situacao === "pronto") {
    const { a_avaliar: waiting, com_erro: faulty } = batch.conferencia;
    return `${words}, ${linesWords(waiting)} a avaliar e ${linesWords(faulty)} com erro.`;
  }
  if (batch.situacao !== "em_andamento") return `${words}.`;
  const quarters = Math.floor(shareDone(batch) * ANNOUNCED_QUARTERS);
  return `${words}, ${formatShare(quarters / ANNOUNCED_QUARTERS)}.`;
}

const AWAITED = {
  modelo: "À espera do modelo, que não responde.",
  trabalhador: WORKER_AWAY,
};

/** What a batch that stands still is in want of; nothing while it goes on. */
export const waitWords = ({ espera }) => AWAITED[espera] ?? "";

/** A tenth of the confidence, named: "0,3 a 0,4". */
export function tenthWords(place) {
  const figure = (tenths) => (tenths === 10 ? "1" : `0,${tenths}`);
  return `${figure(place)} a ${figure(place + 1)}`;
}
