"""The rule that gives each label its meaning."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.profiles import label_order, publishing_objections, rule_margins

CENTROIDS = np.array(
    [
        [0.60, 0.10, 0.10, 0.74, 0.20],
        [0.24, 0.08, 0.37, 0.53, 0.64],
        [0.39, 0.05, 0.50, 0.71, 0.15],
        [0.07, 0.14, 0.02, 0.95, 0.16],
        [0.17, 0.50, 0.02, 0.63, 0.48],
    ]
)


def changed(label: int, feature: int, value: float) -> NDArray[np.float64]:
    centroids = CENTROIDS.copy()
    centroids[label, feature] = value
    return centroids


@pytest.mark.parametrize("order", list(permutations(range(5)))[::7])
def test_every_numbering_of_the_clusters_gets_the_same_labels(order: tuple[int, ...]) -> None:
    shuffled = CENTROIDS[list(order)]

    assert shuffled[label_order(shuffled)].tolist() == CENTROIDS.tolist()


def test_a_centroid_that_won_one_label_does_not_compete_for_the_next() -> None:
    most_payments_too = changed(4, 4, 0.90)

    assert label_order(most_payments_too) == [0, 1, 2, 3, 4]


def test_margins_are_the_lead_over_the_next_centroid_still_without_a_label() -> None:
    assert rule_margins(CENTROIDS) == pytest.approx({4: 0.36, 1: 0.44, 2: 0.40, 0: 0.53})


def test_good_profiles_meet_no_objection() -> None:
    assert publishing_objections(CENTROIDS, [20, 20, 20, 20, 20]) == []
    assert publishing_objections(CENTROIDS, None) == []


@pytest.mark.parametrize(
    ("centroids", "sizes", "reason"),
    [
        (changed(3, 1, 0.36), [20] * 5, "label 4 leads in purchases by 0.140 only"),
        (changed(3, 0, 0.55), [20] * 5, "label 0 leads in balance by 0.050 only"),
        (CENTROIDS[[1, 0, 2, 3, 4]], [20] * 5, "clusters [1, 0, 2, 3, 4] earn the labels 0 to 4"),
        (CENTROIDS, [98, 98, 98, 98, 8], "profile 4 holds 2.0% of the clients"),
    ],
)
def test_profiles_whose_meaning_does_not_hold_are_objected_to(
    centroids: NDArray[np.float64], sizes: list[int], reason: str
) -> None:
    (objection,) = publishing_objections(centroids, sizes)

    assert reason in objection


def test_all_that_speaks_against_profiles_is_said_at_once() -> None:
    swapped = changed(3, 1, 0.36)[[1, 0, 2, 3, 4]]

    objections = publishing_objections(swapped, [98, 98, 98, 98, 8])

    assert [one.split()[0] for one in objections] == ["label", "its", "profile"]
