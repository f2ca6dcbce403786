"""Appends on the event loop, and what is left to a thread."""

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event

from evaluation_api.decision.domain import IdempotencyKey
from evaluation_api.decision.errors import RecordUnavailableError, RecordUncertainError
from evaluation_api.record import database, schema
from evaluation_api.record.appender import Appender
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import DECISION_SECONDS, LATE_SECONDS, RecordExecutor
from tests.evaluations import MODEL, POLICY, decided_entry, pending_entry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "evaluations.db"


@asynccontextmanager
async def opened(
    file: Path, *, on_the_loop: bool = True, at_commit: Callable[[], object] = int
) -> AsyncIterator[Appender]:
    """Append to a file as the application does, and bring it to the disk at once."""
    engine, no_wait = (
        database.connect(f"sqlite:///{file}", busy_timeout_seconds=seconds, checkpoints=False)
        for seconds in (5, 0)
    )
    schema.migrate(engine)
    event.listen(engine, "commit", lambda _: at_commit())
    engine.dispose()  # whoever leaves last brings everything to the file
    with database.kept(no_wait) as connection:
        log, no_wait_log = EvaluationLog(engine), None
        if on_the_loop:
            no_wait_log = EvaluationLog(connection, waits=False)
        async with (
            RecordExecutor() as executor,
            Appender(
                log, executor, no_wait_log=no_wait_log, max_waiting=9, checkpoint_seconds=0.01
            ) as appender,
        ):
            yield appender
    no_wait.dispose()
    engine.dispose()


def every_row(file: Path) -> list[tuple[object, ...]]:
    """Return all that was written, but the salts and digests, of which no two are the same."""
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE evaluations SET salt = NULL, digest = NULL")
        rows = [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608 - ours
            for table in ("evaluations", "idempotency_keys")
        ]
    connection.close()
    return [*rows[0], *rows[1]]


def count(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        rows: int = connection.execute("SELECT count(*) FROM evaluations").fetchone()[0]
    connection.close()
    return rows


def count_on_disk(file: Path) -> int:
    """Count what is in the file itself, without the log beside it."""
    return count(Path(shutil.copy(file, file.with_name("alone.db"))))


async def reaches(file: Path, rows: int) -> None:
    """Return once so many are in the file itself."""
    deadline = time.monotonic() + 10
    while count_on_disk(file) < rows:
        assert time.monotonic() < deadline, "never reached the file"
        await asyncio.sleep(0.01)


def test_what_was_appended_on_the_loop_reaches_the_file_by_itself(file: Path) -> None:
    async def scenario() -> None:
        async with opened(file) as appender:
            for rows in (1, 2):
                await appender.append(decided_entry())
                await reaches(file, rows)

    asyncio.run(scenario())


def test_a_thread_writes_the_same_rows_as_the_loop(tmp_path: Path) -> None:
    key = IdempotencyKey("k", "f")
    entries = [decided_entry("José 😀"), pending_entry(), decided_entry(key=key)]
    written = []

    async def scenario(file: Path, *, on_the_loop: bool) -> None:
        async with opened(file, on_the_loop=on_the_loop) as appender:
            assert await asyncio.gather(*map(appender.append, entries)) == [None] * 3
            lost = await appender.append(decided_entry(key=key))
            assert lost is not None
            assert lost.id == entries[2].id

    for on_the_loop in (True, False):
        file = tmp_path / f"{on_the_loop}.db"
        asyncio.run(scenario(file, on_the_loop=on_the_loop))
        written.append(every_row(file))

    assert written[0] == written[1]


def test_while_another_process_writes_a_thread_waits_for_it(file: Path) -> None:
    async def scenario() -> None:
        async with opened(file) as appender:
            other = sqlite3.connect(file, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            append = asyncio.create_task(appender.append(decided_entry()))
            done, _ = await asyncio.wait([append], timeout=0.1)
            assert not done
            other.execute("ROLLBACK")
            other.close()
            assert await append is None
            await reaches(file, 1)

    asyncio.run(scenario())
    assert count(file) == 1


def test_a_key_is_found_and_lost_on_the_loop_as_in_a_thread(file: Path) -> None:
    first, second = (decided_entry(key=IdempotencyKey("k", name)) for name in ("first", "second"))

    async def scenario() -> None:
        async with opened(file) as appender:
            assert await appender.find_by_key("k") is None
            won, lost = await asyncio.gather(appender.append(first), appender.append(second))
            assert won is None
            assert lost == await appender.find_by_key("k")
            assert lost is not None
            assert (lost.id, lost.fingerprint, lost.answer) == (first.id, "first", first.answer)

    asyncio.run(scenario())


def test_a_decision_counts_once_it_is_recorded_and_a_repeat_does_not(file: Path) -> None:
    entries = [decided_entry(key=IdempotencyKey("k", "f")) for _ in range(2)]

    async def scenario() -> None:
        async with opened(file) as appender:
            for entry in (*entries, decided_entry(), pending_entry()):
                await appender.append(entry)

    before = counted()
    asyncio.run(scenario())

    assert counted() - before == 2


def counted() -> float:
    """Return how many approvals of profile 4 were counted in this process."""
    labels = {"outcome": "aprovado", "cluster": "4", "model": MODEL.tag, "policy": POLICY.version}
    return REGISTRY.get_sample_value("evaluation_decisions_total", labels) or 0.0


def test_the_pages_of_a_new_file_hold_several_evaluations(file: Path) -> None:
    engine = database.connect(f"sqlite:///{file}")
    schema.migrate(engine)
    log = EvaluationLog(engine)
    database.checkpoint(log.engine)
    before = file.stat().st_size
    log.append([decided_entry() for _ in range(300)])
    database.checkpoint(log.engine)
    with engine.connect() as connection:
        page_bytes = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    engine.dispose()

    assert (file.stat().st_size - before) / 300 < 0.6 * page_bytes


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_commit_that_has_begun_is_waited_for_and_never_called_refused(
    file: Path, *, is_heard: bool
) -> None:
    """A disk or a standby is slow: told is what became of it, or that nobody knows."""
    goes_on = threading.Event()
    goes_on.set()

    async def scenario() -> None:
        waiting = partial(goes_on.wait, 20)
        async with opened(file, on_the_loop=False, at_commit=waiting) as appender:
            await appender.append(decided_entry())
            goes_on.clear()
            before = counted()
            append = asyncio.create_task(appender.append(decided_entry()))
            if is_heard:
                await asyncio.sleep(DECISION_SECONDS + 4 * LATE_SECONDS)
                assert not append.done()
                goes_on.set()
                assert await append is None
            else:
                with pytest.raises(RecordUncertainError):
                    await append
                assert counted() == before
                goes_on.set()
        assert counted() == before + 1

    asyncio.run(scenario())
    assert count(file) == 2


def test_who_waits_for_the_number_of_a_model_is_refused_and_not_in_doubt(file: Path) -> None:
    """It is committed before, and what is asked for not begun then."""
    goes_on = threading.Event()

    async def scenario() -> None:
        waiting = partial(goes_on.wait, 20)
        async with opened(file, on_the_loop=False, at_commit=waiting) as appender:
            with pytest.raises(RecordUnavailableError) as refused:
                await appender.append(decided_entry())
            goes_on.set()
        assert not isinstance(refused.value, RecordUncertainError)

    asyncio.run(scenario())
    assert count(file) == 0
