"""From a batch of clients to a batch of answers, by the model's own geometry or its predict.

A batch is n x 15, as batches.with_options makes it: each row carries what its caller wants.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from model_store import geometry, golden
from model_store.errors import NotAModel
from model_store.features import FEATURES, LARGEST_AMOUNT, PROFILE_COUNT
from model_store.geometry import Matrix
from model_store.numbers import Numbers
from model_store.serving import batches, columns
from model_store.serving.batches import ExplanationOptions, with_options
from model_store.version import StoredModel

logger = logging.getLogger(__name__)

_OPTIONS = slice(len(FEATURES), len(FEATURES) + 2)
_LOWS = slice(_OPTIONS.stop, _OPTIONS.stop + len(geometry.CHANGEABLE))
_HIGHS = slice(_LOWS.stop, None)
_CHANGEABLE = np.array(geometry.CHANGEABLE)
#: How far inside the margin a counterfactual must land, so that rounding never takes it back out.
_SLACK = 1e-9

Predict = Callable[[Matrix], Matrix]


@dataclass(frozen=True)
class ServedModel:
    """A stored model that predicts: a batch, n x 15, gives n answers, as columns.COLUMNS says."""

    stored: StoredModel
    predict: Predict
    #: Which of a process's models it is, as its answers say (batches.MODEL).
    number: int = 0

    @property
    def is_slow(self) -> bool:
        """Tell whether predicting takes long enough to leave the event loop for."""
        return self.stored.numbers is None

    def keeps_its_labels(self) -> bool:
        """Ask one golden client of each label, and tell whether all come out as recorded."""
        labels, first = np.unique(self.stored.golden.labels, return_index=True)
        asked = with_options(self.stored.golden.rows[first], ExplanationOptions())
        return bool(np.array_equal(self.predict(asked)[:, 0], labels))


def serve(model: StoredModel, number: int = 0) -> ServedModel:
    """Make a stored model predict. Raises GoldenMismatch or PickleRefused."""
    if not model.is_sealed:
        logger.warning(
            "%s was imported by an earlier release: of all that it consists of, only its pickle is "
            "verified; import it again",
            model.tag,
        )
    if model.numbers is None:
        logger.warning(
            "%s has no closed form: its pickle is opened, and answers labels without reasons",
            model.tag,
        )
        estimator = model.open_estimator()
        golden.check(estimator, model.golden)
        return ServedModel(model, _from_estimator(estimator), number)
    golden.check(model.numbers, model.golden)
    if model.centroids is None:
        return ServedModel(model, _from_numbers(model.numbers), number)
    return ServedModel(model, _from_centroids(model.centroids), number)


def _from_estimator(estimator: golden.Predictor) -> Predict:
    """Predict through any model's own predict: labels and no reasons."""
    return lambda batch: batches.labels_only(_labels(estimator, batch[:, : len(FEATURES)]))


def _labels(estimator: golden.Predictor, clients: Matrix) -> Matrix:
    """Return n labels, NaN for a client to whom the model gives none from 0 to 4.

    A client with whom it fails is found by asking one by one, so that the neighbours are answered.
    """
    try:
        labels = golden.predict(estimator, clients).astype(np.float64)
    except NotAModel:
        if len(clients) == 1:
            return np.array([np.nan])
        return np.concatenate([_labels(estimator, one[None]) for one in clients])
    return np.where((labels >= 0) & (labels < PROFILE_COUNT), labels, np.nan)


def _from_numbers(numbers: Numbers) -> Predict:
    """Predict by nearest centroid after any preparation, and say why, but not what to change."""
    return lambda batch: batches.explained(numbers.explain(batch[:, : len(FEATURES)]))


def _from_centroids(centroids: Matrix) -> Predict:
    """Predict by nearest centroid, and say why."""
    target_of = lru_cache(maxsize=64)(partial(_target, centroids))

    def predict(batch: Matrix) -> Matrix:
        clients = batch[:, : len(FEATURES)]
        explanation = geometry.explain(clients, centroids)
        told = batches.explained(explanation)
        limits = geometry.Limits(batch[:, _LOWS], batch[:, _HIGHS])
        for mask, margin, asking in _options_in(batch):
            is_target, cones = target_of(mask, margin)
            there = is_target[explanation.cluster] & (explanation.confidence >= margin)
            elsewhere = np.flatnonzero(asking & (~there | _is_outside(clients, limits)))
            if len(elsewhere):
                within = geometry.Limits(*(bounds[elsewhere] for bounds in limits))
                found = _counterfactuals(clients[elsewhere], centroids, cones, within, margin)
                told[elsewhere, columns.CHANGES] = found
        return told

    return predict


def _target(
    centroids: Matrix, mask: int, margin: float
) -> tuple[NDArray[np.bool_], geometry.Cones]:
    """Return which labels are targets, and where they are reached with the margin."""
    targets = tuple(label for label in range(len(centroids)) if mask >> label & 1)
    is_target = np.isin(np.arange(len(centroids)), targets)
    return is_target, geometry.cones(centroids, targets, margin + _SLACK)


def _options_in(batch: Matrix) -> Iterator[tuple[int, float, NDArray[np.bool_]]]:
    """Yield each different pair of targets and margin, and whose it is; nearly always one."""
    masks, margins = batch[:, _OPTIONS].T
    left = masks > 0
    while len(left) and left[first := left.argmax()]:
        mask, margin = masks[first], margins[first]
        asking = (masks == mask) & (margins == margin)
        yield int(mask), float(margin), asking
        left &= ~asking


def _has_limits(limits: geometry.Limits) -> NDArray[np.bool_]:
    """Tell of n clients whether they came with any; the rest are not told how far changes hold.

    The last release's evaluation service asks without limits, and expects no such amount.
    """
    bounded = (limits.low > 0) | ~(limits.high >= LARGEST_AMOUNT)
    asked: NDArray[np.bool_] = np.logical_or.reduce(bounded, axis=1)
    return asked


def _is_outside(clients: Matrix, limits: geometry.Limits) -> NDArray[np.bool_]:
    """Tell of n clients whether an amount must change whatever the label: it breaks a limit."""
    own = clients[:, geometry.CHANGEABLE]
    outside = (own < limits.low) | (own > limits.high)
    broken: NDArray[np.bool_] = np.logical_or.reduce(outside, axis=1)
    return broken


def _counterfactuals(
    clients: Matrix,
    centroids: Matrix,
    cones: geometry.Cones,
    limits: geometry.Limits,
    margin: float,
) -> Matrix:
    """Find each client's ways to a target and keep those that hold: n x 16, as columns.COLUMNS has.

    Every changed client is predicted: what is promised must come out.
    """
    found = geometry.counterfactuals(clients, cones, limits, _has_limits(limits))
    who, which = (found.cluster >= 0).nonzero()
    places = _CHANGEABLE[which]
    amounts = found.amount[who, which]
    changed = clients[who]
    changed[np.arange(len(who)), places] = amounts
    squared = geometry.squared_distances(geometry.directions(changed), centroids)
    cluster, confidence = squared.argmin(axis=1), geometry.confidence(squared)
    held = (cluster == found.cluster[who, which]) & (confidence >= margin)
    changes = np.full((len(clients), len(_CHANGEABLE), columns.CHANGE_WIDTH), np.nan)
    changes[:, :, 1] = columns.NO_CLUSTER
    kept = np.array((amounts, cluster, confidence, found.until[who, which]))
    changes[who[held], which[held]] = kept[:, held].T
    return changes.reshape(len(clients), -1)
