"""The geometry of the served model: nearest centroid on the unit sphere, and what explains it.

A Normalizer("l2") before KMeans makes every client a direction z = x / |x|, so predicting,
explaining and asking "what would have to change" are closed-form. Everything here works on
whole batches and knows nothing of HTTP, of stores or of what a profile means.

Derivations: docs/model.md, section "Geometry".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.features import FEATURES

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

#: The columns an applicant can change; the credit limit is the bank's to set.
CHANGEABLE = tuple(i for i, name in enumerate(FEATURES) if name != "credit_limit")

_CENTS = 100.0


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
class Counterfactual:
    """The smallest change of one amount, for each changeable feature, that reaches a target.

    amount: n x 4 in the order of CHANGEABLE, the new amount in whole cents; NaN where none does.
    cluster: n x 4, the target reached; -1 where none is.
    """

    amount: Matrix
    cluster: Labels


def directions(rows: Matrix) -> Matrix:
    """Scale rows (n x 5, non-negative, not all zero) to length one.

    Dividing by the largest amount first keeps squares of the tiniest amounts from underflowing.
    """
    scaled = rows / rows.max(axis=1, keepdims=True)
    unit: Matrix = scaled / np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    return unit


def squared_distances(unit: Matrix, centroids: Matrix) -> Matrix:
    """Give |z - c|^2 = 1 - 2 z . c + |c|^2 for every client on the unit sphere: n x 5."""
    squared: Matrix = unit @ (-2 * centroids.T)
    squared += 1 + np.einsum("ij,ij->i", centroids, centroids)
    return squared.clip(min=0, out=squared)


def predict(rows: Matrix, centroids: Matrix) -> Labels:
    """Give each row (n x 5, in the order of FEATURES) the label of its nearest centroid."""
    return np.asarray(squared_distances(directions(rows), centroids).argmin(axis=1))


def explain(rows: Matrix, centroids: Matrix) -> Explanation:
    """Predict rows (n x 5) and say what set each one apart from the next-best cluster."""
    unit = directions(rows)
    squared = squared_distances(unit, centroids)
    cluster, runner_up = np.argpartition(squared, 1, axis=1)[:, :2].T
    every = np.arange(len(rows))
    first, second = np.sqrt(squared[every, cluster]), np.sqrt(squared[every, runner_up])
    contributions = (unit - centroids[runner_up]) ** 2 - (unit - centroids[cluster]) ** 2
    return Explanation(cluster, runner_up, (second - first) / (second + first), contributions)


def counterfactual(
    rows: Matrix, centroids: Matrix, targets: tuple[int, ...], margin: float
) -> Counterfactual:
    """Find, one amount at a time, the smallest change that reaches a target with margin to spare.

    rows: n x 5, each in need of a change. targets: the labels worth reaching. margin: the
    confidence the changed client must have, in [0, 1).

    Confidence >= margin over every other centroid means d_i >= r d_T with
    r = (1 + margin) / (1 - margin), which on the unit sphere is a cone in the amounts,
    a . x >= b |x|. Along one amount t its border is a quadratic, so the nearest point inside
    all four cones of a target is one of eight roots. Roots are rounded to whole cents, inwards.
    """
    normals, offsets = _cones(centroids, targets, margin)
    slopes = normals[:, :, CHANGEABLE].transpose(0, 2, 1)
    own = rows[:, CHANGEABLE][:, None, :, None]
    rest = (np.einsum("nk,tik->nti", rows, normals)[:, :, None, :]) - slopes * own
    spare = np.einsum("nk,nk->n", rows, rows)[:, None, None, None] - own**2
    amounts = _to_cents_away_from(own, _roots(slopes, offsets[:, None, :], rest, spare))
    reached = _inside_all(amounts, slopes, offsets, rest, spare)
    cost = np.where(reached, np.abs(amounts - own), np.inf)
    return _cheapest(amounts, cost, targets)


def _cones(centroids: Matrix, targets: tuple[int, ...], margin: float) -> tuple[Matrix, Matrix]:
    """Give a (T x 4 x 5) and b (T x 4) of a . x >= b |x|, against each other centroid."""
    ratio = ((1 + margin) / (1 - margin)) ** 2
    squared = np.einsum("ij,ij->i", centroids, centroids)
    others = [[i for i in range(len(centroids)) if i != target] for target in targets]
    own = centroids[list(targets)][:, None, :]
    normals = 2 * (ratio * own - centroids[others])
    offsets = ratio * (1 + squared[list(targets)])[:, None] - (1 + squared[others])
    return normals, offsets


def _roots(slopes: Matrix, offsets: Matrix, rest: Matrix, spare: Matrix) -> Matrix:
    """Solve slope t + rest = offset sqrt(t^2 + spare) for t: n x T x F x 8, NaN where none."""
    leading = slopes**2 - offsets**2
    middle = slopes * rest
    with np.errstate(invalid="ignore", divide="ignore"):
        swing = np.sqrt(middle**2 - leading * (rest**2 - offsets**2 * spare))
        return np.concatenate([(-middle - swing) / leading, (-middle + swing) / leading], axis=3)


def _to_cents_away_from(own: Matrix, roots: Matrix) -> Matrix:
    """Round each root to whole cents on the far side of where the client stands."""
    cents = roots * _CENTS
    return np.where(roots < own, np.floor(cents), np.ceil(cents)) / _CENTS


def _inside_all(
    amounts: Matrix, slopes: Matrix, offsets: Matrix, rest: Matrix, spare: Matrix
) -> NDArray[np.bool_]:
    """Tell which candidate amounts (n x T x F x 8) satisfy all four cones of their target."""
    length = np.sqrt(amounts**2 + spare)
    with np.errstate(invalid="ignore"):
        inside = amounts >= 0
        for other in range(slopes.shape[2]):  # one plane at a time stays in the cache: 2x
            along = slopes[..., other, None] * amounts + rest[..., other, None]
            inside &= along >= offsets[:, None, other, None] * length
    return inside


def _cheapest(amounts: Matrix, cost: Matrix, targets: tuple[int, ...]) -> Counterfactual:
    """Keep, for each client and feature, the candidate that changes the amount least."""
    count, _, features, candidates = cost.shape
    by_feature = cost.transpose(0, 2, 1, 3).reshape(count, features, -1)
    best = by_feature.argmin(axis=2)
    client, feature = np.ogrid[:count, :features]
    found = np.isfinite(by_feature[client, feature, best])
    flat = amounts.transpose(0, 2, 1, 3).reshape(count, features, -1)
    amount = flat[client, feature, best]
    cluster = np.asarray(targets)[best // candidates]
    return Counterfactual(np.where(found, amount, np.nan), np.where(found, cluster, -1))
