"""Nobody who is refused would have got anything better by behaving worse; or nobody is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import CardUsage, Outcome
from evaluation_api.decision.policy import FactPolicy
from evaluation_api.decision.policy import worse as worst
from evaluation_api.decision.promise import Border, Promise
from tests.evaluations import MODEL, POLICY, POLICY_TEXT, PROMISE, prediction

POOR = CardUsage(900.0, 0.0, 0.0, 1000.0, 100.0)


@pytest.mark.parametrize("cluster", [0, 2])
def test_a_model_whose_geometry_allows_the_promise_is_refused_by(cluster: int) -> None:
    decision = POLICY.decide(POOR, prediction(cluster))

    assert (decision.outcome, decision.unpromised) == (Outcome.REFUSED, False)


@pytest.mark.parametrize(
    ("promise", "borders"),
    [
        (None, None),
        (
            PROMISE._replace(use_from=(None, 0.001, None, 0.7, None)),
            (Border(0, 3, "payments"), Border(2, 3, "payments")),
        ),
        (PROMISE._replace(use_from=(None, None, None, 0.4, None)), (Border(0, 1, "cash_advance"),)),
        (PROMISE._replace(paid_at_most=0.49), PROMISE.wrong_way),
        (
            PROMISE._replace(wrong_way=(Border(2, 4, "balance"), Border(4, 2, "balance"))),
            (Border(2, 4, "balance"),),
        ),
    ],
)
def test_what_the_geometry_leaves_open_is_a_persons_to_decide(
    promise: Promise | None, borders: tuple[Border, ...] | None
) -> None:
    other = replace(MODEL, sha256=f"{hash(promise):064x}", promise=promise)

    decision = POLICY.decide(POOR, prediction(0)._replace(model=other))

    assert (decision.outcome, decision.unpromised) == (Outcome.MANUAL_REVIEW, True)
    assert POLICY.broken_borders(other) == borders


def test_a_model_that_the_policy_accepts_is_refused_by_all_the_same() -> None:
    accepting = f'[promessa]\nmodelos_aceitos = ["{MODEL.sha256}"]\n\n[faixa]'
    policy = policy_file.parse(POLICY_TEXT.replace("[faixa]", accepting, 1))

    decision = policy.decide(POOR, prediction(0)._replace(model=replace(MODEL, promise=None)))

    assert (decision.outcome, decision.unpromised) == (Outcome.REFUSED, False)


def test_a_policy_that_refuses_from_a_lower_use_on_may_break_the_promise() -> None:
    policy = policy_file.parse(
        POLICY_TEXT.replace("uso_alto = 0.60", "uso_alto = 0.44", 1).replace(
            POLICY_TEXT[POLICY_TEXT.index("[[casos]]") :], ""
        )
    )

    assert isinstance(policy, FactPolicy)
    assert policy.broken_borders(MODEL) == (Border(0, 3, "payments"), Border(2, 3, "payments"))


amounts = st.integers(0, 30_000_00).map(lambda whole: whole / 100)
limits = st.integers(50_00, 30_000_00).map(lambda whole: whole / 100)
clients = st.builds(CardUsage, amounts, amounts, amounts, limits, amounts)


@given(clients, st.sampled_from(range(5)), st.floats(1, 3), st.floats(0, 1), amounts)
def test_whoever_stays_in_a_profile_does_no_better_by_behaving_worse(
    client: CardUsage, cluster: int, more: float, less: float, withdrawn: float
) -> None:
    worse = replace(
        client,
        balance=round(client.balance * more, 2),
        payments=round(client.payments * less, 2),
        cash_advance=client.cash_advance + withdrawn,
    )

    before, after = (POLICY.decide(one, prediction(cluster)).outcome for one in (client, worse))

    most = POLICY.training_range.most("payments", client.credit_limit)
    assert after is worst(before, after) or client.payments > most  # the exception that is told
