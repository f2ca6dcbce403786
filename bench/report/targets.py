"""What was promised, and whether this run keeps it: ratios within one run on one machine."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.load.measurements import Comparison, Measured, Point

_MANY = 1024
_BUSY = 64


@dataclass(frozen=True)
class Target:
    """A promise and what came of it. at_most: whether less is better."""

    what: str
    goal: float
    measured: float
    at_most: bool
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        keeps: Callable[[float, float], bool] = operator.le if self.at_most else operator.ge
        return keeps(self.measured, self.goal)


def of_systems(measured: Sequence[Measured]) -> list[Target]:
    """Judge the system; a load that was left out is not judged."""
    by_key = {one.key: one for one in measured}
    ours, monolith, ceiling = (by_key.get(key) for key in ("system", "monolith", "ceiling"))
    if ours is None:
        return []
    return [
        *_throughput(ours, monolith, ceiling),
        *_tails(ours, monolith),
        *_single(ours, monolith),
        *_stress(ours),
        Target("idle memory of both services", 350, ours.services_mb, at_most=True, unit="MB"),
        Target("ready after the start", 6, ours.seconds_to_ready, at_most=True, unit="s"),
    ]


def of_comparisons(compared: Sequence[Comparison]) -> Iterator[Target]:
    """Judge the same ratios where both systems were driven in turn."""
    for one in compared:
        load = f"side by side, {one.connections} connections"
        if one.key == "ceiling" and one.connections == _BUSY:
            rate = one.requests_per_second
            yield Target(f"{load}: requests/s against the ceiling", 0.6, rate, at_most=False)
        if one.ours.endswith("with keys") and one.connections == _BUSY:
            rate = one.requests_per_second
            yield Target(f"{load}: {one.ours}, against without", 0.85, rate, at_most=False)
        if one.key == "monolith" and one.connections == _BUSY:
            rate = one.requests_per_second
            yield Target(f"{load}: requests/s against the monolith", 3.0, rate, at_most=False)
            yield Target(f"{load}: p99 against the monolith's", 0.1, one.p99, at_most=True)
        if one.key == "monolith" and one.connections == 1:
            for goal in (1.2, 1.0):
                what = "side by side, 1 connection: p50 against the monolith's"
                yield Target(what, goal, one.p50, at_most=True)


def of_models(measured: Sequence[Measured]) -> list[Target]:
    """Judge the model service."""
    by_key = {one.key: one for one in measured}
    found: list[Target] = []
    ours, theirs = _both(by_key.get("model1"), by_key.get("mlserver"), 64)
    if ours and theirs:
        rate = ours.load.requests_per_second / theirs.load.requests_per_second
        tail = ours.load.p99_ms / theirs.load.p99_ms
        found += [
            Target(
                "1 worker, 64 connections: requests/s against MLServer", 2.5, rate, at_most=False
            ),
            Target("1 worker, 64 connections: p99 against MLServer", 0.3, tail, at_most=True),
        ]
    for key in ("model1", "model2"):
        if one := by_key.get(key):
            best = max((p.rows_per_second for p in one.points if p.rows == _MANY), default=0.0)
            what = f"{one.title}: 1,024 rows a request"
            found.append(Target(what, 300_000, best, at_most=False, unit="rows/s"))
    return found


def _both(
    one: Measured | None, other: Measured | None, connections: int
) -> tuple[Point | None, Point | None]:
    return (
        one.at(connections) if one else None,
        other.at(connections) if other else None,
    )


def _throughput(
    ours: Measured, monolith: Measured | None, ceiling: Measured | None
) -> Iterator[Target]:
    for other, goal in ((monolith, 3.0), (ceiling, 0.6)):
        here, there = _both(ours, other, 64)
        if other and here and there:
            ratio = here.load.requests_per_second / there.load.requests_per_second
            what = f"64 connections: requests/s against the {other.title}"
            yield Target(what, goal, ratio, at_most=False)


def _tails(ours: Measured, monolith: Measured | None) -> Iterator[Target]:
    for connections in (64, 256):
        here, there = _both(ours, monolith, connections)
        if here:
            own = here.load.p99_ms / here.load.p50_ms
            yield Target(f"{connections} connections: p99 against own p50", 2.0, own, at_most=True)
        if here and there:
            ratio = here.load.p99_ms / there.load.p99_ms
            what = f"{connections} connections: p99 against the monolith's"
            yield Target(what, 0.1, ratio, at_most=True)


def _single(ours: Measured, monolith: Measured | None) -> Iterator[Target]:
    here, there = _both(ours, monolith, 1)
    if here and there:
        ratio = here.load.p50_ms / there.load.p50_ms
        for goal in (1.2, 1.0):
            yield Target("1 connection: p50 against the monolith's", goal, ratio, at_most=True)


def _stress(ours: Measured) -> Iterator[Target]:
    if ours.burst:
        ratio = ours.burst.after_p50_ms / ours.burst.fresh_p50_ms
        yield Target("p50 1 s after a burst against fresh", 1.5, ratio, at_most=True)
    if ours.overload:
        load, share = ours.overload.load, ours.overload.share
        yield Target("goodput at twice the best load against it", 0.9, share, at_most=False)
        slowest = load.refusal_max_ms
        what = f"slowest of {load.refused} refusals at twice the load"
        yield Target(what, 100, slowest, at_most=True, unit="ms")
