"""The model for many clients at once, as BentoML's store has it; served.py asks the service."""

import json
from functools import cached_property

import numpy as np

from evaluation_api.decision.domain import FEATURES, Geometry
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.promised import model_of
from model_store import golden
from model_store.serving import predictor
from model_store.serving.batches import ExplanationOptions, with_options
from model_store.version import StoredModel
from portfolio import changes, limits
from portfolio.frames import Floats, Profiles


class StoredProfiler:
    """Places clients as the model service does, by the geometry where the model has one."""

    is_in_memory = True

    def __init__(self, stored: StoredModel) -> None:
        """Open the model. Raises GoldenMismatch or PickleRefused where it is not what it was."""
        promise = None if stored.promise is None else json.dumps(stored.promise).encode()
        self.model = model_of(stored.tag.encode(), stored.sha256.encode(), promise)
        self._stored = stored
        #: What the version's import kept of it.
        self.metadata = stored.metadata
        self._numbers, self._centroids = stored.numbers, stored.centroids
        self._estimator = None if stored.numbers is not None else stored.open_estimator()
        if self._estimator is not None:
            golden.check(self._estimator, stored.golden)

    def profiles(self, amounts: Floats) -> Profiles:
        """Place n clients (n x 5, in the order of FEATURES)."""
        if self._numbers is None:
            assert self._estimator is not None  # noqa: S101 - one of the two is there
            labels = golden.predict(self._estimator, amounts)
            return Profiles(labels, np.full(len(amounts), np.nan))
        found = self._numbers.explain(amounts)
        return Profiles(found.cluster, found.confidence, found.contributions, found.runner_up)

    def changes(self, amounts: Floats, policy: AnyPolicy) -> list[list[changes.Change]]:
        """Return for n clients the changes of one amount that the policy may approve.

        They are found as the model service finds them for the evaluation service: least first.
        """
        if self._centroids is None:
            return [[] for _ in amounts]
        options = ExplanationOptions(policy.targets, policy.margin)
        asked = with_options(amounts, options, limits.of(policy, self.model, amounts))
        return changes.read(self._served.predict(asked), amounts)

    @cached_property
    def _served(self) -> predictor.ServedModel:
        return predictor.serve(self._stored)

    def describe(self) -> Geometry:
        """Return what the model service would say of this model."""
        centroids, sizes = self._centroids, self._stored.metadata.get("cluster_sizes")
        return Geometry(
            self.model,
            FEATURES,
            None if centroids is None else tuple(map(tuple, centroids.tolist())),
            None if sizes is None else tuple(sizes),
        )
