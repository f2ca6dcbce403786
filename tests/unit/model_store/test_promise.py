"""The promise is worked out of centroids; here clients by the thousand try to break it."""

import numpy as np
import pytest

from model_store import geometry, promise
from model_store.features import FEATURES
from model_store.geometry import Matrix
from model_store.promise import Promise

BALANCE, PURCHASES, WITHDRAWALS, LIMIT, PAYMENTS = range(len(FEATURES))
WORSE = {"balance": 3.0, "cash_advance": 3.0, "payments": 1 / 3}


def some_clients(seed: int, count: int = 50_000) -> Matrix:
    """Return count x 5 amounts of all sizes, a fifth of them 0, each with some limit."""
    random = np.random.default_rng(seed)
    clients = np.exp(random.normal(6, 1.5, (count, len(FEATURES))))
    clients[random.random(clients.shape) < 0.2] = 0
    clients[:, LIMIT] += 1e-3
    return clients


def some_centroids(seed: int) -> Matrix:
    """Return 5 x 5 centroids of directions, as k-means could have found them."""
    random = np.random.default_rng(seed)
    return geometry.directions(random.random((5, 5)) + 1e-3) * random.uniform(0.8, 1, (5, 1))


@pytest.fixture(params=["shipped", 1, 2, 3])
def any_centroids(request: pytest.FixtureRequest, centroids: Matrix) -> Matrix:
    return centroids if request.param == "shipped" else some_centroids(request.param)


def highest_use(clients: Matrix, label: int, centroids: Matrix) -> float:
    """Return the highest use among clients of a profile who paid little, or 0 without any."""
    balance, payments = clients[:, BALANCE], clients[:, PAYMENTS]
    poor = (payments <= promise.PAID_AT_MOST * balance) & (payments <= clients[:, LIMIT])
    among = clients[poor & (geometry.predict(clients, centroids) == label)]
    return float((among[:, BALANCE] / among[:, LIMIT]).max(initial=0))


def test_no_client_of_a_profile_uses_more_than_its_bound(any_centroids: Matrix) -> None:
    told = promise.of(any_centroids)

    for label, use_from in enumerate(told.use_from):
        highest = highest_use(some_clients(label), label, any_centroids)
        assert use_from is None or highest <= use_from


def test_a_bound_is_no_higher_than_it_must_be(centroids: Matrix) -> None:
    told = promise.of(centroids)

    highest = highest_use(some_clients(0, 500_000), 3, centroids)
    assert told.use_from[3] == pytest.approx(highest, abs=0.03)
    assert told.use_from[0] is None


def test_who_behaves_worse_crosses_no_border_but_those_told(any_centroids: Matrix) -> None:
    told = set(promise.of(any_centroids).wrong_way)
    clients = some_clients(7)
    before = geometry.squared_distances(geometry.directions(clients), any_centroids)

    crossed = set()
    for feature, times in WORSE.items():
        worse = clients.copy()
        worse[:, FEATURES.index(feature)] *= times
        after = geometry.squared_distances(geometry.directions(worse), any_centroids)
        for source in range(5):
            nearer = (before[:, [source]] < before - 1e-12) & (after[:, [source]] > after + 1e-12)
            crossed |= {
                promise.Border(source, int(t), feature) for t in np.flatnonzero(nearer.any(axis=0))
            }

    assert crossed <= told
    assert crossed


def test_the_shipped_model_lets_a_policy_refuse_saldo_alto_and_saques_altos(
    centroids: Matrix,
) -> None:
    told = promise.of(centroids)

    from_refused = {b for b in told.wrong_way if b.source in {0, 2} and b.target in {1, 3, 4}}
    assert from_refused == {(0, 1, "cash_advance"), (0, 3, "payments"), (2, 3, "payments")}
    assert told.use_from[1] is not None
    assert told.use_from[1] < 0.6
    assert told.use_from[3] == pytest.approx(0.443, abs=0.002)


def test_profiles_that_reach_any_use_have_no_bound() -> None:
    alike = np.eye(5) * 0.9

    told = promise.of(alike)

    assert isinstance(told, Promise)
    assert told.use_from[BALANCE] is None
