"""Which replica decides what waits, and that it is decided once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, bindparam, text, update

from evaluation_api.decision.domain import Entry, Recorded
from evaluation_api.record import database
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.tables import evaluations
from tests.evaluations import USAGE, decided_entry, pending_entry

LEASE = timedelta(seconds=30)


@pytest.fixture
def queue(engine: Engine) -> PendingQueue:
    return PendingQueue(engine)


def decided(recorded: Recorded, name: str = "Maria") -> Entry:
    """Decide what was leased."""
    decision = decided_entry(name)
    assert decision.evaluation
    return decision._replace(id=recorded.id, degraded=True)


def test_what_waits_is_leased_oldest_first_and_decided_once(
    log: EvaluationLog, queue: PendingQueue
) -> None:
    entries = [pending_entry() for _ in range(3)]
    log.append([*entries, decided_entry()])
    assert queue.count() == 3
    assert log.find(entries[0].id).pending

    leased = queue.lease(2, LEASE)

    assert [one.id for one in leased] == [entry.id for entry in entries[:2]]
    assert leased[0].applicant.usage == USAGE
    taken = queue.commit([decided(one) for one in leased])
    assert [entry.id for entry in taken] == [one.id for one in leased]
    first = log.find(leased[0].id)
    assert queue.commit([decided(one, "another") for one in leased]) == []
    assert log.find(leased[0].id) == first
    assert first.degraded
    assert queue.count() == 1


def test_a_lease_keeps_others_away_until_it_runs_out(
    log: EvaluationLog, queue: PendingQueue
) -> None:
    log.append([pending_entry()])

    assert len(queue.lease(9, timedelta(0))) == 1
    assert len(queue.lease(9, LEASE)) == 1
    assert queue.lease(9, LEASE) == []


def test_a_lease_from_when_the_clock_was_ahead_keeps_nobody_waiting(
    log: EvaluationLog, queue: PendingQueue, engine: Engine
) -> None:
    log.append([pending_entry()])
    queue.lease(9, LEASE)
    ahead = {"until": datetime.now(UTC) + timedelta(hours=1)}
    with engine.begin() as connection:
        connection.execute(update(evaluations).values(claimed_until=bindparam("until")), ahead)

    assert len(queue.lease(9, LEASE)) == 1


def test_leases_at_once_are_of_different_evaluations(url: str, log: EvaluationLog) -> None:
    entries = [pending_entry() for _ in range(60)]
    log.append(entries)
    engines = [database.connect(url) for _ in range(3)]

    def lease(own: Engine) -> list[str]:
        mine = PendingQueue(own)
        return [one.id for _ in range(10) for one in mine.lease(3, LEASE)]

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(lease, engines))
    for own in engines:
        own.dispose()

    leased = [one for share in shares for one in share]
    assert sorted(leased) == sorted(entry.id for entry in entries)


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_lease_does_not_wait_for_what_another_replica_is_leasing(
    engine: Engine, log: EvaluationLog, queue: PendingQueue
) -> None:
    entries = [pending_entry() for _ in range(4)]
    log.append(entries)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '5s'"))
        connection.execute(
            text("SELECT id FROM evaluations ORDER BY id LIMIT 2 FOR UPDATE")
        ).fetchall()
        with ThreadPoolExecutor(1) as pool:
            leasing = pool.submit(queue.lease, 2, LEASE)
            try:
                leased = leasing.result(timeout=5)
            finally:
                connection.rollback()  # whatever waits for it may end

    assert [one.id for one in leased] == [entry.id for entry in entries[2:]]
