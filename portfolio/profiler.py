"""The model as BentoML's store has it, for many clients at once and without a service."""

import json

import numpy as np

from evaluation_api.model.client import model_of
from model_store import geometry, golden
from model_store.registry import StoredModel
from portfolio.frames import Floats, Profiles


class StoredProfiler:
    """Places clients as the model service does, by the geometry where the model has one."""

    def __init__(self, stored: StoredModel) -> None:
        """Open the model. Raises GoldenMismatch or PickleRefused where it is not what it was."""
        promise = None if stored.promise is None else json.dumps(stored.promise).encode()
        self.model = model_of(stored.tag.encode(), stored.sha256.encode(), promise)
        self._centroids = stored.centroids
        self._estimator = None if stored.centroids is not None else stored.open_estimator()
        if self._estimator is not None:
            golden.check(self._estimator, stored.golden)

    def profiles(self, amounts: Floats) -> Profiles:
        """Place n clients (n x 5, in the order of FEATURES)."""
        if self._centroids is None:
            assert self._estimator is not None  # noqa: S101 - one of the two is there
            labels = golden.predict(self._estimator, amounts)
            return Profiles(labels, np.full(len(amounts), np.nan))
        found = geometry.explain(amounts, self._centroids)
        return Profiles(found.cluster, found.confidence, found.contributions)
