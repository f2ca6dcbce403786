"""The geometry of the served model: nearest centroid on the unit sphere, and what explains it.

A Normalizer("l2") before KMeans makes every client a direction z = x / |x|, so predicting,
explaining and asking "what would have to change" are closed-form. Everything here works on
whole matrices and knows nothing of HTTP, of stores or of what a profile means.

Derivations: docs/model.md, section "Geometry".
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_store.features import FEATURES

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

#: The columns an applicant can change; the credit limit is the bank's to set.
CHANGEABLE = tuple(i for i, name in enumerate(FEATURES) if name != "credit_limit")

_CENTS = 100.0
#: 5 x 5: for each amount, the amounts that stay where it changes.
_STAYS = 1.0 - np.eye(len(FEATURES))
_STAY = _STAYS[list(CHANGEABLE)]
#: Clients whose candidates fit in a core's cache together.
_BLOCK = 128


@dataclass(frozen=True)
class Explanation:
    """What placed each of n clients where they are. Arrays, one entry or row a client.

    cluster, runner_up: n labels, the nearest centroid and the second nearest.
    confidence: n, (d2 - d1) / (d2 + d1) in [0, 1]; 0 on the border between the two.
    contributions: n x 5 in the order of FEATURES; each row adds up to d2^2 - d1^2.
    """

    cluster: Labels
    runner_up: Labels
    confidence: Matrix
    contributions: Matrix


@dataclass(frozen=True)
class Counterfactuals:
    """The smallest change of one amount, for each changeable feature, that reaches a target.

    amount: n x 4 in the order of CHANGEABLE, the new amount in whole cents; NaN where none does.
    cluster: n x 4, the target reached; -1 where none is. until: n x 4, the farthest amount, the
    same way, up to which every other one reaches a target too; NaN where that is the limit.
    """

    amount: Matrix
    cluster: Labels
    until: Matrix


class Limits(NamedTuple):
    """Where a change may lead: the least and the greatest of each changeable amount, n x 4 each.

    NaN where an amount is not to be changed at all. In whole cents, as changes are.
    """

    low: Matrix
    high: Matrix


def directions(rows: Matrix) -> Matrix:
    """Scale rows (n x 5, non-negative, not all zero) to length one.

    Dividing by the largest amount first keeps squares of the tiniest amounts from underflowing.
    By columns, here and below: steps of five amounts at a time took twice as long for 1,024 rows.
    """
    amounts = np.ascontiguousarray(rows.T)
    amounts = amounts / np.maximum.reduce(amounts)
    unit: Matrix = amounts / np.sqrt(_sum(amounts * amounts))
    return unit.T


def squared_distances(unit: Matrix, centroids: Matrix) -> Matrix:
    """Return |z - c|^2 = 1 - 2 z . c + |c|^2 for every client on the unit sphere: n x 5."""
    slopes, offsets = _of_centroids(centroids.tobytes())
    squared = _sum(slopes * unit.T[:, None])
    squared += offsets
    return np.maximum(squared, 0, out=squared).T


def _sum(parts: Matrix) -> Matrix:
    """Add what each of the five amounts brings, in the order that earlier releases had of einsum.

    A matrix product's last bit depends on how many clients there are, einsum's on their layout.
    """
    first, second, third, fourth, fifth = parts
    total: Matrix = first + third + fifth + (second + fourth)
    return total


@lru_cache(maxsize=16)
def _of_centroids(centroids: bytes) -> tuple[Matrix, Matrix]:
    """Return -2 c (amount x label x 1) and 1 + |c|^2 (label x 1): once for a model."""
    c = np.frombuffer(centroids).reshape(-1, len(FEATURES)).T[:, :, None]
    return -2 * c, 1 + _sum(c * c)


def predict(rows: Matrix, centroids: Matrix) -> Labels:
    """Return the label of the nearest centroid of each row (n x 5, in the order of FEATURES)."""
    return np.asarray(squared_distances(directions(rows), centroids).argmin(axis=1))


def confidence(squared: Matrix) -> Matrix:
    """Return (d2 - d1) / (d2 + d1) for n clients, from their squared distances (n x 5)."""
    first, second = np.sqrt(np.sort(squared, axis=1, kind="stable")[:, :2].T)  # half the time
    share: Matrix = (second - first) / (second + first)
    return share


def nearest_two(squared: Matrix) -> tuple[Labels, Labels]:
    """Return the labels of the nearest and the second nearest centroid, n each.

    Of centroids equally near the lowest label comes first, as k-means itself has it.
    """
    cluster, runner_up = squared.argsort(axis=1, kind="stable")[:, :2].T
    return cluster, runner_up


def explain(rows: Matrix, centroids: Matrix) -> Explanation:
    """Predict rows (n x 5) and say what set each one apart from the next-best cluster."""
    unit = directions(rows)
    squared = squared_distances(unit, centroids)
    cluster, runner_up = nearest_two(squared)
    there, here = (unit.T - centroids.T.take(label, axis=1) for label in (runner_up, cluster))
    return Explanation(cluster, runner_up, confidence(squared), (there**2 - here**2).T)


@dataclass(frozen=True)
class Cones:
    """Where T targets are reached with a margin: a . x >= b |x| against each other centroid.

    targets: T labels. amounts: the k columns that may change. offsets: 4 x T x 1 x 1 x 1, the
    numbers b. slopes: 4 x T x k x 1 x 1, what of a goes along each amount. leading: slopes^2 -
    offsets^2. staying: 4 x T x k x 5, a for the amounts that stay, 0 for the one that changes.
    Axes: other centroid, target, amount, candidate, client; clients last, so that loops are long.
    """

    targets: Labels
    amounts: Labels
    staying: Matrix
    offsets: Matrix
    slopes: Matrix
    leading: Matrix

    def along(self, place: int) -> "Cones":
        """Return what there is of one of the amounts alone."""
        one = slice(place, place + 1)
        return Cones(
            self.targets,
            self.amounts[one],
            self.staying[:, :, one],
            self.offsets,
            self.slopes[:, :, one],
            self.leading[:, :, one],
        )


def cones(centroids: Matrix, targets: tuple[int, ...], margin: float) -> Cones:
    """Make the cones of targets (labels) for a margin in [0, 1).

    Confidence >= margin over every other centroid means d_i >= r d_T with
    r = (1 + margin) / (1 - margin), which on the unit sphere is a cone in the amounts.
    """
    ratio = ((1 + margin) / (1 - margin)) ** 2
    squared = np.einsum("ij,ij->i", centroids, centroids)
    own = np.asarray(targets)
    others = np.array([[i for i in range(len(centroids)) if i != target] for target in targets]).T
    normals = 2 * (ratio * centroids[own] - centroids[others])
    offsets = (ratio * (1 + squared[own]) - (1 + squared[others]))[..., None, None, None]
    slopes = normals[..., CHANGEABLE][..., None, None]
    staying = normals[..., None, :] * _STAY
    return Cones(own, np.array(CHANGEABLE), staying, offsets, slopes, slopes**2 - offsets**2)


def counterfactuals(
    rows: Matrix, cones: Cones, limits: Limits, followed: NDArray[np.bool_]
) -> Counterfactuals:
    """Find, one amount at a time, the smallest change that reaches a target with its margin.

    rows: n x 5, each in need of a change. followed: n, whose changes are followed as far as they
    hold; until is NaN for others.
    """
    if len(rows) <= _BLOCK:
        return Counterfactuals(*_nearest_changes(rows, cones, limits, followed))
    found = _none(len(rows))
    for place in range(len(cones.amounts)):
        _find_along(place, rows, cones, (limits, followed), found)
    return found


def _none(count: int) -> Counterfactuals:
    nowhere = np.full((count, len(CHANGEABLE)), np.nan)
    return Counterfactuals(nowhere, np.full(nowhere.shape, -1), nowhere.copy())


def _find_along(
    place: int,
    rows: Matrix,
    cones: Cones,
    within: tuple[Limits, NDArray[np.bool_]],
    found: Counterfactuals,
) -> None:
    """Fill in one amount's changes, looking at the clients alone whose limits let it change.

    Of many clients half of the amounts may not.
    """
    limits, followed = within
    low, high, alone = limits.low[:, [place]], limits.high[:, [place]], cones.along(place)
    every, at_once = np.flatnonzero(~np.isnan(low[:, 0])), _BLOCK * len(cones.amounts)
    for start in range(0, len(every), at_once):
        who = every[start : start + at_once]
        changes = _nearest_changes(rows[who], alone, Limits(low[who], high[who]), followed[who])
        found.amount[who, place], found.cluster[who, place], found.until[who, place] = (
            column[:, 0] for column in changes
        )


def _nearest_changes(
    rows: Matrix, cones: Cones, limits: Limits, followed: NDArray[np.bool_]
) -> tuple[Matrix, Labels, Matrix]:
    """Do so for a block of clients, and the amounts of the cones; limits are n x k.

    Along one amount t the border of a cone is a quadratic, so the nearest point inside all four
    cones of a target is one of eight roots, or where the limits begin. Roots are rounded to whole
    cents, inwards. What the other amounts add up to is summed without the one that changes: taking
    1e7 back out of a sum would leave nothing of amounts below 1.
    """
    clients, limits = rows.T, Limits(limits.low.T, limits.high.T)
    own = clients.take(cones.amounts, axis=0)[:, None, :]
    shape = (*cones.staying.shape[:3], 1, len(rows))
    rest = (cones.staying.reshape(-1, len(FEATURES)) @ clients).reshape(shape)
    spare = (_STAYS[cones.amounts] @ (clients * clients))[:, None, :]
    begin = own[:, 0].clip(*limits)
    with np.errstate(invalid="ignore", divide="ignore"):
        roots = _roots(cones, rest, spare)
        amounts = np.empty((*roots.shape[:2], roots.shape[2] + 1, len(rows)))
        amounts[:, :, :-1], amounts[:, :, -1] = _to_cents_away_from(own, roots), begin
        length = np.sqrt(amounts * amounts + spare)
        inside = (cones.slopes * amounts + rest >= cones.offsets * length).all(axis=0)
        inside &= (amounts >= limits.low[:, None]) & (amounts <= limits.high[:, None])
        cost = np.where(inside, np.abs(amounts - own), np.inf)
        amount, cluster = _cheapest(amounts, cost, cones.targets)
        far = np.where(amount < own[:, 0], *limits)
        ends = (np.where(followed, amount, np.nan), far)
        until = _last_before_leaving(cones, rest, spare, roots, ends)
    return amount.T, cluster.T, until.T


def _last_before_leaving(
    cones: Cones, rest: Matrix, spare: Matrix, roots: Matrix, ends: tuple[Matrix, Matrix]
) -> Matrix:
    """Return up to where changes farther than those found reach some target.

    ends: the amounts found (4 x n, NaN where none is) and how far the limits go. Returns 4 x n, NaN
    for up to the limit. Between two borders nothing changes, so each stretch from border to border
    is tried in its middle. Stretches shorter than a cent hold no amount.
    """
    amounts, far = ends
    until = np.full_like(amounts, np.nan)
    which, who = np.isfinite(amounts).nonzero()  # m of them
    if not len(which):
        return until
    amount = amounts[which, who]
    room = far[which, who] - amount
    sense = np.sign(room)
    room *= sense
    borders = roots[:, which, :, who].reshape(len(which), roots.shape[0] * roots.shape[2]).T
    steps = np.empty((len(borders) + 2, len(which)))
    steps[0], steps[-1] = 0, room
    np.fmin(np.fmax((borders - amount) * sense, 0, out=steps[1:-1]), room, out=steps[1:-1])
    steps.sort(axis=0)
    starts, stops = steps[:-1], steps[1:]
    left = stops - starts >= 1 / _CENTS
    stretch, whose = left.nonzero()
    middle = (starts[stretch, whose] + stops[stretch, whose]) / 2
    tried = amount[whose] + sense[whose] * middle
    length = np.sqrt(tried * tried + spare[which[whose], 0, who[whose]])
    slopes, others = cones.slopes[:, :, which, 0, 0], rest[:, :, which, 0, who]
    inside = slopes[..., whose] * tried + others[..., whose] >= cones.offsets[..., 0, 0] * length
    left[stretch, whose] = ~inside.all(axis=0).any(axis=0)
    first = left.argmax(axis=0)
    every = np.arange(len(which))
    step = np.floor(starts[first, every] * _CENTS) / _CENTS
    until[which, who] = np.where(left[first, every], (amount + sense * step).round(2), np.nan)
    return until


def _roots(cones: Cones, rest: Matrix, spare: Matrix) -> Matrix:
    """Solve slope t + rest = offset sqrt(t^2 + spare) for t: T x 4 x 8 x n, NaN where none."""
    middle = cones.slopes * rest
    swing = cones.offsets * np.sqrt(rest * rest + cones.leading * spare)
    lower, upper = (-middle - swing) / cones.leading, (swing - middle) / cones.leading
    return np.concatenate([*lower, *upper], axis=2)


def _to_cents_away_from(own: Matrix, roots: Matrix) -> Matrix:
    """Round each root to whole cents on the far side of where the client stands."""
    cents = roots * _CENTS
    return np.where(roots < own, np.floor(cents), np.ceil(cents)) / _CENTS


def _cheapest(amounts: Matrix, cost: Matrix, targets: Labels) -> tuple[Matrix, Labels]:
    """Keep, for each amount and client, the candidate (T x 4 x k x n) that changes it least."""
    _, features, candidates, count = cost.shape
    by_amount = cost.swapaxes(0, 1).reshape(features, len(targets) * candidates, count)
    best = by_amount.argmin(axis=1)
    feature, client = np.arange(features)[:, None], np.arange(count)
    found = np.isfinite(by_amount[feature, best, client])
    target = best // candidates
    amount = amounts[target, feature, best % candidates, client]
    return np.where(found, amount, np.nan), np.where(found, targets[target], -1)
