"""Searches: found by the index or without it, the same; bounded, and given up with their asker."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from evaluation_api.decision.domain import Search
from evaluation_api.decision.errors import OverloadedError, RecordUnavailableError
from evaluation_api.operations import retention
from evaluation_api.record import database
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.search import name_index
from evaluation_api.record.search.history import History
from evaluation_api.record.search.searches import Searches
from tests.evaluations import decided_entry
from tests.unit.evaluation_api.record.search.searching import (
    NOW,
    answered,
    compare_searches,
    fill_record,
)


@pytest.fixture
def other(url: str) -> Iterator[Engine]:
    engine = database.connect(url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_index_finds_what_is_found_without_it(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    fill_record(log)
    name_index.attach(other)
    plain, indexed = History(engine), History(other, indexed=True)
    compare = partial(compare_searches, plain, indexed)
    compare()
    assert name_index.index_some(other, 200) == 200
    compare()
    assert name_index.index_some(other) == 103
    compare()
    log.append([decided_entry("Mariazinha", when=NOW)])
    compare()
    while name_index.index_some(other):
        pass
    queue = PendingQueue(engine)
    waiting = [entry.id for entry in queue.lease(9, timedelta(minutes=1))]
    queue.commit([decided_entry("Espera")._replace(id=identity) for identity in waiting])
    compare()
    assert name_index.index_some(other, 2) == 2
    compare()
    assert name_index.index_some(other) == 1
    compare()
    protocol = plain.search(Search(1))[0].id[-8:]
    assert [one.id[-8:] for one in indexed.search(Search(5, name=protocol.upper()))] == [protocol]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_rows_that_come_one_by_one_are_indexed_together_and_found_before(
    log: EvaluationLog, other: Engine
) -> None:
    added = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("INSERT INTO names.parts"):
            added.append(statement)

    async def record() -> int:
        async with Searches(other) as searches:
            event.listen(Engine, "before_cursor_execute", note)
            indexing = asyncio.create_task(searches.run_index())
            for _ in range(100):
                log.append([decided_entry("Bento", when=NOW)])
                await asyncio.sleep(0.005)
            found = await searches.search(Search(100, name="bento"))
            indexing.cancel()
            return len(found)

    started = time.monotonic()
    try:
        found = asyncio.run(asyncio.wait_for(record(), 20))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    looks = 2 + (time.monotonic() - started) / 0.5  # so often the index looks for what is new

    assert found == 100
    assert len(added) <= 2 * looks  # it adds what is new, and merges


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_purge_leaves_nothing_in_the_index(
    log: EvaluationLog, engine: Engine, other: Engine, tmp_path: Path
) -> None:
    log.append([decided_entry("Zulmira", when=NOW - timedelta(days=9)) for _ in range(9)])
    log.append([kept := decided_entry("Bento", when=NOW)])
    name_index.attach(other)
    name_index.index_some(other)
    assert is_indexed(tmp_path)

    retention.purge(engine, NOW - timedelta(days=1))

    assert not is_indexed(tmp_path)
    indexed = History(other, indexed=True)
    assert indexed.search(Search(9, name="zulmira")) == []
    name_index.index_some(other)
    assert [one.id for one in indexed.search(Search(9, name="bento"))] == [kept.id]


def test_a_search_is_given_up_with_its_asker_and_in_time(log: EvaluationLog, other: Engine) -> None:
    """A search that counts for ever: its thread is free again once nobody waits for it."""
    log.append([decided_entry()])
    is_file = other.dialect.name == "sqlite"
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        if is_file
        else "SELECT pg_sleep(60)"
    )
    slow = True

    async def search() -> None:
        nonlocal slow
        async with Searches(other, seconds=0.5) as searches:
            event.listen(Engine, "before_cursor_execute", hang)
            for _ in range(2):
                asking = asyncio.create_task(searches.search(Search(1)))
                await asyncio.sleep(0.1)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            with pytest.raises(OverloadedError):
                await searches.search(Search(1))
            slow = False
            assert len(await answered(searches)) == 1

    def hang(_connection: object, cursor: object, *_: object) -> None:
        if slow:
            cursor.execute(endless)  # type: ignore[attr-defined]

    try:
        asyncio.run(asyncio.wait_for(search(), 20))
    finally:
        event.remove(Engine, "before_cursor_execute", hang)


def spoil(folder: Path) -> None:
    """Overwrite the index in place, as a broken disk would."""
    for file in folder.glob("*-names*"):
        with file.open("r+b") as content:
            content.write(b"\xff" * file.stat().st_size)


def is_indexed(folder: Path) -> bool:
    return any(b"zul" in file.read_bytes() for file in folder.glob("*-names*"))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_spoilt_index_stops_no_search_and_is_made_anew(
    log: EvaluationLog, other: Engine, tmp_path: Path
) -> None:
    log.append([kept := decided_entry("Zulmira", when=NOW)])

    async def search() -> None:
        async with Searches(other) as searches:
            filling = asyncio.create_task(searches.run_index())
            for _ in range(2):
                found = await searches.search(Search(5, name="zulmira"))
                assert [one.id for one in found] == [kept.id]
                spoil(tmp_path)
            while not is_indexed(tmp_path):  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.05)
            filling.cancel()

    asyncio.run(asyncio.wait_for(search(), 20))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_index_that_waits_says_so_once_until_it_goes_on(
    log: EvaluationLog, other: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    refused: list[str] = []
    added: list[str] = []
    most_refused = 3

    def fill_the_disk(*told: object) -> None:
        statement = str(told[2])
        if not statement.startswith("INSERT INTO names.parts(rowid"):
            return
        if len(refused) < most_refused:
            refused.append(statement)
            raise RecordUnavailableError("database or disk is full")
        added.append(statement)

    async def wait_twice() -> None:
        nonlocal most_refused
        async with Searches(other) as searches:
            indexing = asyncio.create_task(searches.run_index())
            for most_refused in (3, 6):  # noqa: B007 - what the disk's end reads
                added.clear()
                log.append([decided_entry("Zulmira", when=NOW)])
                while not added:  # noqa: ASYNC110 - set by another thread
                    await asyncio.sleep(0.05)
            indexing.cancel()

    event.listen(Engine, "before_cursor_execute", fill_the_disk)
    try:
        with caplog.at_level("INFO"):
            asyncio.run(asyncio.wait_for(wait_twice(), 20))
    finally:
        event.remove(Engine, "before_cursor_execute", fill_the_disk)

    assert len(refused) == 6
    assert caplog.text.count("index_waits") == 2


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_spoilt_index_stops_no_start_and_no_purge(
    log: EvaluationLog, engine: Engine, other: Engine, tmp_path: Path
) -> None:
    log.append([decided_entry("Zulmira", when=NOW - timedelta(days=9)), decided_entry(when=NOW)])
    file = tmp_path / "evaluations.db-names"
    file.write_bytes(b"\xff" * 9_000)
    name_index.attach(other)
    assert name_index.index_some(other) == 2
    other.dispose()
    file.write_bytes(b"\xff" * 9_000)

    assert retention.purge(engine, NOW - timedelta(days=1)) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_index_of_another_record_is_made_anew(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    """As where a copy of the record is put in its place."""
    log.append([decided_entry("Zulmira", when=NOW)])
    name_index.attach(other)
    name_index.index_some(other)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM evaluations"))
    log.append([here := decided_entry("Bento", when=NOW)])

    name_index.attach(again := database.connect_again(engine))

    found = History(again, indexed=True).search(Search(9, name="bento"))
    assert [one.id for one in found] == [here.id]
    again.dispose()


def test_so_many_searches_wait_and_no_more(log: EvaluationLog, other: Engine) -> None:
    log.append([decided_entry()])

    async def search() -> list[object]:
        async with Searches(other, seconds=60) as searches:  # however busy the machine is
            asked = [searches.search(Search(1)) for _ in range(101)]
            return await asyncio.gather(*asked, return_exceptions=True)

    ended = asyncio.run(search())
    assert sum(isinstance(one, OverloadedError) for one in ended) == 1
    assert sum(isinstance(one, list) for one in ended) == 100
