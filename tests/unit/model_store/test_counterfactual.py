"""What would have to change: promises that hold, and no smaller change overlooked."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_store import geometry
from model_store.features import FEATURES
from model_store.geometry import CHANGEABLE, Counterfactuals, Matrix
from tests.unit.model_store import amounts

Options = tuple[tuple[int, ...], float]

#: Labels worth reaching, and the margin to reach them with.
OPTIONS: list[Options] = [
    ((1, 3, 4), 0.05),
    ((0, 1, 2, 3, 4), 0.1),
    ((0,), 0.0),
    ((2,), 0.05),
    ((3,), 0.3),
    ((4,), 0.5),
]
SLACK = 1e-9
STEPS = 150

AXES: Matrix = np.eye(5)


def needy(clients: Matrix, centroids: Matrix, options: Options) -> Matrix:
    """Keep the clients who are not at a target with the margin."""
    labels, confidence = amounts.placed(clients, centroids)
    kept: Matrix = clients[~(np.isin(labels, options[0]) & (confidence >= options[1]))]
    return kept


def ways(clients: Matrix, centroids: Matrix, options: Options) -> Counterfactuals:
    """Ask as predictor does: a hair more than the margin."""
    targets, margin = options
    return geometry.counterfactuals(clients, geometry.cones(centroids, targets, margin + SLACK))


def changed(clients: Matrix, found: Counterfactuals) -> tuple[Matrix, NDArray[np.intp]]:
    """Make each promised change; return the changed clients, and where in `found` they are."""
    where = np.argwhere(found.cluster >= 0)
    rows = clients[where[:, 0]]
    rows[np.arange(len(where)), np.array(CHANGEABLE)[where[:, 1]]] = found.amount[*where.T]
    return rows, where


def check_promises(clients: Matrix, centroids: Matrix, options: Options) -> int:
    """Make every promised change and place the client the long way; return how many held."""
    found = ways(clients, centroids, options)
    rows, where = changed(clients, found)
    promised = found.amount[*where.T]

    labels, confidence = amounts.placed(rows, centroids)
    assert np.isnan(found.amount).tolist() == (found.cluster == -1).tolist()
    assert (promised >= 0).all()
    assert promised.tolist() == np.round(promised, 2).tolist()
    assert ((rows != clients[where[:, 0]]).sum(axis=1) == 1).all()
    assert labels.tolist() == found.cluster[*where.T].tolist()
    assert set(labels.tolist()) <= set(options[0])
    assert (confidence >= options[1]).all()
    return len(where)


def test_all_but_the_limit_is_the_clients_to_change() -> None:
    assert [FEATURES[column] for column in CHANGEABLE] == [
        "balance",
        "purchases",
        "cash_advance",
        "payments",
    ]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_promise_holds(centroids: Matrix, options: Options) -> None:
    clients = needy(amounts.spread(3000), centroids, options)

    assert check_promises(clients, centroids, options) > 100


@settings(deadline=None)
@given(clients=amounts.several(least_limit=50, largest=1e5), options=st.sampled_from(OPTIONS))
def test_every_promise_to_anybody_holds(
    centroids: Matrix, clients: Matrix, options: Options
) -> None:
    clients = needy(clients, centroids, options)
    assume(len(clients))

    check_promises(clients, centroids, options)


@pytest.mark.parametrize("options", OPTIONS[:4])
def test_promises_hold_where_one_amount_dwarfs_the_others(
    centroids: Matrix, options: Options
) -> None:
    rng = np.random.default_rng(5)
    clients = np.round(rng.uniform(0.01, 1, (4000, 5)), 2)
    clients[np.arange(4000), rng.choice(CHANGEABLE, 4000)] = np.round(rng.uniform(1e6, 1e7, 4000))

    assert check_promises(needy(clients, centroids, options), centroids, options) > 50


@pytest.mark.parametrize("column", range(len(CHANGEABLE)))
@pytest.mark.parametrize("options", OPTIONS)
def test_no_smaller_change_does_and_where_none_is_found_none_does(
    centroids: Matrix, options: Options, column: int
) -> None:
    """Try the cents just short of the promise, both ways to it, and far beyond."""
    extremes = amounts.EXTREMES[:3]
    clients = needy(np.vstack([amounts.spread(150), extremes]), centroids, options)
    own = clients[:, CHANGEABLE[column], None]
    found = ways(clients, centroids, options).amount[:, column, None]
    told = np.abs(found - own)
    reach = np.where(np.isnan(told), 4 * clients.max(axis=1, keepdims=True), told)
    near = np.concatenate([np.linspace(-1, 1, STEPS) * reach, reach - 0.02, 0.02 - reach], axis=1)
    far = np.broadcast_to(np.geomspace(0.01, 1e7, STEPS), (len(clients), STEPS))
    tried = np.round(np.concatenate([own + near, far, far * 0], axis=1), 2)
    rows = np.repeat(clients[:, None], tried.shape[1], axis=1)
    rows[..., CHANGEABLE[column]] = tried.clip(min=0)

    labels, confidence = amounts.placed(rows, centroids)

    possible = (tried >= 0) & (tried <= 1e7)
    would_do = np.isin(labels, options[0]) & (confidence >= options[1] + 1e-7) & possible
    closer = np.abs(tried - own) < np.where(np.isnan(told), np.inf, told - 0.011)
    assert not (would_do & closer).any(), clients[(would_do & closer).any(axis=1)][:3]


def test_some_have_no_way_and_some_have_several(centroids: Matrix) -> None:
    clients = needy(amounts.spread(3000), centroids, ((3,), 0.3))

    count = (ways(clients, centroids, ((3,), 0.3)).cluster >= 0).sum(axis=1)

    assert set(count.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("client", "targets", "amount", "cluster"),
    [
        ([3, 1, 2, 4, 0], (0, 1), [4, 4, np.nan, np.nan], [0, 1, -1, -1]),
        ([3, 1, 2, 4, 0], (4,), [np.nan, np.nan, np.nan, 4], [-1, -1, -1, 4]),
        ([5, 1, 2, 4, 0], (3, 4), [4, np.nan, np.nan, 5], [3, -1, -1, 4]),
        ([5, 0, 0, 0.005, 0], (3,), [0, np.nan, np.nan, np.nan], [3, -1, -1, -1]),
        ([5, 1, 4.5, 4, 0], (3,), [np.nan] * 4, [-1] * 4),
    ],
)
def test_the_amount_on_a_border_itself_will_do(
    client: list[float], targets: tuple[int, ...], amount: list[float], cluster: list[int]
) -> None:
    """With a profile an amount, the largest amount is the profile: as much as the limit it is."""
    found = geometry.counterfactuals(np.array([client]), geometry.cones(AXES, targets, 0.0))

    assert found.amount[0].tolist() == pytest.approx(amount, nan_ok=True)
    assert found.cluster[0].tolist() == cluster


def test_neighbours_and_their_order_change_nothing(centroids: Matrix) -> None:
    clients = needy(amounts.spread(200), centroids, OPTIONS[0])
    order = np.random.default_rng(3).permutation(len(clients))

    together = ways(clients, centroids, OPTIONS[0])

    alone = [ways(client[None], centroids, OPTIONS[0]) for client in clients]
    shuffled = ways(clients[order], centroids, OPTIONS[0])
    one_by_one = np.vstack([one.amount for one in alone])
    np.testing.assert_array_equal(together.amount, one_by_one)
    np.testing.assert_array_equal(together.cluster, np.vstack([one.cluster for one in alone]))
    np.testing.assert_array_equal(together.amount[order], shuffled.amount)
    np.testing.assert_array_equal(together.cluster[order], shuffled.cluster)


def test_nobody_has_nothing_to_change(centroids: Matrix) -> None:
    found = ways(np.empty((0, 5)), centroids, OPTIONS[0])

    assert found.amount.shape == found.cluster.shape == (0, 4)
