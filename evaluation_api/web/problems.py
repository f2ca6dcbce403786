"""Every error as RFC 9457 problem+json: one table from our errors to status, title and detail.

The only module that knows status codes of errors.
"""

import logging
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from evaluation_api.decision import errors
from evaluation_api.runtime.identity import new_id
from evaluation_api.runtime.observation import REFUSED, request_id

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Erro(msgspec.Struct):
    """One wrong field."""

    pointer: str
    detail: str


class Problema(msgspec.Struct, omit_defaults=True):
    """The body of every error. instance: the request's id, as in X-Request-ID."""

    title: str
    status: int
    detail: str
    instance: str
    type: str = "about:blank"
    erros: list[Erro] = []


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    title: str
    detail: str
    retry_after_seconds: int | None = None


_ANSWERS = {
    errors.InvalidRequestError: _Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Dados não aceitos",
        "Alguns campos precisam de correção. Nada foi registrado.",
    ),
    errors.MalformedJsonError: _Answer(
        HTTPStatus.BAD_REQUEST, "JSON inválido", "O corpo do pedido não é um JSON válido."
    ),
    errors.BodyTooLargeError: _Answer(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Pedido grande demais",
        "O corpo do pedido pode ter até 64 KB.",
    ),
    errors.ModelError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Avaliação indisponível",
        "O serviço do modelo não está respondendo. Nada foi registrado;"
        " tente de novo em instantes.",
        retry_after_seconds=2,
    ),
    errors.RecordUnavailableError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Registro indisponível",
        "O banco de dados não está respondendo, e nenhuma decisão é dada sem registro."
        " Tente de novo em instantes.",
        retry_after_seconds=5,
    ),
    errors.OverloadedError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Serviço ocupado",
        "Há pedidos demais neste momento. Nada foi registrado; tente de novo em instantes.",
        retry_after_seconds=1,
    ),
    errors.EvaluationNotFoundError: _Answer(
        HTTPStatus.NOT_FOUND, "Avaliação não encontrada", "Não há avaliação com esse código."
    ),
    errors.BatchNotFoundError: _Answer(
        HTTPStatus.NOT_FOUND, "Lote não encontrado", "Não há lote com esse código."
    ),
    errors.BatchStateError: _Answer(
        HTTPStatus.CONFLICT,
        "Não é possível agora",
        "A situação do lote não permite isso. Veja a situação atual e tente de novo.",
    ),
    errors.FileTooLargeError: _Answer(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Arquivo grande demais",
        "Um lote pode ter até 200 MB e 1.000.000 de linhas. Divida o arquivo em partes.",
    ),
    errors.IdempotencyKeyReusedError: _Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Chave já usada",
        "Essa chave de idempotência já foi usada com outros dados.",
    ),
    errors.IdempotencyKeyInFlightError: _Answer(
        HTTPStatus.CONFLICT,
        "Pedido em andamento",
        "O primeiro pedido com essa chave ainda está sendo respondido.",
        retry_after_seconds=1,
    ),
}

_HTTP = {
    HTTPStatus.NOT_FOUND: ("Página não encontrada", "Não há nada neste endereço."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "Método não permitido",
        "Este endereço não aceita esse método HTTP.",
    ),
}
_TURNED_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
    b"retry-after: 1\r\ncontent-length: %d\r\nx-request-id: %s\r\n\r\n%s"
)
_BROKEN_OFF = _Answer(
    HTTPStatus.BAD_REQUEST, "Pedido incompleto", "O pedido não chegou inteiro. Tente de novo."
)
_UNEXPECTED = _Answer(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Erro inesperado",
    "Algo deu errado do nosso lado. Informe o código do pedido a quem cuida do serviço.",
)


def install(app: FastAPI) -> None:
    """Have every error that is foreseen answered as a problem; unexpected() answers the others."""
    app.add_exception_handler(errors.EvaluationError, _of_ours)
    app.add_exception_handler(HTTPException, _of_starlette)


async def _of_ours(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, errors.EvaluationError)  # noqa: S101 - what it is installed for
    return foreseen(exc)


async def _of_starlette(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101 - what it is installed for
    status = HTTPStatus(exc.status_code)
    title, detail = _HTTP.get(status, (status.phrase, str(exc.detail)))
    response = _problem(_Answer(status, title, detail), [])
    response.headers.update(exc.headers or {})
    return response


def foreseen(exc: errors.EvaluationError) -> Response:
    """Answer one of our errors with its problem."""
    answer = next(_ANSWERS[kind] for kind in type(exc).__mro__ if kind in _ANSWERS)
    fields = exc.fields if isinstance(exc, errors.InvalidRequestError) else []
    return _problem(answer, [Erro(field.pointer, field.detail) for field in fields])


def unexpected(exc: Exception) -> Response:
    """Log what nobody caught, and answer with a problem that names the request alone.

    A caller who hung up while sending reads no answer, and is no fault of the service: its status
    is for the metrics.
    """
    if isinstance(exc, ClientDisconnect):
        return _problem(_BROKEN_OFF, [])
    logger.error("unexpected_error", exc_info=exc)
    return _problem(_UNEXPECTED, [])


def turn_away() -> bytes:
    """Give the whole HTTP answer to a request beyond what can be done, as server.Refusal."""
    identity = new_id()
    REFUSED.inc()
    answer = _ANSWERS[errors.OverloadedError]
    body = msgspec.json.encode(Problema(answer.title, answer.status, answer.detail, identity))
    return _TURNED_AWAY % (len(body), identity.encode(), body)


def _problem(answer: _Answer, fields: list[Erro]) -> Response:
    body = Problema(answer.title, answer.status, answer.detail, request_id.get(), erros=fields)
    headers = {}
    if answer.retry_after_seconds is not None:
        headers["Retry-After"] = str(answer.retry_after_seconds)
    return Response(msgspec.json.encode(body), answer.status, headers, MEDIA_TYPE)
