"""What each system goes through: checked, warmed, loaded, surprised by a burst, overloaded."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import checks, open_loop, wrk
from bench.load.checks import WrongAnswerError
from bench.load.measurements import Burst, Measured, Overload, Point
from bench.subjects import processes
from bench.subjects.clients import Client
from bench.subjects.systems import System
from deploy.processes import Running

_PAUSE_SECONDS = 1.0
_OVERLOAD = 2.0
_WARM_CONNECTIONS = 16
_LONE_SECONDS = 2.0
_BURST_CONNECTIONS = 256


@dataclass(frozen=True)
class Plan:
    """How long and how hard. loads: (connections, rows a request)."""

    loads: Sequence[tuple[int, int]]
    seconds: float
    warm_seconds: float
    burst_seconds: float
    overload_seconds: float


@dataclass
class Trial:
    """One system under one plan. running: its programs; clusters: the right label a client."""

    system: System
    running: Sequence[Running]
    plan: Plan
    folder: Path
    clients: Sequence[Client]
    clusters: Sequence[int]
    answered: int = 0

    def run(self, seconds_to_ready: float, *, stressed: bool) -> Measured:
        """Measure all. stressed: burst and overload too. Raises WrongAnswerError."""
        self._check()
        idle_mb = processes.memory_mb(self.running)
        services_mb = processes.memory_mb(self.running, of_a_runner=True)
        self._drive(_WARM_CONNECTIONS, self.plan.warm_seconds)
        fresh_ms = self._lone_p50_ms() if stressed else 0.0
        points = [self._point(*load) for load in self.plan.loads]
        saturating = max(points, key=lambda point: point.load.requests_per_second).connections
        burst = self._burst(fresh_ms) if stressed else None
        overload = self._overload(saturating) if stressed else None
        self._check()
        return Measured(
            key=self.system.key,
            title=self.system.title,
            seconds_to_ready=seconds_to_ready,
            idle_mb=idle_mb,
            services_mb=services_mb,
            loaded_mb=processes.memory_mb(self.running),
            points=points,
            burst=burst,
            overload=overload,
            recorded=self._recorded(),
            answered=self.answered if self.system.record else None,
        )

    def _check(self) -> None:
        for rows in {rows for _, rows in self.plan.loads}:
            self.answered += checks.require_right_answers(
                self.system, self.clients, self.clusters, rows
            )

    def _drive(self, connections: int, seconds: float, rows: int = 1) -> wrk.Load:
        bodies = self.folder / f"bodies-{rows}.txt"
        if not bodies.exists():
            self.system.language.write_bodies(bodies, self.clients, rows)
        load = wrk.drive(self.system, bodies, connections, seconds)
        self.answered += load.answers - load.not_2xx
        return load

    def _point(self, connections: int, rows: int) -> Point:
        cpu_before = processes.cpu_seconds(self.running)
        load = self._drive(connections, self.plan.seconds, rows)
        cpu_ms = (processes.cpu_seconds(self.running) - cpu_before) * 1000
        rate = load.requests_per_second
        self._say(f"{connections:>4} connections x {rows} rows: {rate:,.0f} requests/s")
        return Point(connections, rows, load, cpu_ms / max(1, load.answers))

    def _lone_p50_ms(self) -> float:
        """Return the median latency of one caller who asks in turn. Raises WrongAnswerError."""
        load = self._drive(1, min(_LONE_SECONDS, self.plan.seconds))
        if load.errors:
            message = f"{self.system.title}, idle, gave one caller {load.errors} errors"
            raise WrongAnswerError(message)
        return load.p50_ms

    def _burst(self, fresh_ms: float) -> Burst:
        seconds = self.plan.burst_seconds
        self._drive(_BURST_CONNECTIONS, seconds)
        time.sleep(_PAUSE_SECONDS)
        after_ms = self._lone_p50_ms()
        self._say(f"one by one: p50 {fresh_ms:.2f} ms fresh, {after_ms:.2f} ms after the burst")
        return Burst(_BURST_CONNECTIONS, seconds, fresh_ms, after_ms)

    def _overload(self, saturating: int) -> Overload:
        """Offer twice what so many connections get, just before and just after it.

        A virtual machine's speed changes within minutes, and what is far apart with it.
        """
        requests = open_loop.requests(self.system.language, self.clients)
        before = self._drive(saturating, self.plan.seconds).requests_per_second
        load = open_loop.offer(
            self.system.ports[0], requests, before * _OVERLOAD, self.plan.overload_seconds
        )
        self.answered += load.good
        self._say(f"{load.offered_per_second:,.0f}/s offered: {load.goodput:,.0f}/s good")
        if load.mixed_up:
            message = f"{self.system.title} gave {load.mixed_up} callers another's answer"
            raise WrongAnswerError(message)
        after = self._drive(saturating, self.plan.seconds).requests_per_second
        return Overload(load, before, after)

    def _recorded(self) -> int | None:
        """Count what was recorded. Raises WrongAnswerError when an answer was not."""
        if self.system.record is None:
            return None
        recorded = checks.count(self.system.record)
        if recorded < self.answered:
            raise WrongAnswerError(f"{self.answered} answers, but only {recorded} recorded")
        return recorded

    def _say(self, sentence: str) -> None:
        print(f"  {self.system.title}: {sentence}", file=sys.stderr, flush=True)
