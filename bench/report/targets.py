"""What was promised, and whether this run keeps it: ratios within one run on one machine."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from bench.load.faults import Outcome
from bench.load.measurements import Comparison, Measured
from bench.load.soak import Soak
from bench.load.unkind import KEPT, Siege

_MANY = 1024
#: The evaluation service's share in Compose.
_CONTAINER_MB = 384
_ASYNC = "the stronger monolith (async def)"
_FLOOR = (
    ("monolith-async", 64, "requests_per_second", 3.0, False, _ASYNC),
    ("monolith-async", 1, "p50", 1.8, True, _ASYNC),
)
#: Where systems run side by side: the other's key, connections, the ratio, the goal, whether less
#: is better, and what the other is called.
_SIDE_BY_SIDE = {
    "this system, with access keys": _FLOOR,
    "this system": (
        *_FLOOR,
        ("monolith", 64, "requests_per_second", 3.0, False, "the monolith"),
        ("monolith", 64, "p99", 0.1, True, "the monolith"),
        ("monolith", 1, "p50", 1.0, True, "the monolith"),
        ("ceiling", 64, "requests_per_second", 0.6, False, "the ceiling"),
    ),
    "SQLite, with keys": (("sqlite", 64, "requests_per_second", 0.85, False, "no keys"),),
    "PostgreSQL, with keys": (("postgres", 64, "requests_per_second", 0.85, False, "no keys"),),
}


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
    ours, monolith = by_key.get("system"), by_key.get("monolith")
    if ours is None:
        return []
    return [
        *_tails(ours, monolith),
        *_stress(ours),
        Target("idle memory of both services", 350, ours.services_mb, at_most=True, unit="MB"),
        Target("ready after the start", 6, ours.seconds_to_ready, at_most=True, unit="s"),
    ]


def of_comparisons(compared: Sequence[Comparison]) -> Iterator[Target]:
    """Judge ratios of systems that were driven in turn."""
    for one in compared:
        for key, connections, ratio, goal, at_most, called in _SIDE_BY_SIDE.get(one.ours, ()):
            if (key, connections) == (one.key, one.connections):
                name = ratio.replace("requests_per_second", "requests/s")
                load = f"side by side, {connections} connection{'' if connections == 1 else 's'}"
                what = f"{load}: {name} of {one.ours} against {called}"
                yield Target(what, goal, getattr(one, ratio), at_most)


def of_models(measured: Sequence[Measured]) -> list[Target]:
    """Judge the model service."""
    by_key = {one.key: one for one in measured}
    found: list[Target] = []
    ours, theirs = (by_key[key].at(64) if key in by_key else None for key in ("model1", "mlserver"))
    if ours and theirs:
        rate = ours.load.requests_per_second / theirs.load.requests_per_second
        tail = ours.load.p99_ms / theirs.load.p99_ms
        what = "1 worker, 64 connections: {} against MLServer"
        found.append(Target(what.format("requests/s"), 2.5, rate, at_most=False))
        found.append(Target(what.format("p99"), 0.3, tail, at_most=True))
    for one in measured:
        what = f"{one.title}: 1,024 rows a request"
        if one.key in {"model1", "model2"}:
            found.append(Target(what, 300_000, _best(one), at_most=False, unit="rows/s"))
        elif one.key.endswith("-columns") and "mlserver" in by_key:
            ratio = _best(one) / _best(by_key["mlserver"])
            found.append(Target(f"{what}, against MLServer", 1.5, ratio, at_most=False))
    return found


def _best(one: Measured) -> float:
    """Return the most rows a second that requests of many rows brought."""
    return max((p.rows_per_second for p in one.points if p.rows == _MANY), default=0.0)


def of_a_fault(one: Outcome) -> Iterator[Target]:
    """Judge what callers saw of a fault, and what the record holds."""
    held, seen = one.held, one.seen
    for what, count in (
        ("lost", held.lost),
        ("doubled", held.doubled),
        ("unversioned", held.unversioned),
        ("answered twice in different words", seen.contradicted),
    ):
        yield Target(f"{one.fault}: {what}", 0, count, at_most=True, unit="")
    back = inf if seen.back_seconds is None else seen.back_seconds
    yield Target(f"{one.fault}: back after", 5, back, at_most=True, unit="s")
    if "503" in seen.slowest_ms:
        slowest = seen.slowest_ms["503"]
        yield Target(f"{one.fault}: slowest 503", 1000, slowest, at_most=True, unit="ms")
    if seen.accepted_ms:
        p99 = seen.accepted_p99_ms
        yield Target(f"{one.fault}: p99 of the 202 answers", 200, p99, at_most=True, unit="ms")


def of_a_siege(seen: Siege) -> Iterator[Target]:
    """Judge how the good caller fared, and that nothing is held for those who have gone."""
    before, after = seen.before, seen.after
    for wave in seen.waves:
        what = f"{wave.callers:,} callers, {wave.what}"
        yield Target(f"{what}: a good one", 1, wave.good_seconds, at_most=True, unit="s")
        yield Target(f"{what}: memory", _CONTAINER_MB, wave.memory_mb, at_most=True, unit="MB")
    for name, goal in before.most_later.items():
        what = f"held {seen.gone_seconds:.0f} s later: {name}"
        yield Target(what, goal, getattr(after, name), at_most=True, unit="")
    kept = after.memory_mb / before.memory_mb
    yield Target("held then: memory, of that before", KEPT, kept, at_most=True)


def of_a_soak(seen: Soak) -> Iterator[Target]:
    """Judge that nothing grows and nobody is refused."""
    not_good = sum(one.not_good for one in seen.slices)
    memory, p50 = seen.trend("memory_mb").growth, seen.trend("p50_ms").growth
    yield Target("soak: growth of memory", 0.1, memory, at_most=True)
    yield Target("soak: growth of the p50", 0.5, p50, at_most=True)
    yield Target("soak: requests without a good answer", 0, not_good, at_most=True, unit="")


def _tails(ours: Measured, monolith: Measured | None) -> Iterator[Target]:
    for connections in (64, 256):
        if here := ours.at(connections):
            own = here.load.p99_ms / here.load.p50_ms
            yield Target(f"{connections} connections: p99 against own p50", 2.0, own, at_most=True)
    here, there = ours.at(256), monolith.at(256) if monolith else None
    if here and there and there.load.answers:
        ratio = here.load.p99_ms / there.load.p99_ms
        yield Target("256 connections: p99 against the monolith's", 0.1, ratio, at_most=True)


def _stress(ours: Measured) -> Iterator[Target]:
    if ours.burst:
        ratio = ours.burst.after_p50_ms / ours.burst.fresh_p50_ms
        yield Target("p50 1 s after a burst against fresh", 1.5, ratio, at_most=True)
    if ours.overload:
        load, share = ours.overload.load, ours.overload.share
        yield Target("goodput at twice the best load against it", 0.9, share, at_most=False)
        what = f"slowest of {load.refused} refusals at twice the load"
        yield Target(what, 100, load.refusal_max_ms, at_most=True, unit="ms")
