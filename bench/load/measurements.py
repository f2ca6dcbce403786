"""What is measured, as plain values; whoever prints, draws or judges them reads these."""

from dataclasses import dataclass

from bench.load.open_loop import OpenLoad
from bench.load.wrk import Load


@dataclass(frozen=True)
class Point:
    """One load on one system. rows: clients a request. cpu_ms: all its processes, a request."""

    connections: int
    rows: int
    load: Load
    cpu_ms: float

    @property
    def rows_per_second(self) -> float:
        """Clients answered a second."""
        return self.load.requests_per_second * self.rows


@dataclass(frozen=True)
class Burst:
    """One caller at a time, on the fresh system and 1 s after a burst: median latencies."""

    connections: int
    seconds: float
    fresh_p50_ms: float
    after_p50_ms: float


@dataclass(frozen=True)
class Overload:
    """Twice what saturates, and what saturating brought just before and just after it, a second."""

    load: OpenLoad
    before: float
    after: float

    @property
    def share(self) -> float:
        """Good answers against the mean of what saturating brought."""
        return 2 * self.load.goodput / (self.before + self.after)


@dataclass(frozen=True)
class Measured:
    """One system. services_mb: idle, without the runner that started them; 0 without a runner."""

    key: str
    title: str
    seconds_to_ready: float
    idle_mb: float
    services_mb: float
    loaded_mb: float
    points: list[Point]
    burst: Burst | None = None
    overload: Overload | None = None
    recorded: int | None = None
    answered: int | None = None

    def at(self, connections: int, rows: int = 1) -> Point | None:
        """Return the load with so many connections and rows, if there was one."""
        return next(
            (p for p in self.points if (p.connections, p.rows) == (connections, rows)), None
        )


@dataclass(frozen=True)
class Comparison:
    """One system beside another: medians of the rounds' ratios. key, title: the other's."""

    ours: str
    key: str
    title: str
    connections: int
    rounds: int
    requests_per_second: float
    p50: float
    p99: float
