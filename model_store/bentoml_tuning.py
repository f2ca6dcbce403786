"""What BentoML 1.4.39 has no public switch for; the only module that touches its insides.

The version is pinned, and tests/unit/model_store/test_bentoml_tuning.py pins each attribute used
here, so an upgrade that moves one fails there and not in production.
"""

import asyncio
import gc
from contextvars import ContextVar
from typing import Any, ClassVar

from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.io_models import IODescriptor
from bentoml._internal.marshal.dispatcher import Optimizer
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from model_store import intake, rows
from model_store.intake import NOBODY, Batch, Refused

# What one request is answered with; set and read within its own task.
_asked: ContextVar[Batch | Refused] = ContextVar("asked")


class Clients(IODescriptor):  # type: ignore[misc]  # BentoML is not typed
    """The body of /predict, read straight into a matrix.

    BentoML's own root types build a JSON schema on every request, 2.6 ms of CPU, and raising here
    would write a stack trace for every mistyped amount. So a refused body becomes an empty matrix,
    which takes part in no prediction, and Predictions answers with the refusal.
    """

    __root_input__: ClassVar[bool] = True

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Any:  # noqa: ANN401, ARG003
        """Read n clients and the wish in the query: n x 7, as predictor.Predict takes them."""
        try:
            batch = await intake.read(request)
        except Refused as refused:
            _asked.set(refused)
            return NOBODY.matrix
        _asked.set(batch)
        return batch.matrix

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:  # noqa: ANN401
        """Describe one client, or a list of them."""
        return rows.schema_of_input()


class Predictions(IODescriptor):  # type: ignore[misc]
    """The answer of /predict, spelled without a pydantic model per row."""

    #: Which model answers, by tag and sha256; the service sets it once it has loaded one.
    headers: ClassVar[dict[str, str]] = {}

    @classmethod
    async def to_http_response(cls, obj: list[rows.Prediction], serde: object) -> Response:  # noqa: ARG003
        """Answer n predictions as they were asked for, or the refusal of an unreadable body."""
        asked = _asked.get()
        if isinstance(asked, Refused):
            return asked.response()
        body = rows.write(obj, single=asked.single)
        return Response(body, headers=cls.headers, media_type="application/json")

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:  # noqa: ANN401
        """Describe one prediction, or a list of them."""
        return rows.schema_of_output()


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


def leave_out_trace_headers() -> None:
    """Name the server and no trace, for which BentoML looks up its settings at each answer."""

    def name_the_server(self: ServiceAppFactory, resp: Response) -> None:
        resp.headers["Server"] = f"BentoML Service/{self.service.name}"

    ServiceAppFactory._add_response_headers = name_the_server  # noqa: SLF001


class _HeadHeldBack:
    """A transport that keeps the head of an answer until its body comes, or the turn ends.

    evaluation_api/server.py has one too: the services share no code, so that each ships alone.
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
