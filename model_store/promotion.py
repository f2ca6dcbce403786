"""Whether a version may replace the published one: its labels must go on meaning the same.

Decides only; the registry writes.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from model_store import golden, profiles
from model_store.errors import GoldenMismatch
from model_store.registry import FARTHEST_MOVE, LEAST_AGREEMENT

if TYPE_CHECKING:
    from model_store.registry import StoredModel


def objection(candidate: "StoredModel", published: "StoredModel | None") -> str | None:
    """Say why the candidate must not be published, without a full stop, or None when it may."""
    return (
        _own_objection(candidate)
        or (published and _moved_centroids(candidate, published))
        or (published and _moved_clients(candidate, published))
        or None
    )


def _own_objection(candidate: "StoredModel") -> str | None:
    try:
        golden.check(candidate.open_estimator(), candidate.golden)
    except GoldenMismatch as mismatch:
        return str(mismatch).rstrip(".")
    if candidate.centroids is None:
        return None
    return profiles.publishing_objection(
        candidate.centroids, candidate.metadata.get("cluster_sizes")
    )


def _moved_centroids(candidate: "StoredModel", published: "StoredModel") -> str | None:
    """Match centroids pairwise, nearest in sum (Kuhn 1955, doi:10.1002/nav.3800020109)."""
    if candidate.centroids is None or published.centroids is None:
        return None
    gaps = candidate.centroids[:, None] - published.centroids[None]
    distances = np.linalg.norm(gaps, axis=2)
    matched = linear_sum_assignment(distances)[1].tolist()
    if matched != [*range(len(matched))]:
        return f"its labels match the published model's in the order {matched}, not 0 to 4"
    farthest = int(np.argmax(np.diag(distances)))
    if distances[farthest, farthest] > FARTHEST_MOVE:
        move = distances[farthest, farthest]
        return f"the centroid of label {farthest} moved by {move:.3f}, over {FARTHEST_MOVE}"
    return None


def _moved_clients(candidate: "StoredModel", published: "StoredModel") -> str | None:
    kept = golden.agreement(candidate.open_estimator(), published.golden)
    if kept < LEAST_AGREEMENT:
        return f"{kept:.0%} of the golden clients keep their label, under {LEAST_AGREEMENT:.0%}"
    return None
