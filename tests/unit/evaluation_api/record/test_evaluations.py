"""The record, the same on SQLite and on PostgreSQL."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from evaluation_api.decision.domain import (
    Entry,
    IdempotencyKey,
    Outcome,
    Recorded,
    Review,
    Search,
)
from evaluation_api.decision.errors import (
    EvaluationNotFoundError,
    RecordBusyError,
    RecordUnavailableError,
)
from evaluation_api.record import database, tables
from evaluation_api.record.evaluations import DecisionLog, fold
from tests.evaluations import MODEL, POLICY, POLICY_TEXT, USAGE, decided_entry, pending_entry
from tests.evaluations import prediction as predicted
from tests.services import ENVIRONMENT, PROJECT

LEASE = timedelta(seconds=30)
EVERY = Search(limit=100)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'evaluations.db'}"
    server: str = request.getfixturevalue("postgres_url")
    engine = database.connect(server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = database.connect(url)
    database.migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def log(engine: Engine) -> DecisionLog:
    return DecisionLog(engine)


def key(name: str, fingerprint: str = "f") -> IdempotencyKey:
    return IdempotencyKey(name, fingerprint)


def appended(log: DecisionLog, *entries: Entry) -> list[Recorded | None]:
    return log.append(entries)


def ids(log: DecisionLog, search: Search = EVERY) -> list[str]:
    return [summary.id for summary in log.search(search)]


def test_the_migrations_make_the_tables_that_the_code_describes(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_every_migration_is_known_to_the_code() -> None:
    folder = Path(database.__file__).with_name("migrations") / "versions"
    revisions = sorted(path.name[:4] for path in folder.glob("[0-9]*.py"))

    assert revisions[-1] == database.HEAD


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    program = (
        "import sys; from evaluation_api.record.database import connect, migrate;"
        " migrate(connect(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, url]
    started = [
        subprocess.Popen(
            command, cwd=PROJECT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]

    for process in started:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint


def test_a_migration_that_fails_halfway_leaves_nothing_behind(url: str) -> None:
    engine = database.connect(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE policies (in_the_way INTEGER)"))

    with pytest.raises(RecordUnavailableError):
        database.migrate(engine)

    assert inspect(engine).get_table_names() == ["policies"]
    engine.dispose()


def test_a_decision_is_found_as_it_was_written(log: DecisionLog) -> None:
    entry = decided_entry("José da Silva 😀")

    assert appended(log, entry) == [None]

    found = log.find(entry.id)
    assert found.applicant == entry.applicant
    assert found.received_at == entry.received_at
    assert found.answer == entry.answer
    assert (found.model_tag, found.policy_version) == (MODEL.tag, POLICY.version)
    assert not found.pending
    assert not found.degraded


def test_an_id_that_nobody_has_is_not_found(log: DecisionLog) -> None:
    for nobody in ("nobody", "", "a" * 36, "\x00" * 36):
        with pytest.raises(EvaluationNotFoundError):
            log.find(nobody)
    with pytest.raises(EvaluationNotFoundError):
        log.review(review("nobody"))


def test_a_key_belongs_to_who_used_it_first(log: DecisionLog) -> None:
    first, second = (decided_entry(name, key=key("k", name)) for name in ("first", "second"))
    free = decided_entry("free")

    appended(log, first)
    loser, other = appended(log, second, free)

    assert loser is not None
    assert (loser.id, loser.fingerprint, loser.answer) == (first.id, "first", first.answer)
    assert other is None
    assert ids(log) == [free.id, first.id]
    found = log.find_by_key("k")
    assert found is not None
    assert found.id == first.id
    assert log.find_by_key("never used") is None


def test_a_key_twice_in_one_transaction_belongs_to_the_first(log: DecisionLog) -> None:
    first, second = (decided_entry(name, key=key("k", name)) for name in ("first", "second"))

    won, lost = appended(log, first, second)

    assert won is None
    assert lost is not None
    assert lost.id == first.id
    assert ids(log) == [first.id]


def test_racing_for_a_key_ends_in_one_decision_each_time(url: str, log: DecisionLog) -> None:
    rounds, racers = 200, 2
    barrier = Barrier(racers, timeout=30)
    engines = [database.connect(url) for _ in range(racers)]

    def race(own: Engine) -> list[str]:
        mine, ends = DecisionLog(own), []
        for number in range(rounds):
            entry = decided_entry(key=key(f"k{number}"))
            barrier.wait()
            (earlier,) = appended(mine, entry)
            ends.append(earlier.id if earlier else entry.id)
        return ends

    with ThreadPoolExecutor(racers) as pool:
        one, other = pool.map(race, engines)
    for own in engines:
        own.dispose()

    assert one == other
    found = ids(log, Search(limit=1000))
    assert sorted(found) == sorted(set(one))
    assert len(found) == rounds


def test_transactions_with_keys_in_common_do_not_wait_for_each_other(
    url: str, log: DecisionLog
) -> None:
    engines = [database.connect(url) for _ in range(2)]
    orders = [list(range(50)), list(range(50))[::-1]]
    barrier = Barrier(2, timeout=30)

    def write(own: Engine, order: list[int]) -> None:
        for turn in range(10):
            barrier.wait()
            DecisionLog(own).append([decided_entry(key=key(f"{turn}-{n}")) for n in order])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, engines, orders))
    for own in engines:
        own.dispose()

    assert len(ids(log, Search(limit=1000))) == 500


def day(number: int) -> datetime:
    return datetime(2026, 11, number, 12, tzinfo=UTC)


@pytest.fixture
def history(log: DecisionLog) -> list[Entry]:
    """Write five evaluations, one a day from the 1st, of five profiles; return them in order."""
    names = ["Ana", "JOSÉ", "Mariana", "50%_off", "Žofie"]
    entries = [
        decided_entry(name, predicted(cluster), when=day(cluster + 1))
        for cluster, name in enumerate(names)
    ]
    log.append(entries)
    return entries


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(limit=10), [4, 3, 2, 1, 0]),
        (Search(limit=2), [4, 3]),
        (Search(10, outcome=Outcome.REFUSED), [0]),
        (Search(10, outcome=Outcome.APPROVED), [4, 3, 1]),
        (Search(10, cluster=2), [2]),
        (Search(10, since=day(3)), [4, 3, 2]),
        (Search(10, until=day(3)), [1, 0]),
        (Search(10, since=day(2), until=day(4), outcome=Outcome.APPROVED), [1]),
        (Search(10, name="ana"), [2, 0]),
        (Search(10, name="jose"), [1]),
        (Search(10, name="ŽOFIE"), [4]),
        (Search(10, name="%"), [3]),
        (Search(10, name="_"), [3]),
        (Search(10, name="nobody"), []),
        (Search(10, since=datetime(1, 1, 1, tzinfo=UTC)), [4, 3, 2, 1, 0]),
    ],
)
def test_the_history_is_searched(
    log: DecisionLog, history: list[Entry], search: Search, expected: list[int]
) -> None:
    assert ids(log, search) == [history[place].id for place in expected]


def test_the_history_is_read_page_by_page(log: DecisionLog, history: list[Entry]) -> None:
    first = ids(log, Search(limit=2))
    second = ids(log, Search(limit=2, before_id=first[-1]))
    third = ids(log, Search(limit=2, before_id=second[-1]))

    assert [*first, *second, *third] == [entry.id for entry in reversed(history)]


def test_names_are_folded_for_searching() -> None:
    assert fold("José ÁÉÍ Straße") == fold("jose aei STRASSE")


def review(evaluation_id: str, number: int = 0, outcome: Outcome = Outcome.APPROVED) -> Review:
    identity = f"00000000-0000-7000-8000-{number:012d}"
    return Review(identity, evaluation_id, outcome, "Renda comprovada.", "Ana", day(number + 1))


def test_reviews_stand_in_order_and_the_last_one_counts(log: DecisionLog) -> None:
    entry = decided_entry(predicted=predicted(0))
    log.append([entry])
    reviews = [
        review(entry.id, 0, Outcome.APPROVED),
        review(entry.id, 1, Outcome.MANUAL_REVIEW),
    ]
    for one in reviews:
        log.review(one)

    assert log.find(entry.id).reviews == tuple(reviews)
    (summary,) = log.search(EVERY)
    assert summary.outcome is Outcome.REFUSED
    assert (summary.final_outcome, summary.reviews) == (Outcome.MANUAL_REVIEW, 2)


def settled(recorded: Recorded, name: str = "Maria") -> Entry:
    """Decide what was claimed."""
    decision = decided_entry(name)
    assert decision.evaluation
    return replace(decision, id=recorded.id, degraded=True)


def test_what_waits_is_claimed_oldest_first_and_settled_once(log: DecisionLog) -> None:
    entries = [pending_entry() for _ in range(3)]
    log.append([*entries, decided_entry()])
    assert log.count_pending() == 3
    assert log.find(entries[0].id).pending

    claimed = log.claim_pending(2, LEASE)

    assert [one.id for one in claimed] == [entry.id for entry in entries[:2]]
    assert claimed[0].applicant.usage == USAGE
    assert log.settle([settled(one) for one in claimed]) == 2
    first = log.find(claimed[0].id)
    assert log.settle([settled(one, "another") for one in claimed]) == 0
    assert log.find(claimed[0].id) == first
    assert first.degraded
    assert log.count_pending() == 1


def test_a_lease_keeps_others_away_until_it_runs_out(log: DecisionLog) -> None:
    log.append([pending_entry()])

    assert len(log.claim_pending(9, timedelta(0))) == 1
    assert len(log.claim_pending(9, LEASE)) == 1
    assert log.claim_pending(9, LEASE) == []


def test_claimants_at_once_get_different_evaluations(url: str, log: DecisionLog) -> None:
    entries = [pending_entry() for _ in range(60)]
    log.append(entries)
    engines = [database.connect(url) for _ in range(3)]

    def claim(own: Engine) -> list[str]:
        mine = DecisionLog(own)
        return [one.id for _ in range(10) for one in mine.claim_pending(3, LEASE)]

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(claim, engines))
    for own in engines:
        own.dispose()

    claimed = [one for share in shares for one in share]
    assert sorted(claimed) == sorted(entry.id for entry in entries)


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_claim_does_not_wait_for_what_another_replica_is_claiming(
    engine: Engine, log: DecisionLog
) -> None:
    entries = [pending_entry() for _ in range(4)]
    log.append(entries)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '5s'"))
        connection.execute(
            text("SELECT id FROM evaluations ORDER BY id LIMIT 2 FOR UPDATE")
        ).fetchall()
        with ThreadPoolExecutor(1) as pool:
            claiming = pool.submit(log.claim_pending, 2, LEASE)
            try:
                claimed = claiming.result(timeout=5)
            finally:
                connection.rollback()  # whatever waits for it may end

    assert [one.id for one in claimed] == [entry.id for entry in entries[2:]]


def test_an_error_does_not_name_the_client_it_was_about(log: DecisionLog) -> None:
    entry = decided_entry()
    log.append([entry])

    with pytest.raises(RecordUnavailableError) as refused:
        log.append([entry])

    assert entry.applicant.name not in str(refused.value)


def test_a_purge_takes_what_is_older_with_its_reviews_and_keys(
    log: DecisionLog, history: list[Entry]
) -> None:
    keyed = decided_entry(key=key("old"), when=day(1))
    log.append([keyed])
    log.review(review(keyed.id))

    assert log.count_older(day(3)) == (3, 0)
    assert log.purge(day(3)) == 3

    assert ids(log) == [entry.id for entry in reversed(history[2:])]
    assert log.find_by_key("old") is None
    assert appended(log, decided_entry(key=key("old"))) == [None]


def test_a_policy_is_remembered_once_with_its_text(log: DecisionLog) -> None:
    for source in (POLICY_TEXT, "another text"):
        log.remember_policy(POLICY.version, source)

    assert log.policy_text(POLICY.version) == POLICY_TEXT
    assert log.policy_text("000000000000") is None


def test_decided_evaluations_are_read_in_chunks(log: DecisionLog, history: list[Entry]) -> None:
    log.append([pending_entry()])

    chunks = [[one.id for one in chunk] for chunk in log.decided(None, 2)]
    some = [one.id for chunk in log.decided([history[1].id, "nobody"], 2) for one in chunk]

    everyone = [entry.id for entry in history]
    assert chunks == [everyone[:2], everyone[2:4], everyone[4:]]
    assert some == [history[1].id]


def test_whatever_the_database_says_becomes_our_error(engine: Engine) -> None:
    log = DecisionLog(engine)
    with engine.begin() as connection:
        for table in ("reviews", "idempotency_keys", "evaluations", "policies"):
            connection.execute(text(f"DROP TABLE {table}"))

    uses = [
        lambda: log.append([decided_entry(key=key("k"))]),
        lambda: log.find("x" * 36),
        lambda: log.find_by_key("x"),
        lambda: log.search(EVERY),
        lambda: log.review(review("x" * 36)),
        lambda: log.claim_pending(1, LEASE),
        log.count_pending,
        lambda: log.settle([decided_entry()]),
        lambda: log.remember_policy("v", "t"),
        lambda: log.policy_text("v"),
        lambda: list(log.decided(None, 1)),
        lambda: log.count_older(day(1)),
        lambda: log.purge(day(1)),
        log.ping,
    ]
    for use in uses:
        with pytest.raises(RecordUnavailableError):
            use()


def test_a_failed_append_writes_nothing_of_its_transaction(log: DecisionLog) -> None:
    good = decided_entry(key=key("k"))

    with pytest.raises(RecordUnavailableError):
        log.append([good, good])

    assert ids(log) == []
    assert log.find_by_key("k") is None


def test_an_impatient_record_says_that_the_file_is_busy(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}", patience_seconds=0)
    database.migrate(engine)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(RecordBusyError):
        DecisionLog(engine).append([decided_entry()])

    other.close()
    engine.dispose()


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_our_error(tmp_path: Path) -> None:
    engine = database.connect(f"postgresql+psycopg://nobody@/none?host={tmp_path}")

    with pytest.raises(RecordUnavailableError):
        database.migrate(engine)
    with pytest.raises(RecordUnavailableError):
        DecisionLog(engine).ping()
    engine.dispose()
