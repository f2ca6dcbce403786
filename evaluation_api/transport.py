"""An httpx transport for one trusted HTTP/1.1 peer: kept-alive connections parsed by httptools.

httpx's own transport takes 1.2 ms of CPU a request on this path and this one 0.1 ms (bench/README
has the command), which at one connection is the difference between a split that is slower than
its monolith and one that is not. It speaks to the model service only: no redirects, proxies,
HTTP/2 or streaming. Knows nothing of predictions.
"""

import asyncio
import ssl
from collections import deque
from typing import Any, cast

import httptools
import httpx

#: Shorter than the 5 s after which uvicorn closes an idle connection, so that we never write
#: into one that is just being closed.
_IDLE_SECONDS = 4.0


class _Connection(asyncio.Protocol):
    """One connection and the answer being read from it; at most one request at a time."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.reusable = False
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[httpx.Response] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass

    def send(self, head: bytes, body: bytes) -> "asyncio.Future[httpx.Response]":
        assert self._transport is not None  # noqa: S101 - set before anybody holds this object
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.reusable = False
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(head + body)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._fail(httpx.RemoteProtocolError(str(exc)))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(httpx.RemoteProtocolError(f"connection closed before the answer: {exc}"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.reusable = self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            status = self._parser.get_status_code()
            content = b"".join(self._body)
            self._answer.set_result(httpx.Response(status, headers=self._headers, content=content))


class KeptAliveTransport(httpx.AsyncBaseTransport):
    """Sends each request whole and reads its answer whole.

    Raises httpx.ConnectError when nobody listens, httpx.RemoteProtocolError when the peer hangs
    up or talks nonsense. Deadlines are the caller's: cancelling closes the connection.
    """

    def __init__(self, verify: ssl.SSLContext | None = None) -> None:
        """Start with no connection; verify is the context for https peers."""
        self._verify = verify
        self._idle: deque[_Connection] = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send over an idle connection, or a new one."""
        connection = self._take_idle() or await self._connect(request.url)
        try:
            response = await connection.send(_head(request), await request.aread())
        except BaseException:
            connection.close()  # cancelled or broken, its next answer would be somebody else's
            raise
        self._give_back(connection)
        return response

    async def aclose(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> _Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and now - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _give_back(self, connection: _Connection) -> None:
        if connection.reusable and not connection.closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self, url: httpx.URL) -> _Connection:
        secure: dict[str, Any] = {}
        if url.scheme == "https":
            secure = {"ssl": self._verify or ssl.create_default_context()}
        port = url.port or (443 if secure else 80)
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection, url.host, port, **secure
            )
        except OSError as exc:
            raise httpx.ConnectError(str(exc)) from exc
        return connection


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"
