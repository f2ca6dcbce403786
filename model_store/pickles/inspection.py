"""Tells what a pickle is: run as a process of its own, for files that nobody vouches for.

Bytes in on standard input, JSON out; foreign.py is the caller. Limits itself in time and memory,
in memory not on macOS.
"""

import json
import platform
import resource
import sys
from importlib.metadata import version
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from model_store import golden, promise
from model_store.errors import ModelStoreError, NotAModel
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.geometry import Matrix
from model_store.numbers import UNIT, Numbers, Scaling, Step
from model_store.pickles import safe_pickle
from model_store.pickles.foreign import REFUSED, TIMEOUT_SECONDS
from model_store.pickles.pickle_file import MAX_BYTES, sha256_of

MEMORY_BYTES: Final = 4 << 30
"""Of address space: numpy and OpenBLAS reserve much more than they touch."""
LIBRARIES: Final = ("scikit-learn", "numpy", "scipy", "joblib")


def describe(content: bytes) -> dict[str, Any]:
    """Return a model's metadata, its numbers, and its golden clients as JSON text under `golden`.

    Cluster sizes, numbers, centroids and promise are there only where they are known. Centroids
    stand in the metadata too, since that is where the last release looks for them.

    Raises PickleRefused or NotAModel.
    """
    estimator = safe_pickle.load(content)
    _require_five_features(estimator)
    _require_known_labels(estimator)
    numbers = numbers_of(estimator)
    centroids = numbers.centroids if numbers is not None and numbers.is_on_sphere else None
    description = {
        "sha256": sha256_of(content),
        "estimator": " + ".join(type(s).__name__ for s in safe_pickle.steps_of(estimator)),
        "features": [*FEATURES],
        "library_versions": library_versions(),
        "cluster_sizes": _sizes(estimator),
        "numbers": None if numbers is None else numbers.as_json(),
        "centroids": None if centroids is None else centroids.tolist(),
        "promise": None if centroids is None else promise.as_json(promise.of(centroids)),
        "golden": golden.make(estimator).to_json(),
    }
    return {name: value for name, value in description.items() if value is not None}


def numbers_of(estimator: BaseEstimator) -> Numbers | None:
    """Return a model in closed form, or None where there is none that answers alike.

    That is k-means alone or behind scalers that shift and scale, or an L2 normaliser.
    """
    *scalers, last = safe_pickle.steps_of(estimator)
    if type(last) not in {KMeans, MiniBatchKMeans}:
        return None
    steps = [_step_of(scaler) for scaler in scalers]
    centroids = np.ascontiguousarray(last.cluster_centers_, dtype=np.float64)
    try:
        numbers = Numbers(tuple(step for step in steps if step is not None), centroids)
    except ValueError:
        return None
    return numbers if None not in steps and _answers_alike(numbers, estimator) else None


def _step_of(scaler: BaseEstimator) -> Step | None:
    """Return a scaler in numbers, or None for one that does more than shift and scale."""
    none, one = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    match scaler:
        case Normalizer(norm="l2"):
            return UNIT
        case StandardScaler(with_mean=shifts, with_std=scales):
            return _scaling(scaler.mean_ if shifts else none, scaler.scale_ if scales else one)
        case RobustScaler(with_centering=shifts, with_scaling=scales):
            return _scaling(scaler.center_ if shifts else none, scaler.scale_ if scales else one)
        case MinMaxScaler(clip=False):
            return _scaling(-scaler.min_ / scaler.scale_, 1 / scaler.scale_)
        case MaxAbsScaler() if not getattr(scaler, "clip", False):
            return _scaling(none, scaler.scale_)
    return None


def _scaling(shift: Matrix, scale: Matrix) -> Scaling | None:
    try:
        return Scaling(tuple(shift.tolist()), tuple(scale.tolist()))
    except ValueError:
        return None


def _answers_alike(numbers: Numbers, estimator: BaseEstimator) -> bool:
    """Prove that the numbers predict what the model does, on every probe client."""
    probe = golden.probe_rows()
    return bool((numbers.predict(probe) == golden.predict(estimator, probe)).all())


def library_versions() -> dict[str, str]:
    """Return the versions that opened the model, Python's among them."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def _require_five_features(estimator: BaseEstimator) -> None:
    if not callable(getattr(estimator, "predict", None)):
        raise NotAModel(f"A {type(estimator).__name__} cannot predict.")
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        raise NotAModel("The model was never fitted.")
    if count != len(FEATURES):
        raise NotAModel(f"The model wants {count} features, not the five ({', '.join(FEATURES)}).")


def _require_known_labels(estimator: BaseEstimator) -> None:
    _require_finite_centroids(estimator)
    probe = golden.probe_rows()
    try:
        labels = np.asarray(estimator.predict(probe))
    except Exception as exc:
        raise NotAModel(f"The model fails when it predicts ({type(exc).__name__}: {exc}).") from exc
    if labels.shape != (len(probe),) or labels.dtype.kind not in "iu":
        raise NotAModel("The model does not answer one whole number per client.")
    unknown = sorted(set(labels.tolist()) - set(range(PROFILE_COUNT)))
    if unknown:
        raise NotAModel(
            f"The model answers the label {unknown[0]}, outside 0 to {PROFILE_COUNT - 1}."
        )


def _require_finite_centroids(estimator: BaseEstimator) -> None:
    for step in safe_pickle.steps_of(estimator):
        centroids = getattr(step, "cluster_centers_", None)
        if centroids is None:
            continue
        if np.shape(centroids) != (PROFILE_COUNT, len(FEATURES)):
            raise NotAModel(
                f"The model's centroids are {np.shape(centroids)}, not 5 profiles x 5 features."
            )
        if not np.isfinite(centroids).all():
            raise NotAModel("The model has centroids that are no finite numbers.")


def _sizes(estimator: BaseEstimator) -> list[int] | None:
    labels = getattr(safe_pickle.steps_of(estimator)[-1], "labels_", None)
    if labels is None:
        return None
    return [int(size) for size in np.bincount(labels, minlength=PROFILE_COUNT)]


def _limit_oneself() -> None:
    """Bound this process's time, and its memory where that can be had.

    macOS refuses every bound on address space (https://github.com/python/cpython/issues/84698).
    """
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_SECONDS, TIMEOUT_SECONDS))
    if platform.system() != "Darwin":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> int:
    """Describe the pickle on standard input as JSON; 2 and one sentence when it is refused."""
    _limit_oneself()
    try:
        description = describe(sys.stdin.buffer.read(MAX_BYTES + 1))
    except ModelStoreError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED
    sys.stdout.write(json.dumps(description))
    return 0


if __name__ == "__main__":
    sys.exit(main())
