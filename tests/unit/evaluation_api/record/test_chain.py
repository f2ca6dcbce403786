"""The chain of what was recorded, and what is found when somebody changes the record by hand."""

# ruff: noqa: S608 - the statements' names are ours

import asyncio
import json
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256
from typing import Any, Self

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import Entry, Outcome, Review
from evaluation_api.decision.errors import RecordUnavailableError
from evaluation_api.operations import audit, remains, retention
from evaluation_api.operations.persons import Persons
from evaluation_api.record import chain, database, digests
from evaluation_api.record.chain import ChainLog, Event, Head
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.rows import COLUMNS
from evaluation_api.record.sealer import Sealer, Seals
from evaluation_api.runtime.identity import new_id
from tests.evaluations import decided_entry, pending_entry
from tests.services import eventually

COUNT = 8
_NOT_ERASED = "is not as an erasure leaves it"
Tamper = Callable[[Engine, list[str]], None]


@pytest.fixture
def seals(engine: Engine) -> Seals:
    return Seals(engine)


@pytest.fixture
def sealed(engine: Engine, log: EvaluationLog, seals: Seals) -> list[str]:
    """Record and seal evaluations, two commits of two and the rest one by one, and a review."""
    seals.seal_all()
    entries = [decided_entry(f"Cliente {number}") for number in range(COUNT)]
    for commit in (entries[:2], entries[2:4], *([one] for one in entries[4:])):
        log.append(commit)
    log.review(review(entries[0].id))
    seals.seal_all()
    assert audit.verify(engine).faults == []
    return [one.id for one in entries]


def review(evaluation_id: str) -> Review:
    now = datetime.now(UTC)
    return Review(new_id(), evaluation_id, Outcome.REFUSED, "Não apresentou renda.", "Ana", now)


def entry_now(name: str = "Maria", ahead: timedelta = timedelta()) -> Entry:
    """Make an entry that was decided at this moment, by a clock that is so much ahead."""
    entry, now = decided_entry(name), datetime.now(UTC) + ahead
    assert entry.evaluation
    return entry._replace(evaluation=entry.evaluation._replace(evaluated_at=now))


def run(engine: Engine, statement: str, **values: object) -> None:
    with engine.begin() as connection:
        assert connection.execute(text(statement), values).rowcount


def rename(engine: Engine, ids: list[str]) -> None:
    run(engine, "UPDATE evaluations SET name = 'Outra' WHERE id = :of", of=ids[1])


def change_an_amount(engine: Engine, ids: list[str]) -> None:
    run(engine, "UPDATE evaluations SET payments = payments + 0.01 WHERE id = :of", of=ids[2])


def backdate(engine: Engine, ids: list[str]) -> None:
    statement = "UPDATE evaluations SET received_at = '2020-01-01 00:00:00' WHERE id = :of"
    run(engine, statement, of=ids[3])


def delete(engine: Engine, ids: list[str]) -> None:
    run(engine, "DELETE FROM evaluations WHERE id = :of", of=ids[4])


def insert_among_them(engine: Engine, ids: list[str]) -> None:
    """Insert a copy with a digest of its own, as if it had always been there."""
    with engine.begin() as connection:
        columns = ", ".join(set(COLUMNS) - {"id", "digest"})
        where = "WHERE id = :of"
        place = "position" if engine.dialect.name == "postgresql" else "rowid"
        if place == "rowid":  # make room: the rows from there on move up by one
            connection.execute(text("UPDATE evaluations SET rowid = -rowid - 1 WHERE rowid > 4"))
            connection.execute(text("UPDATE evaluations SET rowid = -rowid WHERE rowid < 0"))
        number = connection.scalar(text(f"SELECT {place} FROM evaluations {where}"), {"of": ids[3]})
        new = number if place == "position" else number + 1
        statement = (
            f"INSERT INTO evaluations (id, {place}, {columns})"
            f" SELECT :new, {new}, {columns} FROM evaluations {where}"
        )
        connection.execute(text(statement), {"new": f"{ids[3][:-1]}!", "of": ids[3]})
        redo_digest(connection, f"{ids[3][:-1]}!")


def redo_digest(connection: Connection, identity: str) -> None:
    """Make a digest that fits, as whoever knows the code can."""
    dialect = connection.dialect.name
    query = f"SELECT {digests.selected(dialect)}, salt FROM evaluations WHERE id = :of"
    *values, salt = connection.execute(text(query), {"of": identity}).one()
    statement = text("UPDATE evaluations SET digest = :digest WHERE id = :of")
    made = {"of": identity, "digest": digests.of_values(salt, values)}
    connection.execute(statement, made)


def change_with_its_digest(engine: Engine, ids: list[str]) -> None:
    with engine.begin() as connection:
        statement = text("UPDATE evaluations SET outcome = 'recusado' WHERE id = :of")
        connection.execute(statement, {"of": ids[5]})
        redo_digest(connection, ids[5])


def reorder(engine: Engine, ids: list[str]) -> None:
    place = "position" if engine.dialect.name == "postgresql" else "rowid"
    with engine.begin() as connection:
        query = text(f"SELECT {place} FROM evaluations WHERE id = :of")
        one, other = (connection.scalar(query, {"of": ids[at]}) for at in (4, 6))
        move = text(f"UPDATE evaluations SET {place} = :to WHERE id = :of")
        for of, to in ((ids[4], -1), (ids[6], one), (ids[4], other)):
            connection.execute(move, {"of": of, "to": to})


def rewrite_a_review(engine: Engine, _ids: list[str]) -> None:
    run(engine, "UPDATE reviews SET outcome = 'aprovado'")


def exchange_two_reviews(engine: Engine, ids: list[str]) -> None:
    """Have the first of two people's decisions count in the place of the last."""
    EvaluationLog(engine).review(review(ids[0]))
    Seals(engine).seal_all()
    assert audit.verify(engine).faults == []
    place = "position" if engine.dialect.name == "postgresql" else "rowid"
    run(engine, f"UPDATE reviews SET {place} = -{place}")


def exchange_the_last_two_of_three_reviews(engine: Engine, ids: list[str]) -> None:
    for _ in range(2):
        EvaluationLog(engine).review(review(ids[0]))
        Seals(engine).seal_all()
    _exchange_the_last_two_reviews(engine)


def exchange_two_reviews_that_were_sealed_together(engine: Engine, ids: list[str]) -> None:
    for _ in range(2):
        EvaluationLog(engine).review(review(ids[1]))
    Seals(engine).seal_all()
    _exchange_the_last_two_reviews(engine)


def _exchange_the_last_two_reviews(engine: Engine) -> None:
    assert audit.verify(engine).faults == []
    place = "position" if engine.dialect.name == "postgresql" else "rowid"
    last, before = f"(SELECT max({place}) FROM reviews)", f"(SELECT max({place}) - 1 FROM reviews)"
    run(engine, f"UPDATE reviews SET {place} = -1 WHERE {place} = {last}")
    run(engine, f"UPDATE reviews SET {place} = {place} + 1 WHERE {place} = {last}")
    run(engine, f"UPDATE reviews SET {place} = {before} WHERE {place} = -1")


def insert_a_backdated_review(engine: Engine, ids: list[str]) -> None:
    when = datetime.now(UTC) - timedelta(hours=1)
    EvaluationLog(engine).review(replace(review(ids[1]), reviewed_at=when))


def have_a_backdated_review_sealed(engine: Engine, ids: list[str]) -> None:
    insert_a_backdated_review(engine, ids)
    Seals(engine).seal_all()


def hide_as_erased(engine: Engine, ids: list[str]) -> None:
    run(engine, "UPDATE evaluations SET erased_at = received_at WHERE id = :of", of=ids[1])


def have_it_wait_again(engine: Engine, ids: list[str]) -> None:
    run(engine, "UPDATE evaluations SET pending = NOT pending WHERE id = :of", of=ids[1])


def decide_what_waits(engine: Engine, _ids: list[str]) -> None:
    """Have whoever repeats a request that waits be answered something."""
    EvaluationLog(engine).append([waiting := pending_entry()])
    Seals(engine).seal_all()
    assert audit.verify(engine).faults == []
    run(engine, "UPDATE evaluations SET answer = '{}' WHERE id = :of", of=waiting.id)


def take_the_mark_of_the_end_away(engine: Engine, _ids: list[str]) -> None:
    run(engine, "DELETE FROM marks WHERE name = 'chain_head'")


def take_the_mark_away_and_go_on(engine: Engine, ids: list[str]) -> None:
    take_the_mark_of_the_end_away(engine, ids)
    EvaluationLog(engine).append([entry_now()])
    Seals(engine).seal_all()


def rewrite_a_policy(engine: Engine, _ids: list[str]) -> None:
    policy, _ = policy_file.read(policy_file.DEFAULT)
    PolicyLog(engine).remember(policy.version, "another")


def drop_a_policy(engine: Engine, _ids: list[str]) -> None:
    policy, source = policy_file.read(policy_file.DEFAULT)
    PolicyLog(engine).remember(policy.version, source)
    assert audit.verify(engine).faults == []
    run(engine, "DELETE FROM policies")


def delete_a_review(engine: Engine, _ids: list[str]) -> None:
    run(engine, "DELETE FROM reviews")


def insert_backdated(engine: Engine, ids: list[str]) -> None:
    """Insert behind all others, with the times of last year, and have the sealer take it."""
    run(
        engine,
        "INSERT INTO evaluations (id, name, name_folded, pending, received_at, balance, purchases,"
        " cash_advance, credit_limit, payments, degraded, evaluated_at, outcome)"
        " SELECT '0000', name, name_folded, pending, '2020-01-01 00:00:00', balance, purchases,"
        " cash_advance, credit_limit, payments, degraded, '2020-01-01 00:00:00', outcome"
        " FROM evaluations WHERE id = :of",
        of=ids[0],
    )
    Seals(engine).seal_all()


def change_an_entry(engine: Engine, _ids: list[str]) -> None:
    run(engine, "UPDATE chain SET body = replace(body, '\"count\"', '\"kount\"')")


def drop_an_entry(engine: Engine, _ids: list[str]) -> None:
    run(engine, "DELETE FROM chain WHERE number = 2")


def erase_quietly(engine: Engine, ids: list[str]) -> None:
    run(
        engine,
        "UPDATE evaluations SET name = '', answer = NULL, salt = NULL WHERE id = :of",
        of=ids[0],
    )


def tell_of_an_erasure(engine: Engine, *ids: str) -> None:
    """Have the chain tell that rows as they are now are what an erasure left."""
    with engine.begin() as connection:
        left = {}
        for table in ("evaluations", "reviews"):
            columns = digests.selected(engine.dialect.name, table)
            for row in connection.execute(text(f"SELECT {columns} FROM {table}")):
                left[row[0]] = digests.of_values(b"", tuple(row)).hex()
        told = {"left": {identity: left[identity] for identity in ids}}
        chain.note(connection, chain.by_terminal(chain.ERASE, **told))
    Seals(engine).seal_all()


def change_as_if_erased(engine: Engine, ids: list[str]) -> None:
    run(
        engine, "UPDATE evaluations SET outcome = 'recusado', salt = NULL WHERE id = :of", of=ids[5]
    )
    tell_of_an_erasure(engine, ids[5])


def keep_all_but_the_name_of_who_is_erased(engine: Engine, ids: list[str]) -> None:
    statement = "UPDATE evaluations SET name = 'apagado', name_folded = 'apagado', salt = NULL"
    run(engine, f"{statement} WHERE id = :of", of=ids[5])
    tell_of_an_erasure(engine, ids[5])


def keep_the_answer_of_who_is_erased(engine: Engine, ids: list[str]) -> None:
    query = "SELECT answer FROM evaluations WHERE id = :of"
    with engine.connect() as connection:
        answer = connection.scalar(text(query), {"of": ids[5]})
    Persons(engine).erase([ids[5]], lambda _row: answer)


def leave_where_they_are_found_who_is_erased(engine: Engine, ids: list[str]) -> None:
    Persons(engine).erase([ids[5]])
    assert audit.verify(engine).faults == []
    statement = "UPDATE evaluations SET name_folded = 'cliente 5' WHERE id = :of"
    run(engine, statement, of=ids[5])


def tell_of_an_erasure_that_never_was(engine: Engine, ids: list[str]) -> None:
    tell_of_an_erasure(engine, ids[5])


def change_who_was_erased(engine: Engine, ids: list[str]) -> None:
    Persons(engine).erase([ids[5]])
    with engine.connect() as connection:
        query = "SELECT answer FROM evaluations WHERE id = :of"
        answer = connection.scalar(text(query), {"of": ids[5]})
    changed = answer.replace('"decisao":"aprovado"', '"decisao":"recusado"')
    assert changed != answer
    statement = "UPDATE evaluations SET outcome = 'recusado', answer = :answer WHERE id = :of"
    run(engine, statement, of=ids[5], answer=changed)
    tell_of_an_erasure(engine, ids[5])


def change_of_who_was_erased_what_the_answer_still_tells(engine: Engine, ids: list[str]) -> None:
    Persons(engine).erase([ids[5]], lambda row: remains.of(replace(row, model_tag="another")))


def rewrite_a_review_as_if_erased(engine: Engine, ids: list[str]) -> None:
    run(engine, "UPDATE reviews SET outcome = 'aprovado', salt = NULL")
    (reviewed,) = EvaluationLog(engine).find(ids[0]).reviews
    tell_of_an_erasure(engine, reviewed.id)


def tell_of_the_erasure_of_a_review_that_never_was(engine: Engine, ids: list[str]) -> None:
    (reviewed,) = EvaluationLog(engine).find(ids[0]).reviews
    tell_of_an_erasure(engine, reviewed.id)


def delete_as_if_purged(engine: Engine, ids: list[str]) -> None:
    """Delete one by hand, and leave its digest as a purge does."""
    position = "rowid" if engine.dialect.name == "sqlite" else "position"
    run(
        engine,
        "INSERT INTO purged_digests (position, evaluation_id, digest, event_id)"
        f" SELECT {position}, id, digest, :event FROM evaluations WHERE id = :of",
        event=new_id(),
        of=ids[4],
    )
    delete(engine, ids)


def give_what_was_purged_another_id(engine: Engine, ids: list[str]) -> None:
    """So that a correction that was taken back by hand seems to have gone with a purge."""
    retention.purge(engine, datetime.now(UTC) + timedelta(milliseconds=2))
    assert audit.verify(engine).faults == []
    statement = "UPDATE purged_digests SET evaluation_id = :new WHERE evaluation_id = :of"
    run(engine, statement, new=new_id(), of=ids[1])


def put_in_the_place_of_another(engine: Engine, ids: list[str]) -> None:
    statement = "INSERT INTO corrections (evaluation_id, by_id) VALUES (:of, :by)"
    run(engine, statement, of=ids[0], by=ids[1])


def take_a_correction_back(engine: Engine, ids: list[str]) -> None:
    Persons(engine).correct(ids[0], entry_now())
    assert audit.verify(engine).faults == []
    run(engine, "DELETE FROM corrections")


def rewrite_a_review_for_the_sealer(engine: Engine, _ids: list[str]) -> None:
    run(engine, "UPDATE reviews SET outcome = 'aprovado', digest = NULL")
    Seals(engine).seal_all()


def change_as_if_decided_late(engine: Engine, ids: list[str]) -> None:
    run(engine, "UPDATE evaluations SET outcome = 'recusado' WHERE id = :of", of=ids[5])
    run(engine, "INSERT INTO chain_waiting (evaluation_id) VALUES (:of)", of=ids[5])
    Seals(engine).seal_all()


def note_as_the_sealer(engine: Engine, ids: list[str]) -> None:
    """Tell of a decision that was sealed late, in an event for the sealer to make an entry of."""
    with engine.begin() as connection:
        query = text("SELECT digest FROM evaluations WHERE id = :of")
        before = connection.scalar(query, {"of": ids[5]}).hex()
        statement = text("UPDATE evaluations SET outcome = 'recusado' WHERE id = :of")
        connection.execute(statement, {"of": ids[5]})
        redo_digest(connection, ids[5])
        after = connection.scalar(query, {"of": ids[5]}).hex()
        decided = {"evaluations": [[ids[5], before, after]]}
        chain.note(connection, Event("decided", "comando:ana", "", decided))
    Seals(engine).seal_all()


def leave_junk_in_the_sealers_way(engine: Engine, _ids: list[str]) -> None:
    run(engine, "INSERT INTO chain_events (id, body) VALUES ('0', 'junk')")
    EvaluationLog(engine).append([entry_now()])
    Seals(engine).seal_all()
    assert audit.verify(engine).unsealed == 0


def cut_the_end_off(engine: Engine, ids: list[str]) -> None:
    """Take the last evaluations away, and the entries that tell of them."""
    run(engine, "DELETE FROM chain WHERE number > 2")
    run(engine, "DELETE FROM reviews")
    run(
        engine,
        "DELETE FROM evaluations WHERE id <> :of AND id <> :and",
        of=ids[0],
        **{"and": ids[1]},
    )


def cut_the_end_off_and_go_on(engine: Engine, ids: list[str]) -> None:
    cut_the_end_off(engine, ids)
    for _ in range(9):
        EvaluationLog(engine).append([entry_now()])
        Seals(engine).seal_all()


def make_the_chain_anew(engine: Engine, ids: list[str]) -> None:
    rename(engine, ids)
    run(engine, "DELETE FROM chain")
    run(engine, "UPDATE evaluations SET digest = NULL")
    run(engine, "UPDATE reviews SET digest = NULL")
    Seals(engine).seal_all()


def leave_behind_the_sealer(engine: Engine, _ids: list[str]) -> None:
    """Put one where the sealer never comes, or have it stand there while the chain goes on."""
    EvaluationLog(engine).append([entry := decided_entry(when=datetime(2026, 1, 1, tzinfo=UTC))])
    if engine.dialect.name == "postgresql":
        run(engine, "UPDATE evaluations SET position = 1099511627776 WHERE id = :of", of=entry.id)
        Seals(engine).seal_all()
    else:
        ChainLog(engine).note([Event("search", "link:Ana", "", {})])
        with engine.begin() as connection:
            chain.Link(connection).add_events(1)


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (rewrite_a_review_for_the_sealer, "review .* was sealed again"),
        (change_as_if_decided_late, "was changed after it was sealed"),
        (note_as_the_sealer, "event .* was in its way"),
        (leave_junk_in_the_sealers_way, "event 0 was in its way"),
        (cut_the_end_off, "before the head that was kept"),
        (cut_the_end_off_and_go_on, "entry 3: tells that .* is lost"),
        (make_the_chain_anew, "tells that .* is lost"),
        (leave_behind_the_sealer, "not sealed, and the chain went on"),
        (rename, "was changed after it was sealed"),
        (change_an_amount, "was changed after it was sealed"),
        (backdate, "was changed after it was sealed"),
        (delete, "evaluations are gone"),
        (insert_among_them, "evaluations were put among|are not those"),
        (change_with_its_digest, "are not those, or not in the order"),
        (reorder, "are not those, or not in the order"),
        (rewrite_a_review, "was changed after it was sealed"),
        (delete_a_review, "is gone"),
        (insert_backdated, "says that it is of 2020-01-01 00:00 UTC"),
        (change_an_entry, "was changed"),
        (drop_an_entry, "what stood between is gone"),
        (erase_quietly, "was changed after it was sealed"),
        (change_as_if_erased, _NOT_ERASED),
        (keep_all_but_the_name_of_who_is_erased, _NOT_ERASED),
        (keep_the_answer_of_who_is_erased, _NOT_ERASED),
        (leave_where_they_are_found_who_is_erased, _NOT_ERASED),
        (tell_of_an_erasure_that_never_was, _NOT_ERASED),
        (change_of_who_was_erased_what_the_answer_still_tells, _NOT_ERASED),
        (change_who_was_erased, "was erased again"),
        (rewrite_a_review_as_if_erased, _NOT_ERASED),
        (tell_of_the_erasure_of_a_review_that_never_was, _NOT_ERASED),
        (delete_as_if_purged, "no purge tells that it took it"),
        (give_what_was_purged_another_id, "what it took is not what it told of"),
        (put_in_the_place_of_another, "was not corrected by"),
        (take_a_correction_back, "is in its place is gone"),
        (exchange_two_reviews, "counts after others, and was sealed before"),
        (exchange_the_last_two_of_three_reviews, "counts after others, and was sealed before"),
        (
            exchange_two_reviews_that_were_sealed_together,
            "counts after others, and was sealed before",
        ),
        (insert_a_backdated_review, "review .* was not there before"),
        (have_a_backdated_review_sealed, "review .* was not there before"),
        (hide_as_erased, "stands as erased, and nothing tells of that"),
        (have_it_wait_again, "stands as one that waits"),
        (decide_what_waits, "stands as one that waits"),
        (take_the_mark_of_the_end_away, "the head that the record keeps: is gone"),
        (take_the_mark_away_and_go_on, "the head that the record kept was in its way"),
        (rewrite_a_policy, "its text was changed"),
        (drop_a_policy, "its text is gone"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_what_is_changed_by_hand_is_found(
    engine: Engine, sealed: list[str], tamper: Tamper, told: str
) -> None:
    tamper(engine, sealed)

    faults = audit.verify(engine).faults
    assert any(re.search(told, fault) for fault in faults), faults


#: By table, the columns that are read to verify.
_READ = {
    "chain": ("number", "kind", "hash", "body"),
    "chain_events": ("id", "body"),
    "chain_waiting": ("evaluation_id",),
    "corrections": ("evaluation_id", "by_id"),
    "purged_digests": ("position", "evaluation_id", "digest", "event_id"),
    "marks": ("value",),
    "reviews": ("id", "evaluation_id", "outcome", "reviewed_at", "salt", "digest"),
    "policies": ("version", "text"),
    "evaluations": (
        *("id", "received_at", "name", "balance", "degraded", "evaluated_at"),
        *("cluster", "answer", "salt", "digest"),
    ),
}
#: Of these, what nobody vouches for.
_UNSEALED = {"chain_events", "chain_waiting", "marks"}
_JUNK = (
    *("''", "'junk'", "'{}'", "'[]'", "'null'", "'2020-01-01 00:00:00'", f"'{'[' * 20_000}'"),
    *("""'{"at":"0001-01-01T00:00:00Z","kind":"seal","number":2,"what":{"to":[{},7]}}'""",),
    *("""'{"at":"2026-11-22T12:00:00","kind":"erase","what":{"left":7}}'""", "7", "NULL"),
)
#: What a file takes in any column besides; no UTF-8 among it.
_JUNK_OF_FILES = ("-1e300", "x'ff00'", "CAST(x'ff' AS TEXT)")


@pytest.mark.parametrize("table", _READ)
def test_junk_in_what_the_chain_is_read_from_is_told(
    engine: Engine, log: EvaluationLog, seals: Seals, table: str
) -> None:
    log.append([entry_now(), entry_now()])
    retention.purge(engine, datetime.now(UTC) + timedelta(milliseconds=2))
    entries = [entry_now(), entry_now(), pending_entry()]
    log.append(entries)
    log.review(review(entries[1].id))
    Persons(engine).correct(entries[0].id, entry_now())
    seals.seal_all()
    policy, source = policy_file.read(policy_file.DEFAULT)
    PolicyLog(engine).remember(policy.version, source)
    assert audit.verify(engine).faults == []
    tried = Counter(
        is_told(engine, table, column, junk)
        for column in _READ[table]
        for junk in (*_JUNK, *(_JUNK_OF_FILES if engine.dialect.name == "sqlite" else ()))
    )

    assert sum(tried.values()) > tried["refused"]
    assert table in _UNSEALED or not tried["missed"]


def is_told(engine: Engine, table: str, column: str, junk: str) -> str:
    """Put junk into a table's last row, verify, and take it out again."""
    row = "rowid" if engine.dialect.name == "sqlite" else "ctid"
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "PRAGMA foreign_keys = OFF"
            if row == "rowid"
            else "SET session_replication_role = replica"
        )
        connection.commit()
        at, old = connection.exec_driver_sql(
            f"SELECT {row}, {column} FROM {table} ORDER BY {row} DESC LIMIT 1"
        ).one()
        change = f"UPDATE {table} SET {column} = {{}} WHERE {row} = :at RETURNING {row}"
        try:
            at = connection.scalar(text(change.format(junk.replace(":", "\\:"))), {"at": at})
            connection.commit()
        except DBAPIError:
            return "refused"
        faults = audit.verify(engine).faults
        connection.execute(text(change.format(":old")), {"at": at, "old": old})
        connection.commit()
    return "told" if faults else "missed"


def test_what_was_committed_is_sealed_within_two_seconds(
    engine: Engine, log: EvaluationLog
) -> None:
    async def scenario() -> None:
        async with Sealer(engine) as one, Sealer(engine) as other:
            work = [asyncio.create_task(sealer.run()) for sealer in (one, other)]
            log.append([entry_now(), pending_entry()])
            await asyncio.to_thread(eventually, lambda: not audit.verify(engine).unsealed, 2)
            for one_work in work:
                one_work.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        found = audit.verify(engine)
        assert (found.faults, found.evaluations) == ([], 2)

    asyncio.run(scenario())


def test_a_look_seals_all_that_came_and_does_not_look_again_at_once(
    engine: Engine, log: EvaluationLog, seals: Seals
) -> None:
    seals.seal_all()
    before = ChainLog(engine).head().number
    entries = [entry_now() for _ in range(3)]
    log.append(entries)
    log.review(review(entries[0].id))

    assert seals.seal_some() is False
    assert ChainLog(engine).head().number == before + 2
    assert audit.verify(engine).unsealed == 0


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_look_takes_the_file_for_what_is_due_alone(
    engine: Engine, log: EvaluationLog, seals: Seals
) -> None:
    seals.seal_all()
    log.append([decided_entry()])
    taken: list[str] = []

    @event.listens_for(engine, "checkout")
    def listen(driver: sqlite3.Connection, *_: object) -> None:
        driver.set_trace_callback(taken.append)

    seals.seal_some()
    seals.seal_some()

    assert taken.count("BEGIN IMMEDIATE") == 1
    assert audit.verify(engine).faults == []


class _Interrupted(Seals):
    """Lets others in between its look and what it does then."""

    def __init__(self, engine: Engine, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        super().__init__(engine)

    def _look_ahead(self, connection: Connection) -> Callable[[Connection], bool] | None:
        step = super()._look_ahead(connection)
        self._meanwhile()
        return step


@pytest.mark.parametrize("change", ["sealed", "erased", "sealed and erased", "noted"])
def test_what_was_looked_at_is_not_sealed_as_it_was_before_others_came(
    engine: Engine, log: EvaluationLog, change: str
) -> None:
    entry = decided_entry()
    log.append([entry, decided_entry()])

    def meanwhile() -> None:
        if change == "noted":
            ChainLog(engine).note([chain.by_terminal("export")])
        if "sealed" in change:
            Seals(engine).seal_all()
        if "erased" in change:
            Persons(engine).erase([entry.id])

    seals = _Interrupted(engine, meanwhile)
    assert seals.seal_some() is True
    Seals(engine).seal_all()

    found = audit.verify(engine)
    assert (found.faults, found.unsealed) == ([], 0)


def test_sealers_of_many_replicas_beside_many_writers_make_one_chain(
    url: str, engine: Engine
) -> None:
    def write(_: int) -> None:
        own = database.connect(url)
        for count in (1, 7, 3) * 4:
            EvaluationLog(own).append([entry_now() for _ in range(count)])
        own.dispose()

    def seal(_: int) -> None:
        own = database.connect(url)
        seals = Seals(own)
        while not stop.is_set():
            with suppress(RecordUnavailableError):  # another one had the file for too long
                seals.seal_some()
        own.dispose()

    stop = threading.Event()
    with ThreadPoolExecutor(5) as pool:
        sealing = [pool.submit(seal, number) for number in range(2)]
        for one in [pool.submit(write, number) for number in range(3)]:
            one.result()
        stop.set()
        for one in sealing:
            one.result()
    Seals(engine).seal_all()

    found = audit.verify(engine)
    assert (found.faults, found.evaluations, found.unsealed) == ([], 3 * 4 * 11, 0)


def test_what_was_there_before_the_chain_is_sealed_behind_an_entry_that_says_so(
    engine: Engine, log: EvaluationLog, seals: Seals
) -> None:
    """As the last release leaves it: rows without digests, one of them waiting."""
    entries = [*(decided_entry() for _ in range(300)), pending_entry()]
    log.append(entries)
    log.review(review(entries[0].id))
    run(engine, "UPDATE evaluations SET salt = NULL, digest = NULL")
    run(engine, "UPDATE evaluations SET evaluated_at = '2020-01-01 00:00:00' WHERE NOT pending")

    seals.seal_all()

    found = audit.verify(engine)
    assert (found.faults, found.evaluations, found.reviews, found.unsealed) == ([], 301, 1, 0)
    first = exported(engine)[0]
    assert first["kind"] == "begin"
    assert first["what"]["recorded_before"][1] == max(one.id for one in entries)


def exported(engine: Engine) -> list[dict[str, Any]]:
    return [json.loads(body) for body in ChainLog(engine).bodies()]


@pytest.mark.parametrize("is_sealed_meanwhile", [True, False])
def test_what_waited_is_sealed_as_received_and_as_decided(
    engine: Engine, log: EvaluationLog, seals: Seals, *, is_sealed_meanwhile: bool
) -> None:
    waiting = pending_entry()
    log.append([waiting])
    if is_sealed_meanwhile:
        seals.seal_all()
        assert audit.verify(engine).faults == []
    decided = decided_entry()._replace(id=waiting.id, applicant=waiting.applicant, degraded=True)
    assert PendingQueue(engine).commit([decided])
    assert audit.verify(engine).faults == []

    seals.seal_all()

    assert audit.verify(engine).faults == []
    assert [one["kind"] for one in exported(engine)] == ["begin", "seal", "decided"]
    run(engine, "UPDATE evaluations SET outcome = 'recusado'")
    assert len(audit.verify(engine).faults) == 1


def test_a_purge_is_no_fault_and_leaves_the_chain_whole(
    engine: Engine, log: EvaluationLog, seals: Seals
) -> None:
    old = [decided_entry(when=datetime(2026, 11, 1, tzinfo=UTC)) for _ in range(5)]
    log.append([*old, pending_entry()])
    log.review(review(old[0].id))
    seals.seal_all()

    for _ in range(2):  # the second one takes all, so that SQLite gives rowids again
        retention.purge(engine, datetime.now(UTC) + timedelta(minutes=1))
        log.append([entry_now()])
        seals.seal_all()

    found = audit.verify(engine)
    assert (found.faults, found.purged, found.evaluations) == ([], 7, 1)
    purges = [one for one in exported(engine) if one["kind"] == "purge"]
    assert (purges[0]["who"][:8], purges[0]["what"]["evaluations"]) == ("comando:", 6)
    run(engine, "DELETE FROM purged_digests WHERE evaluation_id = :of", of=old[1].id)
    assert any("what it took" in fault for fault in audit.verify(engine).faults)


def test_a_clock_that_is_set_back_is_no_fault_and_what_is_backdated_then_is_one(
    engine: Engine, log: EvaluationLog, seals: Seals, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ahead in (timedelta(days=1), timedelta()):
        monkeypatch.setattr(chain, "datetime", clock_ahead_by(ahead))
        log.append([entry := entry_now(ahead=ahead)])
        log.review(replace(review(entry.id), reviewed_at=datetime.now(UTC) + ahead))
        seals.seal_all()
    log.append([entry_now()])

    found = audit.verify(engine)
    assert (found.faults, found.unsealed) == ([], 1)
    insert_backdated(engine, [entry.id])
    assert any("says that it is of 2020" in fault for fault in audit.verify(engine).faults)


def clock_ahead_by(ahead: timedelta) -> type[datetime]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + ahead

    return Clock


def test_a_chain_that_was_made_anew_is_found_by_the_head_that_was_kept(
    engine: Engine, sealed: list[str]
) -> None:
    kept = ChainLog(engine).head()
    assert audit.verify(engine, kept).faults == []

    run(engine, "DELETE FROM marks WHERE name = 'chain_head'")
    make_the_chain_anew(engine, sealed)

    assert audit.verify(engine).faults == []
    assert "head that was kept" in audit.verify(engine, kept).faults[0]
    longer = Head(kept.number + 9, kept.hash)
    assert "before the head that was kept" in audit.verify(engine, longer).faults[0]


def test_what_was_noted_becomes_an_entry_each(engine: Engine, seals: Seals) -> None:
    event = Event("search", "link:Ana", "10.0.0.1", {"fields": ["nome"]})
    ChainLog(engine).note([event, event])
    seals.seal_all()

    found = exported(engine)
    assert [one["kind"] for one in found] == ["begin", "search", "search"]
    assert (found[1]["who"], found[1]["from"]) == ("link:Ana", "10.0.0.1")
    assert found[2]["previous"] == sha256(chain.canonical(found[1]).encode()).hexdigest()


def test_entries_are_canonical_json() -> None:
    """The example of RFC 8785, 3.2.2, as far as entries have such values."""
    body = {"string": '\u20ac$\x0f\nA\'B"\\"/', "literals": [None, True, False], "n": 333333333}

    assert chain.canonical(body) == (
        '{"literals":[null,true,false],"n":333333333,"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\"/"}'
    )


def test_a_digest_is_made_the_same_by_every_release() -> None:
    values = ("id", "2026-11-22 12:00:00.000000", "José", 1055.0, 0.1, 1e-7, 1e16, None, 4)

    assert (
        digests.of_values(b"salt", values)
        == sha256(
            'salt["id","2026-11-22 12:00:00.000000","José",1055.0,0.1,1e-7,1e16,null,4]'.encode()
        ).digest()
    )


def test_an_amount_of_minus_zero_is_none_that_was_changed(
    engine: Engine, log: EvaluationLog, seals: Seals
) -> None:
    entry = decided_entry()
    usage = replace(entry.applicant.usage, balance=-0.0)
    log.append([entry._replace(applicant=replace(entry.applicant, usage=usage))])
    seals.seal_all()

    assert audit.verify(engine).faults == []
