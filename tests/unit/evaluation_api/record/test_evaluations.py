"""The record, the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, text

from evaluation_api.decision.domain import (
    Entry,
    FirstUse,
    IdempotencyKey,
    Outcome,
    Review,
    Search,
    own_key,
)
from evaluation_api.decision.errors import EvaluationNotFoundError, RecordUnavailableError
from evaluation_api.decision.limits import LONGEST_KEY, LONGEST_LABEL
from evaluation_api.operations import retention
from evaluation_api.record import database
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.search.history import History
from tests.evaluations import MODEL, POLICY, decided_entry, pending_entry
from tests.evaluations import prediction as predicted

EVERY = Search(limit=100)


def key(name: str, fingerprint: str = "f") -> IdempotencyKey:
    return IdempotencyKey(name, fingerprint)


def appended(log: EvaluationLog, *entries: Entry) -> list[FirstUse | None]:
    return log.append(entries)


def ids(log: EvaluationLog, search: Search = EVERY) -> list[str]:
    return [summary.id for summary in History(log.engine).search(search)]


def test_a_decision_is_found_as_it_was_written(log: EvaluationLog) -> None:
    entry = decided_entry("José da Silva 😀")

    assert appended(log, entry) == [None]

    found = log.find(entry.id)
    assert found.applicant == entry.applicant
    assert found.received_at == entry.received_at
    assert found.answer == entry.answer
    assert (found.model_tag, found.policy_version) == (MODEL.tag, POLICY.version)
    assert not found.pending
    assert not found.degraded


def test_an_id_that_nobody_has_is_not_found(log: EvaluationLog) -> None:
    for nobody in ("nobody", "", "a" * 36, "\x00" * 36):
        with pytest.raises(EvaluationNotFoundError):
            log.find(nobody)
    with pytest.raises(EvaluationNotFoundError):
        log.review(review("nobody"))


def test_a_key_belongs_to_who_used_it_first(log: EvaluationLog) -> None:
    first, second = (decided_entry(name, key=key("k", name)) for name in ("first", "second"))
    free = decided_entry("free")

    appended(log, first)
    loser, other = appended(log, second, free)

    assert loser == FirstUse(first.id, "first", first.answer)
    assert other is None
    assert ids(log) == [free.id, first.id]
    assert log.find_by_keys(["k", "never used"]) == [
        FirstUse(first.id, "first", first.answer),
        None,
    ]


def test_callers_share_no_key_whatever_they_send(log: EvaluationLog) -> None:
    """At the longest key of the longest caller, too, and in one transaction."""
    keys = [own_key("k" * LONGEST_KEY, end.rjust(LONGEST_LABEL, "c")) for end in ("a", "b")]
    one, other = (decided_entry(key=key(own, own[-1])) for own in keys)

    assert appended(log, one, other) == [None, None]

    again = [decided_entry(key=key(own)) for own in keys]
    assert [used.id for used in appended(log, *again) if used] == [one.id, other.id]
    assert [used.id for used in log.find_by_keys(keys) if used] == [one.id, other.id]


def test_a_key_of_the_release_before_is_its_callers_and_no_others(log: EvaluationLog) -> None:
    """That release keeps keys as they are sent; of some it does not know who sent them."""
    anybodys = decided_entry(key=key("old-1", "f1"))
    anas = decided_entry(key=key("old-2", "f2"))._replace(made_by="chave:ana")
    appended(log, anybodys, anas)
    before = [
        FirstUse(one.id, fingerprint, one.answer)
        for one, fingerprint in ((anybodys, "f1"), (anas, "f2"))
    ]

    asked = [own_key(sent, "chave:ana") for sent in ("old-1", "old-2")]
    assert log.find_by_keys(asked) == before
    assert appended(log, *(decided_entry(key=key(own)) for own in asked)) == before
    bias = own_key("old-2", "chave:bia")
    assert log.find_by_keys([bias]) == [None]
    assert appended(log, decided_entry(key=key(bias))) == [None]
    assert len(ids(log)) == 3


def test_a_key_twice_in_one_transaction_belongs_to_the_first(log: EvaluationLog) -> None:
    first, second = (decided_entry(name, key=key("k", name)) for name in ("first", "second"))

    won, lost = appended(log, first, second)

    assert won is None
    assert lost is not None
    assert lost.id == first.id
    assert ids(log) == [first.id]


def test_racing_for_a_key_ends_in_one_decision_each_time(url: str, log: EvaluationLog) -> None:
    rounds, racers = 200, 2
    barrier = Barrier(racers, timeout=30)
    engines = [database.connect(url) for _ in range(racers)]

    def race(own: Engine) -> list[str]:
        mine, ends = EvaluationLog(own), []
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
    url: str, log: EvaluationLog
) -> None:
    engines = [database.connect(url) for _ in range(2)]
    orders = [list(range(50)), list(range(50))[::-1]]
    barrier = Barrier(2, timeout=30)

    def write(own: Engine, order: list[int]) -> None:
        for turn in range(10):
            barrier.wait()
            EvaluationLog(own).append([decided_entry(key=key(f"{turn}-{n}")) for n in order])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, engines, orders))
    for own in engines:
        own.dispose()

    assert len(ids(log, Search(limit=1000))) == 500


def day(number: int) -> datetime:
    return datetime(2026, 11, number, 12, tzinfo=UTC)


@pytest.fixture
def history(log: EvaluationLog) -> list[Entry]:
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
        (Search(10, name="%"), []),
        (Search(10, name="50 off"), [3]),
        (Search(10, name="nobody"), []),
        (Search(10, since=datetime(1, 1, 1, tzinfo=UTC)), [4, 3, 2, 1, 0]),
    ],
)
def test_the_history_is_searched(
    log: EvaluationLog, history: list[Entry], search: Search, expected: list[int]
) -> None:
    assert ids(log, search) == [history[place].id for place in expected]


@pytest.mark.parametrize(
    "spoken",
    [
        lambda identity: identity,
        str.upper,
        lambda identity: f" {identity}\t",
        lambda identity: identity[-8:],
        lambda identity: f"{identity[-8:-4]} {identity[-4:]}".upper(),
        lambda identity: f"{identity[-8:-4]}-{identity[-4:]}".upper(),
    ],
)
def test_an_evaluation_is_found_by_its_protocol(
    log: EvaluationLog, history: list[Entry], spoken: Callable[[str], str]
) -> None:
    wanted = history[2].id

    assert ids(log, Search(10, name=spoken(wanted))) == [wanted]


def test_who_is_called_as_a_protocol_is_written_is_found_by_name(log: EvaluationLog) -> None:
    entry = decided_entry("Ada Cafe")
    log.append([entry, decided_entry("Bea Dado")])

    assert ids(log, Search(10, name="ada cafe")) == [entry.id]


@pytest.mark.parametrize("spoken", ["-7000-80", "_" * 8, "%" * 36, "0" * 7])
def test_part_of_an_id_is_no_protocol(
    log: EvaluationLog, history: list[Entry], spoken: str
) -> None:
    assert history
    assert not ids(log, Search(10, name=spoken))


def test_the_history_is_read_page_by_page(log: EvaluationLog, history: list[Entry]) -> None:
    first = ids(log, Search(limit=2))
    second = ids(log, Search(limit=2, before_id=first[-1]))
    third = ids(log, Search(limit=2, before_id=second[-1]))

    assert [*first, *second, *third] == [entry.id for entry in reversed(history)]


def test_a_name_is_found_by_its_words_in_any_order(log: EvaluationLog) -> None:
    log.append([decided_entry("Luís  d’Ávila"), decided_entry("Luísa Prado")])

    found = History(log.engine).search(Search(limit=9, name="davila LUIS"))

    assert [summary.name for summary in found] == ["Luís  d’Ávila"]


def test_a_text_without_letters_and_figures_finds_nobody(log: EvaluationLog) -> None:
    log.append([decided_entry("100% Ana")])

    assert not History(log.engine).search(Search(limit=9, name="%"))


def review(evaluation_id: str, number: int = 0, outcome: Outcome = Outcome.APPROVED) -> Review:
    identity = f"00000000-0000-7000-8000-{number:012d}"
    return Review(identity, evaluation_id, outcome, "Renda comprovada.", "Ana", day(number + 1))


def test_reviews_stand_in_order_and_the_last_one_counts(log: EvaluationLog) -> None:
    entry = decided_entry(predicted=predicted(0))
    log.append([entry])
    reviews = [review(entry.id, 0, Outcome.APPROVED), review(entry.id, 1, Outcome.MANUAL_REVIEW)]
    for one in reviews:
        log.review(one)

    assert log.find(entry.id).reviews == tuple(reviews)
    (summary,) = History(log.engine).search(EVERY)
    assert summary.outcome is Outcome.REFUSED
    assert (summary.final_outcome, summary.reviews) == (Outcome.MANUAL_REVIEW, 2)


def test_an_error_does_not_name_the_client_it_was_about(log: EvaluationLog) -> None:
    entry = decided_entry()
    log.append([entry])

    for refused in (entry, decided_entry()._replace(degraded=None)):  # type: ignore[arg-type]
        with pytest.raises(RecordUnavailableError) as refusal:
            log.append([refused])
        assert entry.applicant.name not in str(refusal.value)


def test_decided_evaluations_are_read_in_chunks(log: EvaluationLog, history: list[Entry]) -> None:
    log.append([pending_entry()])

    chunks = [[one.id for one in chunk] for chunk in log.decided(None, 2)]
    some = [one.id for chunk in log.decided([history[1].id, "nobody"], 2) for one in chunk]

    everyone = [entry.id for entry in history]
    assert chunks == [everyone[:2], everyone[2:4], everyone[4:]]
    assert some == [history[1].id]


def test_whatever_the_database_says_becomes_our_error(engine: Engine) -> None:
    log, queue, policies = EvaluationLog(engine), PendingQueue(engine), PolicyLog(engine)
    views = " CASCADE" if engine.dialect.name == "postgresql" else ""
    with engine.begin() as connection:
        for table in ("reviews", "idempotency_keys", "evaluations", "policies"):
            connection.execute(text(f"DROP TABLE {table}{views}"))

    uses: list[Any] = [
        lambda: log.append([decided_entry(key=key("k"))]),
        lambda: log.find("x" * 36),
        lambda: log.find_by_keys(["x"]),
        lambda: History(engine).search(EVERY),
        lambda: log.review(review("x" * 36)),
        lambda: queue.lease(1, timedelta(1)),
        queue.count,
        lambda: queue.commit([decided_entry()]),
        lambda: policies.remember("v", "t"),
        lambda: policies.text("v"),
        lambda: list(log.decided(None, 1)),
        lambda: retention.count_older(engine, day(1)),
        lambda: retention.purge(engine, day(1)),
        lambda: database.require_writable(log.engine),
    ]
    for use in uses:
        with pytest.raises(RecordUnavailableError):
            use()


def test_a_failed_append_writes_nothing_of_its_transaction(log: EvaluationLog) -> None:
    good = decided_entry(key=key("k"))

    with pytest.raises(RecordUnavailableError):
        log.append([good, good])

    assert ids(log) == []
    assert log.find_by_keys(["k"]) == [None]
