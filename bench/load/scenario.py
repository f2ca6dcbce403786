"""What each system goes through: checked, warmed, loaded, surprised by a burst, overloaded."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import batches, checks, one_by_one, open_loop, wrk
from bench.load.answers import post
from bench.load.batches import Batches
from bench.load.measurements import Burst, Measured, Overload, Point
from bench.load.one_by_one import WrongAnswerError
from bench.load.open_loop import Request
from bench.subjects.clients import Client, write_bodies
from bench.subjects.processes import Processes
from bench.subjects.systems import System

_PAUSE_SECONDS = 1.0
_OVERLOAD = 2.0
_WARM_CONNECTIONS = 16


@dataclass(frozen=True)
class Plan:
    """How long and how hard. loads: (connections, rows a request)."""

    loads: Sequence[tuple[int, int]]
    seconds: float
    warm_seconds: float
    burst_connections: int
    burst_seconds: float
    overload_seconds: float


class Trial:
    """One system under one plan, with its processes running."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a trial is made of
        self,
        system: System,
        processes: Processes,
        plan: Plan,
        folder: Path,
        clients: Sequence[Client],
        clusters: Sequence[int],
    ) -> None:
        """Keep all of it; nothing is sent yet."""
        self._system = system
        self._processes = processes
        self._plan = plan
        self._folder = folder
        self._clients = clients
        self._clusters = clusters
        self._requests = [post(system.path, system.encode([client])) for client in clients]
        self._answered = 0

    def run(self, *, stressed: bool) -> Measured:
        """Measure all. stressed: burst and overload too. Raises WrongAnswerError."""
        self._check()
        idle_mb = self._processes.memory_mb()
        services_mb = self._processes.memory_mb(of_a_runner=True)
        self._drive(_WARM_CONNECTIONS, self._plan.warm_seconds)
        fresh_ms = self._one_by_one() if stressed else 0.0
        points = [self._point(*load) for load in self._plan.loads]
        saturating = max(points, key=lambda point: point.load.requests_per_second).connections
        burst = self._burst(fresh_ms) if stressed else None
        overload = self._overload(saturating) if stressed else None
        self._check()
        return Measured(
            key=self._system.key,
            title=self._system.title,
            seconds_to_ready=self._processes.seconds_to_ready,
            idle_mb=idle_mb,
            services_mb=services_mb,
            loaded_mb=self._processes.memory_mb(),
            points=points,
            burst=burst,
            overload=overload,
            recorded=self._recorded(),
            answered=self._answered if self._system.record else None,
            batches=self._batches(),
        )

    def _check(self) -> None:
        for rows in {rows for _, rows in self._plan.loads}:
            checks.require_right_answers(self._system, self._clients, self._clusters, rows)
            self._answered += min(checks.ASKED, len(self._clients) // rows)

    def _drive(self, connections: int, seconds: float, rows: int = 1) -> wrk.Load:
        bodies = self._folder / f"bodies-{rows}.txt"
        if not bodies.exists():
            write_bodies(bodies, self._clients, self._system.encode, rows)
        system = self._system
        load = wrk.drive(
            system.ports, system.path, bodies, connections, seconds, keyed=system.keyed
        )
        self._answered += load.answers - load.not_2xx
        return load

    def _point(self, connections: int, rows: int) -> Point:
        cpu_before = self._processes.cpu_seconds()
        load = self._drive(connections, self._plan.seconds, rows)
        cpu_ms = (self._processes.cpu_seconds() - cpu_before) * 1000
        rate = load.requests_per_second
        self._say(f"{connections:>4} connections x {rows} rows: {rate:,.0f} requests/s")
        return Point(connections, rows, load, cpu_ms / max(1, load.answers))

    def _one_by_one(self) -> float:
        return one_by_one.p50_ms(
            self._system.ports[0], self._requests, min(2.0, self._plan.seconds)
        )

    def _burst(self, fresh_ms: float) -> Burst:
        connections, seconds = self._plan.burst_connections, self._plan.burst_seconds
        self._drive(connections, seconds)
        time.sleep(_PAUSE_SECONDS)
        after_ms = self._one_by_one()
        self._say(f"one by one: p50 {fresh_ms:.2f} ms fresh, {after_ms:.2f} ms after the burst")
        return Burst(connections, seconds, fresh_ms, after_ms)

    def _overload(self, saturating: int) -> Overload:
        """Offer twice what so many connections get, just before and just after it.

        A virtual machine's speed changes within minutes, and what is far apart with it.
        """
        requests = [
            Request(wire, f'"{client.name}"'.encode())
            for wire, client in zip(self._requests, self._clients, strict=True)
        ]
        before = self._drive(saturating, self._plan.seconds).requests_per_second
        load = open_loop.offer(
            self._system.ports[0], requests, before * _OVERLOAD, self._plan.overload_seconds
        )
        self._answered += load.good
        self._say(f"{load.offered_per_second:,.0f}/s offered: {load.goodput:,.0f}/s good")
        if load.mixed_up:
            message = f"{self._system.title} gave {load.mixed_up} callers another's answer"
            raise WrongAnswerError(message)
        after = self._drive(saturating, self._plan.seconds).requests_per_second
        return Overload(load, before, after)

    def _recorded(self) -> int | None:
        """Count what was recorded. Raises WrongAnswerError when an answer was not."""
        if self._system.record is None:
            return None
        recorded = checks.count_recorded(self._system.record)
        if recorded < self._answered:
            message = f"{self._answered} answers, but only {recorded} recorded"
            raise WrongAnswerError(message)
        return recorded

    def _batches(self) -> Batches | None:
        port = self._system.batching_port
        return batches.ask(port) if port else None

    def _say(self, sentence: str) -> None:
        print(f"  {self._system.title}: {sentence}", file=sys.stderr, flush=True)
