"""From the bytes of a pickle to the one model in it, with nothing harmful about it.

Defence in order: sha256, what kind of file it is, size, a reader that builds a few classes and
plain arrays (restricted.py), a check of every attribute (attributes.py). It knows no store and no
clients; whoever calls checks what the model answers.
"""

import zlib
from inspect import signature
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator

from model_store.errors import (
    ChecksumMismatch,
    ForbiddenContent,
    PickleTooLarge,
    UnreadablePickle,
)
from model_store.pickles import attributes, kinds, restricted
from model_store.pickles.opened import OpenedModel
from model_store.pickles.pickle_file import MAX_BYTES, read, sha256_of

_COMPRESSED: Final = (b"\x78", b"\x1f\x8b")
_ZLIB_OR_GZIP: Final = 47
#: Keys under which people keep the columns beside a model.
_FEATURES_KEYS: Final = ("features", "feature_names", "columns", "feature_names_in_")
_SMALLER: Final = "drop `labels_`, which predicting does not need, and save it again"


def load(source: Path | bytes, expected_sha256: str | None = None) -> BaseEstimator:
    """Return the estimator in a file or its bytes, as `open_model` finds it."""
    return open_model(source, expected_sha256).estimator


def open_model(source: Path | bytes, expected_sha256: str | None = None) -> OpenedModel:
    """Return the one model in a file or its bytes, checked, set to predict on one thread.

    Raises one of the PickleRefused errors; a file that cannot be read raises UnreadablePickle.
    """
    content = source if isinstance(source, bytes) else read(source)
    if expected_sha256 is not None and sha256_of(content) != expected_sha256:
        raise ChecksumMismatch(
            f"The model file's sha256 is {sha256_of(content)}, not {expected_sha256} as recorded."
        )
    _require_pickle(content)
    if len(content) > MAX_BYTES:
        raise PickleTooLarge(
            f"The model file is over {MAX_BYTES:,} bytes, more than any model needs: {_SMALLER}."
        )
    plain = _plain(content)
    _require_pickle(plain)
    thing, saved_by = restricted.unpickle(plain)
    estimator, beside = _one_model(thing)
    checked = attributes.check(estimator)
    names = _names_of(checked, beside)
    for one in checked:
        _prepare(one)
    return OpenedModel(estimator, names, saved_by=saved_by)


def _require_pickle(content: bytes) -> None:
    kind = kinds.of(content)
    if kind is not None:
        raise UnreadablePickle(f"The file is {kind}.")


def _one_model(thing: Any) -> tuple[BaseEstimator, Any]:  # noqa: ANN401 - whatever the file holds
    """Return the model, or the one in a dict, list or tuple, and what names columns beside it."""
    if isinstance(thing, BaseEstimator):
        return thing, None
    if type(thing) in {dict, list, tuple}:
        values = list(thing.values() if type(thing) is dict else thing)
        models = [value for value in values if isinstance(value, BaseEstimator)]
        if len(models) == 1:
            found = [thing[key] for key in _FEATURES_KEYS if type(thing) is dict and key in thing]
            return models[0], found[0] if found else None
        if models:
            raise ForbiddenContent(
                f"The file holds {len(models)} estimators side by side: put them into one "
                "Pipeline, in the order in which they work, and save that."
            )
    raise ForbiddenContent(
        f"The file holds a {type(thing).__name__}, not a scikit-learn model: save the fitted model "
        f"itself, {kinds.REFIT}."
    )


def _names_of(checked: list[BaseEstimator], beside: Any) -> tuple[str, ...] | None:  # noqa: ANN401 - the same
    """Return the columns that the file names, from the first estimator that was told them."""
    told = [vars(one)["feature_names_in_"].tolist() for one in checked if _is_told(one)]
    if beside is not None:
        plain = beside.tolist() if type(beside) is np.ndarray else beside
        if type(plain) not in {list, tuple} or not all(type(name) is str for name in plain):
            raise ForbiddenContent(
                "The file names its features in a way that cannot be read: make it a list of text."
            )
        told.append(list(plain))
    if any(names != told[0] for names in told):
        raise ForbiddenContent(
            "The file names its columns twice, and in two ways: save the model with one of them."
        )
    return tuple(told[0]) if told else None


def _is_told(estimator: BaseEstimator) -> bool:
    return "feature_names_in_" in vars(estimator)


def _prepare(estimator: BaseEstimator) -> None:
    """Have an estimator take plain arrays, know parameters newer than it, predict on one thread.

    KMeans pickles the thread count of the machine that trained it and then ignores OMP_NUM_THREADS;
    many threads on small batches cost two workers three quarters of their throughput (128k against
    528k rows/s, two cores).
    """
    for name in ("feature_names_in_", "_sklearn_output_config"):
        vars(estimator).pop(name, None)
    for name, parameter in signature(type(estimator)).parameters.items():
        vars(estimator).setdefault(name, parameter.default)
    if "_n_threads" in vars(estimator):
        vars(estimator)["_n_threads"] = 1


def _plain(content: bytes) -> bytes:
    """Undo joblib's zlib or gzip compression, up to the cap: a small file can unpack to much."""
    if not content.startswith(_COMPRESSED):
        return content
    try:
        unpacked = zlib.decompressobj(_ZLIB_OR_GZIP).decompress(content, MAX_BYTES + 1)
    except zlib.error as exc:
        raise UnreadablePickle(
            "The model file is compressed, but damaged: copy it again, or save it again."
        ) from exc
    if len(unpacked) > MAX_BYTES:
        raise PickleTooLarge(
            f"The model file unpacks to over {MAX_BYTES:,} bytes, more than any model needs: "
            f"{_SMALLER}."
        )
    return unpacked
