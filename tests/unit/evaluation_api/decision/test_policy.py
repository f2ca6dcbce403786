"""The profile proposes, the facts confirm: the whole table, the range, and what would change it."""

from dataclasses import replace
from itertools import pairwise

import pytest

from evaluation_api.decision.domain import CardUsage, Counterfactual, Outcome
from evaluation_api.decision.facts import Span
from evaluation_api.decision.policy import BORDER, RANGE, worse
from tests.evaluations import POLICY, prediction, usage

FINE = CardUsage(500.0, 0.0, 0.0, 1000.0, 50.0)
UNPAID = CardUsage(500.0, 0.0, 0.0, 1000.0, 49.99)
POOR = CardUsage(600.0, 0.0, 0.0, 1000.0, 299.99)
AMOUNTS = ("balance", "purchases", "cash_advance", "payments")
A, P, R = Outcome.APPROVED, Outcome.MANUAL_REVIEW, Outcome.REFUSED


@pytest.mark.parametrize(
    ("client", "outcomes"),
    [(FINE, (P, A, P, A, A)), (UNPAID, (P, P, P, P, P)), (POOR, (R, P, R, P, P))],
)
def test_the_profile_proposes_and_the_facts_confirm(
    client: CardUsage, outcomes: tuple[Outcome, ...]
) -> None:
    decided = tuple(POLICY.decide(client, prediction(cluster)).outcome for cluster in range(5))

    assert decided == outcomes


@pytest.mark.parametrize("client", [FINE, UNPAID, POOR])
@pytest.mark.parametrize("cluster", range(5))
def test_a_border_is_a_remark_and_decides_nothing(cluster: int, client: CardUsage) -> None:
    near, far = (POLICY.decide(client, prediction(cluster, c)) for c in (0.049999, 0.05))

    assert (near.outcome, near.remarks, far.remarks) == (far.outcome, (BORDER,), ())


OUTSIDE = [
    ({"balance": 2000.01}, "balance", 2000, 2),
    ({"purchases": 10000.01}, "purchases", 10000, 10),
    ({"cash_advance": 20000.01}, "cash_advance", 20000, 20),
    ({"payments": 20000.01}, "payments", 20000, 20),
    ({"credit_limit": 30000.01}, "credit_limit", 30000, None),
    (
        {"balance": 19043.15, "credit_limit": 30000.0, "payments": 19043.15},
        "balance",
        19043.14,
        None,
    ),
    ({"purchases": 49039.58, "credit_limit": 30000.0}, "purchases", 49039.57, None),
    ({"cash_advance": 47137.22, "credit_limit": 30000.0}, "cash_advance", 47137.21, None),
    ({"payments": 50721.49, "credit_limit": 30000.0}, "payments", 50721.48, None),
]


@pytest.mark.parametrize(("amounts", "feature", "bound", "times"), OUTSIDE)
@pytest.mark.parametrize("cluster", range(5))
def test_outside_the_range_the_worse_of_a_person_and_the_decision_holds(
    cluster: int, amounts: dict[str, float], feature: str, bound: float, times: float | None
) -> None:
    client = usage(**{"balance": 500.0, "credit_limit": 1000.0, "payments": 1500.0} | amounts)

    decision = POLICY.decide(client, prediction(cluster))

    assert decision.outcome is P
    assert decision.remarks == (RANGE,)
    (excess,) = decision.excesses
    assert (excess.feature, excess.bound, excess.times_the_limit) == (feature, bound, times)


@pytest.mark.parametrize("cluster", [0, 2])
def test_being_outside_the_range_turns_no_refusal_into_anything_better(cluster: int) -> None:
    client = usage(balance=2500.0, credit_limit=1000.0, payments=100.0)

    assert POLICY.decide(client, prediction(cluster)).outcome is R


@pytest.mark.parametrize(
    "amounts",
    [{"balance": 2000.0}, {"purchases": 10000.0}, {"cash_advance": 20000.0}, {"payments": 20000.0}],
)
def test_an_amount_exactly_at_its_bound_is_inside(amounts: dict[str, float]) -> None:
    client = usage(**{"balance": 0.0, "credit_limit": 1000.0, "payments": 2000.0} | amounts)

    assert POLICY.decide(client, prediction(4)).outcome is A


def test_reasons_are_given_for_whatever_is_no_approval() -> None:
    refused, left, approved = (
        POLICY.decide(client, prediction(cluster))
        for client, cluster in ((POOR, 0), (POOR, 3), (FINE, 3))
    )

    assert [reason.code for reason in refused.adverse] == ["uso_alto", "pouco_pago"]
    assert left.adverse == refused.adverse
    assert approved.adverse == ()


def test_a_change_is_told_only_if_the_policy_approves_it() -> None:
    changes = (
        Counterfactual("balance", 600.0, cluster=4, confidence=0.5),  # still high use, little paid
        Counterfactual("payments", 300.0, cluster=2, confidence=0.5),  # not an approved profile
        Counterfactual("payments", 20000.01, cluster=4, confidence=0.5),  # outside the range
        Counterfactual("balance", 599.99, cluster=3, confidence=0.01),  # near a border is fine
        Counterfactual("payments", 300.0, cluster=4, confidence=0.5),
    )

    decision = POLICY.decide(POOR, prediction(0, counterfactuals=changes))

    assert decision.counterfactual == changes[3]


def test_the_spans_that_travel_with_a_request_are_within_the_range() -> None:
    spans = POLICY.spans(usage(balance=900.0, credit_limit=1000.0, payments=100.0, purchases=0.0))

    assert spans == {"balance": Span(0, 599.99), "payments": Span(450.0, 20000.0)}


def test_what_one_amount_alone_cannot_bring_into_range_has_no_span() -> None:
    assert not POLICY.spans(usage(balance=2500.0, credit_limit=1000.0, purchases=10000.01))
    assert set(POLICY.spans(usage(balance=2500.0, credit_limit=1000.0))) == {"balance"}


def test_the_range_ends_at_whole_cents_however_doubles_multiply() -> None:
    limits = [cents / 100 for cents in range(1, 200_000)]
    seen = POLICY.training_range

    for feature, times in seen.times_the_limit.items():
        ends = [round(times * cents) / 100 for cents in range(1, 200_000)]
        ends = [min(end, seen.maximum[feature]) for end in ends]
        clients = [
            usage(**{**dict.fromkeys(AMOUNTS, 0.0), feature: end, "credit_limit": limit})
            for end, limit in zip(ends, limits, strict=True)
        ]
        assert not any(map(seen.leaves_out, clients))
        assert [seen.most(feature, limit) for limit in limits] == ends
        above = (replace(one, **{feature: getattr(one, feature) + 0.01}) for one in clients)
        assert all(map(seen.leaves_out, above))


def test_the_profiles_worth_reaching_are_known() -> None:
    assert (POLICY.targets, POLICY.margin) == ((1, 3, 4), 0.0)


def test_outcomes_are_ordered_from_the_clients_side() -> None:
    assert all(worse(better, other) is other for better, other in pairwise([A, P, R]))
