"""Serves an application with uvicorn, set up for many short requests on kept-alive connections.

Knows sockets and nothing of what is served; the bench serves its ceiling with it too. It touches
two insides of uvicorn's protocol, pinned by tests/unit/evaluation_api/test_server.py.
"""

import asyncio
import gc
import socket
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
#: What is asked to find out how we are must be answered most of all when there is too much to do.
_ALWAYS: Final = (b"/health", b"/metrics")

#: Gives a whole HTTP answer, head and body, for a request that is not let in.
Refusal = Callable[[], bytes]


def serve(app: ASGIApp, host: str, port: int, *, max_in_flight: int, refusal: Refusal) -> None:
    """Serve until told to stop. Requests beyond max_in_flight get the refusal at once."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(_Protocol, max_in_flight=max_in_flight, refusal=refusal),  # type: ignore[arg-type]
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=5,
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


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which lets answers leave whole and turns away what is too much."""

    def __init__(  # what uvicorn passes on is its own business
        self,
        *args: Any,  # noqa: ANN401
        max_in_flight: int,
        refusal: Refusal,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self._max_in_flight = max_in_flight
        self._refusal = refusal
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_HeadHeldBack(transport, self.loop))  # type: ignore[arg-type]

    def on_headers_complete(self) -> None:
        """Turn a request away before it costs anything but its parsing.

        Refusing it in the application would cost half of what answering it does, and at twice
        the saturating load leave half of the time for answers.
        """
        idle = self.cycle is None or self.cycle.response_complete
        full = len(self.tasks) >= self._max_in_flight
        self._refused = full and idle and not self.url.startswith(_ALWAYS)
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()
            return
        self._refused = False
        self.transport.write(self._refusal())
        if self.parser.should_keep_alive():
            self.on_response_complete()
        else:
            self.transport.close()


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
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""
