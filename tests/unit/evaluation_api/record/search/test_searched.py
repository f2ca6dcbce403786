"""PostgreSQL's table of what is searched: filled behind the appends, in step with what changes."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, event, text

from evaluation_api.decision.domain import Outcome, Search
from evaluation_api.operations import retention
from evaluation_api.operations.persons import Persons
from evaluation_api.record import database, schema, server_indexes
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.search.history import History
from evaluation_api.record.search.searched import Filler
from evaluation_api.record.search.searches import Searches
from evaluation_api.record.writer import writer_for
from tests.evaluations import decided_entry
from tests.services import eventually
from tests.unit.evaluation_api.record.search.searching import (
    NAMES,
    NOW,
    compare_searches,
    fill_record,
)

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("url", ["postgresql"], indirect=True),
]


@pytest.fixture
def other(url: str) -> Iterator[Engine]:
    engine = database.connect(url)
    yield engine
    engine.dispose()


def catch_up(engine: Engine, count: int) -> None:
    """Fill the table until so many rows are in it: what else the server does may hold it up."""
    filler = Filler(engine)
    eventually(lambda: not filler.fill_some() and len(names_in(engine)) == count)


def names_in(engine: Engine) -> list[str]:
    """Return the names in the table, in its order."""
    with engine.connect() as connection:
        query = "SELECT name_folded FROM searched ORDER BY position, id"
        return list(connection.execute(text(query)).scalars())


def test_the_same_is_found_however_much_is_in_the_table(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    fill_record(log)
    compare = partial(compare_searches, History(engine), History(other, indexed=True, newest=20))
    filler = Filler(other)

    eventually(filler.fill_some)
    assert len(names_in(other)) == 100  # a first, small slice
    compare()
    catch_up(other, 303)
    log.append([decided_entry("Mariazinha", when=NOW)])
    compare()
    queue = PendingQueue(engine)
    waiting = [entry.id for entry in queue.lease(9, timedelta(minutes=1))]
    queue.commit([decided_entry("Espera")._replace(id=identity) for identity in waiting])
    catch_up(other, 304)
    compare()
    decided = Search(9, name="espera", outcome=Outcome.APPROVED)
    found = History(other, indexed=True, newest=0).search(decided)
    assert {one.id for one in found} == {*waiting}


def test_an_emptied_table_fills_itself_again(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    fill_record(log)
    catch_up(other, 303)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE searched"))
    indexed = History(other, indexed=True, newest=20)

    compare_searches(History(engine), indexed)
    catch_up(other, 303)
    compare_searches(History(engine), indexed)


def test_what_a_transaction_has_still_to_commit_is_not_passed_by(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    early, late = decided_entry("Zulmira", when=NOW), decided_entry("Zulmira", when=NOW)
    indexed = History(other, indexed=True, newest=0)

    def found() -> set[str]:
        return {one.id for one in indexed.search(Search(9, name="zulmira"))}

    writer = writer_for(engine)
    with database.transaction(engine) as connection:
        writer.insert(connection, [writer.encode(early)])
        log.append([late])
        assert not Filler(other).fill_some()
        assert names_in(other) == []
        assert found() == {late.id}
    assert found() == {early.id, late.id}
    catch_up(other, 2)
    assert found() == {early.id, late.id}


def test_nobodys_name_is_left_after_an_erasure_and_nobodys_row_after_a_purge(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    old = decided_entry("Quitéria", when=NOW - timedelta(days=9))
    log.append([old, gone := decided_entry("Zulmira", when=NOW)])
    catch_up(other, 2)
    assert names_in(other) == ["quiteria", "zulmira"]

    Persons(engine).erase([gone.id])
    assert names_in(other) == ["quiteria", "apagado"]
    retention.purge(engine, NOW - timedelta(days=1))

    assert names_in(other) == ["apagado"]


def test_who_is_erased_while_the_table_is_filled_does_not_come_in_by_the_old_name(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    """Whoever fills waits for who has changed a row and not committed yet, and sees it then."""
    log.append([entry := decided_entry("Zulmira", when=NOW)])
    change = text("UPDATE evaluations SET name_folded = 'apagado' WHERE id = :id")
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
    with ThreadPoolExecutor(1) as thread, engine.connect() as connection:
        connection.execute(change, {"id": entry.id})
        filling = thread.submit(catch_up, other, 1)
        eventually(lambda: connection.scalar(text(waits)))
        connection.commit()
        filling.result(20)

    assert names_in(other) == ["apagado"]


def test_one_process_fills_at_a_time(log: EvaluationLog, engine: Engine, other: Engine) -> None:
    fill_record(log)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_try_advisory_xact_lock(4203385)"))
        assert not Filler(other).fill_some()
        assert names_in(other) == []
    catch_up(other, 303)


def test_a_table_of_another_record_is_made_anew(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    """As where rows were taken past the trigger, or put in the place of others."""
    log.append([decided_entry("Zulmira", when=NOW)])
    catch_up(other, 1)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DELETE FROM evaluations"))
    log.append([decided_entry("Bento", when=NOW)])

    catch_up(other, 1)

    assert names_in(other) == ["bento"]


def test_a_record_from_before_is_taken_in(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    """Rows from before positions have the first one in common, and those of a COPY another."""
    fill_record(log)
    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET position = 0"))
        connection.execute(text("DROP TABLE searched"))
        connection.execute(text("DROP FUNCTION renew_searched CASCADE"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0018'"))
    log.append([decided_entry("Mariazinha", when=NOW)])
    schema.migrate(engine)

    catch_up(other, 304)
    compare_searches(History(engine), History(other, indexed=True, newest=20))


def indexes(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT indexname FROM pg_indexes")).scalars())


def test_the_service_fills_the_table_and_finds_on_one_connection_more_than_ten_times(
    log: EvaluationLog, engine: Engine, other: Engine
) -> None:
    log.append([rare := decided_entry("Zulmira Quaresma")])
    for _ in range(4):
        log.append([decided_entry(NAMES[number % 7]) for number in range(1_500)])

    async def search() -> list[list[str]]:
        async with Searches(other, seconds=60) as searches:  # however busy the machine is
            filling = asyncio.create_task(searches.run_index())
            while len(names_in(engine)) < 6_001:  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.05)
            sought = [Search(2, name=name) for name in ("zulmira", rare.id[-8:], "maria") * 5]
            found = [[one.id for one in await searches.search(one)] for one in sought]
            filling.cancel()
            return found

    found = asyncio.run(asyncio.wait_for(search(), 60))
    assert found[0::3] == found[1::3] == [[rare.id]] * 5
    assert found[2::3] == [[one.id for one in History(engine).search(Search(2, name="maria"))]] * 5
    assert server_indexes.INDEXES.keys() <= indexes(engine)


def test_the_server_looks_at_what_many_rows_are_like_once_they_are_in_the_table(
    log: EvaluationLog, engine: Engine
) -> None:
    fill_record(log)
    filler = Filler(engine, many=300)

    eventually(lambda: not filler.fill_some() and len(names_in(engine)) == 303)

    with engine.connect() as connection:
        known = text("SELECT reltuples FROM pg_class WHERE relname = 'searched'")
        assert connection.scalar(known) == 303


def test_a_person_is_found_by_protocol_in_the_table_and_where_it_is_not_in_yet(
    log: EvaluationLog, engine: Engine
) -> None:
    told, newest = decided_entry(when=NOW), decided_entry(when=NOW)
    log.append([told])
    catch_up(engine, 1)
    log.append([newest])
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    persons = Persons(engine)

    assert persons.find(told.id[28:]) == told.id
    assert not [one for one in asked if "substr(evaluations.id" in one]
    assert persons.find(newest.id[28:]) == newest.id
