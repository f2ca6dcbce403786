"""The order of commits: lists, reviews and whoever reads on go by it, whatever the clocks say."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, text

from evaluation_api.decision.domain import Outcome, Position, Review, Search, Summary
from evaluation_api.decision.errors import UnknownPlaceError
from evaluation_api.operations import retention
from evaluation_api.record import database, schema
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.positions import Numbering
from evaluation_api.record.search.history import History
from tests.evaluations import decided_entry, pending_entry

START = Position(0, "")
NOW = datetime.now(UTC)
FAST = NOW + timedelta(hours=1)


@pytest.fixture
def history(engine: Engine) -> History:
    return History(engine)


def place(summary: Summary) -> Position:
    return Position(summary.position, summary.id)


def followed(history: History, start: Position = START, limit: int = 100) -> list[str]:
    """Read on from a place, page by page, as a poller does."""
    ids = []
    while page := history.search(Search(limit, after=start)):
        ids += [one.id for one in page]
        start = place(page[-1])
    return ids


def test_lists_go_by_commits_and_not_by_the_clocks_of_replicas(
    log: EvaluationLog, history: History
) -> None:
    fast = decided_entry(when=FAST)
    entries = [decided_entry(when=NOW), fast, decided_entry(when=NOW), decided_entry(when=NOW)]
    for entry in entries:
        log.append([entry])
    newest_first = [entry.id for entry in reversed(entries)]

    first = [one.id for one in history.search(Search(2))]
    second = [one.id for one in history.search(Search(2, before_id=first[-1]))]

    assert first + second == newest_first
    assert followed(history, limit=1) == newest_first[::-1]


def test_the_last_review_is_the_last_committed_one(log: EvaluationLog, history: History) -> None:
    entry = decided_entry()
    log.append([entry])
    for identity, outcome in (("f", Outcome.APPROVED), ("0", Outcome.REFUSED)):
        log.review(Review(identity * 36, entry.id, outcome, "Documentos.", "Ana", NOW))

    (summary,) = history.search(Search(9))

    assert log.find(entry.id).final_outcome is Outcome.REFUSED
    assert summary.final_outcome is Outcome.REFUSED


def test_rows_of_one_commit_are_read_on_one_by_one(log: EvaluationLog, history: History) -> None:
    entries = [decided_entry() for _ in range(5)]
    log.append(entries)

    assert followed(history, limit=2) == sorted(entry.id for entry in entries)


def test_reading_on_from_a_place_whose_row_is_gone(
    engine: Engine, log: EvaluationLog, history: History
) -> None:
    old, new = decided_entry(when=NOW - timedelta(days=2)), decided_entry(when=NOW)
    log.append([old])
    (seen,) = history.search(Search(9, after=START))
    log.append([new])
    retention.purge(engine, NOW - timedelta(days=1))

    assert followed(history, place(seen)) == [new.id]
    assert history.search(Search(9, before_id=old.id)) == []


def test_a_position_is_never_given_again_when_the_newest_are_deleted(
    engine: Engine, log: EvaluationLog, history: History
) -> None:
    start, seen = START, []
    for _ in range(3):
        log.append([decided_entry(when=NOW - timedelta(days=2)) for _ in range(3)])
        log.append([decided_entry(when=NOW - timedelta(days=9)) for _ in range(2)])
        page = history.search(Search(9, after=start))
        seen += [one.position for one in page]
        start = place(page[-1])
        retention.purge(engine, NOW - timedelta(days=3))
    log.append([late := decided_entry(when=NOW)])

    assert len(seen) == 15
    assert seen == sorted(seen)
    assert followed(history, start) == [late.id]


def test_a_place_that_is_still_to_come_is_of_another_record(
    log: EvaluationLog, history: History
) -> None:
    log.append([decided_entry()])
    (seen,) = history.search(Search(9, after=START))

    assert history.search(Search(9, after=place(seen))) == []
    with pytest.raises(UnknownPlaceError):
        history.search(Search(9, after=Position(seen.position + 1000, seen.id)))


def test_a_place_at_which_another_row_stands_is_of_another_record(tmp_path: Path) -> None:
    """As after a copy of a SQLite file was put back, and clients were recorded since."""
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}")
    schema.migrate(engine)
    EvaluationLog(engine).append([decided_entry(), entry := decided_entry()])
    history = History(engine)

    assert history.search(Search(9, after=Position(2, entry.id))) == []
    with pytest.raises(UnknownPlaceError):
        history.search(Search(9, after=Position(2, decided_entry().id)))
    engine.dispose()


def test_a_vacuum_leaves_positions_as_they_are(tmp_path: Path) -> None:
    """SQLite may number rows anew then, where no index of a table keeps it from that."""
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}")
    schema.migrate(engine)
    log, history = EvaluationLog(engine), History(engine)
    log.append([decided_entry(when=NOW - timedelta(days=2)) for _ in range(3)])
    log.append([decided_entry(when=NOW) for _ in range(3)])
    retention.purge(engine, NOW - timedelta(days=1))
    before = [place(one) for one in history.search(Search(9, after=START))]

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM"))

    assert [place(one) for one in history.search(Search(9, after=START))] == before
    assert [one.number for one in before] == [4, 5, 6]
    engine.dispose()


@pytest.mark.parametrize("told", range(30))
def test_numbers_that_are_given_again_are_told_apart(told: int) -> None:
    numbering = Numbering([(4, 3), (6, 10)])  # 1 to 3, then 7 and 8, then from 16 on

    counted = numbering.place(Position(told, "id"))

    behind = [row for row in range(1, 40) if (row, "id") > counted]
    assert behind == [row for row in range(1, 40) if numbering.told(row) > told]


@pytest.fixture
def other(url: str) -> Iterator[Engine]:
    """Open the database a second time."""
    engine = database.connect(url)
    yield engine
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_what_is_committed_late_is_read_late_and_not_missed(
    other: Engine, log: EvaluationLog, history: History
) -> None:
    late, early = decided_entry("Late"), decided_entry("Early")
    with other.connect() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        log.append([early])
        assert followed(history) == []
        assert [one.id for one in history.search(Search(9))] == [early.id]
        slow.execute(text("INSERT INTO policies VALUES ('late', '', now())"))
        slow.commit()

    log.append([late])
    assert followed(history) == [early.id, late.id]


def test_a_poller_misses_nothing_beside_many_writers(
    url: str, log: EvaluationLog, history: History
) -> None:
    def write(_: int) -> None:
        engine = database.connect(url)
        mine = EvaluationLog(engine)
        for count in (1, 7, 1, 3) * 6:
            mine.append([decided_entry() for _ in range(count)])
        engine.dispose()

    seen, start = [], START
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, number) for number in range(4)]
        while not all(one.done() for one in writing) or history.search(Search(1, after=start)):
            page = history.search(Search(50, after=start))
            seen += [one.id for one in page]
            start = place(page[-1]) if page else start

    assert len(seen) == len(set(seen)) == 4 * 6 * 12
    assert log.find(seen[-1]).id == seen[-1]


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_dump_of_a_server_that_was_further_is_continued(
    engine: Engine, log: EvaluationLog, history: History
) -> None:
    restored = decided_entry()
    log.append([restored])
    with engine.begin() as connection:
        connection.execute(text("UPDATE evaluations SET position = 9000000000"))

    schema.migrate(engine)
    log.append([new := decided_entry()])

    assert followed(history) == [restored.id, new.id]
    assert followed(history, Position(9_000_000_000, restored.id)) == [new.id]


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_leases_go_by_the_clock_of_the_server(url: str, log: EvaluationLog) -> None:
    """A function of the server's own name stands for its clock, an hour ahead of this machine's."""
    engine = database.connect(f"{url}&options={quote('-csearch_path=skewed,pg_catalog,public')}")
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA skewed"))
        ahead = "pg_catalog.now() + interval '1 hour'"
        function = (
            f"CREATE FUNCTION skewed.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT {ahead}'"
        )
        connection.execute(text(function.replace("'1 hour'", "''1 hour''")))
    log.append([pending_entry()])

    assert len(PendingQueue(engine).lease(9, timedelta(minutes=1))) == 1
    with engine.begin() as connection:
        until = connection.execute(text("SELECT claimed_until FROM evaluations")).scalar_one()
        connection.execute(text("DROP SCHEMA skewed CASCADE"))
    engine.dispose()

    assert timedelta(minutes=60) < until - datetime.now(UTC) < timedelta(minutes=62)
