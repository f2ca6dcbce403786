"""An httpx transport for one trusted HTTP/1.1 service: kept-alive connections parsed by httptools.

A call over httpx's own transport took 1.35 ms of CPU on this path, and 0.29 ms over this one,
which at one connection is most of what the split costs (docs/adr/0002). It leaves out redirects,
proxies, HTTP/2 and streaming. Where the service's name has several addresses, one for each replica,
requests go to them in turn. Knows nothing of predictions.
"""

import asyncio
import itertools
import random
import socket
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

import httptools
import httpx

#: After this time the name is looked up again and idle connections are closed, so that a replica
#: that is started gets its share; both cost 1 ms. Far below the 5 s after which uvicorn closes an
#: idle connection, so that we never write into one that is just being closed.
_REFRESH_SECONDS = 1.0
#: A host that hung up, refused or did not answer in time comes last for this time: one that shuts
#: down may accept connections that it will never answer.
_EJECTION_SECONDS = 3.0
#: A host whose machine is gone refuses nothing; this leaves time for another within a deadline.
_CONNECT_SECONDS = 0.5

#: Of 1,024 predictions there are 0.5 MB; an endless answer was 2 GB within its deadline.
_MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024

#: A look-up takes a millisecond; who has waited longer asks those who had the name before.
_LOOK_UP_SECONDS = 0.1
#: Of their own: a name server that hangs holds the thread of everybody who waits for it.
_LOOK_UPS: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look-up")

#: Returns the addresses of a host name. Raises OSError.
Resolve = Callable[[str], Awaitable[list[str]]]


async def resolve(host: str) -> list[str]:
    """Ask the system for a host's addresses, in an order of their own."""
    ask = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, ask)
    return sorted({str(address[0]) for *_, address in found})


class _Connection(asyncio.Protocol):
    """One connection and the answer being read from it; at most one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, address: str) -> None:
        self.address = address
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        self._answer.cancel()  # nobody waits for one yet
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass

    def send(self, message: bytes) -> "asyncio.Future[httpx.Response]":
        self._answer = asyncio.get_running_loop().create_future()
        self._received_bytes = 0
        self._transport.write(message)
        return self._answer

    def close(self) -> None:
        self._transport.abort()

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > _MAX_ANSWER_BYTES:
            self.connection_lost(OverflowError("it is too long"))
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self.connection_lost(exc)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(httpx.RemoteProtocolError(f"no whole answer: {exc}"))

    def on_message_begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        if self._answer.done():  # nobody asked for this one
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if not self._answer.done():
            status, content = self._parser.get_status_code(), b"".join(self._body)
            stream = httpx.ByteStream(content)
            self._answer.set_result(httpx.Response(status, headers=self._headers, stream=stream))


@dataclass(eq=False, repr=False, kw_only=True)
class KeptAliveTransport(httpx.AsyncBaseTransport):
    """Sends each request whole and reads its answer whole; a transport is for one service.

    Raises httpx.ConnectError when nobody listens, httpx.RemoteProtocolError when the peer hangs up
    or talks nonsense, and httpx.ReadTimeout when it says nothing while there is another to ask.
    Other deadlines are the caller's: cancelling closes the connection.

    connect_timeout_seconds: for a connection to one host. read_timeout_seconds: for an answer where
    there is another host to ask, unless a request says otherwise in its extensions, as httpx has
    it: {"timeout": {"read": seconds}}. verify: the certificates to trust, without which there is no
    https; making one takes longer than a connection does, so whoever starts makes it once.
    """

    connect_timeout_seconds: float = _CONNECT_SECONDS
    read_timeout_seconds: float = 1.0
    refresh_seconds: float = _REFRESH_SECONDS
    resolve: Resolve = resolve
    verify: ssl.SSLContext | None = None
    _refresh_at: float = field(default=0.0, init=False)
    _look_up: asyncio.Task[None] | None = field(default=None, init=False)
    _addresses: list[str] = field(default_factory=list, init=False)
    #: Begins anywhere, so that several services don't take their turns in step.
    _turn: Iterator[int] = field(
        default_factory=lambda: itertools.count(random.randrange(1024)),  # noqa: S311 - no secret
        init=False,
    )
    _idle: defaultdict[str, list[_Connection]] = field(
        default_factory=partial(defaultdict, list), init=False
    )
    _ejected_until: dict[str, float] = field(default_factory=dict, init=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send over an idle connection, or a new one."""
        message = _head(request) + await request.aread()
        connection = await self._checkout(request.url)
        try:
            async with asyncio.timeout(self._read_timeout(request)):
                response = await connection.send(message)
        except BaseException as exc:
            connection.close()  # its next answer would be somebody else's
            self._eject(connection.address)
            if isinstance(exc, TimeoutError):
                raise httpx.ReadTimeout("no answer in time") from exc
            raise
        self._idle[connection.address].append(connection)
        return response

    async def aclose(self) -> None:
        """Close what is idle, and look nothing up any more."""
        if self._look_up is not None:
            self._look_up.cancel()
        self._close_all_idle()

    def _close_all_idle(self) -> None:
        for address in list(self._idle):
            self._close_idle(address)

    def _read_timeout(self, request: httpx.Request) -> float | None:
        """Return seconds, or None where there is no other host to ask within the deadline."""
        if len(self._addresses) == 1:
            return None
        return request.extensions.get("timeout", {}).get("read") or self.read_timeout_seconds

    async def _checkout(self, url: httpx.URL) -> _Connection:
        """Return a connection to the host whose turn it is, or else to the next that accepts."""
        try:
            *others, last = await self._by_turn(url.host)
            for address in others:
                with suppress(OSError):
                    return await self._connection(address, url)
            return await self._connection(last, url)
        except OSError as exc:
            raise httpx.ConnectError(str(exc)) from exc

    async def _by_turn(self, name: str) -> list[str]:
        """Return the hosts' addresses, first the one whose turn it is, and the ejected last."""
        now = asyncio.get_running_loop().time()
        is_due = now >= self._refresh_at or not self._addresses
        if is_due and (self._look_up is None or self._look_up.done()):
            self._refresh_at = now + self.refresh_seconds
            self._ejected_until = {a: t for a, t in self._ejected_until.items() if t > now}
            self._close_all_idle()
            self._look_up = asyncio.create_task(self._learn_addresses(name))
            await asyncio.wait({self._look_up}, timeout=_LOOK_UP_SECONDS)
        if self._look_up is not None and not self._addresses:
            await asyncio.shield(self._look_up)
        if not self._addresses:
            raise OSError(f"no address is known of {name}")
        turn = next(self._turn) % len(self._addresses)
        rotated = self._addresses[turn:] + self._addresses[:turn]
        return sorted(rotated, key=lambda address: self._ejected_until.get(address, 0.0) > now)

    async def _learn_addresses(self, name: str) -> None:
        """Look the name up; where that fails, what was known before stays."""
        with suppress(OSError):
            self._addresses = await self.resolve(name)

    async def _connection(self, address: str, url: httpx.URL) -> _Connection:
        """Return an idle connection or a new one. Raises OSError, and ejects who refuses."""
        while self._idle[address]:
            if not (connection := self._idle[address].pop()).closed:
                return connection
        try:
            return await self._connect(address, url)
        except OSError:
            self._eject(address)
            raise

    async def _connect(self, address: str, url: httpx.URL) -> _Connection:
        is_https = url.scheme == "https"
        if is_https and self.verify is None:
            raise httpx.UnsupportedProtocol("https, without certificates to trust")
        async with asyncio.timeout(self.connect_timeout_seconds):
            _, connection = await asyncio.get_running_loop().create_connection(
                partial(_Connection, address),
                address,
                url.port or (443 if is_https else 80),
                ssl=self.verify if is_https else None,
                server_hostname=url.host if is_https else None,
            )
        return connection

    def _eject(self, address: str) -> None:
        """Ask a host last for a while, and over new connections."""
        self._ejected_until[address] = asyncio.get_running_loop().time() + _EJECTION_SECONDS
        self._close_idle(address)

    def _close_idle(self, address: str) -> None:
        for connection in self._idle.pop(address, ()):
            connection.close()


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"
