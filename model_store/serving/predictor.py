"""From a batch of clients to a batch of predictions, by the model's own geometry or its predict.

A batch is n x 7: the five amounts in the order of FEATURES, then what the caller wants of
alternatives - the targets as a bit mask (bit k for label k, 0 for none) and the margin that a
changed client must have. Carrying the wish in the row lets requests with different wishes
share one batch.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from model_store import geometry, golden
from model_store.features import FEATURES
from model_store.geometry import Labels, Matrix
from model_store.registry import StoredModel
from model_store.serving import answers

#: How far inside the margin an alternative must land, so that rounding never takes it back out.
_SLACK = 1e-9

Predict = Callable[[Matrix], list[answers.Prediction]]


class NearestCentroid:
    """The model as its centroids alone: 2 us a row, where the pipeline takes 312 us."""

    def __init__(self, centroids: Matrix) -> None:
        """Take 5 x 5 centroids of directions."""
        self.centroids = centroids

    def predict(self, rows: Matrix) -> Labels:
        """Return n labels for n x 5 rows."""
        return geometry.predict(rows, self.centroids)


def of(model: StoredModel) -> Predict:
    """Make a stored model predict. Raises GoldenMismatch or PickleRefused."""
    if model.centroids is None:
        estimator = model.open_estimator()
        golden.check(estimator, model.golden)
        return _from_estimator(estimator)
    golden.check(NearestCentroid(model.centroids), model.golden)
    return _from_centroids(model.centroids)


def with_wish(matrix: Matrix, targets: Iterable[int], margin: float) -> Matrix:
    """Append to clients (n x 5) the labels worth reaching and the margin to reach them with."""
    mask = sum(1 << target for target in set(targets))
    return np.hstack([matrix, np.broadcast_to((mask, margin), (len(matrix), 2))])


def _from_estimator(estimator: golden.Predictor) -> Predict:
    """Predict through any model's own predict: labels and no reasons."""
    return lambda batch: answers.bare(golden.predict(estimator, batch[:, : len(FEATURES)]))


def _from_centroids(centroids: Matrix) -> Predict:
    """Predict by nearest centroid, and say why."""
    wish_of = lru_cache(maxsize=64)(partial(_wish, centroids))

    def predict(batch: Matrix) -> list[answers.Prediction]:
        clients = batch[:, : len(FEATURES)]
        explanation = geometry.explain(clients, centroids)
        predictions = answers.explained(explanation)
        for mask, margin, asking in _wishes(batch):
            wanted, cones = wish_of(mask, margin)
            there = wanted[explanation.cluster] & (explanation.confidence >= margin)
            needy = np.flatnonzero(asking & ~there)
            if len(needy):
                found = _alternatives(clients[needy], centroids, cones, margin)
                for position, alternatives in zip(needy.tolist(), found, strict=True):
                    predictions[position].alternatives = alternatives
        return predictions

    return predict


def _wish(centroids: Matrix, mask: int, margin: float) -> tuple[NDArray[np.bool_], geometry.Cones]:
    """Give which labels are worth reaching, and where they are reached with the margin."""
    targets = tuple(label for label in range(len(centroids)) if mask >> label & 1)
    wanted = np.isin(np.arange(len(centroids)), targets)
    return wanted, geometry.cones(centroids, targets, margin + _SLACK)


def _wishes(batch: Matrix) -> Iterator[tuple[int, float, NDArray[np.bool_]]]:
    """Give each different wish for anything in a batch, and who has it; nearly always one."""
    wishes = batch[:, len(FEATURES) :]
    left = wishes[:, 0] > 0
    while left.any():
        mask, margin = wishes[left.argmax()].tolist()
        asking = (wishes == (mask, margin)).all(axis=1)
        yield int(mask), margin, asking
        left &= ~asking


def _alternatives(
    clients: Matrix, centroids: Matrix, cones: geometry.Cones, margin: float
) -> list[list[answers.Alternative]]:
    """Find each client's ways to a target, least change first, and keep those that hold.

    Every changed client is predicted: what is promised must come out.
    """
    found = geometry.counterfactual(clients, cones)
    who, which = np.nonzero(found.cluster >= 0)
    columns = np.array(geometry.CHANGEABLE)[which]
    amounts = found.amount[who, which]
    changed = clients[who]
    changed[np.arange(len(who)), columns] = amounts
    squared = geometry.squared_distances(geometry.directions(changed), centroids)
    cluster, runner_up = geometry.nearest_two(squared)
    confidence = geometry.confidence(squared, cluster, runner_up)
    held = (cluster == found.cluster[who, which]) & (confidence >= margin)
    least_first = np.argsort(np.abs(amounts - clients[who, columns]), kind="stable")
    order = least_first[held[least_first]]
    alternatives: list[list[answers.Alternative]] = [[] for _ in clients]
    for client, column, *reached in zip(
        who[order].tolist(),
        columns[order].tolist(),
        amounts[order].tolist(),
        cluster[order].tolist(),
        confidence[order].tolist(),
        strict=True,
    ):
        alternatives[client].append(answers.Alternative(FEATURES[column], *reached))
    return alternatives
