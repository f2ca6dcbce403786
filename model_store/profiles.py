"""What each label means, and the rule that gives it: k-means numbers its clusters by chance.

Without the rule a retrained model would swap meanings silently. Knows centroids only,
no data set and no store.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from model_store.features import FEATURES, PROFILE_COUNT

LEAST_MARGIN: Final = 0.15
"""A lead smaller than this in its own feature makes a meaning a matter of chance."""
LEAST_SHARE: Final = 0.03
"""A profile with a smaller share of the clients is an accident of the sample."""

MEANINGS: Final = (
    "in debt to the limit, pays badly",
    "much cash withdrawal, little credit, pays well",
    "prefers debit and withdrawals, pays little back",
    "uses financial services least",
    "uses credit a lot, pays well",
)
"""What label 0, 1, 2, 3 and 4 say of a client."""

RULE: Final = ((4, "purchases"), (1, "payments"), (2, "cash_advance"), (0, "balance"))
"""In this order the label goes to the centroid largest in the feature, among those left over."""

_REMAINING_LABEL: Final = 3

Centroids = NDArray[np.float64]


def label_order(centroids: Centroids) -> list[int]:
    """Return, for labels 0 to 4, the row of `centroids` that deserves the label.

    centroids: 5 x 5, one row a cluster, in the order of FEATURES.
    """
    row_of_label: dict[int, int] = {}
    left = list(range(PROFILE_COUNT))
    for label, feature in RULE:
        row_of_label[label] = _ranked(centroids, left, feature)[0]
        left.remove(row_of_label[label])
    row_of_label[_REMAINING_LABEL] = left[0]
    return [row_of_label[label] for label in range(PROFILE_COUNT)]


def rule_margins(centroids: Centroids) -> dict[int, float]:
    """Return by how much each label's centroid leads the next one in the feature that names it.

    centroids: 5 x 5. Units are those of the centroids (no unit after L2 scaling). Label 3 takes
    what is left and has no margin.
    """
    margins: dict[int, float] = {}
    left = list(range(PROFILE_COUNT))
    for label, feature in RULE:
        first, second = _ranked(centroids, left, feature)[:2]
        column = centroids[:, FEATURES.index(feature)]
        margins[label] = float(column[first] - column[second])
        left.remove(first)
    return margins


def publishing_objections(centroids: Centroids, sizes: list[int] | None) -> list[str]:
    """Say each in a clause why these profiles must not be published, or nothing when they may.

    centroids: 5 x 5, already in the order of the labels; sizes: clients per label, where known.
    """
    objections = [
        f"label {label} leads in {dict(RULE)[label]} by {margin:.3f} only, and a lead under"
        f" {LEAST_MARGIN} does not hold its meaning"
        for label, margin in rule_margins(centroids).items()
        if margin < LEAST_MARGIN
    ]
    if (order := label_order(centroids)) != list(range(PROFILE_COUNT)):
        objections.append(
            f"its clusters {order} earn the labels 0 to 4: before you save it, order = {order}; "
            "kmeans.cluster_centers_ = kmeans.cluster_centers_[order]; "
            "kmeans.labels_ = numpy.argsort(order)[kmeans.labels_]"
        )
    return objections + _small_profiles(sizes or [])


def _small_profiles(sizes: list[int]) -> list[str]:
    shares = [size / sum(sizes) for size in sizes]
    return [
        f"profile {label} holds {share:.1%} of the clients, under {LEAST_SHARE:.0%}"
        for label, share in enumerate(shares)
        if share < LEAST_SHARE
    ]


def _ranked(centroids: Centroids, rows: list[int], feature: str) -> list[int]:
    column = centroids[:, FEATURES.index(feature)]
    return sorted(rows, key=lambda row: -column[row])
