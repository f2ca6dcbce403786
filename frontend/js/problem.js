/**
 * What went wrong with a request, in words that say what to do next.
 *
 * Reads the service's `application/problem+json` and stands in for answers that carry none
 * (a gateway's error page, a lost network). Knows nothing of documents.
 */

/**
 * A request that did not get its answer. `retryAfter` is in seconds, null when unknown; `kind`
 * is the service's stable name of such problems, and `code` names this request in its log: null when
 * nothing answered.
 */
export class Problem extends Error {
  constructor({ errors = [], reviews = [], retryAfter = null, kind = null, code = null, ...told }) {
    super(told.title);
    Object.assign(this, { ...told, errors, reviews, retryAfter, kind, code });
  }
}

const LONGEST_WAIT_SECONDS = 120;

const STAND_INS = {
  0: ["Sem resposta do serviço", "Verifique a conexão. O que você digitou continua aqui."],
  404: ["Avaliação não encontrada", "Confira o endereço ou procure no histórico."],
  409: ["Este pedido já está sendo avaliado", "A resposta virá na próxima tentativa."],
  413: ["Pedido grande demais", "Encurte o texto e envie de novo."],
  422: ["Há algo a corrigir", "Confira os campos e envie de novo."],
  429: ["Muitos pedidos ao mesmo tempo", "Aguarde um instante antes de enviar outro pedido."],
  503: ["Serviço indisponível no momento", "Nada foi decidido e nada se perdeu."],
};
const UNEXPECTED = ["O serviço não conseguiu responder", "Tente de novo em instantes."];

/** The problem that an HTTP answer tells; `body` is its parsed JSON, or null, `requestId` its header. */
export function problemFromAnswer(status, body, retryAfterHeader, requestId = null) {
  const [title, detail] = STAND_INS[status] ?? UNEXPECTED;
  return new Problem({
    status,
    title: body?.title ?? title,
    detail: body?.detail ?? detail,
    errors: (body?.erros ?? []).map(fieldError),
    reviews: body?.revisoes ?? [],
    retryAfter: readRetryAfter(retryAfterHeader),
    kind: body?.codigo ?? null,
    code: body?.instance ?? requestId,
  });
}

/** The problem of a request that got no answer at all: network down, or too slow. */
export function problemOfSilence() {
  const [title, detail] = STAND_INS[0];
  return new Problem({ status: 0, title, detail });
}

/** Seconds to wait as a `Retry-After` header gives them, bounded; null when it says nothing. */
export function readRetryAfter(header) {
  const seconds = Number.parseInt(header ?? "", 10);
  return Number.isNaN(seconds) ? null : Math.min(Math.max(seconds, 0), LONGEST_WAIT_SECONDS);
}

/** Whether the same request may succeed later without being changed. */
export function isPassing(problem) {
  return [0, 409, 429].includes(problem.status) || problem.status >= 500;
}

// A file's problems point to its lines, which no field stands beside.
const LINE_NUMBER = /^\d+$/;

function fieldError({ pointer, detail }) {
  const field = fieldOf(pointer ?? "");
  return { field, message: LINE_NUMBER.test(field) ? detail : withoutLabel(detail) };
}

/**
 * A sentence without the field that the service names in it ("Nome: preencha este campo."): beside the
 * field itself that name would stand twice.
 */
export function withoutLabel(detail) {
  const sentence = detail.replace(/^[^:.]+: /, "");
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

// RFC 6901, in its URI fragment form: "#/credit_limit" names the member "credit_limit".
function fieldOf(pointer) {
  const name = decodeURIComponent(pointer.replace(/^#?\/?/, "")).split("/")[0];
  return name.replaceAll("~1", "/").replaceAll("~0", "~") || null;
}
