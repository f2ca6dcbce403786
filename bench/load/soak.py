"""Half of what the system can do, for long: what grows, grows until it ends the process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from bench.load import open_loop, wrk
from bench.load.open_loop import OpenLoad
from bench.subjects import clients, processes, systems

_CONNECTIONS = 64
_SLICES = 20
#: What fills caches and pools is no growth.
_WARMING = 5
_CALIBRATING_SECONDS = 3
_HOUR_SECONDS = 3600


@dataclass(frozen=True)
class Slice:
    """A part of a soak.

    at_seconds: its end. memory_mb: of both services, without their runner. wrong: of those that are
    not good, the ones that no busy machine explains: neither refused nor late.
    """

    at_seconds: float
    memory_mb: float
    p50_ms: float
    p99_ms: float
    not_good: int
    wrong: int = 0


@dataclass(frozen=True)
class Trend:
    """A line through what was measured. growth: over the whole time, as a share of the mean."""

    per_hour: float
    growth: float


@dataclass(frozen=True)
class Soak:
    """What a steady load of so many requests a second came to."""

    per_second: float
    slices: Sequence[Slice]

    def trend(self, of: str) -> Trend:
        """Return how a Slice's value changed, after the system was warm."""
        warm = self.slices[len(self.slices) * _WARMING // _SLICES :]
        seconds = [one.at_seconds for one in warm]
        values = [getattr(one, of) for one in warm]
        slope = float(np.polyfit(seconds, values, 1)[0])
        return Trend(slope * _HOUR_SECONDS, slope * (seconds[-1] - seconds[0]) / fmean(values))


def run(folder: Path, seconds: float) -> Soak:
    """Find what the system can do, and ask for half of that. Raises NotReadyError."""
    system, applicants = systems.this_system(folder), clients.make()
    bodies = system.language.write_bodies(folder / "bodies.txt", applicants)
    requests = open_loop.requests(system.language, applicants)
    with processes.started(system.programs, folder) as running:
        most = wrk.drive(system, bodies, _CONNECTIONS, _CALIBRATING_SECONDS)
        per_second, slices = most.requests_per_second / 2, []
        for number in range(1, _SLICES + 1):
            each = seconds / _SLICES
            load = open_loop.offer(system.ports[0], requests, per_second, each, _CONNECTIONS)
            memory_mb = processes.memory_mb(running, of_a_runner=True)
            slices.append(_slice(number * each, memory_mb, load))
    return Soak(per_second, slices)


def _slice(at_seconds: float, memory_mb: float, load: OpenLoad) -> Slice:
    wrong = load.failed + load.mixed_up
    not_good = load.refused + load.unanswered + wrong
    return Slice(at_seconds, memory_mb, load.good_p50_ms, load.good_p99_ms, not_good, wrong)
