"""Model and policy by number: written where every program finds them, read wherever rows are."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from evaluation_api.decision.domain import Entry
from evaluation_api.operations import audit, retention
from evaluation_api.operations.persons import Persons
from evaluation_api.record import database, digests, schema
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.sealer import Seals
from evaluation_api.record.versions import Names, Versions, number_of
from portfolio import views
from tests.evaluations import MODEL, POLICY, POLICY_TEXT, decided_entry, evaluation, pending_entry

NAMES: Names = (MODEL.tag, MODEL.sha256, POLICY.version)
OTHERS: Names = ("credit_card_clusters:another", "0" * 64, "1")
STORED = "SELECT model_tag, model_sha256, policy_version, version FROM evaluations ORDER BY id"
#: Writes the names into rows that have a number, as they were always written.
NAMED = ", ".join(f"{name} = {digests.by_number(name)}" for name in digests.NAMES)
WITH_NAMES = f"UPDATE evaluations SET {NAMED}, version = NULL"  # noqa: S608 - names


def asked(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def run(engine: Engine, statement: str, **values: object) -> None:
    with engine.begin() as connection:
        assert connection.execute(text(statement), values).rowcount


def mark(engine: Engine, readable_by: str) -> None:
    """Have a record be one that programs from a version on may come to."""
    run(engine, "UPDATE marks SET value = :to WHERE name = 'readable_by'", to=readable_by)


def unanswered(entry: Entry) -> Entry:
    """Make of an entry one out of a file."""
    return entry._replace(answer=None)


@pytest.fixture
def known(engine: Engine) -> Engine:
    """Have the policy that decides be known, as at every start."""
    PolicyLog(engine).remember(POLICY.version, POLICY_TEXT)
    return engine


def test_a_new_record_has_numbers_from_its_first_row(engine: Engine, log: EvaluationLog) -> None:
    log.append([decided_entry(), pending_entry(), unanswered(decided_entry())])

    number = number_of(NAMES)
    by_number, waits = (None, None, None, number), (None, None, None, None)
    assert asked(engine, STORED) == [by_number, waits, by_number]
    assert asked(engine, "SELECT * FROM versions") == [(number, *NAMES)]
    assert asked(engine, "SELECT value FROM marks WHERE name = 'readable_by'") == [("0017",)]


def test_a_record_that_older_programs_may_come_to_has_names(
    engine: Engine, log: EvaluationLog
) -> None:
    mark(engine, "0005")

    log.append([decided_entry()])

    assert asked(engine, STORED) == [(*NAMES, None)]
    assert asked(engine, "SELECT * FROM versions") == []


def test_a_row_by_number_is_read_and_known_as_one_with_the_names(
    known: Engine, log: EvaluationLog
) -> None:
    entries = [decided_entry("Ana"), unanswered(decided_entry("Bia")), pending_entry("Caio")]
    log.append(entries)
    by_number = shown(known, entries)

    run(known, WITH_NAMES)

    assert {row[3] for row in asked(known, STORED)} == {None}
    assert shown(known, entries) == by_number
    assert {one.model_tag for one in by_number[0]} == {MODEL.tag, None}


def shown(engine: Engine, entries: list[Entry]) -> tuple[Any, ...]:
    """Return all that reads model and policy: one by one, page by page, columns and digests."""
    log = EvaluationLog(engine)
    found = [log.find(entry.id) for entry in entries]
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    columns = list(views.pages(engine, views.DECISIONS, begin, begin + timedelta(days=99_999)))
    Seals(engine).seal_all()
    return (
        found,
        list(log.decided(None, 2)),
        [tuple(row) for page in columns for row in page],
        audit.verify(engine).faults,
        asked(engine, "SELECT digest FROM evaluations ORDER BY id"),
    )


def test_a_record_with_names_goes_on_by_number_once_no_older_program_may_come(
    engine: Engine,
) -> None:
    mark(engine, "0005")
    versions = Versions(engine, seconds=0)
    assert versions.number(NAMES) is None
    EvaluationLog(engine).append([before := decided_entry()])
    mark(engine, schema.HEAD)

    (log := EvaluationLog(engine)).append([after := decided_entry()])

    assert versions.number(NAMES) == number_of(NAMES)
    assert [row[3] for row in asked(engine, STORED)] == [None, number_of(NAMES)]
    assert [log.find(one.id).model_tag for one in (before, after)] == [MODEL.tag] * 2
    Seals(engine).seal_all()
    assert audit.verify(engine).faults == []


def test_what_waited_is_decided_by_number_and_sealed_so(engine: Engine, log: EvaluationLog) -> None:
    waiting = pending_entry()
    log.append([waiting])
    Seals(engine).seal_all()

    done = evaluation(evaluation_id=waiting.id)
    PendingQueue(engine).commit([waiting._replace(evaluation=done, answer="{}")])

    Seals(engine).seal_all()
    assert asked(engine, STORED) == [(None, None, None, number_of(NAMES))]
    assert log.find(waiting.id).policy_version == POLICY.version
    assert audit.verify(engine).faults == []


def test_who_is_erased_keeps_what_decided(known: Engine, log: EvaluationLog) -> None:
    log.append([entry := decided_entry()])

    Persons(known).erase([entry.id])

    left = log.find(entry.id)
    assert (left.model_tag, left.model_sha256, left.policy_version) == NAMES
    assert f'"modelo":"{MODEL.tag}"' in (left.answer or "")
    assert audit.verify(known).faults == []


def test_a_purge_keeps_the_lines(engine: Engine, log: EvaluationLog) -> None:
    log.append([decided_entry(when=datetime(2020, 1, 1, tzinfo=UTC))])

    retention.purge(engine, datetime(2021, 1, 1, tzinfo=UTC))

    assert asked(engine, STORED) == []
    assert asked(engine, "SELECT * FROM versions") == [(number_of(NAMES), *NAMES)]


def drop_the_line(engine: Engine) -> None:
    run(engine, "DELETE FROM versions WHERE number = :of", of=number_of(NAMES))


def rename_the_policy(engine: Engine) -> None:
    run(engine, "UPDATE versions SET policy_version = '1' WHERE number = :of", of=number_of(NAMES))


def swap_the_lines(engine: Engine) -> None:
    for now, then in ((number_of(NAMES), -1), (number_of(OTHERS), number_of(NAMES))):
        run(engine, "UPDATE versions SET number = :then WHERE number = :now", now=now, then=then)


def point_elsewhere(engine: Engine) -> None:
    run(engine, "UPDATE evaluations SET version = :to", to=number_of(OTHERS))


def name_it_beside_the_number(engine: Engine) -> None:
    run(engine, "UPDATE evaluations SET model_tag = 'another'")


@pytest.mark.parametrize(
    "change",
    [drop_the_line, rename_the_policy, swap_the_lines, point_elsewhere, name_it_beside_the_number],
)
def test_what_is_changed_of_a_number_is_found(
    engine: Engine, log: EvaluationLog, change: Callable[[Engine], None]
) -> None:
    assert Versions(engine).number(OTHERS) is not None
    log.append([entry := decided_entry()])
    Seals(engine).seal_all()
    assert audit.verify(engine).faults == []

    change(engine)

    assert audit.verify(engine).faults == [
        f"evaluation {entry.id}: was changed after it was sealed"
    ]


def test_replicas_that_meet_a_pair_at_once_have_one_number(url: str, engine: Engine) -> None:
    other, met = database.connect(url), []

    def meet(*executed: object) -> None:
        """Be first, after the one has looked and before it writes."""
        if str(executed[2]).startswith("INSERT INTO versions"):
            met.append(Versions(other).number(NAMES))

    event.listen(engine, "before_cursor_execute", meet)
    number = Versions(engine).number(NAMES)
    other.dispose()

    assert met == [number] == [number_of(NAMES)]
    assert asked(engine, "SELECT * FROM versions") == [(number, *NAMES)]


def test_where_another_pair_has_the_number_rows_keep_the_names(
    engine: Engine, log: EvaluationLog
) -> None:
    insert = (
        "INSERT INTO versions (number, model_tag, model_sha256, policy_version)"
        " VALUES (:number, 'another', 'another', '1')"
    )
    run(engine, insert, number=number_of(NAMES))

    log.append([entry := decided_entry()])

    assert asked(engine, STORED) == [(*NAMES, None)]
    assert log.find(entry.id).model_tag == MODEL.tag


def test_a_line_that_a_failover_lost_comes_back_under_its_number(
    engine: Engine, log: EvaluationLog
) -> None:
    versions = Versions(engine, seconds=0)
    assert versions.number(NAMES) == number_of(NAMES)
    log.append([entry := decided_entry()])
    drop_the_line(engine)

    assert versions.number(NAMES) == number_of(NAMES)

    assert log.find(entry.id).policy_version == POLICY.version


def test_a_number_is_known_without_the_database_once_it_is_noted(engine: Engine) -> None:
    versions = Versions(engine)
    number = versions.number(NAMES)
    drop_the_line(engine)

    assert versions.number(NAMES) == number
    assert asked(engine, "SELECT * FROM versions") == []
