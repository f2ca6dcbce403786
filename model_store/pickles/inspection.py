"""Tells what a pickle is: run as a process of its own, for files that nobody vouches for.

Bytes in on standard input, JSON out; foreign.py is the caller. Confines itself before it looks at
the file (confinement.py).
"""

import json
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
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

from model_store import golden
from model_store.errors import ModelStoreError, NotAModel
from model_store.features import FEATURES, PROFILE_COUNT
from model_store.geometry import Matrix
from model_store.numbers import LARGEST, UNIT, Numbers, Scaling, Step
from model_store.pickles import confinement, safe_pickle
from model_store.pickles.foreign import REFUSED
from model_store.pickles.opened import OpenedModel, unknown_label
from model_store.pickles.pickle_file import MAX_BYTES, sha256_of

LIBRARIES: Final = ("scikit-learn", "numpy", "scipy", "joblib")

_PACKAGE: Final = Path(__file__).parents[1]
#: Of squared distances, against the squares that they are made of: float64's, float32's.
_ROUNDING: Final = (1e-12, 1e-5)


def describe(
    content: bytes, columns: Sequence[str] | None = None, answers: str | None = None
) -> dict[str, Any]:
    """Return a model's metadata, its numbers, and its golden clients as JSON text under `golden`.

    columns: five of FEATURES in the order of the model's columns, for a file that names none.
    answers: golden clients as the training version answered them. Cluster sizes, numbers and the
    version of scikit-learn that saved the file are there only where they are known.

    Raises PickleRefused, NotAModel or GoldenMismatch.
    """
    opened = safe_pickle.open_model(content)
    _require_five_features(opened)
    _require_finite_centroids(opened)
    model = replace(opened, columns=agreed(opened.names, columns))
    _require_known_labels(model)
    numbers = numbers_of(model)
    description = {
        "sha256": sha256_of(content),
        "estimator": " + ".join(type(step).__name__ for step in model.steps),
        "features": [*FEATURES],
        "columns": [*model.columns],
        "columns_from": "the file" if opened.names else "the owner",
        "trained_by": model.saved_by and {"scikit-learn": model.saved_by},
        "library_versions": library_versions(),
        "cluster_sizes": _sizes(model),
        "numbers": None if numbers is None else numbers.as_json(),
        "golden": _golden(model, answers).to_json(),
    }
    return {name: value for name, value in description.items() if value is not None}


def agreed(names: Sequence[str] | None, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the model's columns as FEATURES, in its order, from the file's names or the owner's.

    Raises NotAModel where neither tells, or where they tell two things.
    """
    if names is not None and len(names) != len(FEATURES):
        raise NotAModel(
            f"The file names {len(names)} columns of a model that takes five amounts: fit it anew."
        )
    if names is not None:
        known = tuple(re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names)
        if sorted(known) == sorted(FEATURES):
            if columns is not None and tuple(columns) != known:
                raise NotAModel(
                    f"The file names its columns {', '.join(known)}, not as you did: leave out "
                    "--columns, or fit the model on the columns that you mean."
                )
            return known
    if columns is not None and sorted(columns) == sorted(FEATURES):
        return tuple(columns)
    if names is not None:
        raise NotAModel(
            f"The file names its columns {', '.join(names)[:80]}: say which of "
            f"{', '.join(FEATURES)} they are, in that order, as --columns A,B,C,D,E."
        )
    raise NotAModel(
        "The file does not say in which order it takes the five amounts, and a wrong order looks "
        f"like a model: name it, as --columns {','.join(FEATURES)}."
    )


def numbers_of(model: OpenedModel) -> Numbers | None:
    """Return a model in closed form, or None where there is none that answers alike.

    That is k-means alone or behind scalers that shift and scale, or an L2 normaliser.
    """
    *scalers, last = model.steps
    if type(last) not in {KMeans, MiniBatchKMeans}:
        return None
    steps = [_step_of(scaler) for scaler in scalers]
    centroids = np.asarray(last.cluster_centers_, dtype=np.float64)
    try:
        numbers = Numbers(tuple(step for step in steps if step is not None), centroids)
    except ValueError:
        return None
    ordered = numbers.reordered([model.columns.index(name) for name in FEATURES])
    return ordered if None not in steps and _answers_alike(ordered, model) else None


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


def _answers_alike(numbers: Numbers, model: OpenedModel) -> bool:
    """Prove that the numbers predict what the model does, on every probe client.

    Where two centroids are equally near but for rounding, either is the model's answer: a sum in
    another order, and float32 all the more, may come out on the other side.
    """
    probe = golden.every_probe_row()
    squared, labels = numbers.squared_distances(probe), model.predict(probe)
    slack = _ROUNDING[model.is_single] * (1 + (numbers.prepare(probe) ** 2).sum(axis=1))
    answered = squared[np.arange(len(probe)), labels]
    return bool((answered <= squared.min(axis=1) + slack).all())


def _golden(model: OpenedModel, answers: str | None) -> golden.GoldenClients:
    """Return golden clients with the answers of the version that trained the model, if told.

    Raises GoldenMismatch where this version answers otherwise.
    """
    if answers is None:
        return golden.make(model)
    try:
        told = golden.GoldenClients.from_json(answers)
    except (ValueError, KeyError, TypeError) as exc:
        raise NotAModel("The training's notes have golden clients that cannot be read.") from exc
    golden.check(model, told)
    return told


def library_versions() -> dict[str, str]:
    """Return the versions that opened the model, Python's among them."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def _require_five_features(model: OpenedModel) -> None:
    if not model.steps or not callable(getattr(model.estimator, "predict", None)):
        raise NotAModel(
            f"A {type(model.estimator).__name__} without k-means at its end cannot predict: save "
            "the whole pipeline."
        )
    count = vars(model.steps[0]).get("n_features_in_")
    if count is None:
        raise NotAModel("The model was never fitted: call fit() before you save it.")
    if count != len(FEATURES):
        raise NotAModel(
            f"The model wants {count} features, not the five: fit it on {', '.join(FEATURES)}."
        )


def _require_known_labels(model: OpenedModel) -> None:
    unknown = unknown_label(model.predict(golden.every_probe_row()))
    if unknown is not None:
        raise NotAModel(
            f"The model answers the label {unknown}, outside 0 to {PROFILE_COUNT - 1}: fit it with "
            f"{PROFILE_COUNT} clusters."
        )


def _require_finite_centroids(model: OpenedModel) -> None:
    for step in model.steps:
        centroids = getattr(step, "cluster_centers_", None)
        if centroids is None:
            continue
        if np.shape(centroids) != (PROFILE_COUNT, len(FEATURES)):
            raise NotAModel(
                f"The model's centroids are {np.shape(centroids)}, not 5 profiles x 5 features: "
                "fit it with five clusters, on the five amounts."
            )
        if not (np.abs(centroids) <= LARGEST).all():
            raise NotAModel(
                "The model has centroids that are no finite numbers, or too large for amounts: fit "
                "it on amounts without gaps."
            )


def _sizes(model: OpenedModel) -> list[int] | None:
    labels = getattr(model.steps[-1], "labels_", None)
    if labels is None or labels.dtype.kind not in "iu":
        return None
    unknown = unknown_label(labels)
    if unknown is not None:
        raise NotAModel(
            f"The model says that it was trained to the label {unknown}, outside 0 to "
            f"{PROFILE_COUNT - 1}: fit it anew."
        )
    return [int(size) for size in np.bincount(labels, minlength=PROFILE_COUNT)]


def _libraries() -> list[Path]:
    """Return where what is imported at the first prediction is; an environment may be of links.

    threadpoolctl looks for libraries among those that are loaded.
    """
    found = {Path(place) for place in (*sys.path, sys.prefix, sys.base_prefix)}
    return [*found - {_PACKAGE.parent}, Path("/proc/self/maps")]


def main() -> int:
    """Describe the pickle on standard input as JSON; 2 and one sentence when it is refused.

    Options come first, as a line of JSON.
    """
    options = json.loads(sys.stdin.buffer.readline(confinement.OUTPUT_BYTES))
    left = confinement.confine([_PACKAGE, *_libraries()])
    try:
        description = describe(sys.stdin.buffer.read(MAX_BYTES + 1), **options)
    except ModelStoreError as refusal:
        sys.stdout.write(str(refusal))
        return REFUSED
    except MemoryError:
        sys.stdout.write("The file takes more memory than any model needs: do not trust it.")
        return REFUSED
    sys.stdout.write(json.dumps(description | {"unconfined": left}))
    return 0
