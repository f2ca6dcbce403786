"""One policy, two ways to decide by it: the frame's and, one by one, the evaluation service's."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation_api.decision.domain import FEATURES, CardUsage, Decision, Model, Outcome, Prediction
from evaluation_api.decision.limits import LARGEST_AMOUNT
from evaluation_api.decision.policy_file import AnyPolicy
from portfolio import frames
from tests.evaluations import EARLIER_POLICY, MODEL, POLICY

LIMIT = FEATURES.index("credit_limit")
#: Of 20,000 clients each. `make fuzz` has a million decided: one client of a bank, decided
#: otherwise, is one too many.
SLICES = 50 if "FUZZ_CASES" in os.environ else 5
UNPROMISED = replace(MODEL, sha256="f" * 64, promise=None)


class Given:
    """Places clients as it was told to."""

    def __init__(self, profiles: frames.Profiles, model: Model = MODEL) -> None:
        self.model, self._profiles = model, profiles

    def profiles(self, amounts: frames.Floats) -> frames.Profiles:
        assert amounts.shape == (len(self._profiles.cluster), len(FEATURES))
        return self._profiles


def clients(count: int, seed: int = 20261126) -> frames.Floats:
    """Make clients of every kind, a third of them on edges of the policy, all in whole cents."""
    random = np.random.default_rng(seed)
    rows = np.round(np.exp(random.normal(6.5, 1.8, (count, 5))), 2).clip(0, LARGEST_AMOUNT)
    rows[random.random((count, 5)) < 0.1] = 0
    rows[:, LIMIT] = np.maximum(rows[:, LIMIT], 0.01)
    edges = random.random(count) < 1 / 3
    shares = random.choice([0.1, 0.22, 0.3, 0.5, 0.6, 1, 2, 10, 20], (count, 3))
    rows[edges, 0] = np.round(shares[edges, 0] * rows[edges, LIMIT], 2)
    rows[edges, 2] = np.round(shares[edges, 1] * rows[edges, LIMIT], 2)
    rows[edges, 4] = np.round(shares[edges, 2] * rows[edges, 0], 2)
    ends = edges & (random.random(count) < 0.3)
    rows[ends, 4] = np.round(shares[ends, 2] * rows[ends, LIMIT], 2)
    moved = edges & (random.random(count) < 0.5)
    rows[moved, 0] += random.choice([-0.01, 0.01], moved.sum())
    return np.round(rows.clip(0, LARGEST_AMOUNT), 2)


def placed(count: int) -> frames.Profiles:
    random = np.random.default_rng(7)
    return frames.Profiles(random.integers(0, 5, count), random.random(count) * 0.2)


def one_by_one(
    rows: frames.Floats, profiles: frames.Profiles, policy: AnyPolicy, model: Model
) -> list[Decision]:
    told = zip(rows.tolist(), profiles.cluster.tolist(), profiles.confidence.tolist(), strict=True)
    return [
        policy.decide(CardUsage(*row), Prediction(label, model, confidence=sure))
        for row, label, sure in told
    ]


def codes(decision: Decision) -> str:
    return " ".join(fact.code for fact in decision.adverse)


@pytest.mark.parametrize(
    ("policy", "model", "slices"),
    [(POLICY, MODEL, SLICES), (POLICY, UNPROMISED, 1), (EARLIER_POLICY, MODEL, 1)],
    ids=["facts", "facts without the promise", "profiles"],
)
def test_a_frame_is_decided_as_its_clients_are_one_by_one(
    policy: AnyPolicy, model: Model, slices: int
) -> None:
    for seed in range(slices):
        rows, profiles = clients(20_000, seed), placed(20_000)

        frame = frames.evaluate(
            pd.DataFrame(rows, columns=list(FEATURES)), policy, Given(profiles, model)
        )

        expected = one_by_one(rows, profiles, policy, model)
        assert frame["decisao"].tolist() == [decision.outcome for decision in expected]
        assert frame["fora_da_faixa"].tolist() == ["faixa" in d.remarks for d in expected]
        if policy is POLICY:
            assert_equal_facts(frame, expected)


def test_shares_of_next_to_no_limit_are_as_large_as_of_a_client_alone() -> None:
    limits = [0.01, 0.004, 1e-9, 5e-324]
    rows = np.array([[LARGEST_AMOUNT, 0, 1, limit, 5] for limit in limits])
    profiles = placed(len(rows))

    frame = frames.evaluate(pd.DataFrame(rows, columns=list(FEATURES)), POLICY, Given(profiles))

    assert_equal_facts(frame, one_by_one(rows, profiles, POLICY, MODEL))


def assert_equal_facts(frame: pd.DataFrame, expected: list[Decision]) -> None:
    assert frame["motivos"].tolist() == list(map(codes, expected))
    facts = [decision.facts for decision in expected]
    for column, name in (("uso", "use"), ("parte_paga", "paid"), ("saques", "withdrawn")):
        alone = np.array([getattr(fact, name) for fact in facts], float)
        np.testing.assert_array_equal(frame[column].to_numpy(), alone)


def test_every_outcome_and_every_reason_was_among_them() -> None:
    rows, profiles = clients(100_000), placed(100_000)

    frame = frames.evaluate(pd.DataFrame(rows, columns=list(FEATURES)), POLICY, Given(profiles))

    assert set(frame["decisao"]) == set(Outcome)
    assert set(frame["motivos"]) == set(frames.REASONS)


def test_the_columns_are_of_the_types_that_are_promised_and_the_index_is_the_clients() -> None:
    rows = pd.DataFrame(clients(3), columns=list(FEATURES), index=[30, 10, 20])
    profiles = frames.Profiles(np.array([0, 3, 4]), np.array([0.5, 0.01, np.nan]), np.zeros((3, 5)))

    frame = frames.evaluate(rows, POLICY, Given(profiles))

    assert frame.index.tolist() == [30, 10, 20]
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "perfil": "int8",
        "certeza": "float64",
        "uso": "float64",
        "parte_paga": "float64",
        "saques": "float64",
        "decisao": "category",
        "motivos": "category",
        "fronteira": "bool",
        "fora_da_faixa": "bool",
        **{f"contribuicao_{feature}": "float64" for feature in FEATURES},
    }
    assert frame["fronteira"].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("feature", "amount"),
    [
        ("balance", -0.01),
        ("payments", np.nan),
        ("purchases", np.inf),
        ("credit_limit", 0.0),
        ("cash_advance", LARGEST_AMOUNT + 0.01),
    ],
)
def test_an_amount_that_nobody_can_have_is_refused_with_its_place(
    feature: str, amount: float
) -> None:
    rows = pd.DataFrame(clients(5), columns=list(FEATURES))
    rows.loc[3, feature] = amount

    with pytest.raises(frames.InvalidAmountError, match=f"{feature} of row 3"):
        frames.evaluate(rows, POLICY, Given(placed(5)))


def test_nobody_is_a_frame_without_rows() -> None:
    nobody = pd.DataFrame(np.empty((0, 5)), columns=list(FEATURES))

    assert frames.evaluate(nobody, POLICY, Given(placed(0))).empty
