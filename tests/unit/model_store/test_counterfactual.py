"""What would have to change: promises that hold, and no smaller change overlooked."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_store import geometry
from model_store.features import FEATURES
from model_store.geometry import CHANGEABLE, Counterfactuals, Limits, Matrix
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


def ways(
    clients: Matrix, centroids: Matrix, options: Options, limits: Limits | None = None
) -> Counterfactuals:
    """Ask as predictor does: a hair more than the margin."""
    targets, margin = options
    cones = geometry.cones(centroids, targets, margin + SLACK)
    every = np.ones(len(clients), dtype=bool)
    return geometry.counterfactuals(clients, cones, limits or any_amount(clients), every)


def test_of_many_clients_each_is_told_what_it_is_alone(centroids: Matrix) -> None:
    clients = needy(amounts.spread(1_500), centroids, OPTIONS[0])
    random = np.random.default_rng(5)
    limits = any_amount(clients)
    limits.low[random.random(limits.low.shape) < 0.5] = np.nan
    limits.high[np.isnan(limits.low)] = np.nan

    many = ways(clients, centroids, OPTIONS[0], limits)
    alone = [
        ways(clients[[one]], centroids, OPTIONS[0], Limits(limits.low[[one]], limits.high[[one]]))
        for one in range(len(clients))
    ]

    assert len(clients) > 600
    np.testing.assert_array_equal(many.amount, np.vstack([one.amount for one in alone]))
    np.testing.assert_array_equal(many.cluster, np.vstack([one.cluster for one in alone]))
    np.testing.assert_array_equal(many.until, np.vstack([one.until for one in alone]))
    assert (many.cluster[np.isnan(limits.low)] == -1).all()


def any_amount(clients: Matrix) -> Limits:
    """Return limits that keep no amount from being changed."""
    shape = (len(clients), len(CHANGEABLE))
    return Limits(np.zeros(shape), np.full(shape, 1e7))


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
    clients = np.array([client])
    cones = geometry.cones(AXES, targets, 0.0)
    found = geometry.counterfactuals(clients, cones, any_amount(clients), np.ones(1, dtype=bool))

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


def drawn_limits(clients: Matrix, seed: int) -> Limits:
    """Return limits of all kinds: around, below and above what clients have, and none at all."""
    random = np.random.default_rng(seed)
    own = clients[:, CHANGEABLE]
    ends = np.round(own * random.uniform(0, 2, (2, *own.shape)), 2)
    low, high = ends.min(axis=0), ends.max(axis=0)
    forbidden = random.random(own.shape) < 0.2
    return Limits(np.where(forbidden, np.nan, low), np.where(forbidden, np.nan, high))


@pytest.mark.parametrize("seed", range(3))
def test_no_change_leads_beyond_its_limits_and_none_within_is_overlooked(
    centroids: Matrix, seed: int
) -> None:
    clients = amounts.spread(400, seed)
    limits = drawn_limits(clients, seed)
    found = ways(clients, centroids, ((1, 3, 4), 0.0), limits)

    for column in range(len(CHANGEABLE)):
        low, high = limits.low[:, column, None], limits.high[:, column, None]
        tried = np.round(low + np.linspace(0, 1, STEPS) * (high - low), 2)
        rows = np.repeat(clients[:, None], STEPS, axis=1)
        rows[..., CHANGEABLE[column]] = np.nan_to_num(tried)
        labels, confidence = amounts.placed(rows, centroids)
        would_do = np.isin(labels, (1, 3, 4)) & (confidence > 1e-7) & ~np.isnan(tried)
        own, told = clients[:, [CHANGEABLE[column]]], found.amount[:, [column]]
        cost = np.where(np.isnan(told), np.inf, np.abs(told - own))
        assert not (would_do & (np.abs(tried - own) < cost - 0.011)).any()
        assert (np.isnan(told) | ((told >= low) & (told <= high))).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_change_holds_as_far_as_is_told_and_no_farther(centroids: Matrix, seed: int) -> None:
    clients = amounts.spread(400, seed)
    limits = drawn_limits(clients, seed)
    found = ways(clients, centroids, ((1, 3, 4), 0.0), limits)
    far = np.where(found.amount < clients[:, CHANGEABLE], *limits)
    until = np.where(np.isnan(found.until), far, found.until)

    for column in range(len(CHANGEABLE)):
        amount, end, beyond = (m[:, column, None] for m in (found.amount, until, far))
        sure = np.round(amount + np.linspace(0, 1, STEPS) * (end - amount), 2)
        past = np.round(end + np.sign(beyond - end) * 0.02, 2)
        rows = np.repeat(clients[:, None], STEPS + 1, axis=1)
        rows[..., CHANGEABLE[column]] = np.nan_to_num(np.hstack([sure, past]), nan=1.0)
        labels, confidence = amounts.placed(rows, centroids)
        holds = np.isin(labels, (1, 3, 4)) | (confidence < 1e-7)
        there = ~np.isnan(amount[:, 0])
        assert holds[there, :STEPS].all()
        ends_before = there & ~np.isnan(found.until[:, column])
        ends_before &= np.abs(beyond - end)[:, 0] > 0.02
        left = ~np.isin(labels, (1, 3, 4)) | (confidence < 1e-5)
        assert left[ends_before, STEPS].all()


def test_what_holds_to_the_end_and_what_does_not_are_both_met(centroids: Matrix) -> None:
    clients = amounts.spread(2000)
    found = ways(clients, centroids, ((1, 3, 4), 0.0), any_amount(clients))
    there = ~np.isnan(found.amount)

    assert 0 < np.isnan(found.until[there]).sum() < there.sum()
