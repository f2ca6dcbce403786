"""The only place that unpickles: a pickle is a program, and this runs the few that build a model.

Defence in order: size, sha256, a list of the classes that a fitted scikit-learn clustering needs,
an array reader that takes plain numbers only. joblib's own reader is not used: it reads object
arrays through a nested pickle, which is how allow-lists laid over it were bypassed (joblib 1.4.2
to 1.5.3). It knows no store and no clients; whoever calls checks what the model answers.
"""

import io
import logging
import math
import pickle
import warnings
import zlib
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from model_store.errors import (
    ChecksumMismatch,
    ForbiddenContent,
    ModelStoreError,
    PickleTooLarge,
    UnreadablePickle,
)
from model_store.pickles.pickle_file import MAX_BYTES, read, sha256_of

ESTIMATORS: Final = frozenset(
    {
        ("sklearn.pipeline", "Pipeline"),
        ("sklearn.preprocessing._data", "MaxAbsScaler"),
        ("sklearn.preprocessing._data", "MinMaxScaler"),
        ("sklearn.preprocessing._data", "Normalizer"),
        ("sklearn.preprocessing._data", "PowerTransformer"),
        ("sklearn.preprocessing._data", "QuantileTransformer"),
        ("sklearn.preprocessing._data", "RobustScaler"),
        ("sklearn.preprocessing._data", "StandardScaler"),
        ("sklearn.cluster._kmeans", "KMeans"),
        ("sklearn.cluster._kmeans", "MiniBatchKMeans"),
        ("sklearn.mixture._gaussian_mixture", "GaussianMixture"),
    }
)
"""All that may be imported. Trees and neighbour searches stay out: they carry raw buffers that
compiled code trusts. Nothing that holds a function (FunctionTransformer) can ever come in."""

_COMPRESSED: Final = (b"\x78", b"\x1f\x8b")
_ZLIB_OR_GZIP: Final = 47
_NUMBERS: Final = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"})

logger = logging.getLogger(__name__)


def load(source: Path | bytes, expected_sha256: str | None = None) -> BaseEstimator:
    """Return the estimator in a file or its bytes, set to predict on one thread.

    Raises one of the PickleRefused errors; a file that cannot be read raises UnreadablePickle.
    """
    content = source if isinstance(source, bytes) else read(source)
    if len(content) > MAX_BYTES:
        raise PickleTooLarge(
            f"The model file is over {MAX_BYTES:,} bytes, more than any model needs."
        )
    if expected_sha256 is not None and sha256_of(content) != expected_sha256:
        raise ChecksumMismatch(
            f"The model file's sha256 is {sha256_of(content)}, not {expected_sha256} as recorded."
        )
    estimator = _unpickle(_plain(content))
    if not isinstance(estimator, BaseEstimator):
        raise ForbiddenContent(
            f"The file holds a {type(estimator).__name__}, not a scikit-learn model."
        )
    _predict_on_one_thread(estimator)
    return estimator


def steps_of(estimator: BaseEstimator) -> list[BaseEstimator]:
    """Return a pipeline's steps in order, or the estimator alone."""
    return [step for _, step in getattr(estimator, "steps", [("", estimator)])]


def _predict_on_one_thread(estimator: BaseEstimator) -> None:
    """Undo the thread count of the machine that trained the model.

    KMeans pickles it and then ignores OMP_NUM_THREADS; many threads on small batches cost two
    workers three quarters of their throughput (128k against 528k rows/s, two cores).
    """
    for step in steps_of(estimator):
        if hasattr(step, "_n_threads"):
            step._n_threads = 1  # noqa: SLF001 - scikit-learn offers no public way


def _plain(content: bytes) -> bytes:
    """Undo joblib's zlib or gzip compression, up to the cap: a small file can unpack to much."""
    if not content.startswith(_COMPRESSED):
        return content
    try:
        unpacked = zlib.decompressobj(_ZLIB_OR_GZIP).decompress(content, MAX_BYTES + 1)
    except zlib.error as exc:
        raise UnreadablePickle("The model file is compressed, but damaged.") from exc
    if len(unpacked) > MAX_BYTES:
        raise PickleTooLarge(
            f"The model file unpacks to over {MAX_BYTES:,} bytes, more than any model needs."
        )
    return unpacked


def _unpickle(content: bytes) -> object:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator: object = _Unpickler(io.BytesIO(content)).load()
        except ModelStoreError:
            raise
        except Exception as exc:  # any opcode may fail in its own way on a damaged file
            raise UnreadablePickle(
                f"The file is damaged, or no pickle ({type(exc).__name__})."
            ) from exc
    for warning in caught:
        if isinstance(warning.message, InconsistentVersionWarning):
            logger.warning(
                "saved by scikit-learn %s; the golden clients decide whether it answers alike",
                warning.message.original_sklearn_version,
            )
            break
    return estimator


class _ArrayHeader:
    """Stands for an array until its bytes are known, as joblib's NumpyArrayWrapper does."""


class _NdarrayName:
    """Stands for numpy.ndarray where a pickle only names it: it builds nothing."""


def _numeric(dtype: object) -> np.dtype[Any]:
    """Refuse what is no plain number, above all objects: reading those is running code."""
    if not isinstance(dtype, np.dtype) or dtype.str[1:] not in _NUMBERS:
        msg = "The model holds an array of something other than numbers"
        hint = "; fit it on plain numbers (frame.to_numpy()), which leaves no column names inside."
        raise ForbiddenContent(msg + hint)
    return dtype


def _dtype(spec: str, align: object = False, copy: object = True) -> np.dtype[Any]:  # noqa: FBT002 - pickle calls it by position
    """Stand for numpy.dtype, for numbers only."""
    del align, copy
    if spec not in _NUMBERS:
        _numeric(None)
    return np.dtype(spec)


def _array(
    shape: tuple[int, ...], dtype: np.dtype[Any], content: bytes, order: str = "C"
) -> np.ndarray[Any, Any]:
    """Return a writable array of its own; numpy refuses a shape that the bytes do not fill."""
    flat = np.frombuffer(content, dtype=_numeric(dtype))
    return flat.reshape(shape, order="F" if order == "F" else "C").copy(order="K")


def _from_buffer(
    content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str
) -> np.ndarray[Any, Any]:
    """Stand for the function that protocol 5 rebuilds arrays with."""
    return _array(shape, dtype, bytes(content), order)


def _scalar(dtype: np.dtype[Any], content: bytes) -> object:
    """Stand for the function that rebuilds numpy's scalars."""
    return _array((), dtype, content)[()]


def _reconstruct(kind: object, shape: object, code: object) -> _ArrayHeader:
    """Stand for the function that plain pickle begins an array with; its state then fills it."""
    del kind, shape, code
    return _ArrayHeader()


_STAND_INS: Final = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _ArrayHeader,
    ("numpy", "ndarray"): _NdarrayName,
    ("numpy", "dtype"): _dtype,
} | {
    (f"numpy.{core}.{module}", name): stand_in
    for core in ("core", "_core")
    for module, name, stand_in in (
        ("multiarray", "scalar", _scalar),
        ("multiarray", "_reconstruct", _reconstruct),
        ("numeric", "_frombuffer", _from_buffer),
    )
}
"""Every name of numpy or joblib that a saved model mentions, replaced by code of our own."""


_BUILD: Final[Any] = pickle._Unpickler.dispatch[pickle.BUILD[0]]  # noqa: SLF001


class _Unpickler(pickle._Unpickler):  # noqa: SLF001 - the C one lets nobody watch BUILD
    """Python's own unpickler, with the two opcodes that reach outside fenced in."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # noqa: SLF001
    stack: list[Any]
    memo: dict[int, Any]

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._file = file

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as pickle declares it
        """Answer a stand-in or a listed estimator, and nothing else in the world."""
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        if (module, name) in ESTIMATORS:
            return super().find_class(module, name)
        raise ForbiddenContent(f"The file asks for {module}.{name}, which no model of ours needs.")

    def load_build(self) -> None:
        """Set an object's state: estimators as scikit-learn does, arrays and dtypes by us."""
        target = self.stack[-2]
        if isinstance(target, BaseEstimator):
            _BUILD(self)
        elif isinstance(target, np.dtype):
            _refuse_fields(target, self.stack.pop())
        elif isinstance(target, _ArrayHeader):
            self._replace(target, self._array_of(self.stack.pop()))
        else:
            raise ForbiddenContent(
                f"The file changes a {type(target).__name__}, which no model of ours needs."
            )

    dispatch[pickle.BUILD[0]] = load_build

    def _array_of(self, state: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - whatever the file says
        """Read an array: plain pickle gives its bytes in the state, joblib lets them follow."""
        if isinstance(state, tuple):
            _version, shape, dtype, is_fortran, content = state
            return _array(shape, dtype, content, "F" if is_fortran else "C")
        if state.get("numpy_array_alignment_bytes") is not None:
            self._file.read(self._file.read(1)[0])
        byte_count = math.prod(state["shape"]) * _numeric(state["dtype"]).itemsize
        content = self._file.read(byte_count)
        return _array(state["shape"], state["dtype"], content, state["order"])

    def _replace(self, header: _ArrayHeader, array: np.ndarray[Any, Any]) -> None:
        """Put the array where its header stood, for later mentions too."""
        self.stack[-1] = array
        for key, remembered in self.memo.items():
            if remembered is header:
                self.memo[key] = array


def _refuse_fields(dtype: np.dtype[Any], state: tuple[Any, ...]) -> None:
    """Accept the state of a plain number in this machine's byte order, and set nothing.

    numpy believes the flags of a dtype's state: one that hides objects behind numbers ends in a
    read of arbitrary memory.
    """
    _version, byte_order, *fields = state
    if fields[:3] != [None, None, None] or dtype.newbyteorder(byte_order) != dtype:
        _numeric(None)
