"""Made-up clients, a model fitted on them, and a store of its own for each test."""

import io
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from model_store import registry, training, version
from model_store.features import FEATURES
from model_store.pickles import inspection, safe_pickle
from model_store.pickles.opened import OpenedModel

# One direction a profile, labels 0 to 4, in the order of FEATURES; unlike any real centroid.
DIRECTIONS = np.array(
    [
        [0.80, 0.05, 0.05, 0.60, 0.05],
        [0.15, 0.05, 0.25, 0.40, 0.85],
        [0.25, 0.05, 0.70, 0.65, 0.10],
        [0.05, 0.05, 0.05, 0.98, 0.05],
        [0.10, 0.75, 0.05, 0.50, 0.40],
    ]
)
CLIENTS_PER_PROFILE = (60, 30, 40, 90, 50)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Fit on one thread: several spin while they wait for each other, on so few clients."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def clients() -> NDArray[np.float64]:
    """Return 270 x 5 made-up amounts around five directions, the profiles in the order 0 to 4."""
    rng = np.random.default_rng(7)
    directions = np.repeat(DIRECTIONS, CLIENTS_PER_PROFILE, axis=0)
    noisy = np.abs(directions + rng.normal(0, 0.04, directions.shape))
    amounts: NDArray[np.float64] = np.round(noisy * rng.uniform(500, 9000, (len(noisy), 1)), 2)
    return amounts


@pytest.fixture(scope="session")
def fitted(clients: NDArray[np.float64]) -> Pipeline:
    return training.fit(clients)


@pytest.fixture(scope="session")
def pickled(fitted: Pipeline) -> bytes:
    return dumped(fitted)


@pytest.fixture(scope="session")
def committed() -> Pipeline:
    """Return the pickle that the project carries, opened as any other."""
    return safe_pickle.load(registry.DEFAULT_PICKLE)


@pytest.fixture(scope="session")
def centroids(committed: Pipeline) -> NDArray[np.float64]:
    """Return the carried model's centroids, 5 x 5."""
    found = inspection.numbers_of(OpenedModel(committed))
    assert found is not None
    return found.centroids


@pytest.fixture
def model_file(tmp_path: Path, pickled: bytes) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled)
    return path


@pytest.fixture
def models_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Point this process, BentoML's cached store included, to an empty store; yield its folder."""
    home = tmp_path / "bentoml"
    (home / "models").mkdir(parents=True)
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.delenv(version.TAG_VARIABLE, raising=False)
    BentoMLContainer.model_store.set(ModelStore(home / "models"))
    yield home / "models" / registry.NAME
    BentoMLContainer.model_store.reset()


@pytest.fixture
def imported(models_home: Path, model_file: Path) -> str:
    """Return the tag of the fitted model, imported into the test's own store."""
    assert models_home.parent.is_dir()
    return registry.import_pickle(model_file, inspection.describe, FEATURES)[0]


def dumped(estimator: object) -> bytes:
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return file.getvalue()
