"""Every error as RFC 9457 problem+json: one table from our errors to status, title and detail.

The only module that knows status codes of errors.
"""

import logging
from dataclasses import dataclass, field, replace
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from operator import attrgetter
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from evaluation_api.decision import errors
from evaluation_api.runtime.identity import new_id
from evaluation_api.runtime.request_ids import request_id
from evaluation_api.runtime.security_headers import SECURITY_HEADERS
from evaluation_api.web import answers, requests
from evaluation_api.web.contract import Revisao, about
from evaluation_api.web.pages import ProblemResponse, templates

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Where every problem is explained, each under its code.
PAGE: Final = "/docs/problemas"


@dataclass(slots=True)
class Erro:
    """Um campo que não foi aceito."""

    pointer: Annotated[str, about("Onde está (RFC 6901)", "#/balance")]
    detail: Annotated[str, about("O que corrigir")]


@dataclass(slots=True)
class Problema:
    """O corpo de todo erro (RFC 9457)."""

    title: Annotated[str, about("Que problema é")]
    status: Annotated[int, about("Código HTTP", 422)]
    detail: Annotated[str, about("O que houve e o que fazer")]
    instance: Annotated[str, about("Código do pedido, como em X-Request-ID")]
    type: Annotated[
        str,
        about(
            "Onde o problema é explicado: um endereço deste serviço",
            "/docs/problemas#dados_nao_aceitos",
        ),
    ]
    codigo: Annotated[
        str,
        about(
            "Código estável do problema, para programas; o título pode mudar", "dados_nao_aceitos"
        ),
    ]
    erros: Annotated[list[Erro], about("Os campos que não foram aceitos")] = field(
        default_factory=list
    )
    total_de_erros: Annotated[
        int | None, about("Quantos são, se erros traz apenas os primeiros")
    ] = None
    revisoes: Annotated[list[Revisao], about("As que há, quando quem revisa não viu alguma")] = (
        field(default_factory=list)
    )


_PROBLEMA: Final = TypeAdapter(Problema)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    code: str
    title: str
    detail: str
    retry_after_seconds: int | None = None


#: A read may be refused as well as a write: of neither is said that nothing was recorded, where
#: both are told the same.
_ANSWERS = {
    errors.InvalidRequestError: _Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "dados_nao_aceitos",
        "Dados não aceitos",
        "Alguns campos precisam de correção; o pedido não foi atendido.",
    ),
    errors.MalformedJsonError: _Answer(
        HTTPStatus.BAD_REQUEST,
        "json_invalido",
        "JSON inválido",
        "O corpo do pedido não é um JSON válido.",
    ),
    errors.ModelError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "avaliacao_indisponivel",
        "Avaliação indisponível",
        "O serviço do modelo não está respondendo, e o pedido não foi atendido. Tente de novo em"
        " instantes.",
        retry_after_seconds=2,
    ),
    errors.RecordUnavailableError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "registro_indisponivel",
        "Registro indisponível",
        "O banco de dados não está respondendo, e nenhuma decisão é dada sem registro."
        " Tente de novo em instantes.",
        retry_after_seconds=5,
    ),
    # Without Retry-After: who has no key and repeats would be evaluated twice.
    errors.RecordUncertainError: _Answer(
        HTTPStatus.GATEWAY_TIMEOUT,
        "registro_incerto",
        "Registro não confirmado",
        "O banco de dados não confirmou a tempo se o pedido foi registrado. Tente de novo em"
        " instantes: com a mesma chave de idempotência, nada acontece duas vezes; sem chave,"
        " procure antes no histórico.",
    ),
    errors.OverloadedError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "servico_ocupado",
        "Serviço ocupado",
        "Há muitos pedidos neste momento, e este não foi atendido. Tente de novo em instantes.",
        retry_after_seconds=1,
    ),
    errors.ManyFilesError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "arquivos_demais",
        "Arquivos demais ao mesmo tempo",
        "Outros arquivos estão sendo enviados ou baixados. Tente de novo em instantes.",
        retry_after_seconds=10,
    ),
    errors.EvaluationNotFoundError: _Answer(
        HTTPStatus.NOT_FOUND,
        "avaliacao_nao_encontrada",
        "Avaliação não encontrada",
        "Não há avaliação com esse código.",
    ),
    errors.EvaluationPendingError: _Answer(
        HTTPStatus.CONFLICT,
        "avaliacao_pendente",
        "Avaliação pendente",
        "Ainda não há decisão a revisar. Aguarde a avaliação e tente de novo.",
        retry_after_seconds=1,
    ),
    errors.EvaluationErasedError: _Answer(
        HTTPStatus.GONE,
        "dados_apagados",
        "Dados apagados",
        "Os dados desta pessoa foram apagados, e sem eles não há o que revisar. A decisão permanece"
        " como está; nada foi registrado.",
    ),
    errors.EvaluationCorrectedError: _Answer(
        HTTPStatus.CONFLICT,
        "avaliacao_corrigida",
        "Avaliação corrigida",
        "Os dados desta pessoa foram corrigidos, e outra avaliação vale no lugar desta. Revise a"
        " que vale; nada foi registrado.",
    ),
    errors.UnseenReviewsError: _Answer(
        HTTPStatus.CONFLICT,
        "revisoes_nao_vistas",
        "Há revisões que você não viu",
        "Outra pessoa revisou esta avaliação. Veja as revisões e decida de novo; a sua não foi"
        " registrada.",
    ),
    errors.UnknownPlaceError: _Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "lugar_desconhecido",
        "Lugar desconhecido",
        "Este registro nunca deu o lugar que está em depois_de: é de outro, ou o registro voltou"
        " a uma cópia anterior. Recomece de um lugar anterior, ou de 0.",
    ),
    errors.PolicyNotFoundError: _Answer(
        HTTPStatus.NOT_FOUND,
        "politica_nao_encontrada",
        "Política não encontrada",
        "Nenhuma política dessa versão decidiu neste registro.",
    ),
    errors.ModelNotMetError: _Answer(
        HTTPStatus.NOT_FOUND,
        "modelo_nao_encontrado",
        "Modelo não encontrado",
        "Nenhum modelo dessa versão respondeu a este registro.",
    ),
    errors.ClientFileErasedError: _Answer(
        HTTPStatus.GONE,
        "arquivo_apagado",
        "Arquivo apagado",
        "Os dados de uma pessoa que veio neste arquivo foram apagados, e com eles o arquivo e o"
        " resultado. As avaliações dos outros clientes permanecem no histórico.",
    ),
    errors.ClientFileNotFoundError: _Answer(
        HTTPStatus.NOT_FOUND,
        "lote_nao_encontrado",
        "Arquivo não encontrado",
        "Não há arquivo com esse código.",
    ),
    errors.ClientFileStateError: _Answer(
        HTTPStatus.CONFLICT,
        "lote_em_outra_situacao",
        "Não é possível agora",
        "A situação do arquivo não permite isso. Veja a situação atual e tente de novo.",
    ),
    errors.FileTooLargeError: _Answer(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "arquivo_grande_demais",
        "Arquivo grande demais",
        "Um arquivo pode ter até 200 MB e 1.000.000 de linhas. Divida-o em partes.",
    ),
    errors.UnidentifiedError: _Answer(
        HTTPStatus.UNAUTHORIZED,
        "identificacao_necessaria",
        "Identificação necessária",
        "Entre pela página de entrada ou, de outro sistema, envie sua chave no cabeçalho"
        " Authorization: Bearer. O pedido não foi atendido.",
    ),
    errors.LinkGoneError: _Answer(
        HTTPStatus.UNAUTHORIZED,
        "link_sem_validade",
        "Link sem validade",
        "Cada link de entrada vale uma única vez, e por pouco tempo. Peça outro a quem cuida do"
        " serviço.",
    ),
    errors.ProviderUnavailableError: _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provedor_indisponivel",
        "Entrada indisponível",
        "O provedor de identidade da empresa não está respondendo. Tente de novo em instantes.",
        retry_after_seconds=5,
    ),
    errors.NotAllowedError: _Answer(
        HTTPStatus.FORBIDDEN,
        "sem_permissao",
        "Sem permissão",
        "Seu papel não permite isso; o pedido não foi atendido.",
    ),
    errors.OwnEvaluationError: _Answer(
        HTTPStatus.FORBIDDEN,
        "avaliacao_propria",
        "Avaliação própria",
        "Quem fez uma avaliação não pode revisá-la. Nada foi registrado; peça a outra pessoa.",
    ),
    errors.RateExceededError: _Answer(
        HTTPStatus.TOO_MANY_REQUESTS,
        "pedidos_demais",
        "Pedidos demais",
        "Você fez muitos pedidos em pouco tempo, e este não foi atendido. Tente de novo em"
        " instantes.",
        retry_after_seconds=1,
    ),
    errors.IdempotencyKeyReusedError: _Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "chave_ja_usada",
        "Chave já usada",
        "Essa chave de idempotência já foi usada com outros dados.",
    ),
    errors.IdempotencyKeyInFlightError: _Answer(
        HTTPStatus.CONFLICT,
        "pedido_em_andamento",
        "Pedido em andamento",
        "O primeiro pedido com essa chave ainda está sendo respondido.",
        retry_after_seconds=1,
    ),
}

_OF_HTTP: Final = (
    _ANSWERS[errors.MalformedJsonError],
    _Answer(
        HTTPStatus.FORBIDDEN,
        "pedido_de_outra_pagina",
        "Pedido de outra página",
        "Uma página de outro endereço não pode mudar nada aqui. Nada foi registrado.",
    ),
    _Answer(
        HTTPStatus.NOT_FOUND,
        "pagina_nao_encontrada",
        "Página não encontrada",
        "Não há nada neste endereço.",
    ),
    _Answer(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "metodo_nao_permitido",
        "Método não permitido",
        "Este endereço não aceita esse método HTTP.",
    ),
    _Answer(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "pedido_grande_demais",
        "Pedido grande demais",
        f"O corpo do pedido pode ter até {requests.MAX_BODY_BYTES // 1024} KB.",
    ),
    _Answer(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "tipo_nao_aceito",
        "Tipo de conteúdo não aceito",
        "Envie o cabeçalho Content-Type: application/json ou, para um arquivo, text/csv; e o corpo"
        " sem compressão, sem o cabeçalho Content-Encoding.",
    ),
    _Answer(
        HTTPStatus.MISDIRECTED_REQUEST,
        "host_desconhecido",
        "Endereço desconhecido",
        "O servidor não conhece o nome pelo qual foi chamado: falta em WEB_HOST, no arquivo .env,"
        " ou em EVALUATION_ALLOWED_HOSTS.",
    ),
)
_ACCEPTED: Final = {
    "Accept": "application/json, text/csv, application/octet-stream",
    "Accept-Encoding": "identity",
}
#: A status of HTTP's that explains itself.
_OTHER: Final = "outro"
_HTTP: Final = {answer.status: answer for answer in _OF_HTTP}
#: What the gateway alone answers (deploy/nginx/problems.conf).
_OF_THE_GATEWAY: Final = (
    _Answer(
        HTTPStatus.REQUEST_URI_TOO_LONG,
        "endereco_grande_demais",
        "Endereço ou cabeçalho grande demais",
        "O endereço ou os cabeçalhos do pedido passam do limite.",
    ),
    _Answer(
        HTTPStatus.TOO_MANY_REQUESTS,
        "muitos_pedidos",
        "Muitos pedidos",
        "Seu endereço fez muitos pedidos em pouco tempo, e este não foi atendido. Tente de novo em"
        " instantes.",
        retry_after_seconds=1,
    ),
    _Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "servico_indisponivel",
        "Serviço indisponível",
        "O serviço de avaliação não está respondendo. Tente de novo em instantes; com a mesma"
        " chave de idempotência, nada acontece duas vezes.",
        retry_after_seconds=2,
    ),
)
RETRY_AFTER: Final = {
    "description": "Segundos a esperar antes de tentar de novo",
    "schema": {"type": "integer", "minimum": 1},
}
_OF_EVERY_ROUTE: Final = (
    errors.InvalidRequestError,
    errors.OverloadedError,
    errors.RecordUnavailableError,
    errors.UnidentifiedError,
    errors.NotAllowedError,
)
_BROKEN_OFF = _Answer(
    HTTPStatus.BAD_REQUEST,
    "pedido_incompleto",
    "Pedido incompleto",
    "O pedido não chegou inteiro. Tente de novo.",
)
#: What is refused before there is a request that the application could answer.
_REFUSED: Final = {
    answer.status: answer
    for answer in (
        _ANSWERS[errors.OverloadedError],
        _Answer(
            HTTPStatus.BAD_REQUEST,
            "pedido_ilegivel",
            "Pedido ilegível",
            "O que chegou não é um pedido HTTP. Em um endereço, “João” se escreve Jo%C3%A3o.",
        ),
        _Answer(
            HTTPStatus.REQUEST_TIMEOUT,
            "pedido_incompleto",
            "Pedido incompleto",
            "O pedido demorou demais a chegar inteiro, e não foi atendido. Tente de novo.",
        ),
        _Answer(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "cabecalho_grande_demais",
            "Cabeçalho grande demais",
            "O cabeçalho do pedido pode ter até 64 KB e 100 campos.",
        ),
    )
}
_SECURITY_HEADERS: Final = b"".join(b"%s: %s\r\n" % header for header in SECURITY_HEADERS)
#: Stands for a request's id, as long as one.
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
_UNEXPECTED = _Answer(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "erro_inesperado",
    "Erro inesperado",
    "Algo deu errado do nosso lado. Informe o código do pedido a quem cuida do serviço.",
)


Cause = type[errors.EvaluationError] | HTTPStatus
Responses = dict[int | str, dict[str, Any]]


def described(*causes: Cause) -> Responses:
    """Return how FastAPI is told of these problems, and of those that any route may answer."""
    described: Responses = {
        "default": {"model": Problema, "description": "Outro problema"},
        # The gateway's.
        429: _described("Muitos pedidos (muitos_pedidos)", retry=True),
    }
    for cause in (*causes, *_OF_EVERY_ROUTE):
        answer = _ANSWERS[cause] if isinstance(cause, type) else _HTTP[cause]
        known = described.get(int(answer.status), {"description": ""})["description"]
        title = "; ".join(filter(None, [known, f"{answer.title} ({answer.code})"]))
        described[int(answer.status)] = _described(title, retry=bool(answer.retry_after_seconds))
    return described


def _described(title: str, *, retry: bool) -> dict[str, Any]:
    headers = {"headers": {"Retry-After": RETRY_AFTER}} if retry else {}
    return {"model": Problema, "description": title, **headers}


def install(app: FastAPI) -> None:
    """Have every error that is foreseen answered as a problem; unexpected() answers the others.

    The outage in the application's state is told who is answered that there is no record.
    """
    app.add_exception_handler(errors.EvaluationError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_fastapi)
    app.add_exception_handler(HTTPException, _of_starlette)


async def _of_ours(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, errors.EvaluationError)  # noqa: S101 - what it is installed for
    if isinstance(exc, errors.RecordUnavailableError):
        request.app.state.outage.refuse(exc)
    return foreseen(exc)


async def _of_fastapi(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - what it is installed for
    found = [{**error, "loc": error["loc"][1:]} for error in exc.errors()]
    if not any(error["loc"] for error in found) and found[0]["type"] == "missing":
        return foreseen(errors.MalformedJsonError("an empty body"))
    return foreseen(requests.refusal(found))


async def _of_starlette(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101 - what it is installed for
    response = of_status(HTTPStatus(exc.status_code), str(exc.detail))
    response.headers.update(exc.headers or {})
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed(request))
    return response


def _allowed(request: Request) -> list[str]:
    """Return all that an address takes: Starlette names what its first route takes, or nothing."""
    path = getattr(request.scope.get("route"), "path", None)
    described = request.app.openapi()["paths"].get(path, {"get": {}})
    methods = {method.upper() for method in described}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def of_status(status: HTTPStatus, detail: str = "") -> Response:
    """Answer with a status of HTTP's own. detail: for one that has no words here."""
    other = _Answer(status, _OTHER, status.phrase, detail)
    response = _problem(_HTTP.get(status, other))
    if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        response.headers.update(_ACCEPTED)
    return response


def foreseen(exc: errors.EvaluationError) -> Response:
    """Answer one of our errors with its problem."""
    answer = next(_ANSWERS[kind] for kind in type(exc).__mro__ if kind in _ANSWERS)
    if isinstance(exc, errors.UnseenReviewsError):
        return _problem(answer, revisoes=[answers.review(one) for one in exc.reviews])
    if isinstance(exc, errors.RateExceededError):
        return _problem(replace(answer, retry_after_seconds=ceil(exc.wait_seconds)))
    if isinstance(exc, errors.UnidentifiedError):
        response = _problem(answer)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    if not isinstance(exc, errors.InvalidRequestError):
        return _problem(answer)
    named = [Erro(field.pointer, field.detail) for field in exc.fields]
    if len(named) == exc.count:
        return _problem(answer, erros=named)
    some = f"{answer.detail} Aqui estão {len(named)} de {exc.count}."
    return _problem(replace(answer, detail=some), erros=named, total_de_erros=exc.count)


def unexpected(exc: Exception) -> Response:
    """Log what nobody caught, and answer with a problem that names the request alone.

    A caller who hung up while sending reads no answer, and is no fault of the service: its status
    is for the metrics.
    """
    if isinstance(exc, ClientDisconnect):
        return _problem(_BROKEN_OFF)
    logger.error("unexpected_error", exc_info=exc)
    return _problem(_UNEXPECTED)


def refusal(status: HTTPStatus) -> bytes:
    """Return the whole HTTP answer, head and body, to what the application never sees.

    After any but 503 the connection is of no more use.
    """
    return _refusal_of(status).replace(_NOBODY.encode(), new_id().encode())


@lru_cache(maxsize=len(_REFUSED))
def _refusal_of(status: HTTPStatus) -> bytes:
    """Return it with nobody's id: all else is the same each time."""
    answer = _REFUSED[status]
    body = _encode(_told(answer, _NOBODY))
    lines = [f"HTTP/1.1 {status} {status.phrase}", f"content-type: {MEDIA_TYPE}"]
    lines.append("retry-after: 1" if answer.retry_after_seconds else "connection: close")
    lines += [f"content-length: {len(body)}", f"x-request-id: {_NOBODY}", ""]
    return b"%s%s\r\n%s" % ("\r\n".join(lines).encode(), _SECURITY_HEADERS, body)


def documented() -> list[_Answer]:
    """Return every problem, of each code one, in the order of their statuses."""
    rows = (*_OF_THE_GATEWAY, *_REFUSED.values(), *_ANSWERS.values(), *_OF_HTTP, _UNEXPECTED)
    return sorted({answer.code: answer for answer in rows}.values(), key=attrgetter("status"))


async def show_all(_: Request) -> Response:
    """Show the page that explains every problem."""
    page = templates.get_template("problemas.html")
    return HTMLResponse(page.render(problems=documented()))


def _problem(answer: _Answer, **more: Any) -> Response:  # noqa: ANN401 - fields of Problema
    body = replace(_told(answer, request_id.get()), **more)
    headers = {}
    if answer.retry_after_seconds is not None:
        headers["Retry-After"] = str(answer.retry_after_seconds)
    return ProblemResponse(_encode(body), answer.status, headers, MEDIA_TYPE)


def _told(answer: _Answer, instance: str) -> Problema:
    explained = f"{PAGE}#{answer.code}" if answer.code != _OTHER else "about:blank"
    return Problema(answer.title, answer.status, answer.detail, instance, explained, answer.code)


def _encode(problem: Problema) -> bytes:
    return _PROBLEMA.dump_json(problem, exclude_defaults=True)
