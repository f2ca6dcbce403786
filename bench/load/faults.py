"""What may fail between callers and the record, each on a stage of its own."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.load.checks import Held
from bench.load.stage import Seen, Stage
from bench.subjects import clock, disk, pgbouncer, postgres
from bench.subjects.proxy import Proxy
from bench.subjects.systems import SQLITE
from deploy import ports

Fault = Callable[[Stage], Coroutine[Any, Any, None]]

#: Room for what hundreds who waited leave beside the file in a second, before it is brought there.
_SMALL_DISK_MB: Final = 32
_LOCKED_SECONDS: Final = 12.0
_HOUR_SECONDS: Final = 3600


@dataclass(frozen=True)
class Outcome:
    """What came of one fault."""

    fault: str
    seen: Seen
    held: Held


def run(name: str, seconds: float, folder: Path, model_port: int | None = None) -> Outcome:
    """Have something fail for so many seconds, on services and a record of its own.

    model_port: of a model service that runs already. Raises NotReadyError, and MissingError where
    this machine does not have what fails.
    """
    with ExitStack() as stack:
        stage = Stage(folder, stack, seconds, model_port or ports.free(1)[0])
        if model_port is None and FAULTS[name] is not _without_the_model:
            stage.start_model()
        asyncio.run(FAULTS[name](stage))
        return Outcome(name, stage.seen, stage.check())


async def _hole(stage: Stage) -> None:
    """Lose everything on the network to the database, and say nothing."""
    proxy = _behind_a_proxy(stage)
    async with stage.loaded():
        proxy.is_hole = True
        await stage.last()
        proxy.is_hole = False


async def _reset(stage: Stage) -> None:
    """Break all connections to the database off, over and over."""
    proxy = _behind_a_proxy(stage)
    async with stage.loaded():
        for _ in range(10):
            proxy.reset()
            await stage.last(stage.seconds / 10)


async def _slow(stage: Stage) -> None:
    """Take a quarter of a second for each piece of what is sent, either way."""
    proxy = _behind_a_proxy(stage)
    async with stage.loaded():
        proxy.delay_seconds = 0.25
        await stage.last()
        proxy.delay_seconds = 0.0


def _behind_a_proxy(stage: Stage) -> Proxy:
    server = stage.enter(postgres.primary())
    proxy = stage.enter(Proxy(server.url))
    stage.serve(server.url, way=proxy.url)
    return proxy


async def _stop(stage: Stage) -> None:
    """Let the database's processes stand still; the connections stay."""
    server = stage.enter(postgres.primary())
    stage.serve(server.url)
    async with stage.loaded():
        server.suspend()
        await stage.last()
        server.resume()


async def _failover(stage: Stage) -> None:
    """Crash the database; what stands in for it only reads at first, and is then promoted."""
    server = stage.enter(postgres.primary())
    standby = stage.enter(postgres.standby(server))
    proxy = stage.enter(Proxy(server.url))
    stage.serve(standby.url, way=proxy.url)
    async with stage.loaded():
        await asyncio.to_thread(server.stop)
        proxy.target = standby.url
        await stage.last()
        await asyncio.to_thread(standby.control, "-w", "promote")


async def _pooler(stage: Stage) -> None:
    """Have a pooler give each transaction another connection, the whole time."""
    server = stage.enter(postgres.primary())
    stage.serve(server.url, way=stage.enter(pgbouncer.in_front_of(server.url)))
    async with stage.loaded():
        await stage.last()


async def _full(stage: Stage) -> None:
    """Fill the disk of the record."""
    folder = stage.enter(disk.mounted(stage.folder / "disk", megabytes=_SMALL_DISK_MB))
    stage.serve(f"sqlite:///{folder}/evaluations.db")
    async with stage.loaded():
        ballast = folder / "ballast"
        await asyncio.to_thread(disk.fill, ballast)
        await stage.last()
        ballast.unlink()


async def _locked(stage: Stage) -> None:
    """Keep the file of the record locked for 12 s."""
    stage.serve(SQLITE)
    file = stage.folder / "evaluations.db"
    async with stage.loaded():
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await stage.last(_LOCKED_SECONDS)


async def _clock(stage: Stage) -> None:
    """Set the clock of one of two replicas an hour ahead, and back."""
    server = stage.enter(postgres.primary())
    stage.serve(server.url)
    told = clock.Clock(stage.folder / "clock")
    stage.serve(server.url, environment=told.environment)
    async with stage.loaded():
        told.set_ahead(_HOUR_SECONDS)
        await stage.last()
        told.set_ahead(0)


async def _racing(stage: Stage) -> None:
    """Ask two replicas the same at the same time, the whole time."""
    server = stage.enter(postgres.primary())
    stage.is_racing = True
    stage.serve(server.url, 2)
    async with stage.loaded():
        await stage.last()


async def _killed(stage: Stage) -> None:
    """Kill the evaluation service (kill -9) and start it again, twice."""
    (running,) = stage.serve(SQLITE)
    async with stage.loaded():
        for _ in range(2):
            await asyncio.to_thread(running.kill)
            running = await asyncio.to_thread(stage.start_again)
            await stage.last(stage.seconds / 2)


async def _without_the_model(stage: Stage) -> None:
    """Kill the model service and start it again; what was asked meanwhile waits for it."""
    model = stage.start_model()
    stage.serve(SQLITE)
    async with stage.loaded():
        await asyncio.to_thread(model.kill)
        await stage.last()
        await asyncio.to_thread(stage.start_model)


FAULTS: Final[dict[str, Fault]] = {
    "hole": _hole,
    "reset": _reset,
    "slow": _slow,
    "stop": _stop,
    "failover": _failover,
    "pooler": _pooler,
    "disk full": _full,
    "locked 12 s": _locked,
    "clock": _clock,
    "racing": _racing,
    "kill -9": _killed,
    "model": _without_the_model,
}
