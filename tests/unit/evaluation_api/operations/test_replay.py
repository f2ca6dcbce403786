"""Recorded decisions, evaluated again: what counts as a difference."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from evaluation_api.decision.domain import CardUsage, Counterfactual, Prediction, Recorded
from evaluation_api.operations import replay
from tests.evaluations import MODEL, POLICY, decided_entry, prediction


class Models:
    """Earlier models that predict this of everybody."""

    def __init__(self, again: Prediction) -> None:
        self._again = again

    async def predict_as(self, _tag: str, usages: Sequence[CardUsage]) -> list[Prediction]:
        return [self._again] * len(usages)


def changing_payments_to(amount: float) -> Prediction:
    return prediction(0, counterfactuals=(Counterfactual("payments", amount, 4, 0.5),))


def recorded(predicted: Prediction | None = None) -> Recorded:
    entry = decided_entry(predicted=predicted)
    return Recorded(
        id=entry.id,
        received_at=entry.received_at,
        applicant=entry.applicant,
        degraded=False,
        answer=entry.answer,
        outcome=entry.evaluation.decision.outcome if entry.evaluation else None,
        model_tag=MODEL.tag,
        policy_version=POLICY.version,
    )


def differences(one: Recorded, again: Prediction) -> list[str]:
    async def criteria_of(_version: str) -> replay.Criteria:
        return replay.Criteria(POLICY, Models(again))

    async def found() -> list[str]:
        return [sentence async for sentence in replay.differences([one], criteria_of)]

    return asyncio.run(found())


def test_ids_and_times_are_no_difference() -> None:
    assert differences(recorded(), prediction()) == []


@pytest.mark.parametrize(
    ("once", "again"),
    [
        (prediction(confidence=0.31), prediction(confidence=0.31 + 1e-8)),
        (changing_payments_to(40_000.0), changing_payments_to(40_000.0 + 1e-5)),
    ],
)
def test_rounding_is_no_difference(once: Prediction, again: Prediction) -> None:
    assert differences(recorded(once), again) == []


@pytest.mark.parametrize(
    ("field", "again"),
    [
        ("confianca", prediction(confidence=0.31001)),
        *((field, prediction(0)) for field in ("cluster", "decisao", "perfil")),
    ],
)
def test_a_difference_is_told_with_both_values(field: str, again: Prediction) -> None:
    one = recorded()

    assert any(d.startswith(f"{one.id}: {field}: recorded ") for d in differences(one, again))


@pytest.mark.parametrize("field", ["confianca", "motivos", "perfil"])
def test_a_field_that_is_gone_from_an_answer_is_a_difference(field: str) -> None:
    one = recorded()
    answer = json.loads(one.answer or "")
    del answer[field]

    found = differences(replace(one, answer=json.dumps(answer)), prediction())

    assert any(d.startswith(f"{one.id}: {field}: recorded None") for d in found)


def test_what_the_first_release_did_not_say_is_no_difference() -> None:
    one = recorded(changing_payments_to(40_000.0))
    answer = json.loads(one.answer or "")
    for later in ("fatos", "motivos_principais"):
        del answer[later]
    del answer["simulacao"]["ate"]

    found = differences(replace(one, answer=json.dumps(answer)), changing_payments_to(40_000.0))

    assert found == []
