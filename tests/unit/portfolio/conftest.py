"""The carried model, in place of a store: its centroids, and what they promise."""

import json

import pytest

from evaluation_api.model.client import model_of
from model_store import geometry, promise
from model_store.pickles import inspection, safe_pickle
from model_store.registry import DEFAULT_PICKLE
from portfolio.frames import Floats, Profiler, Profiles


class Centroids:
    """Places clients by centroids."""

    def __init__(self, centroids: geometry.Matrix) -> None:
        """Take 5 x 5."""
        told = json.dumps(promise.as_json(promise.of(centroids))).encode()
        self.model = model_of(b"credit_card_clusters:0123456789ab", b"c" * 64, told)
        self.centroids = centroids

    def profiles(self, amounts: Floats) -> Profiles:
        """Place n clients."""
        found = geometry.explain(amounts, self.centroids)
        return Profiles(found.cluster, found.confidence, found.contributions)


@pytest.fixture(scope="session")
def carried() -> Profiler:
    centroids = inspection.centroids_of(safe_pickle.load(DEFAULT_PICKLE))
    assert centroids is not None
    return Centroids(centroids)
