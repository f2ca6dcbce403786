"""What is true of a client's own amounts, compared in whole cents and to a ten-thousandth."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation_api.decision.domain import CardUsage
from evaluation_api.decision.facts import Share
from tests.evaluations import POLICY, usage

THRESHOLDS = POLICY.thresholds
cents = st.integers(0, 5_000_00).map(lambda whole: whole / 100)
limits = st.integers(1, 5_000_00).map(lambda whole: whole / 100)
clients = st.builds(CardUsage, cents, cents, cents, limits, cents)


@pytest.mark.parametrize(
    ("balance", "limit", "payments", "poor", "unpaid"),
    [
        (600, 1000, 299.99, True, False),
        (600, 1000, 300, False, False),
        (599.99, 1000, 0, False, True),
        (600, 1000, 0, True, True),
        (164.80, 1000, 16.48, False, False),  # 16.48 / 164.80 < 0.1 in binary
        (164.80, 1000, 16.47, False, True),
        (0.58 * 3, 2.9, 0.86, True, False),  # 1.74 / 2.9 < 0.6 in binary
        (1, 1, 0, False, False),  # what is owed up to R$ 1.00 counts as paid
        (1.01, 1, 0, True, True),
        (0, 1000, 0, False, False),
    ],
)
def test_facts_are_adverse_from_their_threshold_on(
    balance: float, limit: float, payments: float, *, poor: bool, unpaid: bool
) -> None:
    facts = THRESHOLDS.of(usage(balance=balance, credit_limit=limit, payments=payments))

    assert (facts.poor, facts.unpaid) == (poor, unpaid)


def test_who_owes_nothing_has_paid_no_share_of_it() -> None:
    facts = THRESHOLDS.of(usage(balance=0.0))

    assert facts.paid is None


@given(clients)
def test_within_its_span_one_amount_alone_leaves_no_adverse_fact(client: CardUsage) -> None:
    for feature, span in THRESHOLDS.spans(client).items():
        for amount in (span.low, min(span.high, 1e7)):
            facts = THRESHOLDS.of(replace(client, **{feature: amount}))
            assert (facts.poor, facts.unpaid) == (False, False), feature


@given(clients)
def test_a_cent_beyond_a_span_an_adverse_fact_is_left(client: CardUsage) -> None:
    spans = THRESHOLDS.spans(client)
    balance, payments = spans["balance"].high, spans["payments"].low
    if balance < client.balance:
        facts = THRESHOLDS.of(replace(client, balance=balance + 0.01))
        assert facts.poor or facts.unpaid
    if payments > client.payments:
        facts = THRESHOLDS.of(replace(client, payments=payments - 0.01))
        assert facts.poor or facts.unpaid


@given(clients)
def test_spans_hold_only_what_a_person_can_do(client: CardUsage) -> None:
    spans = THRESHOLDS.spans(client)

    assert spans["balance"].high <= client.balance
    assert spans["payments"].low >= client.payments
    assert "purchases" not in spans
    assert spans.get("cash_advance", (0, client.cash_advance))[1] == client.cash_advance


@pytest.mark.parametrize(
    ("amounts", "codes"),
    [
        ({"balance": 300, "payments": 150, "cash_advance": 220}, []),
        ({"balance": 300.01, "payments": 150.01}, ["uso_alto"]),
        ({"balance": 300, "payments": 149.99}, ["pouco_pago"]),
        ({"balance": 300, "payments": 29.99}, ["quase_nada_pago"]),
        ({"balance": 0, "payments": 0, "cash_advance": 220.01}, ["saques_altos"]),
        (
            {"balance": 900, "payments": 0, "cash_advance": 900},
            ["uso_alto", "quase_nada_pago", "saques_altos"],
        ),
    ],
)
def test_reasons_are_adverse_facts_beyond_their_reference(
    amounts: dict[str, float], codes: list[str]
) -> None:
    nothing = usage(balance=0, cash_advance=0, credit_limit=1000, payments=0)
    client = replace(nothing, **amounts)

    reasons = POLICY.references.adverse(client, THRESHOLDS.of(client))

    assert [reason.code for reason in reasons] == codes


def test_a_share_is_exact_where_binary_numbers_are_not() -> None:
    assert Share.of(0.1).difference(1648, 16480) == 0
    assert Share.of(0.1).difference(1649, 16480) > 0 > Share.of(0.1).difference(1647, 16480)


def test_a_share_of_next_to_no_limit_is_still_a_number() -> None:
    facts = POLICY.thresholds.of(usage(balance=1e7, credit_limit=5e-324, cash_advance=1e7))

    assert (facts.use, facts.withdrawn) == (1e9, 1e9)
