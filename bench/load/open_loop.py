"""Open-loop load: requests come when they are due, whether or not earlier ones are answered.

wrk waits for answers before it asks again, so a slow server is asked less; people don't wait for
each other. This costs about twice wrk's CPU, so it is used where only it tells the truth.
"""

import asyncio
import gc
import itertools
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
import uvloop

from bench.load import answers
from bench.subjects.clients import Client
from bench.subjects.languages import Language
from deploy.ports import HOST

MAX_CONNECTIONS = 4096
_OPEN_AT_FIRST = 512
_GROWTH = 64
_TICK_SECONDS = 0.001
_DRAIN_SECONDS = 5.0
_GOOD = 200
_REFUSALS = frozenset({429, 503})
#: Where the milliseconds since the last data was sent, and since the last came, stand in Linux's
#: struct tcp_info (linux/tcp.h), which counts in the kernel's ticks, of 1 to 10 ms.
_SENT_AND_CAME = struct.Struct("44xI4xI")
_TCP_INFO = getattr(socket, "TCP_INFO", None)


@dataclass(frozen=True)
class OpenLoad:
    """What came of so many requests a second.

    goodput: good answers within the seconds, a second. failed: any other status, or a closed
    connection. unanswered: not sent for want of a connection, or without an answer 5 s after the
    end. Latencies run from sending; late_p99_ms is how much later than due requests were sent.
    refusal_surely_ms: the longest from the kernel's sending of a request to its receiving of the
    refusal, where it tells; what the slowest took beyond that it lay here, unsent or unread.
    """

    offered_per_second: float
    seconds: float
    goodput: float
    good: int
    refused: int
    failed: int
    mixed_up: int
    unanswered: int
    good_p50_ms: float
    good_p99_ms: float
    refusal_p99_ms: float
    refusal_max_ms: float
    refusal_surely_ms: float
    late_p99_ms: float


@dataclass(frozen=True, slots=True)
class Request:
    """Bytes to send, and what a good answer to them contains."""

    wire: bytes
    echo: bytes


def requests(language: Language, clients: Sequence[Client]) -> list[Request]:
    """Return a request for each client; a good answer names its client."""
    return [
        Request(answers.post(language.path, language.encode([client])), f'"{client.name}"'.encode())
        for client in clients
    ]


def offer(
    port: int,
    requests: Sequence[Request],
    per_second: float,
    seconds: float,
    open_at_first: int = _OPEN_AT_FIRST,
) -> OpenLoad:
    """Send requests in turn at a steady rate on as many connections as it takes, up to 4,096."""
    start = random.Random(port).randrange(len(requests))  # noqa: S311 - no secret
    in_turn = itertools.islice(itertools.cycle(requests), start, None)
    with _nothing_collected():
        return uvloop.run(_Offer(port, in_turn, per_second, seconds).run(open_at_first))


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Keep the garbage collector from stopping the load: what is kept of it is looked at all again.

    In the middle of a soak that took 0.1 s, after which all that had become due was sent at once.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a value that was measured, which so many percent of all do not exceed; 0 for none."""
    return float(np.percentile(values, percent, method="inverted_cdf")) if values else 0.0


class _Answered(NamedTuple):
    """One answer. in_time: before the load's end; is_own: to the request that was sent."""

    status: int
    milliseconds: float
    in_time: bool
    is_own: bool


@dataclass(eq=False, repr=False)
class _Offer:
    """A load under way; times in seconds of perf_counter."""

    port: int
    requests: Iterator[Request]
    per_second: float
    seconds: float
    connections: "set[_Connection]" = field(default_factory=set, init=False)
    end: float = field(default=0.0, init=False)
    answers: list[_Answered] = field(default_factory=list, init=False)
    refusal_surely_ms: float = field(default=0.0, init=False)
    broken_off: int = field(default=0, init=False)
    _due: deque[float] = field(default_factory=deque, init=False)
    _late_ms: list[float] = field(default_factory=list, init=False)
    _idle: "list[_Connection]" = field(default_factory=list, init=False)
    _opening: int = field(default=0, init=False)

    async def run(self, open_at_first: int) -> OpenLoad:
        await asyncio.gather(*(self._open() for _ in range(open_at_first)))
        begun = time.perf_counter()
        self.end = begun + self.seconds
        offered = 0
        opening = []
        while (now := time.perf_counter()) < self.end:
            while offered < (now - begun) * self.per_second:
                self._due.append(begun + offered / self.per_second)
                offered += 1
            self._send_due()
            growth = range(min(_GROWTH, len(self._due) - self._opening))
            opening += [asyncio.create_task(self._open()) for _ in growth]
            await asyncio.sleep(_TICK_SECONDS)
        await self._drain()
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for connection in list(self.connections):
            connection.close()
        return self._summary(offered)

    def freed(self, connection: "_Connection") -> None:
        """Use a connection that has just got its answer for what is due longest."""
        self._idle.append(connection)
        self._send_due()

    def _send_due(self) -> None:
        while self._due and self._idle and time.perf_counter() < self.end:
            due, connection = self._due.popleft(), self._idle.pop()
            if connection in self.connections:
                self._late_ms.append((time.perf_counter() - due) * 1000)
                connection.send(next(self.requests))
            else:
                self._due.appendleft(due)

    async def _open(self) -> None:
        if len(self.connections) + self._opening >= MAX_CONNECTIONS:
            return
        self._opening += 1
        try:
            loop = asyncio.get_running_loop()
            _, opened = await loop.create_connection(lambda: _Connection(self), HOST, self.port)
        except OSError:
            return
        finally:
            self._opening -= 1
        self.connections.add(opened)
        self.freed(opened)

    async def _drain(self) -> None:
        give_up = time.perf_counter() + _DRAIN_SECONDS
        while self._in_flight() > 0 and time.perf_counter() < give_up:  # noqa: ASYNC110 - or so late
            await asyncio.sleep(_TICK_SECONDS * 10)

    def _in_flight(self) -> int:
        return len(self._late_ms) - len(self.answers) - self.broken_off

    def _summary(self, offered: int) -> OpenLoad:
        good = [one for one in self.answers if one.status == _GOOD]
        good_ms = [one.milliseconds for one in good]
        refusal_ms = [one.milliseconds for one in self.answers if one.status in _REFUSALS]
        return OpenLoad(
            offered_per_second=self.per_second,
            seconds=self.seconds,
            goodput=sum(one.in_time for one in good) / self.seconds,
            good=len(good),
            refused=len(refusal_ms),
            failed=len(self.answers) - len(good) - len(refusal_ms) + self.broken_off,
            mixed_up=sum(not one.is_own for one in good),
            unanswered=self._in_flight() + offered - len(self._late_ms),
            good_p50_ms=percentile(good_ms, 50),
            good_p99_ms=percentile(good_ms, 99),
            refusal_p99_ms=percentile(refusal_ms, 99),
            refusal_max_ms=max(refusal_ms, default=0.0),
            refusal_surely_ms=self.refusal_surely_ms,
            late_p99_ms=percentile(self._late_ms, 99),
        )


class _Connection(asyncio.Protocol):
    """One connection, with at most one request in flight. asyncio calls the last three."""

    def __init__(self, offer: _Offer) -> None:
        self._offer = offer
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._request: Request | None = None
        self._sent_at = 0.0

    def send(self, request: Request) -> None:
        self._request, self._sent_at = request, time.perf_counter()
        self._transport.write(request.wire)

    def close(self) -> None:
        self._request = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer = answers.first(self._received)
        if answer is None or self._request is None:
            return
        now, is_own = time.perf_counter(), self._request.echo in answer.body
        milliseconds = (now - self._sent_at) * 1000
        in_time = now <= self._offer.end
        self._offer.answers.append(_Answered(answer.status, milliseconds, in_time, is_own))
        if answer.status in _REFUSALS and milliseconds > self._offer.refusal_surely_ms:
            surely_ms = max(self._offer.refusal_surely_ms, self._kernel_ms(milliseconds))
            self._offer.refusal_surely_ms = surely_ms
        self._request = None
        del self._received[: answer.size]
        self._offer.freed(self)

    def _kernel_ms(self, milliseconds: float) -> float:
        """Return how long the kernel waited for an answer; what we saw, where it does not tell."""
        if _TCP_INFO is None:
            return milliseconds
        connected = self._transport.get_extra_info("socket")
        told = connected.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _SENT_AND_CAME.size)
        sent, came = _SENT_AND_CAME.unpack(told)
        return min(milliseconds, float(sent - came))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._offer.broken_off += self._request is not None
        self._offer.connections.discard(self)
