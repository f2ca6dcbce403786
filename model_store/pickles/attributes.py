"""What an estimator may carry: checked by class, name, type and size before anything uses it.

Numpy and scikit-learn trust the objects that they meet: an attribute with `__array_interface__`
has memory read at any address, and one called `predict` is called. So nothing here asks an object
anything but its exact type, until that is known to be harmless. skops 0.16 lets that trick pass,
which is why the list is ours; it holds what scikit-learn 1.2 to 1.9 write.
"""

from collections.abc import Iterator
from functools import cache
from inspect import signature
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from model_store.errors import ForbiddenContent
from model_store.pickles.pickle_file import MAX_BYTES

MOST_ESTIMATORS: Final = 16
DEEPEST: Final = 4
"""Pipelines within pipelines."""
MOST_NAMES: Final = 64
LONGEST_TEXT: Final = 200

_MOST_ITEMS: Final = 1000
_LARGEST_SIDE: Final = 1_000_000
_COUNTS: Final = "n_features_in_ n_samples_seen_ n_iter_ _n_features_out _sklearn_output_config"
_MEANS: Final = "_tol _n_init _algorithm _n_threads inertia_"
_BATCHES: Final = (
    "_batch_size _init_size _ewa_inertia _ewa_inertia_min _no_improvement _n_since_last_reassign "
    "n_steps_"
)
#: Single values that fitting leaves; a class's parameters are allowed besides.
_VALUES: Final = {
    KMeans: _MEANS,
    MiniBatchKMeans: f"{_MEANS} {_BATCHES}",
    GaussianMixture: "converged_ lower_bound_ lower_bounds_",
    QuantileTransformer: "n_quantiles_",
}
#: Arrays that fitting leaves, and how many dimensions each has.
_ARRAYS: Final[dict[type, dict[str, tuple[int, ...]]]] = {
    Normalizer: {},
    StandardScaler: {"mean_": (1,), "var_": (1,), "scale_": (1,), "n_samples_seen_": (1,)},
    MinMaxScaler: dict.fromkeys(("scale_", "min_", "data_min_", "data_max_", "data_range_"), (1,)),
    MaxAbsScaler: {"scale_": (1,), "max_abs_": (1,)},
    RobustScaler: {"center_": (1,), "scale_": (1,)},
    PowerTransformer: {"lambdas_": (1,)},
    QuantileTransformer: {"references_": (1,), "quantiles_": (2,)},
    KMeans: {"cluster_centers_": (2,), "labels_": (1,), "init": (2,)},
    MiniBatchKMeans: {"cluster_centers_": (2,), "labels_": (1,), "init": (2,), "_counts": (1,)},
    GaussianMixture: {"weights_": (1,), "weights_init": (1,), "means_": (2,), "means_init": (2,)}
    | dict.fromkeys(
        ("covariances_", "precisions_", "precisions_cholesky_", "precisions_init"), (1, 2, 3)
    ),
    Pipeline: {},
}
_SCALARS: Final = frozenset(
    {bool, int, float, str, type(None)}
    | {np.bool_, np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64}
)
_INTEGERS: Final = 1 << 63


def check(estimator: BaseEstimator) -> list[BaseEstimator]:
    """Return every estimator in this one, itself included, once all are known to be harmless.

    Raises ForbiddenContent, naming the attribute.
    """
    found = list(_checked(estimator, 0, iter(range(MOST_ESTIMATORS))))
    size = sum(value.nbytes for one in found for value in vars(one).values() if _is_array(value))
    if size > MAX_BYTES:
        raise ForbiddenContent(f"The model's arrays have over {MAX_BYTES:,} bytes, too many.")
    return found


def _checked(estimator: Any, depth: int, places: Iterator[int]) -> Iterator[BaseEstimator]:  # noqa: ANN401 - whatever stands where an estimator should
    if type(estimator) not in _ARRAYS:
        raise ForbiddenContent(f"The model has a {type(estimator).__name__} for a step.")
    if depth > DEEPEST or next(places, None) is None:
        raise ForbiddenContent(
            "The model has more steps within steps than any model needs: put them into one "
            "Pipeline, in the order in which they work, and save that."
        )
    for name, value in vars(estimator).items():
        if type(estimator) is Pipeline and name == "steps":
            for step in _steps(value):
                yield from _checked(step, depth + 1, places)
        elif type(estimator) is PowerTransformer and name == "_scaler":
            yield from _checked(value, depth + 1, places)
        elif not _is_allowed(type(estimator), name, value):
            raise ForbiddenContent(_named(type(estimator), name, value))
    yield estimator


def _steps(value: Any) -> Iterator[Any]:  # noqa: ANN401 - an attribute of the file's
    if type(value) is not list:
        raise ForbiddenContent("The pipeline's steps are no list.")
    for step in value:
        if type(step) is not tuple or len(step) != 2 or not _is_text(step[0]):  # noqa: PLR2004 - a name and an estimator
            raise ForbiddenContent("The pipeline has a step that is no name with an estimator.")
        if not (step[1] is None or (_is_text(step[1]) and step[1] == "passthrough")):
            yield step[1]


def _is_allowed(kind: type, name: str, value: Any) -> bool:  # noqa: ANN401 - the same
    if name == "feature_names_in_":
        return _is_names(value)
    if _is_array(value):
        return value.ndim in _ARRAYS[kind].get(name, ()) and max(value.shape) <= _LARGEST_SIDE
    if name == "_sklearn_output_config":
        return type(value) is dict and all(map(_is_text, [*value, *value.values()]))
    return name in _names(kind) and _is_plain(value)


@cache
def _names(kind: type) -> frozenset[str]:
    """Return what an estimator may be told: its parameters, and what fitting leaves."""
    left = f"{_COUNTS} {_VALUES.get(kind, '')}".split()
    return frozenset([*signature(kind).parameters, *_ARRAYS[kind], *left])


def _is_plain(value: Any) -> bool:  # noqa: ANN401 - the same
    if type(value) in {tuple, list}:
        return len(value) <= _MOST_ITEMS and all(_is_scalar(item) for item in value)
    return _is_scalar(value)


def _is_scalar(value: Any) -> bool:  # noqa: ANN401 - the same
    if type(value) is int:
        return abs(value) < _INTEGERS
    return type(value) in _SCALARS and (type(value) is not str or _is_text(value))


def _is_text(value: Any) -> bool:  # noqa: ANN401 - the same
    return type(value) is str and len(value) <= LONGEST_TEXT


def _is_array(value: Any) -> bool:  # noqa: ANN401 - the same
    return type(value) is np.ndarray and not value.dtype.hasobject and value.size > 0


def _is_names(value: Any) -> bool:  # noqa: ANN401 - the same
    """Accept what safe_pickle makes of column names: an array of nothing but text."""
    return (
        type(value) is np.ndarray
        and value.dtype == object
        and value.ndim == 1
        and len(value) <= MOST_NAMES
        and all(_is_text(name) for name in value.tolist())
    )


def _named(kind: type, name: str, value: Any) -> str:  # noqa: ANN401 - the same
    what = f", a {type(value).__name__}" if _is_text(name) else ""
    return (
        f"The {kind.__name__} has an attribute {name[:60]!r}{what}, that no fit() leaves: fit it "
        "anew, and save it as it is then."
    )
