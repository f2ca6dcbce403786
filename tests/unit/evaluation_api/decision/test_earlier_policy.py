"""What policies that knew no facts decided: by profile, near borders and outside the range."""

from dataclasses import replace

import pytest

from evaluation_api.decision.domain import CardUsage, Counterfactual, Outcome
from evaluation_api.decision.policy import BORDER, RANGE
from tests.evaluations import EARLIER_POLICY as POLICY
from tests.evaluations import prediction, usage


@pytest.mark.parametrize(
    ("cluster", "outcome"),
    [
        (0, Outcome.REFUSED),
        (1, Outcome.APPROVED),
        (2, Outcome.MANUAL_REVIEW),
        (3, Outcome.APPROVED),
        (4, Outcome.APPROVED),
    ],
)
def test_each_profile_has_its_decision(cluster: int, outcome: Outcome) -> None:
    decision = POLICY.decide(usage(), prediction(cluster))

    assert (decision.outcome, decision.remarks) == (outcome, ())
    assert decision.policy_version == POLICY.version


@pytest.mark.parametrize("cluster", range(5))
@pytest.mark.parametrize("confidence", [0.0, 0.049999])
def test_a_client_near_a_border_is_for_a_person(cluster: int, confidence: float) -> None:
    decision = POLICY.decide(usage(), prediction(cluster, confidence))

    assert (decision.outcome, decision.remarks) == (Outcome.MANUAL_REVIEW, (BORDER,))


@pytest.mark.parametrize("confidence", [0.05, 1.0, None])
def test_a_client_on_or_beyond_the_least_confidence_is_not_near(confidence: float | None) -> None:
    decision = POLICY.decide(usage(), prediction(4, confidence))

    assert (decision.outcome, decision.remarks) == (Outcome.APPROVED, ())


@pytest.mark.parametrize(
    "amounts",
    [
        {"balance": 2 * 3854.01, "credit_limit": 3854.0},
        {"purchases": 10 * 3854.01},
        {"cash_advance": 20.01 * 500, "credit_limit": 500.0},
        {"payments": 20.01 * 500, "credit_limit": 500.0},
        {"balance": 19043.15, "credit_limit": 30000.0},
        {"credit_limit": 30000.01},
        {"purchases": 49039.58, "credit_limit": 30000.0},
        {"cash_advance": 47137.22, "credit_limit": 30000.0},
        {"payments": 50721.49, "credit_limit": 30000.0},
    ],
)
@pytest.mark.parametrize("cluster", [0, 1, 4])
def test_a_client_outside_the_training_range_is_never_approved_alone(
    cluster: int, amounts: dict[str, float]
) -> None:
    decision = POLICY.decide(usage(**amounts), prediction(cluster))

    assert (decision.outcome, decision.remarks) == (Outcome.MANUAL_REVIEW, (RANGE,))


def test_a_client_on_the_edge_of_the_training_range_is_inside() -> None:
    at_the_edge = usage(
        balance=19043.14,
        purchases=49039.57,
        cash_advance=47137.21,
        credit_limit=30000.0,
        payments=50721.48,
    )

    assert POLICY.decide(at_the_edge, prediction(4)).outcome is Outcome.APPROVED


@pytest.mark.parametrize(
    ("feature", "times"),
    [("balance", 2), ("purchases", 10), ("cash_advance", 20), ("payments", 20)],
)
def test_an_amount_of_as_many_times_the_limit_as_allowed_is_inside(
    feature: str, times: float
) -> None:
    at_the_edge = replace(CardUsage(0, 0, 0, 500, 0), **{feature: times * 500})

    assert POLICY.decide(at_the_edge, prediction(4)).outcome is Outcome.APPROVED


def test_outside_the_training_range_nearness_to_a_border_decides_nothing() -> None:
    policy = replace(POLICY, if_near=Outcome.REFUSED)
    outside = usage(credit_limit=31000.0)

    assert policy.decide(usage(), prediction(4, 0.01)).outcome is Outcome.REFUSED
    assert policy.decide(outside, prediction(4, 0.01)).outcome is Outcome.MANUAL_REVIEW


def test_both_reasons_for_a_person_are_kept() -> None:
    decision = POLICY.decide(usage(credit_limit=31000.0), prediction(4, 0.01))

    assert (decision.outcome, decision.remarks) == (Outcome.MANUAL_REVIEW, (BORDER, RANGE))


def test_a_decision_carries_the_first_counterfactual_that_the_policy_approves() -> None:
    changes = (
        Counterfactual("payments", 9.0, cluster=4, confidence=0.01),  # too near a border
        Counterfactual("balance", 9e6, cluster=4, confidence=0.5),  # outside the range
        Counterfactual("purchases", 8.0, cluster=2, confidence=0.5),  # not an approved profile
        Counterfactual("balance", 7.0, cluster=3, confidence=0.5),
        Counterfactual("payments", 6.0, cluster=4, confidence=0.5),
    )

    decision = POLICY.decide(usage(), prediction(0, counterfactuals=changes))

    assert decision.counterfactual == changes[3]


def test_a_counterfactual_that_does_not_hold_is_not_told() -> None:
    changes = (Counterfactual("payments", 9.0, cluster=4, confidence=0.01),)

    assert POLICY.decide(usage(), prediction(0, counterfactuals=changes)).counterfactual is None


def test_who_is_approved_is_told_no_counterfactual() -> None:
    changes = (Counterfactual("payments", 9.0, cluster=3, confidence=0.5),)

    assert POLICY.decide(usage(), prediction(4, counterfactuals=changes)).counterfactual is None


def test_the_approved_profiles_are_known() -> None:
    assert POLICY.targets == (1, 3, 4)
