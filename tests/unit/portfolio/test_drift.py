"""Clients who are not those of the training any more, told from those who differ by chance."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from evaluation_api.decision.domain import FEATURES
from model_store import reference
from portfolio import drift
from portfolio.frames import Floats, Profiler
from tests.unit.model_store.amounts import spread

BALANCE, WITHDRAWN, LIMIT, PAID = (
    FEATURES.index(name) for name in ("balance", "cash_advance", "credit_limit", "payments")
)
RESAMPLES = 100


@pytest.fixture(scope="module")
def clients() -> Floats:
    """Return those of the training where the data set is at hand, else made-up ones."""
    path = Path(os.environ.get("CC_GENERAL_CSV", "not named"))
    if not path.exists():
        return spread(9000)
    table = pd.read_csv(path).rename(columns=str.lower)
    known = table[list(FEATURES)].fillna(table["credit_limit"].median())
    return np.asarray(known, np.float64)


Measure = Callable[[Floats], dict[str, Any]]


@pytest.fixture(scope="module")
def measure(carried: Profiler, clients: Floats) -> Measure:
    """Return what compares clients with those of the training."""
    known = reference.of(clients, carried.profiles(clients).cluster)
    return lambda amounts: drift.measure(known, amounts, carried.profiles(amounts).cluster)


def drawn(clients: Floats, count: int, seed: int) -> Floats:
    return clients[np.random.default_rng(seed).integers(0, len(clients), count)]


def debt_is_the_limit_left(amounts: Floats) -> None:
    amounts[:, BALANCE] = (amounts[:, LIMIT] - amounts[:, BALANCE]).clip(0)


def nothing_is_withdrawn(amounts: Floats) -> None:
    amounts[:, WITHDRAWN] = 0


def another_currency(amounts: Floats) -> None:
    amounts *= 5.4


def less_is_paid(amounts: Floats) -> None:
    amounts[:, PAID] *= 0.7


@pytest.mark.parametrize("count", [2000, 20_000])
@pytest.mark.parametrize(
    ("change", "where"),
    [
        (debt_is_the_limit_left, {"balance", "use", "paid", "profile"}),
        (nothing_is_withdrawn, {"cash_advance", "withdrawn"}),
        (another_currency, {"balance", "credit_limit", "payments"}),
        (less_is_paid, {"payments", "paid"}),
    ],
)
def test_what_goes_wrong_with_amounts_is_found_where_it_is(
    clients: Floats, measure: Measure, change: Callable[[Floats], None], where: set[str], count: int
) -> None:
    amounts = drawn(clients, count, 1)
    change(amounts)

    found = measure(amounts)

    assert where <= set(found["drifted"])
    told = drift.text(found)
    assert all(f"  {name:<14}" in told for name in where)
    assert f"Drifted: {', '.join(found['drifted'])}." in told
    assert max(map(len, told.splitlines())) <= 100


def test_another_currency_is_no_drift_of_facts_or_profiles(
    clients: Floats, measure: Measure
) -> None:
    amounts = drawn(clients, 5000, 2) * 5.4

    drifted = measure(amounts)["drifted"]

    assert not {*reference.FACTS, "profile"} & set(drifted)


@pytest.mark.parametrize("count", [200, 1000, 5000])
def test_honest_clients_are_called_drifted_about_once_in_a_hundred(
    clients: Floats, measure: Measure, count: int
) -> None:
    alarms = 0
    for seed in range(RESAMPLES):
        amounts = drawn(clients, count, seed)
        alarms += bool(measure(amounts)["drifted"])

    print(f"{alarms} false alarms in {RESAMPLES} resamples of {count:,} clients")  # noqa: T201
    assert alarms <= 5


def test_of_few_clients_nothing_is_said(clients: Floats, measure: Measure) -> None:
    few = drawn(clients, drift.LEAST_CLIENTS - 1, 1)
    nothing_is_withdrawn(few)

    found = measure(few)

    assert found["drifted"] == []
    assert "Of fewer than 200 clients nothing is said." in drift.text(found)


def test_of_a_reference_of_few_clients_nothing_is_said(clients: Floats, carried: Profiler) -> None:
    few = drawn(clients, drift.LEAST_CLIENTS - 1, 1)
    known = reference.of(few, carried.profiles(few).cluster)

    found = drift.measure(known, clients, carried.profiles(clients).cluster)

    assert "Of fewer than 200 clients nothing is said." in drift.text(found)


def test_the_same_clients_have_no_drift_at_all(clients: Floats, measure: Measure) -> None:
    found = measure(clients)

    assert max(one["psi"] for one in found["columns"].values()) == 0
    assert drift.text(found).endswith("No drift.\n")


def test_the_index_is_that_of_the_books() -> None:
    before, after = np.array([500, 500]) * 1000, np.array([600, 400]) * 1000

    assert drift.psi(before, after) == pytest.approx(0.1 * np.log(0.6 / 0.4), abs=1e-5)
    assert np.isfinite(drift.psi(np.array([10, 0]), np.array([0, 10])))


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 11])
def test_thresholds_are_chi_squares(degrees: int) -> None:
    assert drift.chi_square(degrees, 0.999) == pytest.approx(chi2.ppf(0.999, degrees), rel=0.04)


def test_thresholds_shrink_with_clients_down_to_what_matters() -> None:
    few, some, many = (drift.threshold(10, 9000, count) for count in (200, 1000, 10**6))

    assert few > some > many == 0.02
    assert drift.threshold(1, 9000, 1000) == float("inf")
    assert drift.threshold(10, 0, 1000) == float("inf")
