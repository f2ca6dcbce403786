"""What a model's geometry lets a policy promise: nobody refused does better by behaving worse.

Behaving worse is owing more, withdrawing more or paying less. A policy that refuses some profiles
over high use and little paid keeps that promise where nobody can leave those profiles for better
ones by behaving worse. Two facts about the centroids tell, and this works both out; which profiles
are refused, and from which use on, is the policy's to compare. Derivation: docs/model.md, section
"The promise".
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Final, NamedTuple

import numpy as np

from model_store.features import FEATURES
from model_store.geometry import Matrix

#: The facts under which use_from is worked out: payments up to this share of the balance, and up
#: to the limit.
PAID_AT_MOST: Final = 0.5
#: A profile with clients who use this many times their limit has clients at any use that matters.
LARGEST_USE: Final = 2.0

_WORSE: Final = {"balance": 1, "cash_advance": 1, "payments": -1}
_TOLERANCE: Final = 1e-3
#: Boxes at once; the shipped model needs some thousands. Beyond, no bound is claimed.
_MOST_BOXES: Final = 200_000
_BALANCE, _LIMIT, _PAYMENTS = map(FEATURES.index, ("balance", "credit_limit", "payments"))


class Border(NamedTuple):
    """Where a client may cross from one profile to another by behaving worse in one amount."""

    source: int
    target: int
    feature: str


class Promise(NamedTuple):
    """What is true of a model.

    use_from: by label, the balance over the limit from which no client who paid at most
    paid_at_most of the balance, and at most the limit, is in the profile; None where there is no
    such bound. wrong_way: every border that behaving worse may cross.
    """

    paid_at_most: float
    use_from: tuple[float | None, ...]
    wrong_way: tuple[Border, ...]


def of(centroids: Matrix) -> Promise:
    """Work out what 5 x 5 centroids of directions allow to promise; takes a second or less."""
    labels = range(len(centroids))
    use_from = tuple(_use_from(label, centroids) for label in labels)
    return Promise(PAID_AT_MOST, use_from, tuple(_wrong_way(centroids)))


def as_json(promise: Promise) -> dict[str, Any]:
    """Return a promise as it is kept and told.

    use_from: by label, as text, where there is a bound. wrong_way: by amount, lists of [from, to].
    """
    bounds = enumerate(promise.use_from)
    return {
        "paid_at_most": promise.paid_at_most,
        "use_from": {str(label): bound for label, bound in bounds if bound is not None},
        "wrong_way": {
            feature: [[b.source, b.target] for b in promise.wrong_way if b.feature == feature]
            for feature in _WORSE
        },
    }


def _wrong_way(centroids: Matrix) -> Iterator[Border]:
    """Find the borders where more of a worse amount can lead across.

    The border from i to t is a . x = b |x| with a = c_t - c_i and b = (|c_t|^2 - |c_i|^2) / 2, and
    t lies where the left side is the greater. Along amount f the difference grows by a_f - b z_f,
    z = x / |x|, so its sign over z_f in [0, 1] is told by both ends.
    """
    for source, target in permutations(range(len(centroids)), 2):
        apart = centroids[target] - centroids[source]
        offset = (centroids[target] @ centroids[target] - centroids[source] @ centroids[source]) / 2
        for feature, sense in _WORSE.items():
            slope = apart[FEATURES.index(feature)]
            if max(sense * slope, sense * (slope - offset)) > 0:
                yield Border(source, target, feature)


def _use_from(label: int, centroids: Matrix) -> float | None:
    """Bound balance / limit over the clients of a profile, by branch and bound.

    Boxes of clients, scaled so that their largest amount is 1, are halved along their longest side;
    a box goes when interval arithmetic shows nobody of the profile in it, or no higher use than one
    that was met. So the bound holds for every client, and exceeds the highest use by 0.001 at most.
    """
    low, high = _scaled_clients()
    bound = 0.0
    while len(low):
        middle = (low + high) / 2
        met = _lead(middle, middle, label, centroids) >= 0
        use_met = (middle[:, _BALANCE] / middle[:, _LIMIT])[met]
        bound = float(use_met.max(initial=bound))
        if bound >= LARGEST_USE or len(low) > _MOST_BOXES:
            return None
        highest = high[:, _BALANCE] / np.maximum(low[:, _LIMIT], np.finfo(float).tiny)
        open_ = (_lead(low, high, label, centroids) >= 0) & (highest > bound + _TOLERANCE)
        low, high = _halved(low[open_], high[open_])
    return bound + _TOLERANCE


def _scaled_clients() -> tuple[Matrix, Matrix]:
    """Return five boxes (low and high corners, 5 x 5 each), one for each amount that is largest."""
    return np.eye(len(FEATURES)), np.ones((len(FEATURES), len(FEATURES)))


def _halved(low: Matrix, high: Matrix) -> tuple[Matrix, Matrix]:
    """Halve n boxes along their longest side: 2n boxes."""
    every, longest = np.arange(len(low)), (high - low).argmax(axis=1)
    middle = (low + high)[every, longest] / 2
    upper_low, lower_high = low.copy(), high.copy()
    upper_low[every, longest] = lower_high[every, longest] = middle
    return np.vstack([low, upper_low]), np.vstack([lower_high, high])


def _lead(low: Matrix, high: Matrix, label: int, centroids: Matrix) -> Matrix:
    """Bound from above, in n boxes, by how much the profile and the facts hold; < 0: nowhere.

    The least, over the other centroids j, of (c - c_j) . x - b_j |x|, and of what is left of
    payments up to PAID_AT_MOST of the balance, and up to the limit.
    """
    others = np.delete(centroids, label, axis=0)
    apart = centroids[label] - others
    offsets = (centroids[label] @ centroids[label] - (others**2).sum(axis=1)) / 2
    nearest, farthest = np.linalg.norm(low, axis=1), np.linalg.norm(high, axis=1)
    linear = high @ apart.clip(min=0).T + low @ apart.clip(max=0).T
    leads = linear - offsets * np.where(offsets > 0, nearest[:, None], farthest[:, None])
    little_paid = PAID_AT_MOST * high[:, _BALANCE] - low[:, _PAYMENTS]
    within_limit = high[:, _LIMIT] - low[:, _PAYMENTS]
    least: Matrix = np.column_stack([leads, little_paid, within_limit]).min(axis=1)
    return least
