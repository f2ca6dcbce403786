"""An outage of the record: known at once, said once, over by itself."""

import asyncio
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select

from bench.subjects import disk
from evaluation_api.decision.errors import RecordUnavailableError
from evaluation_api.record import database, schema
from evaluation_api.record.appender import Appender
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.outage import Outage, RecordWatch
from evaluation_api.record.tables import policies
from evaluation_api.runtime.identity import request_id
from tests.evaluations import decided_entry

AWAY = RecordUnavailableError("the disk is gone")


def refuse(outage: Outage, identity: str) -> None:
    token = request_id.set(identity)
    with pytest.raises(RecordUnavailableError):
        outage.require_none()
    outage.refuse(AWAY)
    request_id.reset(token)


def test_an_outage_is_said_at_its_beginning_and_its_end_with_who_was_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage(settled_seconds=0)
    for identity in ("one", "two"):
        outage.begin(AWAY)
        refuse(outage, identity)
    assert gauge() == 1

    for _ in range(3):
        outage.end()

    assert gauge() == 0
    assert told(caplog) == ["record_away", "record_back"]
    began, ended = (vars(line) for line in caplog.records)
    assert began["reason"] == "the disk is gone"
    assert (ended["reason"], ended["refused"], ended["refused_ids"]) == (
        "the disk is gone",
        2,
        "one two",
    )
    outage.require_none()


def test_what_fails_again_at_once_is_the_same_outage(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(settled_seconds=60)
    for number in range(100):
        outage.begin(AWAY)
        refuse(outage, f"request-{number}")
        outage.end()
        outage.end()

    assert told(caplog) == ["record_away"]


def test_thousands_of_refused_are_counted_and_some_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage(settled_seconds=0)
    outage.begin(AWAY)
    for number in range(1000):
        refuse(outage, f"{number}")
    outage.end()
    outage.end()

    told = vars(caplog.records[-1])
    assert told["refused"] == 1000
    assert told["refused_ids"].split() == [f"{number}" for number in range(20)]


def gauge() -> float | None:
    return REGISTRY.get_sample_value("evaluation_record_away")


def test_while_it_is_away_writes_are_refused_without_a_call() -> None:
    calls: list[str] = []

    async def scenario() -> None:
        async with RecordExecutor() as executor:
            executor.outage.begin(AWAY)
            for run in (executor.run_write, executor.run_append):
                with pytest.raises(RecordUnavailableError, match="the disk is gone"):
                    await run(calls.append, "write")
            await executor.run_read(calls.append, "read")

    asyncio.run(scenario())
    assert calls == ["read"]


def test_a_call_that_never_ends_keeps_nobody_waiting_and_what_waits_behind_it_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evaluation_api.record.executor.DECISION_SECONDS", 0.05)
    calls: list[str] = []
    ends = threading.Event()

    async def scenario() -> None:
        async with RecordExecutor() as executor:
            hanging = executor.run_append(ends.wait, 30)
            behind = executor.run_append(calls.append, "late")
            for result in await asyncio.gather(hanging, behind, return_exceptions=True):
                assert isinstance(result, RecordUnavailableError)
            ends.set()

    asyncio.run(scenario())
    assert calls == []


def test_a_fault_of_ours_is_told_as_one_and_is_no_outage() -> None:
    """StopIteration, too, which no future takes."""

    async def scenario() -> bool:
        async with RecordExecutor() as executor:
            with pytest.raises(RuntimeError):
                await executor.run_write(next, iter(()))
            return executor.outage.is_now

    assert not asyncio.run(scenario())


@asynccontextmanager
async def watched(file: Path) -> AsyncIterator[tuple[Appender, RecordExecutor]]:
    """Append to a file as the application does, watched often."""
    engines = [
        database.connect(f"sqlite:///{file}", busy_timeout_seconds=seconds) for seconds in (0.1, 0)
    ]
    schema.migrate(engines[0])
    with database.kept(engines[1]) as connection:
        log, no_wait_log = EvaluationLog(engines[0]), EvaluationLog(connection, waits=False)
        async with (
            RecordExecutor() as executor,
            Appender(log, executor, max_waiting=999, no_wait_log=no_wait_log) as appender,
        ):
            look = partial(executor.run_watch, database.require_writable, log.engine)
            watch = RecordWatch(executor.outage, look, tick_seconds=0.02, away_tick_seconds=0.02)
            watching = asyncio.create_task(watch.run())
            yield appender, executor
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    for engine in engines:
        engine.dispose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 4 MB."""
    with disk.mounted(tmp_path / "disk", megabytes=4) as folder:
        yield folder


def test_files_that_may_not_grow_are_not_writable_whatever_room_their_disk_has(
    tmp_path: Path,
) -> None:
    """As under a quota: of the disk as a whole, much is free."""
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}")
    schema.migrate(engine)
    log = EvaluationLog(engine)
    log.append([decided_entry()])

    with largest_file(2**16), pytest.raises(RecordUnavailableError):
        database.require_writable(log.engine, thoroughly=True)
    database.require_writable(log.engine, thoroughly=True)
    log.append([decided_entry()])

    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(policies)) == 0
    engine.dispose()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Have nothing that this process writes reach further into a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.disk
def test_a_full_disk_is_known_and_there_is_a_record_again_once_it_has_room(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ballast = small_disk / "ballast"

    async def scenario() -> int:
        async with watched(small_disk / "evaluations.db") as (appender, executor):
            await appender.append(decided_entry())
            ballast.write_bytes(b"x" * 2**21)
            recorded = 1
            with pytest.raises(RecordUnavailableError):  # noqa: PT012 - until the disk is full
                for _ in range(4000):
                    await appender.append(decided_entry())
                    recorded += 1
            await eventually(executor.outage, is_now=True)
            for _ in range(10):
                with pytest.raises(RecordUnavailableError):
                    await appender.append(decided_entry())
            ballast.unlink()
            await eventually(executor.outage, is_now=False)
            await appender.append(decided_entry())
            return recorded + 1

    recorded = asyncio.run(scenario())

    assert len(every_id(small_disk / "evaluations.db")) == recorded
    assert told(caplog) == ["record_away"]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """List what was said of outages, whatever else failed while the record was away."""
    return [line.message for line in caplog.records if line.name == Outage.__module__]


async def eventually(outage: Outage, *, is_now: bool) -> None:
    async with asyncio.timeout(5):
        while outage.is_now != is_now:  # noqa: ASYNC110 - its end has no event
            await asyncio.sleep(0.005)


def every_id(file: Path) -> list[str]:
    engine = database.connect(f"sqlite:///{file}")
    with engine.connect() as connection:
        found = list(connection.exec_driver_sql("SELECT id FROM evaluations").scalars())
    engine.dispose()
    return found
