"""Open-loop load: requests come when they are due, whether or not earlier ones are answered.

wrk waits for answers before it asks again, so a slow server is asked less; people don't wait for
each other. This costs about twice wrk's CPU, so it is used where only it tells the truth.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.load import answers
from bench.load.quantiles import percentile
from deploy.ports import HOST

MAX_CONNECTIONS = 4096
_OPEN_AT_FIRST = 512
_GROWTH = 64
_TICK_SECONDS = 0.001
_DRAIN_SECONDS = 5.0
_GOOD = 200
_REFUSALS = frozenset({429, 503})


@dataclass(frozen=True)
class OpenLoad:
    """What came of so many requests a second.

    goodput: good answers within the seconds, a second. failed: any other status, or a closed
    connection. unanswered: not sent for want of a connection, or without an answer 5 s after the
    end. Latencies run from sending; late_p99_ms is how much later than due requests were sent.
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
    late_p99_ms: float


@dataclass(frozen=True, slots=True)
class Request:
    """Bytes to send, and what a good answer to them contains."""

    wire: bytes
    echo: bytes


def offer(port: int, requests: Sequence[Request], per_second: float, seconds: float) -> OpenLoad:
    """Send requests in turn at a steady rate on as many connections as it takes, up to 4,096."""
    return uvloop.run(_Offer(port, requests, per_second, seconds).run())


class _Offer:
    def __init__(
        self, port: int, requests: Sequence[Request], per_second: float, seconds: float
    ) -> None:
        self._port = port
        self._per_second = per_second
        self._seconds = seconds
        start = random.Random(port).randrange(len(requests))  # noqa: S311 - no secret
        self._requests = itertools.islice(itertools.cycle(requests), start, None)
        self._connections: set[_Connection] = set()
        self._opening = 0
        self._idle: list[_Connection] = []
        self._due: deque[float] = deque()
        self._end = 0.0
        self._sent = self._good_in_time = self._failed = self._mixed_up = 0
        self._good_ms: list[float] = []
        self._refusal_ms: list[float] = []
        self._late_ms: list[float] = []

    async def run(self) -> OpenLoad:
        await asyncio.gather(*(self._open() for _ in range(_OPEN_AT_FIRST)))
        begun = time.perf_counter()
        self._end = begun + self._seconds
        offered = 0
        tasks = set()
        while (now := time.perf_counter()) < self._end:
            while offered < (now - begun) * self._per_second:
                self._due.append(begun + offered / self._per_second)
                offered += 1
            self._send_due()
            for _ in range(min(_GROWTH, len(self._due) - self._opening)):
                task = asyncio.create_task(self._open())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(_TICK_SECONDS)
        await self._drain()
        for connection in list(self._connections):
            connection.close()
        return self._summary(offered)

    def freed(self, connection: "_Connection") -> None:
        """Use a connection that has just got its answer for what is due longest."""
        self._idle.append(connection)
        self._send_due()

    def answered(self, answer: answers.Answer, request: Request, milliseconds: float) -> None:
        """Count an answer."""
        if answer.status == _GOOD:
            self._good_ms.append(milliseconds)
            self._good_in_time += time.perf_counter() <= self._end
            self._mixed_up += request.echo not in answer.body
        elif answer.status in _REFUSALS:
            self._refusal_ms.append(milliseconds)
        else:
            self._failed += 1

    def lost(self, connection: "_Connection", *, in_flight: bool) -> None:
        """Forget a connection that the server closed."""
        self._failed += in_flight
        self._connections.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)

    def _send_due(self) -> None:
        while self._due and self._idle and time.perf_counter() < self._end:
            due, connection = self._due.popleft(), self._idle.pop()
            self._late_ms.append((time.perf_counter() - due) * 1000)
            self._sent += 1
            connection.send(next(self._requests))

    async def _open(self) -> None:
        if len(self._connections) + self._opening >= MAX_CONNECTIONS:
            return
        self._opening += 1
        try:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(
                lambda: _Connection(self), HOST, self._port
            )
        except OSError:
            return
        finally:
            self._opening -= 1
        self._connections.add(connection)
        self.freed(connection)

    async def _drain(self) -> None:
        deadline = time.perf_counter() + _DRAIN_SECONDS
        while self._unanswered() > 0 and time.perf_counter() < deadline:  # noqa: ASYNC110 - an
            # event would have to be looked at with each answer
            await asyncio.sleep(_TICK_SECONDS * 10)

    def _unanswered(self) -> int:
        return self._sent - len(self._good_ms) - len(self._refusal_ms) - self._failed

    def _summary(self, offered: int) -> OpenLoad:
        return OpenLoad(
            offered_per_second=self._per_second,
            seconds=self._seconds,
            goodput=self._good_in_time / self._seconds,
            good=len(self._good_ms),
            refused=len(self._refusal_ms),
            failed=self._failed,
            mixed_up=self._mixed_up,
            unanswered=self._unanswered() + offered - self._sent,
            good_p50_ms=percentile(self._good_ms, 50),
            good_p99_ms=percentile(self._good_ms, 99),
            refusal_p99_ms=percentile(self._refusal_ms, 99),
            refusal_max_ms=max(self._refusal_ms, default=0.0),
            late_p99_ms=percentile(self._late_ms, 99),
        )


class _Connection(asyncio.Protocol):
    """One connection, with at most one request in flight."""

    def __init__(self, offer: _Offer) -> None:
        self._offer = offer
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._request: Request | None = None
        self._sent_at = 0.0

    def send(self, request: Request) -> None:
        """Send a request now."""
        self._request, self._sent_at = request, time.perf_counter()
        self._transport.write(request.wire)

    def close(self) -> None:
        """Close without waiting for anything."""
        self._request = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; asyncio calls it."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Look for the end of the answer; asyncio calls it."""
        self._received += data
        answer = answers.first(self._received)
        if answer is None or self._request is None:
            return
        milliseconds = (time.perf_counter() - self._sent_at) * 1000
        request, self._request = self._request, None
        del self._received[: answer.size]
        self._offer.answered(answer, request, milliseconds)
        self._offer.freed(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Say so; asyncio calls it."""
        self._offer.lost(self, in_flight=self._request is not None)
