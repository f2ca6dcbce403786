"""The use case, with hand-written fakes: in which order things happen and what stands after."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    Entry,
    Evaluation,
    Geometry,
    IdempotencyKey,
    Prediction,
    Recorded,
)
from evaluation_api.decision.errors import (
    IdempotencyKeyInFlightError,
    IdempotencyKeyReusedError,
    ModelAnswerError,
    ModelUnavailableError,
    OverloadedError,
    RecordUnavailableError,
)
from evaluation_api.decision.evaluation import Evaluator, Receipt
from evaluation_api.record.pending import PendingWorker
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.web import answers
from tests.evaluations import MODEL, POLICY, USAGE, pending_entry, prediction

MARIA = Applicant("Maria", USAGE)
KEY = IdempotencyKey("key-1", "fingerprint")


class FakeModel:
    """A predictor that is away for as many calls as it is told."""

    def __init__(self, events: list[str], failures: Sequence[Exception] = ()) -> None:
        """Note each call in events."""
        self.is_away = False
        self._events = events
        self._failures = list(failures)

    async def predict(self, usage: CardUsage) -> Prediction:
        """Predict one client."""
        return (await self.predict_many([usage]))[0]

    async def predict_many(self, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Predict several."""
        self._events.append("predict")
        await asyncio.sleep(0)
        if self._failures:
            raise self._failures.pop(0)
        return [prediction() for _ in usages]

    async def describe(self) -> Geometry:
        """Fail as predictions do."""
        self._events.append("describe")
        if self._failures:
            raise self._failures.pop(0)
        self.is_away = False
        return Geometry(MODEL, ())


class FakeRecord:
    """A record in memory, which first come wins, and which can be broken."""

    def __init__(self, events: list[str], failure: Exception | None = None) -> None:
        """Note each write in events."""
        self.entries: dict[str, Entry] = {}
        self.settled: list[str] = []
        self._keys: dict[str, str] = {}
        self._events = events
        self._failure = failure

    async def append(self, entry: Entry) -> Recorded | None:
        """Write one entry, unless its key is used."""
        self._events.append("append")
        await asyncio.sleep(0)
        if self._failure:
            raise self._failure
        if entry.idempotency_key:
            winner = self._keys.setdefault(entry.idempotency_key.key, entry.id)
            if winner != entry.id:
                return self._recorded(winner)
        self.entries[entry.id] = entry
        self._events.append("committed")
        return None

    async def find_by_key(self, key: str) -> Recorded | None:
        """Give what used a key first."""
        await asyncio.sleep(0)
        return self._recorded(self._keys[key]) if key in self._keys else None

    async def count_pending(self) -> int:
        """Give how many wait."""
        return sum(entry.evaluation is None for entry in self.entries.values())

    async def claim_pending(self, limit: int, lease: timedelta) -> list[Recorded]:
        """Give the first ones that wait."""
        assert lease > timedelta(0)
        waiting = [key for key, entry in self.entries.items() if entry.evaluation is None]
        return [self._recorded(key) for key in waiting[:limit]]

    async def settle(self, entries: Sequence[Entry]) -> int:
        """Replace what waited."""
        for entry in entries:
            self.entries[entry.id] = entry
            self.settled.append(entry.id)
        return len(entries)

    def _recorded(self, evaluation_id: str) -> Recorded:
        entry = self.entries[evaluation_id]
        used = entry.idempotency_key
        return Recorded(
            id=entry.id,
            received_at=entry.received_at,
            applicant=entry.applicant,
            degraded=entry.degraded,
            answer=entry.answer,
            model_tag=None,
            policy_version=None,
            fingerprint=used.fingerprint if used else None,
        )


class House:
    """The parts together, and what happened in them."""

    def __init__(
        self, model_failures: Sequence[Exception] = (), record_failure: Exception | None = None
    ) -> None:
        """Break the parts as told."""
        self.events: list[str] = []
        self.model = FakeModel(self.events, model_failures)
        self.record = FakeRecord(self.events, record_failure)
        self.evaluator = Evaluator(
            self.model, POLICY, self.record, self._render, new_id=new_id, now=now
        )

    def _render(self, evaluation: Evaluation) -> str:
        self.events.append("decide")
        return answers.answer(evaluation, POLICY)

    def evaluate(self, key: IdempotencyKey | None = None, *, may_wait: bool = False) -> Receipt:
        """Evaluate Maria."""
        return asyncio.run(self.evaluator.evaluate(MARIA, key, may_wait=may_wait))


def test_nothing_is_answered_before_it_is_committed() -> None:
    house = House()

    outcome = house.evaluate()

    assert house.events == ["predict", "decide", "append", "committed"]
    assert house.record.entries[outcome.id].answer == outcome.answer


def test_a_decision_that_cannot_be_recorded_is_not_given() -> None:
    house = House(record_failure=RecordUnavailableError("disk"))

    with pytest.raises(RecordUnavailableError):
        house.evaluate(may_wait=True)


@pytest.mark.parametrize("error", [ModelUnavailableError("x"), ModelAnswerError("x")])
def test_without_a_model_nothing_is_recorded_unless_the_caller_may_wait(
    error: Exception,
) -> None:
    house = House([error])

    with pytest.raises(type(error)):
        house.evaluate()

    assert house.record.entries == {}


@pytest.mark.parametrize("error", [ModelUnavailableError("x"), ModelAnswerError("x")])
def test_a_caller_who_may_wait_is_recorded_as_waiting(error: Exception) -> None:
    house = House([error])

    outcome = house.evaluate(may_wait=True)

    assert outcome.answer is None
    entry = house.record.entries[outcome.id]
    assert (entry.evaluation, entry.degraded) == (None, True)


def test_overload_is_no_reason_to_wait() -> None:
    house = House([OverloadedError()])

    with pytest.raises(OverloadedError):
        house.evaluate(may_wait=True)

    assert house.record.entries == {}


def test_a_repeated_key_gets_the_first_answer_and_no_new_prediction() -> None:
    house = House()

    first, again = house.evaluate(KEY), house.evaluate(KEY)

    assert again == first
    assert house.events.count("predict") == 1


def test_a_key_with_another_body_is_refused() -> None:
    house = House()
    house.evaluate(KEY)

    with pytest.raises(IdempotencyKeyReusedError):
        house.evaluate(replace(KEY, fingerprint="other"))


def test_a_key_in_flight_is_refused_and_free_again_afterwards() -> None:
    house = House()

    async def both() -> tuple[Receipt | BaseException, Receipt | BaseException]:
        return await asyncio.gather(
            house.evaluator.evaluate(MARIA, KEY),
            house.evaluator.evaluate(MARIA, KEY),
            return_exceptions=True,
        )

    first, second = asyncio.run(both())

    assert isinstance(first, Receipt)
    assert isinstance(second, IdempotencyKeyInFlightError)
    assert house.evaluate(KEY) == first


def test_a_key_that_failed_is_free_to_be_tried_again() -> None:
    house = House([ModelUnavailableError("x")])

    with pytest.raises(ModelUnavailableError):
        house.evaluate(KEY)

    assert house.evaluate(KEY).answer is not None


def test_who_loses_a_key_to_another_replica_gets_that_ones_answer() -> None:
    house = House()
    other = Evaluator(
        house.model,
        POLICY,
        house.record,
        lambda e: answers.answer(e, POLICY),
        new_id=new_id,
        now=now,
    )

    async def both() -> tuple[Receipt, Receipt]:
        return await asyncio.gather(
            house.evaluator.evaluate(MARIA, KEY), other.evaluate(MARIA, KEY)
        )

    first, second = asyncio.run(both())

    assert first == second
    assert len(house.record.entries) == 1


def test_a_pending_key_is_still_pending_when_repeated() -> None:
    house = House([ModelUnavailableError("x")])
    first = house.evaluate(KEY, may_wait=True)

    assert house.evaluate(KEY, may_wait=True) == first


async def until_settled(house: House, count: int) -> None:
    """Let a worker look until so many are settled."""
    worker = PendingWorker(house.model, house.evaluator, house.record, tick_seconds=0.001)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(5):
        while len(house.record.settled) < count or worker.waiting:  # noqa: ASYNC110 - a fake
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def waiting_house(*failures: Exception) -> House:
    """Make a house where three evaluations wait."""
    house = House(failures)
    for _ in range(3):
        entry = pending_entry()
        house.record.entries[entry.id] = entry
    return house


@pytest.mark.parametrize(
    "failures",
    [
        [],
        [ModelUnavailableError("x")] * 3,
        [ModelAnswerError("x")],
        [RecordUnavailableError("x")],
        [ZeroDivisionError("a defect")],
    ],
)
def test_what_waits_is_decided_once_the_model_is_back_whatever_failed_before(
    failures: list[Exception],
) -> None:
    house = waiting_house(*failures)

    asyncio.run(until_settled(house, 3))

    assert sorted(house.record.settled) == sorted(house.record.entries)
    assert all(entry.answer and entry.degraded for entry in house.record.entries.values())


def test_a_model_that_is_away_is_asked_whether_it_is_back_before_anything_is_claimed() -> None:
    house = waiting_house(ModelUnavailableError("x"))
    house.model.is_away = True

    asyncio.run(until_settled(house, 3))

    assert house.events[:3] == ["describe", "describe", "predict"]
