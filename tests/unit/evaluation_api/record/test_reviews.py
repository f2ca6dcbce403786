"""People's decisions: none without having seen the others, none twice, none before there is one."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, event, select

from evaluation_api.access.identity import Identity, Kind
from evaluation_api.client_files.client_file import Answers, Step
from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.decision.domain import Entry, IdempotencyKey, Outcome, Review, own_key
from evaluation_api.decision.errors import (
    EvaluationPendingError,
    IdempotencyKeyReusedError,
    OwnEvaluationError,
    UnseenReviewsError,
)
from evaluation_api.operations import retention
from evaluation_api.operations.persons import Persons
from evaluation_api.record import chain, database
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.sealer import Seals
from evaluation_api.record.tables import file_answerers, file_starters
from tests.evaluations import NOON, decided_entry, new_id, pending_entry

KEY = IdempotencyKey("k", "f")


def review(entry: Entry, reviewer: str = "Ana") -> Review:
    return Review(new_id(), entry.id, Outcome.REFUSED, "Não apresentou renda.", reviewer, NOON)


@pytest.fixture
def entry(log: EvaluationLog) -> Entry:
    entry = decided_entry()
    log.append([entry])
    return entry


def test_a_reviewer_who_has_not_seen_another_review_is_shown_it(
    log: EvaluationLog, entry: Entry
) -> None:
    first, second = review(entry), review(entry, "Bia")
    log.review(first, seen=0)

    with pytest.raises(UnseenReviewsError) as refusal:
        log.review(second, seen=0)

    assert refusal.value.reviews == (first,)
    assert log.find(entry.id).reviews == (first,)
    assert log.review(second, seen=1) == second


def test_a_reviewer_who_does_not_say_what_they_saw_is_taken_at_their_word(
    log: EvaluationLog, entry: Entry
) -> None:
    log.review(review(entry))
    log.review(review(entry))

    assert len(log.find(entry.id).reviews) == 2


def test_a_pending_evaluation_is_not_reviewed(log: EvaluationLog) -> None:
    waiting = pending_entry()
    log.append([waiting])

    with pytest.raises(EvaluationPendingError):
        log.review(review(waiting), key=KEY)

    assert log.find(waiting.id).reviews == ()


def test_a_repeated_review_is_the_one_that_is_there(log: EvaluationLog, entry: Entry) -> None:
    first = review(entry)

    assert log.review(first, key=KEY, seen=0) == first
    assert log.review(review(entry), key=KEY, seen=0) == first
    assert log.find(entry.id).reviews == (first,)
    log.append([other := decided_entry()])
    for asked in (entry, other):
        with pytest.raises(IdempotencyKeyReusedError):
            log.review(review(asked), key=IdempotencyKey("k", "other"))


def test_a_key_of_a_review_is_its_senders_alone(log: EvaluationLog, entry: Entry) -> None:
    ana, bia = (IdempotencyKey(own_key("k", who), "f") for who in ("chave:ana", "chave:bia"))
    anas, bias = log.review(review(entry), key=ana), log.review(review(entry), key=bia)

    assert anas.id != bias.id
    assert log.review(review(entry), key=bia) == bias


@pytest.mark.parametrize("key", [KEY, None], ids=["repeated", "unseen"])
def test_of_reviews_at_the_same_moment_one_stands(
    url: str, log: EvaluationLog, entry: Entry, key: IdempotencyKey | None
) -> None:
    barrier = Barrier(4, timeout=30)
    engines = [database.connect(url) for _ in range(4)]

    def race(add: Callable[..., Review]) -> str | None:
        barrier.wait()
        try:
            return add(review(entry), key=key, seen=0).id
        except UnseenReviewsError:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(race, [EvaluationLog(engine).review for engine in engines]))
    for engine in engines:
        engine.dispose()

    (stands,) = log.find(entry.id).reviews
    assert {one for one in made if one} == {stands.id}
    assert made.count(None) == (0 if key else 3)


@pytest.fixture
def of_file(engine: Engine, log: EvaluationLog) -> Entry:
    """Record a client out of a file that a key sent, another answered and a person began, twice."""
    files = ClientFileLog(engine)
    files.open(file_id := new_id(), "clientes.csv", Answers(), made_by="chave:Bia")
    files.complete(file_id, "", "")
    for _ in range(2):
        noted = chain.by(by(Kind.KEY, "Caio"), "file_answer", file=file_id)
        files.answer(file_id, Answers(decimals="virgula"), noted=noted)
        files.step(file_id, Step.START, noted=chain.by(by(Kind.LINK), "file_start", file=file_id))
    one = decided_entry()._replace(id=f"{file_id[:13]}{new_id()[13:]}", made_by="chave:Bia")
    log.append([one])
    return one


def test_who_sent_answered_or_started_a_file_reviews_none_of_its_clients_and_a_namesake_does(
    engine: Engine, log: EvaluationLog, of_file: Entry
) -> None:
    """A key and a person of one name are two, and the chain says which of them reviewed."""
    key = by(Kind.KEY)
    for who in (by(Kind.KEY, "Bia"), by(Kind.KEY, "Caio"), by(Kind.LINK), by(Kind.ACCOUNT)):
        with pytest.raises(OwnEvaluationError):
            log.review(review(of_file), not_made_by=who)
    noted = chain.by(key, "review", evaluation=of_file.id)
    log.review(review(of_file), not_made_by=key, noted=noted)
    Seals(engine).seal_all()

    told = [json.loads(body) for body in chain.ChainLog(engine).bodies()]
    assert [entry["who"] for entry in told if entry["kind"] == "review"] == ["chave:Ana"]


def test_who_made_what_a_correction_stands_for_reviews_the_correction_no_more_than_that(
    engine: Engine, log: EvaluationLog, of_file: Entry
) -> None:
    """Neither where another was corrected in between, nor where nobody's name was passed on."""
    before = of_file.id
    for _ in range(2):
        Persons(engine).correct(before, newer := decided_entry())
        before = newer.id

    for who in (by(Kind.KEY, "Bia"), by(Kind.KEY, "Caio"), by(Kind.LINK)):
        with pytest.raises(OwnEvaluationError):
            log.review(review(newer), not_made_by=who)
    log.review(review(newer), not_made_by=by(Kind.KEY))


def test_who_a_client_is_of_is_looked_up_by_the_key_of_a_table_and_not_in_the_chain(
    engine: Engine, log: EvaluationLog, of_file: Entry
) -> None:
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    log.review(review(of_file), not_made_by=by(Kind.KEY))

    tables = ("file_starters", "file_answerers")
    looking = [(table, one) for table in tables for one in asked if table in one]
    assert len(looking) == len(tables)
    assert not [one for one in asked if "FROM chain" in one]
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            for table, one in looking:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", ("a", "b")).all()
                assert [row.detail.startswith(f"SEARCH {table} USING") for row in plan] == [True]


@pytest.mark.usefixtures("of_file")
def test_who_answered_and_started_a_file_is_forgotten_with_it(engine: Engine) -> None:
    retention.purge(engine, datetime.now(UTC) + timedelta(days=1))

    with engine.connect() as connection:
        for table in (file_starters, file_answerers):
            assert connection.execute(select(table)).all() == []


def by(kind: Kind, name: str = "Ana") -> Identity:
    return Identity(kind, name, frozenset())
