"""Systems that run at the same time and are driven a second each in turn, round after round.

A virtual machine's speed may change by half within minutes, and a ratio of two loads that are
minutes apart with it; not so the median of ratios of loads that are a second apart.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.load import wrk
from bench.load.measurements import Comparison
from bench.load.wrk import Load
from bench.subjects.clients import Client, write_bodies
from bench.subjects.processes import Processes
from bench.subjects.systems import Make, System

_ROUNDS = 9
_SECONDS = 1


def compare(
    makers: Mapping[str, Make],
    ours: str,
    connections: Sequence[int],
    folder: Path,
    applicants: Sequence[Client],
) -> list[Comparison]:
    """Compare ours, one of makers by key, with each of the others. Raises NotReadyError."""
    with ExitStack() as running:
        systems = {key: _start(make, folder / key, running) for key, make in makers.items()}
        for key, system in systems.items():
            write_bodies(folder / key / "bodies.txt", applicants, system.encode)
        return [
            comparison
            for count in connections
            for comparison in _compare(systems, ours, count, folder)
        ]


def _start(make: Make, folder: Path, running: ExitStack) -> System:
    folder.mkdir()
    system = make(folder)
    running.enter_context(Processes(system.programs, folder))
    return system


def _compare(
    systems: Mapping[str, System], ours: str, connections: int, folder: Path
) -> list[Comparison]:
    rounds = [
        {
            key: wrk.drive(
                system.ports,
                system.path,
                folder / key / "bodies.txt",
                connections,
                _SECONDS,
                keyed=system.keyed,
            )
            for key, system in systems.items()
        }
        for _ in range(1 + _ROUNDS)
    ][1:]  # the first one warms
    return [
        _ratios(systems[ours], other, [(loads[ours], loads[key]) for loads in rounds], connections)
        for key, other in systems.items()
        if key != ours
    ]


def _ratios(
    ours: System, other: System, pairs: Sequence[tuple[Load, Load]], connections: int
) -> Comparison:
    return Comparison(
        ours=ours.title,
        key=other.key,
        title=other.title,
        connections=connections,
        rounds=len(pairs),
        requests_per_second=median(
            one.requests_per_second / two.requests_per_second for one, two in pairs
        ),
        p50=median(one.p50_ms / two.p50_ms for one, two in pairs),
        p99=median(one.p99_ms / two.p99_ms for one, two in pairs),
    )
