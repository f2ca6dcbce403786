"""An httpx transport for one trusted HTTP/1.1 service: kept-alive connections parsed by httptools.

A call over httpx's own transport took 1.35 ms of CPU on this path, and 0.29 ms over this one,
which at one connection is most of what the split costs (docs/adr/0002). It speaks to the model
service only: no redirects, proxies, HTTP/2 or streaming. Where the service's name has several
addresses, one for each replica, requests go to them in turn. Knows nothing of predictions.
"""

import asyncio
import itertools
import random
import socket
import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httptools
import httpx

#: Shorter than the 5 s after which uvicorn closes an idle connection, so that we never write
#: into one that is just being closed.
_IDLE_SECONDS = 4.0
#: A replica that is started gets its share, and one that is stopped loses it, within this time;
#: a look at the name and a connection cost 1 ms.
_LIFE_SECONDS = 1.0
#: A replica that hung up, or did not answer in time, is met again after this time, unless there is
#: no other: one that shuts down may accept connections that it will never answer.
_SHUN_SECONDS = 3.0
#: Where there is another replica to ask, this one has so long to answer, if the caller does not
#: say. A prediction takes milliseconds; this leaves time for the repeat within a deadline.
_ANSWER_SECONDS = 0.9
#: A replica whose machine is gone refuses nothing; this leaves time for another within a deadline.
_CONNECT_SECONDS = 0.5

#: Gives the addresses of a host name. Raises OSError.
Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system for a host's addresses, in an order of their own."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})


class _Connection(asyncio.Protocol):
    """One connection and the answer being read from it; at most one request at a time."""

    def __init__(self) -> None:
        self.address = ""
        self.opened_at = self.idle_since = asyncio.get_running_loop().time()
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

    def is_fit(self, now: float) -> bool:
        """Tell whether to send another request over it."""
        is_young = now - self.opened_at < _LIFE_SECONDS and now - self.idle_since < _IDLE_SECONDS
        return is_young and not self.closed

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
    up, talks nonsense, or says nothing while there is another; for how long, a request may say in
    its extensions, as httpx has it: {"timeout": {"read": seconds}}. Deadlines are the caller's:
    cancelling closes the connection.
    """

    def __init__(self, verify: ssl.SSLContext | None = None, resolve: Resolve = resolve) -> None:
        """Start with no connection; verify is the context for https peers."""
        self._verify = verify
        self._resolve = resolve
        #: Begins anywhere, so that several services don't take their turns in step.
        self._turn = itertools.count(random.randrange(1024))  # noqa: S311 - no secret
        self._idle: deque[_Connection] = deque()
        self._replicas = 1
        self._opened: list[_Connection] = []
        #: Addresses, and until when they come last.
        self._shunned: dict[str, float] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send over an idle connection, or a new one."""
        connection = self._take_idle() or await self._connect(request.url)
        try:
            answer = connection.send(_head(request), await request.aread())
            async with asyncio.timeout(self._patience(request)):
                response = await answer
        except TimeoutError as exc:
            self._give_up(connection)
            raise httpx.RemoteProtocolError("no answer in time") from exc
        except BaseException:
            self._give_up(connection)
            raise
        self._give_back(connection)
        return response

    def _patience(self, request: httpx.Request) -> float | None:
        """Give how many seconds to wait for an answer; None leaves it to the caller's deadline."""
        if self._replicas == 1:
            return None
        return request.extensions.get("timeout", {}).get("read") or _ANSWER_SECONDS

    async def aclose(self) -> None:
        """Close what is idle."""
        self._close_idle()

    def _give_up(self, connection: _Connection) -> None:
        """Close a connection, and keep a repeat from meeting the same replica over another.

        Cancelled or broken, its next answer would be somebody else's.
        """
        connection.close()
        self._shunned[connection.address] = asyncio.get_running_loop().time() + _SHUN_SECONDS
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> _Connection | None:
        """Give the connection that has rested longest, once there is one for each replica.

        So requests take turns among the replicas, however few at a time there are.
        """
        now = asyncio.get_running_loop().time()
        while len(self._idle) >= self._replicas:
            connection = self._idle.popleft()
            if connection.is_fit(now):
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
        """Connect to the replica whose turn it is, or else to the next that accepts."""
        secure: dict[str, Any] = {}
        if url.scheme == "https":
            verify = self._verify or ssl.create_default_context()
            secure = {"ssl": verify, "server_hostname": url.host}
        port = url.port or (443 if secure else 80)
        try:
            addresses = self._in_turn(await self._resolve(url.host, port))
            self._replicas = len(addresses)
            return await self._first_to_accept(addresses, port, secure)
        except OSError as exc:
            raise httpx.ConnectError(str(exc)) from exc

    def _in_turn(self, addresses: list[str]) -> list[str]:
        """Put the shunned last, and first those to which there are fewest connections."""
        now, turn = asyncio.get_running_loop().time(), next(self._turn) % len(addresses)
        self._shunned = {a: until for a, until in self._shunned.items() if until > now}
        self._opened = [connection for connection in self._opened if not connection.closed]
        held = Counter(connection.address for connection in self._opened)
        rotated = addresses[turn:] + addresses[:turn]
        return sorted(rotated, key=lambda address: (address in self._shunned, held[address]))

    async def _first_to_accept(
        self, addresses: list[str], port: int, secure: dict[str, Any]
    ) -> _Connection:
        """Raise OSError, the last one's, when none accepts."""
        address, *others = addresses
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection, address, port, **secure
                )
        except OSError:
            if not others:
                raise
            return await self._first_to_accept(others, port, secure)
        connection.address = address
        self._opened.append(connection)
        return connection


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"
