"""Systems that run at the same time and are driven a second each in turn, round after round.

A virtual machine's speed may change by half within minutes, and a ratio of two loads that are
minutes apart with it; not so the median of ratios of loads that are a second apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.load import wrk
from bench.load.measurements import Comparison
from bench.subjects import processes
from bench.subjects.clients import Client
from bench.subjects.systems import Make, System

CONNECTIONS = (1, 64)
_ROUNDS = 9
_SECONDS = 1


def compare(
    makers: Mapping[str, Make], ours: str, folder: Path, applicants: Sequence[Client]
) -> list[Comparison]:
    """Compare ours, one of makers by key, with each of the others. Raises NotReadyError."""
    with ExitStack() as running:
        systems = {}
        for key, make in makers.items():
            own = folder / key
            own.mkdir()
            systems[key] = make(own)
            running.enter_context(processes.started(systems[key].programs, own))
            systems[key].language.write_bodies(own / "bodies.txt", applicants)
        return [one for count in CONNECTIONS for one in _compare(systems, ours, count, folder)]


def _compare(
    systems: Mapping[str, System], ours: str, connections: int, folder: Path
) -> Iterator[Comparison]:
    rounds = [
        {
            key: wrk.drive(system, folder / key / "bodies.txt", connections, _SECONDS)
            for key, system in systems.items()
        }
        for _ in range(1 + _ROUNDS)
    ][1:]  # the first one warms
    for key, other in systems.items():
        pairs = [(loads[ours], loads[key]) for loads in rounds]
        rates = [one.requests_per_second / two.requests_per_second for one, two in pairs]
        p50 = median(one.p50_ms / two.p50_ms for one, two in pairs)
        p99 = median(one.p99_ms / two.p99_ms for one, two in pairs)
        if key != ours:
            title = systems[ours].title
            yield Comparison(title, key, other.title, connections, _ROUNDS, median(rates), p50, p99)
