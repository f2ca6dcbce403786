"""Evaluates recorded requests again, by the model and the policy that decided them.

Whoever asks years later gets the same answer, or is told what differs. Knows neither where the
record is nor how the model is reached.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from evaluation_api.decision import errors
from evaluation_api.decision.domain import CardUsage, Evaluation, Prediction, Recorded
from evaluation_api.decision.evaluation import decide_again
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.web import answers


class EarlierModels(Protocol):
    """Whatever still has the versions of the model that were in service once."""

    async def predict_as(self, tag: str, usages: Sequence[CardUsage]) -> list[Prediction]:
        """Predict with a version. Raises ModelVersionGoneError, or another ModelError."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """A policy, and the models asked as it asks them."""

    policy: AnyPolicy
    models: EarlierModels


#: Returns the criteria of a policy's version, or None when the record no longer has its text.
CriteriaOf = Callable[[str], Awaitable[Criteria | None]]


async def differences(recorded: Iterable[Recorded], criteria_of: CriteriaOf) -> AsyncIterator[str]:
    """Evaluate decided evaluations again; yield a sentence for each that differs or can't be.

    Of those whose person was taken out nothing is left to evaluate.

    Raises ModelError when the models cannot be asked at all.
    """
    versions = attrgetter("policy_version", "model_tag")
    there = [one for one in recorded if one.erased_at is None]
    for (version, tag), group in groupby(sorted(there, key=versions), key=versions):
        same = list(group)
        criteria = await criteria_of(version)
        if criteria is None:
            yield _gone(same, f"policy {version}")
            continue
        try:
            predictions = await criteria.models.predict_as(tag, [r.applicant.usage for r in same])
        except errors.ModelVersionGoneError:
            yield _gone(same, f"model {tag}")
            continue
        for one, prediction in zip(same, predictions, strict=True):
            for sentence in _compared(one, prediction, criteria.policy):
                yield sentence


def _gone(recorded: list[Recorded], what: str) -> str:
    others = f" and {len(recorded) - 1} more" if len(recorded) > 1 else ""
    return f"{recorded[0].id}{others}: {what} is gone, so this cannot be evaluated again"


def _compared(recorded: Recorded, prediction: Prediction, policy: AnyPolicy) -> list[str]:
    evaluation = Evaluation(
        id=recorded.id,
        applicant=recorded.applicant,
        prediction=prediction,
        decision=decide_again(policy, recorded, prediction),
        evaluated_at=recorded.received_at,
        milliseconds=0.0,
    )
    once, again = answers.answer_json(recorded) or "", answers.answer(evaluation, policy)
    return [
        f"{recorded.id}: {field}: recorded {before!r}, now {now!r}"
        for field, before, now in answers.differences(once, again)
    ]
