"""What a purge takes, and what it leaves."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, insert, select, text

from evaluation_api.access.credentials import CredentialKind, issue
from evaluation_api.access.identity import Role
from evaluation_api.decision.domain import IdempotencyKey, Outcome, Review, Search
from evaluation_api.operations import retention
from evaluation_api.record import database, schema
from evaluation_api.record.credentials import CredentialLog
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.search import name_index
from evaluation_api.record.search.history import History
from evaluation_api.record.tables import evaluations, reviews
from evaluation_api.runtime.identity import new_id
from tests.evaluations import decided_entry

KEY = IdempotencyKey("old", "f")


def day(number: int) -> datetime:
    return datetime(2026, 11, number, 12, tzinfo=UTC)


def test_a_purge_takes_what_is_older_with_its_reviews_and_keys(
    engine: Engine, log: EvaluationLog
) -> None:
    old, keyed = decided_entry(when=day(2)), decided_entry(key=KEY, when=day(1))
    new = decided_entry(when=day(3))
    log.append([old, keyed, new])
    log.review(Review(old.id, keyed.id, Outcome.REFUSED, "Não apresentou.", "Ana", day(4)))

    told: list[int] = []
    assert retention.count_older(engine, day(3)) == (2, 0)
    assert retention.purge(engine, day(3), told.append) == 2
    assert told[-1] == 2

    assert [one.id for one in History(engine).search(Search(limit=9))] == [new.id]
    assert log.find_by_keys(["old"]) == [None]
    assert log.append([decided_entry(key=KEY)]) == [None]


def test_a_purge_of_a_slow_database_does_not_end_in_a_transaction_for_each_row(
    engine: Engine, log: EvaluationLog
) -> None:
    log.append([decided_entry(when=day(1)) for _ in range(400)])
    event.listen(engine, "commit", lambda _: time.sleep(0.03))  # longer than a slice is to take
    told: list[int] = []

    assert retention.purge(engine, day(3), told.append) == 400
    assert len(told) <= 400 / 50


def test_a_purge_takes_keys_links_and_sessions_that_had_run_out(engine: Engine) -> None:
    credentials = CredentialLog(engine)
    for kind in CredentialKind:
        made, _ = issue(kind, "ana", frozenset({Role.ANALYST}), timedelta(hours=1))
        credentials.add(replace(made, expires_at=day(1)))
        credentials.add(issue(kind, "ana", frozenset({Role.ANALYST}), timedelta(hours=1))[0])

    retention.purge(engine, day(3))

    assert [one.kind for one in credentials.everything()] == list(CredentialKind)


def test_others_write_while_much_is_deleted_and_the_disk_gets_it_back(tmp_path: Path) -> None:
    """The slowest of those who write meanwhile waits for a slice, and not for the purge."""
    path = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{path}")
    schema.migrate(engine)
    log = EvaluationLog(engine)
    for _ in range(8):
        log.append([decided_entry(when=day(1)) for _ in range(1_000)])
    database.checkpoint(log.engine)
    size = path.stat().st_size
    slices: list[int] = []

    def note(deleted: int) -> None:
        slices.append(deleted)
        log.append([decided_entry(when=day(9))])

    assert retention.purge(engine, day(3), note) == 8_000
    assert len(slices) > 4
    assert len(History(engine).search(Search(limit=9))) == min(9, len(slices))
    assert path.stat().st_size < size / 4
    assert path.with_name("evaluations.db-wal").stat().st_size == 0
    engine.dispose()


def test_who_waits_to_write_meanwhile_waits_for_a_slice_or_two(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}")
    schema.migrate(engine)
    log, slices, waited = EvaluationLog(engine), 0, []
    log.append([decided_entry(when=day(1)) for _ in range(2_000)])
    event.listen(engine, "commit", lambda _: time.sleep(0.03))  # so that slices stay small

    def note(_deleted: int) -> None:
        nonlocal slices
        slices += 1

    with ThreadPoolExecutor(1) as thread:
        other = EvaluationLog(database.connect_again(engine))
        purging = thread.submit(retention.purge, engine, day(3), note)
        while not purging.done():
            before = slices
            other.append([decided_entry(when=day(9))])
            waited.append(slices - before)
        purging.result()
        other.engine.dispose()

    assert slices > 9
    assert max(waited) <= 2
    engine.dispose()


def test_nothing_of_a_name_that_was_deleted_is_left_in_the_file(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}")
    schema.migrate(engine)
    log = EvaluationLog(engine)
    log.append([decided_entry("Zulmira Quaresma", when=day(1)) for _ in range(50)])
    log.append([decided_entry("Bento", when=day(5))])

    retention.purge(engine, day(3))

    assert b"bento" in _left(tmp_path)
    assert b"zulmira" not in _left(tmp_path)
    engine.dispose()


def test_a_purge_that_is_killed_when_all_is_deleted_is_known_and_can_be_finished(
    tmp_path: Path,
) -> None:
    """What it deleted is in the name index still, and in no row by which it would be found."""
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}")
    schema.migrate(engine)
    EvaluationLog(engine).append([decided_entry("Zulmira", when=day(1)) for _ in range(50)])
    indexed = database.connect_again(engine)
    name_index.attach(indexed)
    name_index.index_some(indexed)
    indexed.dispose()

    def killed(_deleted: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retention.purge(engine, day(3), killed)
    assert retention.count_older(engine, day(3)) == (0, 0)
    assert retention.is_unfinished(engine)
    assert b"zul" in _left(tmp_path)

    retention.finish(engine)

    assert not retention.is_unfinished(engine)
    assert b"zul" not in _left(tmp_path)
    engine.dispose()


def _left(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir()).lower()


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_purge_waits_for_a_review_that_is_being_written_and_vacuums_all_it_deletes_from(
    engine: Engine, log: EvaluationLog
) -> None:
    old = decided_entry(when=day(1))
    log.append([old])
    review = Review(new_id(), old.id, Outcome.REFUSED, "Não apresentou.", "Ana", day(2))
    with ThreadPoolExecutor(1) as pool, engine.connect() as reviewing:
        known = select(evaluations.c.id).where(evaluations.c.id == old.id)
        reviewing.execute(known.with_for_update())
        purging = pool.submit(retention.purge, engine, day(3))
        with suppress(TimeoutError):
            purging.result(0.5)
        reviewing.execute(insert(reviews).values(asdict(review)))
        reviewing.commit()
        assert purging.result(10) == 1

    with engine.connect() as connection:
        query = text("SELECT relname FROM pg_stat_user_tables WHERE vacuum_count > 0")
        vacuumed = set(connection.scalars(query))
    assert vacuumed == {
        "evaluations",
        "searched",
        "idempotency_keys",
        "posts",
        "reviews",
        "batch_chunks",
        "batches",
        "client_file_parts",
        "client_files",
    }
