"""Made-up values of the evaluation service's domain, with only what a test cares about varied."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uuid_utils

from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import (
    Applicant,
    CardUsage,
    Counterfactual,
    Entry,
    Evaluation,
    IdempotencyKey,
    Model,
    Prediction,
)
from evaluation_api.decision.earlier_policy import ProfilePolicy
from evaluation_api.decision.policy import FactPolicy
from evaluation_api.decision.promise import Border, Promise
from evaluation_api.web import answers

_READ, POLICY_TEXT = policy_file.read(policy_file.DEFAULT)
assert isinstance(_READ, FactPolicy)
POLICY = _READ
#: As policies were before they knew facts.
EARLIER_TEXT = (Path(__file__).parent / "cases/politica_de_perfis.toml").read_text("utf-8")
_EARLIER = policy_file.parse(EARLIER_TEXT)
assert isinstance(_EARLIER, ProfilePolicy)
EARLIER_POLICY = _EARLIER
#: As the model that the project carries has it, without the borders that lead to no approval.
PROMISE = Promise(
    0.5,
    (None, 0.001, None, 0.4434, None),
    (Border(0, 1, "cash_advance"), Border(0, 3, "payments"), Border(2, 3, "payments")),
)
MODEL = Model("credit_card_clusters:0123456789ab", "0123456789ab" * 5 + "cdef", PROMISE)
USAGE = CardUsage(1055.0, 3345.0, 147.0, 3854.0, 3233.0)
#: High use, little paid.
POOR = CardUsage(3454.0, 0.0, 0.0, 3854.0, 700.0)
NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def usage(**amounts: float) -> CardUsage:
    """Make a client's amounts, inside the training range but for what is given."""
    return replace(USAGE, **amounts)


def prediction(
    cluster: int = 4,
    confidence: float | None = 0.31,
    counterfactuals: tuple[Counterfactual, ...] = (),
) -> Prediction:
    """Make a prediction with reasons."""
    contributions = {
        "balance": 0.02,
        "purchases": 0.3,
        "cash_advance": -0.04,
        "credit_limit": 0.01,
        "payments": -0.1,
    }
    return Prediction(cluster, MODEL, 1, confidence, contributions, counterfactuals)


def evaluation(
    predicted: Prediction | None = None,
    amounts: CardUsage | None = None,
    name: str = "Maria",
    evaluation_id: str | None = None,
) -> Evaluation:
    """Make an evaluation, decided by the default policy; of profile 0, it is a refusal."""
    predicted = predicted or prediction()
    amounts = amounts or (POOR if predicted.cluster == 0 else USAGE)
    return Evaluation(
        id=evaluation_id or new_id(),
        applicant=Applicant(name, amounts),
        prediction=predicted,
        decision=POLICY.decide(amounts, predicted),
        evaluated_at=NOON,
        milliseconds=2.14159,
    )


def new_id(when: datetime | None = None) -> str:
    """Make an evaluation's id, as of now or of a time."""
    if when is None:
        return str(uuid_utils.uuid7())
    return str(uuid_utils.uuid7(nanoseconds=int(when.timestamp() * 1000) * 1_000_000))


def decided_entry(
    name: str = "Maria",
    predicted: Prediction | None = None,
    key: IdempotencyKey | None = None,
    when: datetime | None = None,
) -> Entry:
    """Make an entry with its decision."""
    identity = new_id(when)
    done = evaluation(predicted, name=name, evaluation_id=identity)
    answer = answers.answer(done, POLICY)
    return Entry(identity, when or NOON, done.applicant, done, answer, idempotency_key=key)


def pending_entry(name: str = "Maria", key: IdempotencyKey | None = None) -> Entry:
    """Make an entry that waits for the model."""
    applicant = Applicant(name, USAGE)
    return Entry(new_id(), datetime.now(UTC), applicant, degraded=True, idempotency_key=key)
