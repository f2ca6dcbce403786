"""Nearest centroid on the unit sphere: what the pickle itself predicts, and why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from model_store import geometry
from model_store.geometry import Matrix
from tests.unit.model_store import amounts

# Centroids whose distances can be worked out on paper: profile k is amount k and nothing else.
AXES: Matrix = np.eye(5)


def between(one: Matrix, other: Matrix) -> Matrix:
    """Find the point (1 x 5) of a segment whose direction is as far from either end's centroid."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        point = (one + middle * (other - one))[None]
        first, second = amounts.distances(point, np.array([one, other]))[0]
        low, high = (middle, high) if first < second else (low, middle)
    return point


def test_every_client_gets_the_label_that_the_pickle_gives(
    committed: Pipeline, centroids: Matrix
) -> None:
    clients = np.vstack([amounts.spread(5000), amounts.EXTREMES])

    labels = geometry.predict(clients, centroids)

    assert labels.tolist() == committed.predict(clients).tolist()
    assert set(labels.tolist()) == set(range(5))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 100])
def test_a_client_is_explained_to_the_last_bit_alike_whoever_is_asked_about_beside_him(
    centroids: Matrix, size: int
) -> None:
    clients = amounts.spread(2000)

    together = geometry.explain(clients, centroids)

    starts = range(0, len(clients), size)
    parts = [geometry.explain(clients[start : start + size], centroids) for start in starts]
    for name in ("cluster", "runner_up", "confidence", "contributions"):
        apart = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(apart, getattr(together, name))


def test_a_client_is_explained_to_the_last_bit_alike_by_rows_and_by_columns(
    centroids: Matrix,
) -> None:
    clients = amounts.spread(2000)

    by_rows = geometry.explain(clients, centroids)
    by_columns = geometry.explain(np.asfortranarray(clients), centroids)

    for name in ("cluster", "runner_up", "confidence", "contributions"):
        np.testing.assert_array_equal(getattr(by_columns, name), getattr(by_rows, name))


@settings(deadline=None)
@given(clients=amounts.several())
def test_a_label_is_explained_by_its_distance_and_the_next(
    centroids: Matrix, clients: Matrix
) -> None:
    explanation = geometry.explain(clients, centroids)

    measured = amounts.distances(clients, centroids)
    nearest = measured.argsort(axis=1)
    labels, confidence = amounts.placed(clients, centroids)
    assert explanation.cluster.tolist() == geometry.predict(clients, centroids).tolist()
    assert explanation.cluster.tolist() == labels.tolist()
    assert explanation.runner_up.tolist() == nearest[:, 1].tolist()
    assert explanation.confidence == pytest.approx(confidence, abs=1e-12)
    assert ((explanation.confidence >= 0) & (explanation.confidence <= 1)).all()


@settings(deadline=None)
@given(clients=amounts.several())
def test_contributions_add_up_to_the_difference_of_squared_distances(
    centroids: Matrix, clients: Matrix
) -> None:
    contributions = geometry.explain(clients, centroids).contributions

    squared = np.sort(amounts.distances(clients, centroids) ** 2, axis=1)
    assert contributions.shape == clients.shape
    assert contributions.sum(axis=1) == pytest.approx(squared[:, 1] - squared[:, 0], abs=1e-12)


def test_an_explanation_is_what_paper_says() -> None:
    explanation = geometry.explain(np.array([[300.0, 0, 0, 400, 0]]), AXES)

    # z = (0.6, 0, 0, 0.8, 0): d1^2 = 0.36 + 0.04 to the limit, d2^2 = 0.16 + 0.64 to the balance
    assert (explanation.cluster.item(), explanation.runner_up.item()) == (3, 0)
    assert explanation.contributions[0] == pytest.approx([0.16 - 0.36, 0, 0, 0.64 - 0.04, 0])
    assert explanation.confidence.item() == pytest.approx((2**0.5 - 1) / (2**0.5 + 1))


def test_a_client_at_a_centroid_is_certain() -> None:
    explanation = geometry.explain(np.array([[0.0, 7, 0, 0, 0]]), AXES)

    assert (explanation.cluster.item(), explanation.confidence.item()) == (1, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_rounding_makes_no_distance_less_than_none(seed: int) -> None:
    clients = amounts.spread(5, seed)

    explanation = geometry.explain(clients, geometry.directions(clients))

    assert explanation.cluster.tolist() == [0, 1, 2, 3, 4]
    assert explanation.confidence == pytest.approx(np.ones(5), abs=1e-6)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 4)])
def test_on_a_border_nothing_is_certain(centroids: Matrix, pair: tuple[int, int]) -> None:
    one, other = pair

    explanation = geometry.explain(between(centroids[one], centroids[other]), centroids)

    assert {explanation.cluster.item(), explanation.runner_up.item()} == set(pair)
    assert 0 <= explanation.confidence.item() < 1e-12
    assert explanation.contributions.sum() == pytest.approx(0, abs=1e-12)


@settings(deadline=None)
@given(clients=amounts.several(), exponent=st.integers(-900, 900), factor=st.floats(1.0, 2.0))
def test_another_currency_changes_nothing(
    centroids: Matrix, clients: Matrix, exponent: int, factor: float
) -> None:
    before = geometry.explain(clients, centroids)

    doubled = geometry.explain(clients * 2.0**exponent, centroids)
    scaled = geometry.explain(clients * factor * 2.0**exponent, centroids)

    assert doubled.cluster.tolist() == before.cluster.tolist()
    assert doubled.confidence.tolist() == before.confidence.tolist()
    assert doubled.contributions.tolist() == before.contributions.tolist()
    assert scaled.confidence == pytest.approx(before.confidence, abs=1e-12)
    firm = before.confidence > 1e-9
    assert scaled.cluster[firm].tolist() == before.cluster[firm].tolist()


def test_the_least_amount_that_there_is_has_a_direction(centroids: Matrix) -> None:
    least = np.nextafter(0, 1)

    explanation = geometry.explain(np.array([[0, 0, 0, least, 0]]), centroids)

    assert explanation.cluster.item() == geometry.predict(amounts.EXTREMES[:1], centroids).item()
    assert explanation.confidence.item() == pytest.approx(
        geometry.explain(amounts.EXTREMES[:1], centroids).confidence.item()
    )


def test_nobody_is_explained_by_nothing(centroids: Matrix) -> None:
    explanation = geometry.explain(np.empty((0, 5)), centroids)

    assert geometry.predict(np.empty((0, 5)), centroids).shape == (0,)
    assert explanation.cluster.shape == explanation.runner_up.shape == (0,)
    assert explanation.confidence.shape == (0,)
    assert explanation.contributions.shape == (0, 5)
