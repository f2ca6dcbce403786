"""The model service's reasons against brute force, on a thousand made-up clients."""

from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation_api.decision.domain import FEATURES
from tests.services import Server

Amounts = NDArray[np.float64]

COUNT = 1000
APPROVED = (1, 3, 4)
MARGIN = 0.05
CHANGEABLE = [feature for feature in FEATURES if feature != "credit_limit"]
STEPS = 400


@pytest.fixture(scope="module")
def clients() -> Amounts:
    """Return a thousand clients, 1000 x 5, of every kind and size, in whole cents."""
    rng = np.random.default_rng(20261122)
    shares = rng.dirichlet(np.full(len(FEATURES), 0.7), COUNT)
    rows: Amounts = np.round(shares * 10 ** rng.uniform(2, 4.5, (COUNT, 1)), 2)
    rows[:, FEATURES.index("credit_limit")] += 50.0
    return rows


@pytest.fixture(scope="module")
def centroids(model_service: Server) -> Amounts:
    return np.array(httpx.get(f"{model_service.url}/model").json()["centroids"])


@pytest.fixture(scope="module")
def predictions(model_service: Server, clients: Amounts) -> list[dict[str, Any]]:
    return predict(model_service, clients)


def predict(model_service: Server, rows: Amounts) -> list[dict[str, Any]]:
    asked = [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]
    options = {"targets": ",".join(map(str, APPROVED)), "margin": str(MARGIN)}
    answer = httpx.post(f"{model_service.url}/predict", params=options, json=asked, timeout=30)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def distances(rows: Amounts, centroids: Amounts) -> Amounts:
    """Measure n x 5 distances from directions to centroids, the long way."""
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    measured: Amounts = np.linalg.norm(unit[..., None, :] - centroids, axis=-1)
    return measured


def confidences(rows: Amounts, centroids: Amounts) -> tuple[NDArray[np.int64], Amounts]:
    """Return the nearest label and (d2 - d1) / (d2 + d1) of each row."""
    measured = distances(rows, centroids)
    first, second = np.moveaxis(np.sort(measured, axis=-1)[..., :2], -1, 0)
    return measured.argmin(axis=-1), (second - first) / (second + first)


def test_every_profile_is_among_the_clients(predictions: list[dict[str, Any]]) -> None:
    assert {one["cluster"] for one in predictions} == set(range(5))


def test_labels_and_confidences_are_those_of_the_distances(
    clients: Amounts, centroids: Amounts, predictions: list[dict[str, Any]]
) -> None:
    labels, confidence = confidences(clients, centroids)

    assert [one["cluster"] for one in predictions] == labels.tolist()
    assert [one["confidence"] for one in predictions] == pytest.approx(
        confidence.tolist(), abs=1e-9
    )
    runners_up = distances(clients, centroids).argsort(axis=1)[:, 1]
    assert [one["runner_up"] for one in predictions] == runners_up.tolist()


def test_contributions_add_up_to_the_difference_of_squared_distances(
    clients: Amounts, centroids: Amounts, predictions: list[dict[str, Any]]
) -> None:
    squared = np.sort(distances(clients, centroids) ** 2, axis=1)

    sums = [sum(one["contributions"].values()) for one in predictions]

    assert sums == pytest.approx((squared[:, 1] - squared[:, 0]).tolist(), abs=1e-12)
    assert all(tuple(one["contributions"]) == FEATURES for one in predictions)


def test_every_alternative_leads_where_it_says_with_confidence(
    model_service: Server, clients: Amounts, predictions: list[dict[str, Any]]
) -> None:
    changed, promised = [], []
    for row, one in zip(clients, predictions, strict=True):
        for alternative in one.get("alternatives", []):
            other = row.copy()
            other[FEATURES.index(alternative["feature"])] = alternative["amount"]
            changed.append(other)
            promised.append(alternative)

    assert len(promised) > COUNT // 2
    for start in range(0, len(changed), 1000):
        found = predict(model_service, np.array(changed[start : start + 1000]))
        for one, promise in zip(found, promised[start : start + 1000], strict=True):
            assert one["cluster"] == promise["cluster"]
            assert promise["cluster"] in APPROVED
            assert one["confidence"] >= MARGIN
    assert {promise["feature"] for promise in promised} <= set(CHANGEABLE)


def test_who_is_well_placed_already_is_told_no_alternative(
    predictions: list[dict[str, Any]],
) -> None:
    placed = [p for p in predictions if p["cluster"] in APPROVED and p["confidence"] >= MARGIN]

    assert len(placed) > COUNT // 4
    assert not any(one.get("alternatives") for one in placed)


@pytest.mark.parametrize("feature", CHANGEABLE)
def test_no_smaller_change_of_one_amount_is_found_on_a_grid(
    clients: Amounts, centroids: Amounts, predictions: list[dict[str, Any]], feature: str
) -> None:
    """Walk from each client's amount towards the one it was told, or everywhere if told none."""
    column = FEATURES.index(feature)
    needy = [n for n, one in enumerate(predictions) if "alternatives" in one]
    assert len(needy) > COUNT // 4
    own = clients[needy, column]
    told = np.array([_told(predictions[n], feature) for n in needy])
    reach = np.where(np.isnan(told), 2e5, np.abs(told - own) - 0.02)[:, None]
    steps = np.linspace(-1, 1, STEPS) * reach
    grid = np.repeat(clients[needy][:, None, :], STEPS, axis=1)
    grid[:, :, column] = own[:, None] + steps
    possible = (grid[:, :, column] >= 0) & (np.abs(steps) > 0)
    grid[:, :, column] = np.maximum(grid[:, :, column], 0)

    labels, confidence = confidences(grid, centroids)

    would_do = np.isin(labels, APPROVED) & (confidence >= MARGIN + 1e-7) & possible
    assert not would_do.any(), clients[needy][would_do.any(axis=1)][:3]


def _told(prediction: dict[str, Any], feature: str) -> float:
    """Return the amount that a client was told for a feature, or NaN."""
    amounts = (a["amount"] for a in prediction["alternatives"] if a["feature"] == feature)
    return next(amounts, float("nan"))


def test_alternatives_come_least_change_first(
    clients: Amounts, predictions: list[dict[str, Any]]
) -> None:
    told = [
        [abs(found["amount"] - row[FEATURES.index(found["feature"])]) for found in alternatives]
        for row, one in zip(clients, predictions, strict=True)
        if len(alternatives := one.get("alternatives", [])) > 1
    ]

    assert len(told) > COUNT // 4
    assert all(changes == sorted(changes) for changes in told)
