"""The one protocol class: what a caller may take of this process, and for how long.

A place is held for what we do, and never for what a caller has yet to send or to read: it is taken
once a request is whole, and given back with its answer or with the end of its work, whatever
becomes of the connection. Builds on the callbacks of uvicorn's protocol, pinned by
tests/unit/evaluation_api/runtime.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from evaluation_api.runtime.joined_writes import JoinedWrites
from evaluation_api.runtime.load_shedding import ConcurrencyLimit, Places
from evaluation_api.runtime.metrics import REFUSED

#: What is asked to find out how we are must be answered most of all when there is too much to do.
#: These alone: 300 callers who asked for what is not there below them had 85 % of probes refused.
_LOOKS: Final = frozenset({b"/health", b"/health/live", b"/health/ready", b"/metrics"})
#: No decision must wait for those: pages, and what pages show.
_READING: Final = frozenset({"GET", "HEAD"})
_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 100
_MAX_QUEUED: Final = 32
#: Between two looks of one connection, for them to be seldom.
_SELDOM_SECONDS: Final = 0.5
#: What a body too long to be waited for brings in each time that a shorter one would have to be
#: whole in, and how many such times it has: 200 MB in a quarter of an hour.
_LEAST_BYTES: Final = 64 * 1024
_MAX_RENEWALS: Final = 90

#: Who keeps connections has used each of them by then, or does not use it.
_LEAVE_SECONDS: Final = 1.0
_NOT_AT_ALL: Final = struct.pack("ii", 1, 0)
#: Looked up once: by its label it took an eighth of what a refusal takes.
_SHED: Final = REFUSED.labels("full")

#: Makes a whole HTTP answer, head and body, for a request that is refused.
Refusal = Callable[[HTTPStatus], bytes]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one process allows. looks: how often a caller is looked at before it must be done."""

    max_connections: int
    looks: int = 10
    look_seconds: float = 1.0


class _RefusedError(Exception):
    """Ends the parsing of what is refused."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, within bounds, and within a limit that its connections share."""

    def __init__(  # what uvicorn passes on is its own business
        self,
        *args: Any,  # noqa: ANN401
        limit: ConcurrencyLimit,
        refusal: Refusal,
        bounds: Bounds,
        join_writes: bool = True,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self._join_writes = join_writes
        self._limit = limit
        self._refusal = refusal
        self._bounds = bounds
        self._timer: asyncio.TimerHandle | None = None
        self._age = 0
        self._renewals = 0
        self._chunk_bytes = 0
        self._fed_bytes = 0
        self._body_bytes = 0
        self._is_in_body = False
        self._is_awaiting_body = False
        self._is_leaving = False
        self._looked_at = -_SELDOM_SECONDS
        self._running: RequestResponseCycle | None = None
        self._held_back: RequestResponseCycle | None = None
        self._last_whole: RequestResponseCycle | None = None
        self._refused: tuple[HTTPStatus, str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._place: Callable[[int], None] | None = None
        self._fault = (HTTPStatus.BAD_REQUEST, "unreadable")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look at a caller, or refuse one too many."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self._bounds.look_seconds, self._look)
        if len(self.connections) > self._bounds.max_connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a caller; its place is given back when the work for it has ended."""
        assert self._timer is not None  # noqa: S101 - connection_made came before
        self._timer.cancel()
        self._limit.read_on(self._drop_unread)
        if self._running:  # uvicorn tells the request that came last
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        # They point back here, and the collector, which would find that, comes seldom.
        self.cycle = self._running = self._held_back = None  # type: ignore[assignment]
        self._last_whole = None
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head must end before it is too long, and what is around a body."""
        if self._refused:
            return
        self._chunk_bytes = len(data)
        self._fed_bytes += len(data)
        self._unset_keepalive_if_required()
        rest = data
        try:
            while rest:
                rest = self._parse(rest)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(*self._fault)
        if not self._fed_bytes and self.scope is not self.cycle.scope:  # another one has begun
            self._fed_bytes = self._head_bytes() + len(data) - data.rfind(b"\n")
        if self._fed_bytes > _MAX_HEAD_BYTES or len(self.headers or ()) > _MAX_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head")

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
        """Queue a request, if it is not the only one; _start_asgi_task sees to it in its turn."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _RefusedError
            return
        if self._is_head_too_large():
            self._fault = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head")
            raise _RefusedError
        if len(self.pipeline) >= _MAX_QUEUED:
            self._fault = (HTTPStatus.SERVICE_UNAVAILABLE, "queue")
            raise _RefusedError
        self._fed_bytes = self._body_bytes = self._age = 0
        self._is_in_body = True
        super().on_headers_complete()
        self.headers = []  # the request's are its own: what follows its body may say anything
        if self._is_leaving:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Have the next answer be the last, and say so; hang up by itself on who asks nothing.

        Hung up on at once, a caller may be sending a request: behind the gateway 34 of 72,000 were
        lost so while one of two replicas was stopped 16 times.
        """
        self._is_leaving = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_LEAVE_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def _is_head_too_large(self) -> bool:
        if len(self.headers) > _MAX_HEADERS:
            return True
        if max(self._chunk_bytes, self._fed_bytes) <= _MAX_HEAD_BYTES:
            return False
        return self._head_bytes() > _MAX_HEAD_BYTES

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body; one too long to be kept is read as it comes."""
        self._fed_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)
        if self._is_awaiting_body and len(self.cycle.body) > HIGH_WATER_LIMIT:
            self._start_asgi_task(self.cycle, self.app)

    def on_message_complete(self) -> None:
        """Answer a request that is whole; a long one takes its place, whatever places there are."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._last_whole = self.cycle
        self._is_in_body = False
        self._fed_bytes = 0
        if self._is_awaiting_body:
            self._start_asgi_task(self.cycle, self.app)
        elif self._place == self._limit.count_long_body:
            self._give_place_back()
            self._take_place(self._places(self.cycle).count)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Admit the connection's next request or shed it, once it is whole and answers are read."""
        self._is_awaiting_body = cycle.more_body and len(cycle.body) <= HIGH_WATER_LIMIT
        if self._is_awaiting_body:
            self._ask_for_body(cycle)
        elif self.flow.write_paused:
            self._held_back = cycle
        elif self._is_too_much(cycle):
            self._limit.refuse(partial(self._shed, cycle))
        elif self._places(cycle).is_busy and self._has_hung_up():
            self.transport.abort()
        else:
            self._run(cycle, app)
            self._take_place(self._kind_of_place(cycle))

    def _has_hung_up(self) -> bool:
        """Tell whether a caller has reset the connection; the kernel gives us its request first.

        Of 2,000 such callers three quarters were evaluated, while a good one waited for 1.4 s.
        """
        connected = self.transport.get_extra_info("socket")
        return bool(connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _is_too_much(self, cycle: RequestResponseCycle) -> bool:
        limit, places = self._limit, self._places(cycle)
        if _is_look(cycle):  # who queues them is no probe
            is_seldom = self.loop.time() - self._looked_at > _SELDOM_SECONDS
            return bool(self.pipeline) or limit.has_looks_enough(is_seldom=is_seldom)
        if self.pipeline and places.is_busy:
            return True
        return places.is_reached or (cycle.more_body and limit.has_long_bodies_enough)

    def _places(self, cycle: RequestResponseCycle) -> Places:
        return self._limit.reads if cycle.scope["method"] in _READING else self._limit

    def _kind_of_place(self, cycle: RequestResponseCycle) -> Callable[[int], None]:
        if _is_look(cycle):
            self._looked_at = self.loop.time()
            return self._limit.count_look
        return self._limit.count_long_body if cycle.more_body else self._places(cycle).count

    def _run(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._age = self._renewals = 0
        self._running = cycle
        if self._join_writes and cycle.scope["method"] != "HEAD":  # of which only a head is written
            cycle.transport = cast("asyncio.Transport", JoinedWrites(self.transport))
        self._task = task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self._forget)

    def _ask_for_body(self, cycle: RequestResponseCycle) -> None:
        """Tell a caller who wants to be told (Expect: 100-continue) to go on."""
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _shed(self, cycle: RequestResponseCycle) -> None:
        """Refuse a request and keep the connection.

        In the application it would cost half of what answering it does, and at twice the
        saturating load leave half of the time for answers.
        """
        if self.transport.is_closing():
            return
        _SHED.inc()
        answer = self._refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        if cycle.scope["method"] == "HEAD":
            answer = answer[: answer.index(b"\r\n\r\n") + 4]
        cycle.response_complete = True
        self.transport.write(answer)
        if cycle.keep_alive:
            self.on_response_complete()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Note that a request is answered; uvicorn does not call this for a caller who has gone."""
        self._running = None
        self._age = 0
        self._give_place_back()
        super().on_response_complete()
        if self._refused:
            self._refuse(*self._refused)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if self._task is task:
            self._give_place_back()

    def _take_place(self, count: Callable[[int], None]) -> None:
        count(1)
        self._place = count

    def _give_place_back(self) -> None:
        if self._place:
            self._place(-1)
            self._place = None

    def pause_writing(self) -> None:
        """Wait for the reader of an answer; its work is done, or waits with us."""
        super().pause_writing()
        self._age = 0
        self._give_place_back()
        self._limit.wait_for_reader(self._drop_unread)

    def resume_writing(self) -> None:
        """Go on with an answer, or with the next."""
        super().resume_writing()
        self._limit.read_on(self._drop_unread)
        if self._held_back:
            held_back, self._held_back = self._held_back, None
            self._start_asgi_task(held_back, self.app)

    def _drop_unread(self) -> None:
        """Have the kernel forget what it still has to send, too: it would hold it for minutes."""
        REFUSED.labels("unread").inc()
        connected = self.transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOT_AT_ALL)
        self.transport.abort()

    def _look(self) -> None:
        """Look at how long this caller has kept us waiting."""
        self._age = self._age + 1 if self._is_waiting() else 0
        if self._age > self._bounds.looks and not self._is_renewed():
            self._cut_off()
        self._timer = self.loop.call_later(self._bounds.look_seconds, self._look)

    def _is_waiting(self) -> bool:
        """Tell whether it is the caller's turn; uvicorn has a clock for those between requests."""
        if self.flow.write_paused or self.transport.is_closing():
            return True
        if self.flow.read_paused:
            return False
        if self._running:
            return self.cycle.more_body
        return self.timeout_keep_alive_task is None or self._fed_bytes > 0

    def _is_renewed(self) -> bool:
        """Give a long body more time for as long as enough of it comes."""
        is_streamed = self._running and not self.flow.write_paused
        if not is_streamed or self._body_bytes < _LEAST_BYTES or self._renewals >= _MAX_RENEWALS:
            return False
        self._renewals += 1
        self._body_bytes = self._age = 0
        return True

    def _cut_off(self) -> None:
        if self.flow.write_paused or self.transport.is_closing():
            self._drop_unread()
        elif self._fed_bytes or self._is_in_body:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "slow")
        else:
            REFUSED.labels("silent").inc()
            self.transport.close()

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Close, once what was whole before is answered; with an answer, if none is on its way."""
        if self.transport.is_closing():
            return
        if self._last_whole and not self._last_whole.response_complete:
            self._refused = status, why
            if self.pipeline and self.pipeline[0][0].more_body:
                self.pipeline.popleft()
                self.cycle = self._last_whole
            return
        REFUSED.labels(why).inc()
        if not self._running:
            self.transport.write(self._refusal(status))
        self.transport.close()


def _is_look(cycle: RequestResponseCycle) -> bool:
    return cycle.scope["raw_path"] in _LOOKS
