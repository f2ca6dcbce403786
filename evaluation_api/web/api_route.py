"""How every route of the API reads a request: FastAPI's own way, and stricter where it is lax.

Not for pages, probes and metrics, which are asked by whoever serves and watches them.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import cached_property
from http import HTTPStatus
from inspect import getdoc
from typing import Any, Final, TypeVar

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from evaluation_api.web import requests

T = TypeVar("T")

#: Between two looks whether an asker is still there; most answers come before the first.
_LOOK_SECONDS: Final = 0.1

#: What an endpoint of the fast path is given of the headers, in its order.
_READ: Final = (b"idempotency-key", b"prefer")

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


async def small_body(receive: Receive) -> bytes:
    """Return a body of up to MAX_BODY_BYTES, counted as it comes.

    Raises HTTPException, or ClientDisconnect.
    """
    body, is_more = b"", True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
        if len(body) > requests.MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return body


class ApiRequest(Request):
    """A request whose body, when asked for as a whole, is small and is JSON proper."""

    async def body(self) -> bytes:
        """Return a small body. Raises HTTPException."""
        if not hasattr(self, "_body"):
            self._body = await small_body(self.receive)
        return self._body

    async def json(self) -> Any:  # noqa: ANN401 - Starlette's own
        """Return a body as pydantic reads it: half of a UTF-16 pair is no text."""
        try:
            return from_json(await self.body())
        except ValueError as exc:
            raise HTTPException(HTTPStatus.BAD_REQUEST) from exc


class SummarizedRoute(APIRoute):
    """Has the first sentence of its endpoint's docstring for a summary."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **described: Any) -> None:  # noqa: ANN401 - FastAPI's own
        summary = (getdoc(endpoint) or "").partition(".")[0]
        super().__init__(path, endpoint, **{**described, "summary": summary})

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take HEAD where GET is taken; the server leaves the body out."""
        found, child_scope = super().matches(scope)
        if found is Match.PARTIAL and self._is_head(scope):
            found = Match.FULL
        return found, child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET."""
        if self._is_head(scope):
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())


class ApiRoute(SummarizedRoute):
    """Refuses by name what a query has that is unknown, and what it or a body has twice."""

    def get_route_handler(self) -> _Handler:
        """Return what FastAPI calls with each request: its documented way to change the reading."""
        handle, has_body = super().get_route_handler(), self.body_field is not None

        async def strict(request: Request) -> Response:
            refuse_strangers(request, self._known)
            asked = ApiRequest(request.scope, request.receive)
            if has_body:
                requests.refuse_repeated(await asked.body())
            return await handle(asked)

        return strict

    @cached_property
    def _known(self) -> set[str]:
        return set(_query_names(self.dependant))


class FastRoute(ApiRoute):
    """The fast path: calls an endpoint of (request, sent, idempotency_key, prefer), all read here.

    FastAPI registers it, describes it by its signature, and takes its errors like any other's. Its
    own reading of the same signature would leave 0.6 of the throughput.

    No dependency of this route, of a router or of the application is called: what every request
    must pass through is a layer around the whole application.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a request and answer it."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive)
        refuse_strangers(request, self._known)
        sent = requests.read_applicant_body(await small_body(receive))
        told = {name: text.decode("latin-1") for name, text in scope["headers"] if name in _READ}
        response = await self.endpoint(request, sent, *map(told.get, _READ))
        await response(scope, receive, send)


def refuse_strangers(request: Request, known: set[str]) -> None:
    """Raise RequestValidationError, as FastAPI does, unless each parameter is known and single."""
    if request.scope["query_string"] and (faults := list(_faults(request.query_params, known))):
        raise RequestValidationError(faults)


def _query_names(dependant: Dependant) -> Iterator[str]:
    """Return the names that an endpoint and its dependencies take from the query."""
    for param in dependant.query_params:
        yield from getattr(param.field_info.annotation, "model_fields", [param.alias])
    for dependency in dependant.dependencies:
        yield from _query_names(dependency)


def _faults(query: QueryParams, known: set[str]) -> Iterator[dict[str, Any]]:
    for name in query:
        if name not in known:
            yield {"type": "extra_forbidden", "loc": ("query", name)}
        elif len(query.getlist(name)) > 1:
            yield {"type": "repeated", "loc": ("query", name)}


async def while_asked(request: Request, answering: Coroutine[Any, Any, T]) -> T:
    """Return an answer, or give it up when its asker has gone. Raises ClientDisconnect then."""
    task = asyncio.ensure_future(answering)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_SECONDS))[0]:
            if await request.is_disconnected():
                raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
