"""What a purge takes, and what it leaves."""

from datetime import UTC, datetime

from sqlalchemy import Engine

from evaluation_api.decision.domain import IdempotencyKey, Outcome, Review, Search
from evaluation_api.record import retention
from evaluation_api.record.evaluations import EvaluationLog
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

    assert retention.count_older(engine, day(3)) == (2, 0)
    assert retention.purge(engine, day(3)) == 2

    assert [one.id for one in log.search(Search(limit=9))] == [new.id]
    assert log.find_by_keys(["old"]) == [None]
    assert log.append([decided_entry(key=KEY)]) == [None]
