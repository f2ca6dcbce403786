"""The carried model, in place of a store: its centroids, and what they promise."""

import json

import pytest

from evaluation_api.model.promised import model_of
from model_store import geometry, golden, promise
from model_store.golden import GoldenClients
from model_store.pickles import inspection, safe_pickle
from model_store.pickles.pickle_file import read, sha256_of
from model_store.registry import DEFAULT_PICKLE
from model_store.version import StoredModel
from portfolio.frames import Floats, Profiler, Profiles
from tests.unit.model_store.amounts import spread

CLIENTS = spread(300)


class Centroids:
    """Places clients by centroids."""

    def __init__(self, centroids: geometry.Matrix) -> None:
        told = json.dumps(promise.as_json(promise.of(centroids))).encode()
        self.model = model_of(b"credit_card_clusters:0123456789ab", b"c" * 64, told)
        self.centroids = centroids

    def profiles(self, amounts: Floats) -> Profiles:
        found = geometry.explain(amounts, self.centroids)
        return Profiles(found.cluster, found.confidence, found.contributions)


@pytest.fixture(scope="session")
def carried() -> Profiler:
    numbers = inspection.numbers_of(safe_pickle.open_model(DEFAULT_PICKLE))
    assert numbers is not None
    return Centroids(numbers.centroids)


@pytest.fixture(scope="session")
def stored() -> StoredModel:
    """Return the carried model as an import stores it."""
    estimator = safe_pickle.open_model(DEFAULT_PICKLE)
    numbers = inspection.numbers_of(estimator)
    labels = golden.predict(estimator, CLIENTS)
    sha256 = sha256_of(read(DEFAULT_PICKLE))
    clients = GoldenClients(CLIENTS, labels)
    tag = f"credit_card_clusters:{sha256[:12]}"
    return StoredModel(
        tag=tag,
        sha256=sha256,
        digest="d" * 64,
        is_sealed=True,
        pickle_path=DEFAULT_PICKLE,
        numbers=numbers,
        golden=clients,
        metadata={},
    )
