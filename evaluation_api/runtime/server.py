"""Serves an application with uvicorn, set up for many short requests on kept-alive connections.

Knows sockets and nothing of what is served; the bench serves its ceiling with it too. It builds
on the callbacks of uvicorn's protocol, pinned by tests/unit/evaluation_api/test_server.py.
"""

import asyncio
import gc
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: uvloop accepts one new connection per listening socket and turn of the loop, and a busy turn
#: takes a tenth of a second: under 256 connections the 60th newcomer waited 3.3 s. With this
#: many listeners on the one port it waited 0.4 s.
_LISTENERS: Final = 32
_BACKLOG: Final = 2048
#: A download that takes longer to end is cut off by us, cleanly, before somebody kills us for it:
#: Compose after 20 s, the chart after 30 s.
_GRACE_SECONDS: Final = 10
#: Longer than callers keep an idle connection: closed by us, it may meet their next request.
_KEEP_ALIVE_SECONDS: Final = 75
#: Longer than it takes to answer what fits in.
_BURST_SECONDS: Final = 0.25
#: What is asked to find out how we are must be answered most of all when there is too much to do.
_ALWAYS: Final = (b"/health", b"/metrics")

#: Gives a whole HTTP answer, head and body, for a request that is not let in.
Refusal = Callable[[], bytes]


def serve(  # noqa: PLR0913 - each by name
    app: ASGIApp,
    host: str,
    port: int,
    *,
    max_in_flight: int,
    refusal: Refusal,
    grace_seconds: int = _GRACE_SECONDS,
) -> None:
    """Serve until told to stop. Requests beyond max_in_flight get the refusal at once.

    grace_seconds: how long the answers in progress may then take to end.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(_Protocol, gate=_Gate(max_in_flight), refusal=refusal),  # type: ignore[arg-type]
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )
    listener = config.bind_socket()
    listener.listen(_BACKLOG)
    uvicorn.Server(config).run(sockets=_listeners(listener))


def spare_the_garbage_collector() -> None:
    """Keep what start-up made out of full collections, whose pauses were the p99."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _listeners(listener: socket.socket) -> list[socket.socket]:
    return [listener, *(listener.dup() for _ in range(_LISTENERS - 1))]


class _Gate:
    """How many requests of this process are being answered, and how many may be.

    A burst may take every place. When they do not become free again soon, the load is no burst,
    and half of them must do: a longer queue would answer no more of them, and each one later.

    Counted here and not by uvicorn's tasks: those of a turn are forgotten in the next one, by
    when the callers they answered have asked again.
    """

    def __init__(self, max_in_flight: int) -> None:
        self._in_flight = 0
        self._max_in_flight = max_in_flight
        self._nearly_empty_at = time.monotonic()

    def count(self, change: int) -> None:
        """Let requests in, or out."""
        self._in_flight += change
        if self._in_flight <= self._max_in_flight // 8:
            self._nearly_empty_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        is_burst = time.monotonic() - self._nearly_empty_at < _BURST_SECONDS
        places = self._max_in_flight if is_burst else (self._max_in_flight + 1) // 2
        return self._in_flight >= places


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which lets answers leave whole and turns away what is too much."""

    def __init__(  # what uvicorn passes on is its own business
        self,
        *args: Any,  # noqa: ANN401
        gate: _Gate,
        refusal: Refusal,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self._gate = gate
        self._refusal = refusal
        self._refused = False
        self._admitted = 0
        self._whole: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._whole = transport
        super().connection_made(_HeadHeldBack(transport, self.loop))  # type: ignore[arg-type]

    def on_headers_complete(self) -> None:
        """Turn a request away before it costs anything but its parsing.

        Refusing it in the application would cost half of what answering it does, and at twice
        the saturating load leave half of the time for answers.
        """
        idle = self.cycle is None or self.cycle.response_complete
        self._refused = self._gate.is_full and idle and not self.url.startswith(_ALWAYS)
        if not self._refused:
            self._count(1)
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()
            return
        self._refused = False
        self._whole.write(self._refusal())
        if self.parser.should_keep_alive():
            super().on_response_complete()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Note that a request is answered; uvicorn does not call this for a caller who has gone."""
        if self._admitted:
            self._count(-1)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._count(-self._admitted)
        super().connection_lost(exc)

    def _count(self, change: int) -> None:
        self._admitted += change
        self._gate.count(change)


class _HeadHeldBack:
    """A transport that keeps the head of an answer until its body comes, or the turn ends.

    uvicorn writes head and body one after the other, which is two system calls, and wakes the
    caller for a head it can do nothing with.
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
