"""The use case: evaluate an applicant, once, and never without a record.

Says in what order things happen and what stands when something fails. Knows the outside only by
the Protocols below, and neither HTTP nor SQL nor Portuguese.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from evaluation_api.decision import errors
from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    Decision,
    Entry,
    Evaluation,
    FirstUse,
    IdempotencyKey,
    Outcome,
    Prediction,
    Recorded,
)
from evaluation_api.decision.policy_file import AnyPolicy


class Predictor(Protocol):
    """Whatever says which profile a client belongs to."""

    async def predict(self, usage: CardUsage) -> Prediction:
        """Predict one client. Raises ModelError or OverloadedError."""


class EachPredictor(Protocol):
    """The same for those who evaluate in the background, without the clients whom it refuses."""

    async def ensure_available(self) -> None:
        """Return if predictions can be expected, before any is asked for. Raises ModelError."""

    async def predict_each(
        self, usages: Sequence[CardUsage]
    ) -> Sequence[Prediction | errors.ModelRefusalError]:
        """Predict up to 1,024 clients, in their order. Raises ModelError."""


class Record(Protocol):
    """Whatever keeps entries. Both raise RecordUnavailableError or OverloadedError."""

    async def append(self, entry: Entry) -> FirstUse | None:
        """Write one entry; return what stands in its place, if its key was used before."""

    async def find_by_key(self, key: str) -> FirstUse | None:
        """Return what used a key first."""


class Receipt(NamedTuple):
    """What a caller takes away: the answer as recorded, or None while it waits for the model."""

    id: str
    answer: str | None


#: Formats an evaluation, by the policy that decided it, as the answer that is recorded and given.
Render = Callable[[Evaluation, AnyPolicy], str]


@dataclass(eq=False, repr=False)
class Evaluator:
    """Predicts, decides, records, answers - in this order.

    new_id: makes ids that sort by the time they were made. now: tells the time, in UTC.
    """

    predictor: Predictor
    policy: AnyPolicy
    record: Record
    render: Render
    _: KW_ONLY
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    _in_flight: set[str] = field(default_factory=set, init=False)

    async def evaluate(
        self,
        applicant: Applicant,
        key: IdempotencyKey | None = None,
        *,
        may_wait: bool = False,
        made_by: str | None = None,
    ) -> Receipt:
        """Evaluate an applicant, or return what the key's first request was answered.

        Whether a key was used before is seen by writing it; it is looked up only when there is no
        prediction (docs/adr/0003).

        may_wait: when the model is away, record the request as pending instead of raising.
        made_by: who asks, for the record.
        Raises ModelError, RecordUnavailableError, OverloadedError, IdempotencyKeyReusedError and
        IdempotencyKeyInFlightError; after each of them nothing is recorded, but perhaps after
        RecordUncertainError.
        """
        if key is None:
            return await self._evaluate(applicant, None, may_wait, made_by)
        if key.key in self._in_flight:
            raise errors.IdempotencyKeyInFlightError
        self._in_flight.add(key.key)
        try:
            return await self._evaluate(applicant, key, may_wait, made_by)
        finally:
            self._in_flight.discard(key.key)

    async def _evaluate(
        self,
        applicant: Applicant,
        key: IdempotencyKey | None,
        may_wait: bool,  # noqa: FBT001 - as evaluate was told
        made_by: str | None,
    ) -> Receipt:
        received_at, started = self.now(), time.perf_counter()
        entry = Entry(self.new_id(), received_at, applicant, idempotency_key=key, made_by=made_by)
        try:
            prediction = await self.predictor.predict(applicant.usage)
        except (errors.ModelError, errors.OverloadedError) as exc:
            if key and (earlier := await self.record.find_by_key(key.key)):
                return _repeat(earlier, key)
            if isinstance(exc, errors.OverloadedError) or not may_wait:
                raise
            entry = entry._replace(degraded=True)
        else:
            entry = self.decided(entry, prediction, (time.perf_counter() - started) * 1000)
        earlier = await self.record.append(entry)
        if earlier is not None and key is not None:
            return _repeat(earlier, key)
        return Receipt(entry.id, entry.answer)

    def decided(self, entry: Entry, prediction: Prediction, milliseconds: float) -> Entry:
        """Complete an entry with the decision, and the answer that says it."""
        evaluation = Evaluation(
            id=entry.id,
            applicant=entry.applicant,
            prediction=prediction,
            decision=self.policy.decide(entry.applicant.usage, prediction),
            evaluated_at=self.now(),
            milliseconds=milliseconds,
        )
        return entry._replace(evaluation=evaluation, answer=self.render(evaluation, self.policy))


def decide_again(policy: AnyPolicy, recorded: Recorded, prediction: Prediction) -> Decision:
    """Decide what is recorded once more, by a model of which the promise is known as it was then.

    Whether it held shows in the outcome: who would be refused without it is left to a person.
    """
    promised = recorded.outcome is Outcome.REFUSED
    return policy.decide(recorded.applicant.usage, prediction, promised=promised)


def _repeat(earlier: FirstUse, key: IdempotencyKey) -> Receipt:
    """Return the first answer again.

    Raises IdempotencyKeyReusedError if it was to another question.
    """
    if earlier.fingerprint != key.fingerprint:
        raise errors.IdempotencyKeyReusedError
    return Receipt(earlier.id, earlier.answer)
