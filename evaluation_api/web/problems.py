"""Every error as RFC 9457 problem+json: what problem_table.py says of it, with what it names."""

import logging
from dataclasses import dataclass, field, replace
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from evaluation_api.decision import errors
from evaluation_api.runtime.identity import new_id, request_id
from evaluation_api.runtime.observation import SECURITY_HEADERS
from evaluation_api.web import answers, requests
from evaluation_api.web.contract import Revisao, about
from evaluation_api.web.pages import ProblemResponse, templates
from evaluation_api.web.problem_table import (
    ANSWERS,
    BROKEN_OFF,
    OF_STATUS,
    OTHER,
    REFUSED,
    UNEXPECTED,
    Answer,
    documented,
)

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


def header(description: str) -> dict[str, Any]:
    """Return how FastAPI is told of an answer's header that is a text."""
    return {"description": description, "schema": {"type": "string"}}


RETRY_AFTER: Final = {
    "description": "Segundos a esperar antes de tentar de novo",
    "schema": {"type": "integer", "minimum": 1},
}
#: What answers of a status say beside their problem: each header's value, and what it means.
_HEADERS: Final[dict[int, dict[str, tuple[str, str]]]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": ("Bearer", "Como se identificar")},
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: {
        "Accept": (
            "application/json, text/csv, application/octet-stream",
            "Os tipos de conteúdo aceitos",
        ),
        "Accept-Encoding": ("identity", "A codificação aceita"),
    },
}
_OF_EVERY_ROUTE: Final = (
    errors.InvalidRequestError,
    errors.OverloadedError,
    errors.RecordUnavailableError,
    errors.UnidentifiedError,
    errors.NotAllowedError,
)
#: Of a route that takes a body of JSON.
OF_A_BODY: Final = (
    errors.MalformedJsonError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
_SECURITY_HEADERS: Final = b"".join(b"%s: %s\r\n" % header for header in SECURITY_HEADERS)
#: Stands for a request's id, as long as one.
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
Cause = type[errors.EvaluationError] | HTTPStatus
Responses = dict[int | str, dict[str, Any]]


def described(*causes: Cause) -> Responses:
    """Return how FastAPI is told of these problems, and of those that any route may answer."""
    described: Responses = {
        "default": {"model": Problema, "description": "Outro problema"},
        # The gateway's.
        429: _described(
            HTTPStatus.TOO_MANY_REQUESTS, "Muitos pedidos (muitos_pedidos)", retry=True
        ),
    }
    for cause in (*causes, *_OF_EVERY_ROUTE):
        answer = ANSWERS[cause] if isinstance(cause, type) else OF_STATUS[cause]
        known = described.get(int(answer.status), {"description": ""})["description"]
        title = "; ".join(filter(None, [known, f"{answer.title} ({answer.code})"]))
        retry = bool(answer.retry_after_seconds)
        described[int(answer.status)] = _described(answer.status, title, retry=retry)
    return described


def _described(status: int, title: str, *, retry: bool) -> dict[str, Any]:
    own = _HEADERS.get(status, {}).items()
    headers: dict[str, Any] = {name: header(meaning) for name, (_, meaning) in own}
    headers |= {"Retry-After": RETRY_AFTER} if retry else {}
    return {"model": Problema, "description": title, **({"headers": headers} if headers else {})}


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
    other = Answer(status, OTHER, status.phrase, detail)
    return _problem(OF_STATUS.get(status, other))


def foreseen(exc: errors.EvaluationError) -> Response:
    """Answer one of our errors with its problem."""
    answer = next(ANSWERS[kind] for kind in type(exc).__mro__ if kind in ANSWERS)
    if isinstance(exc, errors.UnseenReviewsError):
        return _problem(answer, revisoes=[answers.review(one) for one in exc.reviews])
    if isinstance(exc, errors.NoEntryError):
        answer = replace(answer, detail=exc.told)
    if isinstance(exc, errors.RateExceededError):
        return _problem(replace(answer, retry_after_seconds=ceil(exc.wait_seconds)))
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
        return _problem(BROKEN_OFF)
    logger.error("unexpected_error", exc_info=exc)
    return _problem(UNEXPECTED)


def refusal(status: HTTPStatus) -> bytes:
    """Return the whole HTTP answer, head and body, to what the application never sees.

    After any but 503 the connection is of no more use.
    """
    return _refusal_of(status).replace(_NOBODY.encode(), new_id().encode())


@lru_cache(maxsize=len(REFUSED))
def _refusal_of(status: HTTPStatus) -> bytes:
    """Return it with nobody's id: all else is the same each time."""
    answer = REFUSED[status]
    body = _encode(_told(answer, _NOBODY))
    lines = [f"HTTP/1.1 {status} {status.phrase}", f"content-type: {MEDIA_TYPE}"]
    lines.append("retry-after: 1" if answer.retry_after_seconds else "connection: close")
    lines += [f"content-length: {len(body)}", f"x-request-id: {_NOBODY}", ""]
    return b"%s%s\r\n%s" % ("\r\n".join(lines).encode(), _SECURITY_HEADERS, body)


async def show_all(_: Request) -> Response:
    """Show the page that explains every problem."""
    page = templates.get_template("problemas.html")
    return HTMLResponse(page.render(problems=documented()))


def _problem(answer: Answer, **more: Any) -> Response:  # noqa: ANN401 - fields of Problema
    body = replace(_told(answer, request_id.get()), **more)
    headers = {name: value for name, (value, _) in _HEADERS.get(answer.status, {}).items()}
    if answer.retry_after_seconds is not None:
        headers["Retry-After"] = str(answer.retry_after_seconds)
    return ProblemResponse(_encode(body), answer.status, headers, MEDIA_TYPE)


def _told(answer: Answer, instance: str) -> Problema:
    explained = f"{PAGE}#{answer.code}" if answer.code != OTHER else "about:blank"
    return Problema(answer.title, answer.status, answer.detail, instance, explained, answer.code)


def _encode(problem: Problema) -> bytes:
    return _PROBLEMA.dump_json(problem, exclude_defaults=True)
