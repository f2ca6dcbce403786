"""What BentoML 1.4.39 has no public switch for; the only module that touches its insides.

The version is pinned, and tests/unit/model_store/test_bentoml_tuning.py pins each attribute used
here, so an upgrade that moves one fails there and not in production.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from _bentoml_sdk.io_models import IODescriptor
from bentoml._internal.marshal.dispatcher import Optimizer
from bentoml.exceptions import ServiceUnavailable
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from model_store.geometry import Matrix
from model_store.serving import answers, requests
from model_store.serving.requests import Refused

if TYPE_CHECKING:
    from _bentoml_impl.server.app import ServiceAppFactory

_PATH = "/predict"

Infer = Callable[[Matrix], Awaitable[list[answers.Prediction]]]


class Clients(IODescriptor):  # type: ignore[misc]  # BentoML is not typed
    """What /predict takes, for BentoML's own documentation; PredictFirst reads it."""

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:  # noqa: ANN401
        """Describe one client, or a list of them."""
        return answers.schema_of_input()


class Predictions(IODescriptor):  # type: ignore[misc]
    """What /predict answers, for BentoML's own documentation; PredictFirst writes it."""

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:  # noqa: ANN401
        """Describe one prediction, or a list of them."""
        return answers.schema_of_output()


class PredictFirst:
    """Answers POST /predict before BentoML's router and the layers around it.

    On BentoML's own way a request passes a context, a router, a choice of serializers and a look at
    the method's signature, each of them cold if it comes alone, a tenth of its time; and a mistyped
    amount leaves a stack trace in the log. Counting, the time limit and batching stay BentoML's.
    """

    def __init__(self, app: ASGIApp, tag: str, sha256: str) -> None:
        """Wrap BentoML's application. tag, sha256: of the model that predicts."""
        self._app = app
        self._model = (tag, sha256)
        self._infer: Infer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Predict, or pass on."""
        if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if self._infer is None:
            self._infer = _infer_in_batches(scope["app"])
        try:
            response = await self._answer(Request(scope, receive), self._infer)
        except Refused as refused:
            response = refused.response()
        await response(scope, receive, send)

    async def _answer(self, request: Request, infer: Infer) -> Response:
        batch = await requests.read(request)
        try:
            predictions = await infer(batch.matrix)
        except ServiceUnavailable as exc:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(exc)) from exc
        return batch.response(predictions, *self._model)


def _infer_in_batches(app: Starlette) -> Infer:
    """Give what BentoML's route would hand a matrix (n x 7) to, which shares it in a batch."""
    (route,) = (route for route in app.routes if getattr(route, "path", None) == _PATH)
    factory = cast("ServiceAppFactory", route.endpoint.func.__self__)  # type: ignore[attr-defined]
    return lambda matrix: factory.batch_infer(route.name, (matrix,), {})  # type: ignore[attr-defined]


def dispatch_at_once() -> None:
    """Keep the batch dispatcher from waiting for company that is not coming.

    It learns how long requests waited and waits as long again, so after a burst of 256
    connections an idle server answered single rows in 38 ms, and still in 24 ms 40 s later.
    Requests that arrive while a batch runs share the next one all the same.
    """
    Optimizer.wait = property(lambda _: 0.0, lambda _, __: None)  # type: ignore[assignment]


def answer_in_one_piece() -> None:
    """Have head and body of an answer written together: a fifth more requests/s at 64 connections.

    uvicorn, which BentoML starts with settings of its own, writes them one by one.
    """
    connection_made = HttpToolsProtocol.connection_made

    def with_heads_held_back(self: HttpToolsProtocol, transport: asyncio.Transport) -> None:
        connection_made(self, _HeadHeldBack(transport, self.loop))  # type: ignore[arg-type]

    HttpToolsProtocol.connection_made = with_heads_held_back  # type: ignore[method-assign]


class _HeadHeldBack:
    """A transport that keeps the head of an answer until its body comes, or the turn ends.

    evaluation_api/runtime/server.py has one too: the services share no code, so each ships alone.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else transports do
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._head and data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(self._head + data)
            self._head = b""

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            self.write(b"")


def spare_the_garbage_collector() -> None:
    """Move what start-up made out of the collector's sight: its full passes were the p99."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
