"""Evaluates recorded requests again, by the model and the policy that decided them.

Whoever asks years later gets the same answer, or is told what differs. Knows neither where the
record is nor how the model is reached.
"""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final, Protocol

from evaluation_api.decision import errors
from evaluation_api.decision.domain import CardUsage, Prediction, Recorded
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.web import answers

#: What two evaluations of a client differ in, and words.
_NOT_COMPARED: Final = frozenset({"id", "avaliado_em", "duracao_ms", "resposta", "frase", "rotulo"})
#: What the first release's answers do not have.
_LATER_FIELDS: Final = frozenset({"fatos", "motivos_principais", "ate"})


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
            for sentence in _sentences(one, prediction, criteria.policy):
                yield sentence


def _gone(recorded: list[Recorded], what: str) -> str:
    others = f" and {len(recorded) - 1} more" if len(recorded) > 1 else ""
    return f"{recorded[0].id}{others}: {what} is gone, so this cannot be evaluated again"


def _sentences(recorded: Recorded, prediction: Prediction, policy: AnyPolicy) -> list[str]:
    once = answers.answer_json(recorded) or ""
    again = answers.answer_again(recorded, policy, prediction, milliseconds=0.0)
    return [
        f"{recorded.id}: {field}: recorded {before!r}, now {now!r}"
        for field, before, now in _differing_fields(once, again)
    ]


def _differing_fields(one: str, other: str) -> list[tuple[str, object, object]]:
    """Compare an answer with another, made since: (field, in one, in other) for what differs.

    Field by field, but for id and times, and for words, which a release may put better. Fields that
    the first release did not have yet are compared where one has them.
    """
    first, second = json.loads(one), json.loads(other)
    return [
        (field, first.get(field), second.get(field))
        for field in _fields(first, second)
        if not _same(first.get(field), second.get(field))
    ]


def _fields(one: dict[str, object], other: dict[str, object]) -> list[str]:
    untold = _LATER_FIELDS - one.keys()
    return [field for field in one | other if field not in untold | _NOT_COMPARED]


def _same(one: object, other: object) -> bool:
    """Compare JSON values; a number may differ as matrix products of other sizes round."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-7)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        fields = _fields(one, other)
        both = one.keys() & other.keys()
        return all(key in both and _same(one[key], other[key]) for key in fields)
    return one == other
