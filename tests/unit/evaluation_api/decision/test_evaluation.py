"""The use case, with hand-written fakes: in which order things happen and what stands after."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    Entry,
    Evaluation,
    FirstUse,
    IdempotencyKey,
    Prediction,
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
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.web import answers
from tests.evaluations import POLICY, USAGE, prediction

MARIA = Applicant("Maria", USAGE)
KEY = IdempotencyKey("key-1", "fingerprint")


class FakeModel:
    """A predictor that is away for as many calls as it is told."""

    def __init__(self, events: list[str], failures: Sequence[Exception] = ()) -> None:
        self.failures = list(failures)
        self._events = events

    async def predict(self, usage: CardUsage) -> Prediction:  # noqa: ARG002 - the same for all
        self._events.append("predict")
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return prediction()


class FakeRecord:
    """A record in memory, which first come wins, and which can be broken."""

    def __init__(self, events: list[str], failure: Exception | None = None) -> None:
        self.entries: dict[str, Entry] = {}
        self._keys: dict[str, FirstUse] = {}
        self._events = events
        self._failure = failure

    async def append(self, entry: Entry) -> FirstUse | None:
        """Write one entry, unless its key is used."""
        self._events.append("append")
        await asyncio.sleep(0)
        if self._failure:
            raise self._failure
        if (key := entry.idempotency_key) and (first := self._keys.get(key.key)):
            return first
        if key:
            self._keys[key.key] = FirstUse(entry.id, key.fingerprint, entry.answer)
        self.entries[entry.id] = entry
        self._events.append("committed")
        return None

    async def find_by_key(self, key: str) -> FirstUse | None:
        """Return what used a key first."""
        await asyncio.sleep(0)
        return self._keys.get(key)


class House:
    """The parts together, and what happened in them."""

    def __init__(
        self, model_failures: Sequence[Exception] = (), record_failure: Exception | None = None
    ) -> None:
        self.events: list[str] = []
        self.model = FakeModel(self.events, model_failures)
        self.record = FakeRecord(self.events, record_failure)
        self.evaluator = Evaluator(
            self.model, POLICY, self.record, self._render, new_id=new_id, now=now
        )

    def _render(self, evaluation: Evaluation, policy: AnyPolicy) -> str:
        self.events.append("decide")
        return answers.answer(evaluation, policy)

    def evaluate(self, key: IdempotencyKey | None = None, *, may_wait: bool = False) -> Receipt:
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
def test_without_a_model_nothing_is_recorded_unless_the_caller_may_wait(error: Exception) -> None:
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


def test_a_repeated_key_gets_the_first_answer() -> None:
    house = House()

    first, again = house.evaluate(KEY), house.evaluate(KEY)

    assert again == first
    assert len(house.record.entries) == 1


@pytest.mark.parametrize(
    "error", [ModelUnavailableError("x"), ModelAnswerError("x"), OverloadedError()]
)
@pytest.mark.parametrize("may_wait", [False, True])
def test_a_repeated_key_gets_the_first_answer_without_a_model(
    error: Exception, *, may_wait: bool
) -> None:
    house = House()
    first = house.evaluate(KEY)
    house.model.failures = [error, error]

    assert house.evaluate(KEY, may_wait=may_wait) == first
    with pytest.raises(IdempotencyKeyReusedError):
        house.evaluate(replace(KEY, fingerprint="other"), may_wait=may_wait)


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
        answers.answer,
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
