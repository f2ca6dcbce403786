"""What BentoML 1.4.39 has no public switch for; the only module that touches its insides."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from _bentoml_sdk.service import openapi
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer
from bentoml._internal.service.openapi.specification import MediaType, Schema
from bentoml._internal.service.openapi.specification import Response as ResponseSpec
from bentoml.exceptions import ServiceUnavailable
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from model_store.geometry import Matrix
from model_store.serving import answers, requests
from model_store.serving.live import LiveModel

if TYPE_CHECKING:
    from _bentoml_impl.server.app import ServiceAppFactory

_PATH = "/predict"
_LOOK_SECONDS = CorkDispatcher.TICKET_INTERVAL
_Infer = Callable[[Matrix], Awaitable[Matrix]]


class FastPath:
    """Answers POST /predict as BentoML's route would, before its router and the layers around it.

    On BentoML's own way through a context, a router, a choice of serializers and a look-up of
    settings a lone caller of the whole system waits a tenth longer. Counting, the time limit and
    batching stay BentoML's; but who asks alone, or fills a batch, has nobody to share one with, and
    is answered without the dispatcher, which takes a quarter of what 1,024 rows cost by columns.
    """

    def __init__(self, app: ASGIApp, live: LiveModel) -> None:
        self._app = app
        self._live = live
        self._asking = 0
        self._infer: _Infer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Predict, or pass on."""
        if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if self._infer is None:
            self._infer = _infer_in_batches(request.app)
        try:
            asked = await requests.read(request)
            told = await self._predict(asked.matrix, self._infer)
        except requests.UnreadableRequestError as exc:
            return answers.problem(exc.status, str(exc))
        except ServiceUnavailable as exc:
            return answers.problem(HTTPStatus.SERVICE_UNAVAILABLE, str(exc))
        return answers.written(told, asked, answers.Predictions.headers_for(told))

    async def _predict(self, clients: Matrix, infer: _Infer) -> Matrix:
        self._asking += 1
        try:
            await asyncio.sleep(0)  # whoever else came with this turn of the loop asks then, too
            is_batch = self._asking == 1 or len(clients) == requests.MAX_CLIENTS
            if is_batch and not self._live.is_slow:
                return self._live.predict(clients)
            return await infer(clients)
        finally:
            self._asking -= 1


def _infer_in_batches(app: Starlette) -> _Infer:
    """Return what BentoML's route hands a matrix (n x 15) to, which shares it in a batch."""
    (route,) = (route for route in app.routes if getattr(route, "path", None) == _PATH)
    factory = cast("ServiceAppFactory", route.endpoint.func.__self__)  # type: ignore[attr-defined]
    return lambda matrix: factory.batch_infer(route.name, (matrix,), {})  # type: ignore[attr-defined]


def dispatch_at_once(live: LiveModel) -> None:
    """Keep the batch dispatcher from waiting for company that is not coming, and past a batch.

    It learns how long requests waited and waits as long again: after a burst of 256 connections
    an idle server answered single rows in 38 ms, still in 24 ms 40 s later, and in over 100 ms
    after three bursts. Requests that arrive while a batch runs share the next one all the same.

    Whether the batch before has ended it looks once a millisecond, so that requests of which two
    are too many for a batch were answered 900 a second at most, with half of a core idle. What runs
    on the loop has ended in its next turn; looking so often takes the interpreter from the thread
    of what is slow.
    """
    Optimizer.wait = property(lambda _: 0.0, lambda _, __: None)  # type: ignore[assignment]
    look = property(lambda _: _LOOK_SECONDS if live.is_slow else 0.0)
    CorkDispatcher.TICKET_INTERVAL = look  # type: ignore[assignment]


def trace_nothing(app: Starlette) -> None:
    """Take out the layer that traces requests, 0.5 ms each: nothing exports what it learns.

    Told by setting to trace none (tracing.excluded_urls), it still took 2 % of a lone request.
    """
    tracing: object = OpenTelemetryMiddleware
    app.user_middleware = [one for one in app.user_middleware if one.cls is not tracing]


def describe_problems() -> None:
    """Have /docs.json describe our problems, where BentoML writes errors that nobody gets."""
    fields = {"type": "string", "title": "string", "status": "integer", "detail": "string"}
    schema = Schema(
        type="object",
        properties={name: Schema(type=kind) for name, kind in fields.items()},
        required=[*fields],
    )
    content = {"application/problem+json": MediaType(schema=schema)}
    openapi.error_responses.clear()
    told = ResponseSpec(description="A problem (RFC 9457)", content=content)
    openapi.error_responses["default"] = told


def spare_the_garbage_collector() -> None:
    """Move what start-up made out of the collector's sight: its full passes were the p99."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
