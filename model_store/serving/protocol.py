"""What a connection may take of the model service, and for how long; uvicorn has no such bounds.

Builds on the callbacks of uvicorn's protocol, pinned by tests/integration/test_model_service.py.
Knows bytes and seconds, and nothing of what is asked.
"""

import asyncio
import logging
import resource
import socket
import struct
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import HTTP_PROTOCOLS, WS_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 100
_MAX_QUEUED: Final = 32
#: For a head, for a body, for silence before a first request, for reading on an answer.
_SECONDS: Final = 10
_LOOK_SECONDS: Final = 1.0
#: Callers are a few evaluation services, which keep what they open; some descriptors are for files.
_MAX_CONNECTIONS: Final = 1024
_NOT_AT_ALL: Final = struct.pack("ii", 1, 0)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, within bounds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's business
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._seconds = 0.0
        self._head_bytes = 0
        self._running: RequestResponseCycle | None = None
        self._last_whole: RequestResponseCycle | None = None
        self._refused: HTTPStatus | None = None
        self._fault = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look at a caller, or refuse one too many."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(_LOOK_SECONDS, self._look)
        if len(self.connections) > max_connections():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more; uvicorn tells the request that came last, and others would still write."""
        assert self._timer is not None  # noqa: S101 - connection_made came before
        self._timer.cancel()
        if self._running:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head must end before it is too long, and what is around a body."""
        if self._refused:
            return
        self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        rest = data
        try:
            while rest:
                rest = self._parse(rest)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(self._fault)
        if not self._head_bytes and self.scope is not self.cycle.scope:  # another one has begun
            self._head_bytes = self._size_of_head() + len(data) - data.rfind(b"\n")
        if self._head_bytes > _MAX_HEAD_BYTES or len(self.headers or ()) > _MAX_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _parse(self, data: bytes) -> bytes:
        """Return what is still to be parsed: a request again, without its offer to upgrade.

        Nobody takes that; httptools takes what follows for another protocol's, and it is a body.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            # One that has read its last request, as one of HTTP/1.0, reads nothing again.
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            head = [b"%b %b HTTP/%b" % (method, self.url, version)]
            head += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
            return b"\r\n".join([*head, b"", data[offer.args[0] :]])
        return b""

    def on_headers_complete(self) -> None:
        """Begin a body, after a head that is no longer than it may be."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError(self._fault)
            return
        if self._size_of_head() > _MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            self._fault = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif len(self.pipeline) >= _MAX_QUEUED:
            self._fault = HTTPStatus.SERVICE_UNAVAILABLE
        else:
            self._seconds = self._head_bytes = 0
            super().on_headers_complete()
            self.headers = []  # the request's are its own: what follows its body may say anything
            return
        raise ValueError(self._fault)  # which ends the parsing

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, which has no end but the application's."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a body."""
        if self.parser.should_upgrade():
            return
        self._head_bytes = 0
        super().on_message_complete()
        self._last_whole = self.cycle

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._seconds = 0.0
        super().on_response_complete()
        if self._refused:
            self._refuse(self._refused)

    def pause_writing(self) -> None:
        """Begin to wait for the reader of an answer."""
        self._seconds = 0.0
        super().pause_writing()

    def _look(self) -> None:
        self._seconds = self._seconds + _LOOK_SECONDS if self._is_waiting() else 0.0
        if self._seconds > _SECONDS:
            self._cut_off()
        self._timer = self.loop.call_later(_LOOK_SECONDS, self._look)

    def _is_waiting(self) -> bool:
        """Tell whether it is the caller's turn; uvicorn has a clock for those between requests."""
        if self.flow.write_paused or self.transport.is_closing():
            return True
        if self.flow.read_paused:
            return False
        if self._is_answering():
            return self.cycle.more_body
        return self.timeout_keep_alive_task is None

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _cut_off(self) -> None:
        """Close; what is not read is forgotten by the kernel, too."""
        if self.flow.write_paused or self.transport.is_closing():
            connected = self.transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOT_AT_ALL)
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Close, once what was whole before is answered; with an answer, if none is on its way."""
        if self._last_whole and not self._last_whole.response_complete:
            self._refused = status
            if self.pipeline and self.pipeline[0][0].more_body:
                self.pipeline.popleft()
                self.cycle = self._last_whole
            return
        is_begun = self._is_answering() and (
            self.cycle.response_started or not self.cycle.more_body
        )
        if not self.transport.is_closing() and not is_begun:
            head = f"HTTP/1.1 {status} {status.phrase}\r\nconnection: close\r\ncontent-length: 0"
            self.transport.write(f"{head}\r\n\r\n".encode())
        self.transport.close()


def max_connections() -> int:
    """Return how many there may be: no more than half of the descriptors."""
    return min(_MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class SeldomWarnings(logging.Filter):
    """Lets one WARNING of a kind through in a second: bad requests must not fill a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be written; uvicorn has a handful of kinds."""
        is_seldom = record.created - self._latest.get(record.msg, 0.0) >= 1
        if record.levelno == logging.WARNING and is_seldom:
            self._latest[record.msg] = record.created
        return record.levelno != logging.WARNING or is_seldom


def bound_connections() -> None:
    """Have whoever lets uvicorn choose, as `bentoml serve` does, served within these bounds.

    And without WebSockets, which it would take, with the library for them installed.
    """
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedProtocol.__name__}"
    WS_PROTOCOLS["auto"] = None
    logging.getLogger("uvicorn.error").addFilter(SeldomWarnings())
    # Nobody reads it, and uvicorn would write down each request before it saw that.
    logging.getLogger("uvicorn.access").propagate = False
