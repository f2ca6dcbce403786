"""Closed-loop load: so many connections, each with one request in flight. wrk does the work.

wrk spends about 10 us of CPU a request, so that on two cores most is left for what is measured.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.subjects.systems import System

SCRIPT = Path(__file__).with_name("wrk.lua")
_LONGEST_ANSWER_SECONDS = 5
_MARK = "MEASURED "


class MissingError(Exception):
    """wrk is not installed: one sentence, with the way out."""


class WrkError(Exception):
    """wrk failed, for the reason it gave."""


@dataclass(frozen=True)
class Load:
    """What wrk saw. answers: whole responses of any status; latencies are over all of them."""

    seconds: float
    answers: int
    not_2xx: int
    socket_errors: int
    p50_ms: float
    p99_ms: float

    @property
    def requests_per_second(self) -> float:
        """Good answers a second."""
        return (self.answers - self.not_2xx) / self.seconds

    @property
    def errors(self) -> int:
        """Refusals, failures, and what never came back."""
        return self.not_2xx + self.socket_errors


def require() -> None:
    """Raise MissingError when wrk is not installed."""
    if shutil.which("wrk") is None:
        raise MissingError("The bench needs wrk on PATH: apt-get install wrk, or brew install wrk.")


def drive(system: System, bodies: Path, connections: int, seconds: float) -> Load:
    """Post bodies to a system's ports in turn, for whole seconds; a thread a port.

    bodies: as Language.write_bodies wrote them. Raises WrkError.
    """
    ports, threads = system.ports, min(len(system.ports), connections)
    command = [
        *("wrk", "--threads", str(threads), "--connections", str(connections)),
        *("--duration", f"{max(1, round(seconds))}s", "--timeout", f"{_LONGEST_ANSWER_SECONDS}s"),
        *(f"--header={name}: {value}" for name, value in system.headers.items()),
        *("--script", str(SCRIPT), f"http://127.0.0.1:{ports[0]}{system.language.path}"),
    ]
    told = {"BENCH_BODIES": str(bodies), "BENCH_PORTS": " ".join(map(str, ports))}
    told |= {"BENCH_KEYED": "yes"} if system.keyed else {}
    environment, limit = {**os.environ, **told}, seconds + 60
    ran = subprocess.run(  # noqa: S603 - the command is made here
        command, env=environment, capture_output=True, text=True, timeout=limit, check=False
    )
    return read(ran.stdout, ran.stderr)


def read(printed: str, complaints: str = "") -> Load:
    """Read what wrk.lua printed. Raises WrkError when it never came to that."""
    for line in printed.splitlines():
        if line.startswith(_MARK):
            return Load(**json.loads(line.removeprefix(_MARK)))
    raise WrkError(f"wrk measured nothing: {(complaints or printed).strip()}")
