"""Serves an application with uvicorn, set up for many short requests on kept-alive connections.

Knows sockets and nothing of what is served; the bench serves its ceiling with it too.
"""

import asyncio
import gc
import socket
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: uvloop accepts one new connection per listening socket and turn of the loop, and a busy turn
#: takes a tenth of a second: under 256 connections the 60th newcomer waited 3.3 s. With this
#: many listeners on the one port it waited 0.4 s.
_LISTENERS: Final = 32
_BACKLOG: Final = 2048


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve until told to stop."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=_WholeAnswers,
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


class _WholeAnswers(HttpToolsProtocol):
    """Lets an answer leave in one piece.

    uvicorn writes head and body one after the other, which is two system calls, and wakes the
    caller for a head it can do nothing with.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_HeadHeldBack(transport, self.loop))  # type: ignore[arg-type]


class _HeadHeldBack:
    """A transport that keeps the head of an answer until its body comes, or the turn ends."""

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
