"""The only place that unpickles: a pickle is a program, and this runs the few that build a model.

Every opcode that calls something, or changes something, is our own: it builds the classes that a
fitted scikit-learn clustering needs, arrays of plain numbers, column names, and nothing else.
joblib's own reader is not used: it reads object arrays through a nested pickle, which is how
allow-lists laid over it were bypassed (joblib 1.4.2 to 1.5.3).
"""

import io
import math
import pickle
import re
from typing import Any, ClassVar, Final

import numpy as np
from sklearn.base import BaseEstimator

from model_store.errors import ForbiddenContent, ModelStoreError, UnreadablePickle
from model_store.pickles import attributes, kinds
from model_store.pickles.pickle_file import MAX_BYTES

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

_NUMBERS: Final = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"})
_OBJECTS: Final = np.dtype("O")
_VERSION: Final = re.compile(r"[0-9][\w.+-]{0,30}")


def unpickle(content: bytes) -> tuple[object, str | None]:
    """Return what the file holds, and the version of scikit-learn that saved it."""
    reader = _Unpickler(io.BytesIO(content))
    try:
        thing: object = reader.load()
    except ModelStoreError:
        raise
    except Exception as exc:  # any opcode may fail in its own way on a damaged file
        raise UnreadablePickle(
            f"The file is damaged, or no pickle ({type(exc).__name__}): copy it again, or save it "
            "again with joblib.dump."
        ) from exc
    if reader.has_more():
        raise ForbiddenContent(
            "The file goes on after its model: save one model alone, with joblib.dump."
        )
    return thing, reader.saved_by


class _ArrayHeader:
    """Stands for an array until its bytes are known, as joblib's NumpyArrayWrapper does."""


class _NdarrayName:
    """Stands for numpy.ndarray where a pickle only names it: it builds nothing."""


def _numeric(dtype: object) -> np.dtype[Any]:
    """Refuse what is no plain number, above all objects: reading those is running code."""
    if not isinstance(dtype, np.dtype) or dtype.str[1:] not in _NUMBERS:
        raise ForbiddenContent(
            "The model holds an array of something other than numbers in this machine's byte order:"
            " fit it on numbers alone, and save it again."
        )
    return dtype


def _is_objects(dtype: object) -> bool:
    return isinstance(dtype, np.dtype) and dtype == _OBJECTS


def _names(values: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - whatever the file says
    """Return column names as scikit-learn keeps them: the only objects that an array may hold."""
    if type(values) is not list or len(values) > attributes.MOST_NAMES:
        _numeric(None)
    if not all(type(name) is str and len(name) <= attributes.LONGEST_TEXT for name in values):
        _numeric(None)
    return np.array(values, dtype=_OBJECTS)


def _encode(text: str, encoding: str) -> bytes:
    """Stand for the function that protocols before 3 write bytes with."""
    del encoding
    return text.encode("latin-1")


def _dtype(spec: str, align: object = False, copy: object = True) -> np.dtype[Any]:  # noqa: FBT002 - pickle calls it by position
    """Stand for numpy.dtype, for numbers only."""
    del align, copy
    if spec not in _NUMBERS and spec != "O8":
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


_STAND_INS: Final[dict[tuple[str, str], Any]] = {
    ("_codecs", "encode"): _encode,
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
_FUNCTIONS: Final = tuple(one for one in _STAND_INS.values() if not isinstance(one, type))

_CALLS: Final = (
    pickle.INST,
    pickle.OBJ,
    pickle.NEWOBJ_EX,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
)


class _Unpickler(pickle._Unpickler):  # noqa: SLF001 - the C one lets nobody watch opcodes
    """Python's own unpickler, with every opcode that calls or changes something fenced in."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # noqa: SLF001
    stack: list[Any]
    memo: dict[int, Any]
    read: Any
    append: Any

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._file = file
        self.saved_by: str | None = None

    def has_more(self) -> bool:
        """Tell whether anything follows what was read."""
        return bool(self._file.read(1))

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as pickle declares it
        """Answer a stand-in or a listed estimator, and nothing else in the world."""
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        if (module, name) in ESTIMATORS:
            return super().find_class(module, name)
        raise ForbiddenContent(_unlisted(module, name))

    def load_reduce(self) -> None:
        """Call one of our stand-ins, and nothing else."""
        function, arguments = self.stack[-2], self.stack.pop()
        if not any(function is one for one in _FUNCTIONS) or type(arguments) is not tuple:
            raise ForbiddenContent(_calls(function))
        self.stack[-1] = function(*arguments)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        """Make an empty object of a listed class."""
        arguments, kind = self.stack.pop(), self.stack[-1]
        if not isinstance(kind, type) or arguments != ():
            raise ForbiddenContent(_calls(kind))
        self.stack[-1] = object.__new__(kind)

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def refuse(self) -> None:
        """Refuse the opcodes that call a class; nothing saved since Python 3 has them."""
        raise ForbiddenContent(_calls("something"))

    for opcode in _CALLS:
        dispatch[opcode[0]] = refuse
    del opcode

    def load_bytearray8(self) -> None:
        """Read bytes that may be written to; pickle would first make room for what is claimed."""
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(min(size, MAX_BYTES))))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def load_build(self) -> None:
        """Set an object's state, by us: no code of scikit-learn's or numpy's runs for it."""
        target, state = self.stack[-2], self.stack.pop()
        if isinstance(target, BaseEstimator):
            self._set_state(target, state)
        elif isinstance(target, np.dtype):
            _refuse_fields(target, state)
        elif isinstance(target, _ArrayHeader):
            self._replace(target, self._array_of(state))
        else:
            raise ForbiddenContent(
                f"The file changes a {type(target).__name__}, which no model of ours needs."
            )

    dispatch[pickle.BUILD[0]] = load_build

    def _set_state(self, target: BaseEstimator, state: Any) -> None:  # noqa: ANN401 - the file's
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise ForbiddenContent(f"The file says no plain things of a {type(target).__name__}.")
        for name, value in state.items():
            if name.startswith("__"):
                raise ForbiddenContent(
                    f"The file sets {name[:60]!r} of a {type(target).__name__}: no model needs it."
                )
            if name == "_sklearn_version":
                self.saved_by = value if type(value) is str and _VERSION.fullmatch(value) else None
            else:
                vars(target)[name] = value

    def _array_of(self, state: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - whatever the file says
        """Read an array: plain pickle gives its bytes in the state, joblib lets them follow."""
        if isinstance(state, tuple):
            _version, shape, dtype, is_fortran, content = state
            if _is_objects(dtype):
                return _names(content)
            return _array(shape, dtype, content, "F" if is_fortran else "C")
        if _is_objects(state["dtype"]):
            return self._names_that_follow()
        if state.get("numpy_array_alignment_bytes") is not None:
            self._file.read(self._file.read(1)[0])
        byte_count = math.prod(state["shape"]) * _numeric(state["dtype"]).itemsize
        content = self._file.read(byte_count)
        return _array(state["shape"], state["dtype"], content, state["order"])

    def _names_that_follow(self) -> np.ndarray[Any, Any]:
        """Read the pickle within the pickle that joblib writes for an array of objects."""
        found: Any = type(self)(self._file).load()
        if type(found) is not np.ndarray or found.dtype != _OBJECTS:
            _numeric(None)
        return np.asarray(found)

    def _replace(self, header: _ArrayHeader, array: np.ndarray[Any, Any]) -> None:
        """Put the array where its header stood, for later mentions too."""
        self.stack[-1] = array
        for key, remembered in self.memo.items():
            if remembered is header:
                self.memo[key] = array


def _unlisted(module: str, name: str) -> str:
    """Say that a name is on no list, and what to do: most files that have one mean no harm."""
    asked = f"{module}.{name}"[:100]
    if module.partition(".")[0] == "sklearn":
        advice = "it is on no list of ours (docs/model.md): save one that is"
    elif module.partition(".")[0] in {"__main__", ""}:
        advice = "it is a class of the program that saved it: save the scikit-learn model alone"
    elif module.startswith("numpy.random"):
        advice = "it is a random state: fit with a number for random_state"
    elif module.startswith(("pandas", "polars", "pyarrow")):
        advice = "it is a table: save the model without its data"
    else:
        advice = "save a scikit-learn pipeline alone"
    return f"The file asks for {asked}, which no model of ours needs; {advice}, {kinds.REFIT}."


def _calls(thing: Any) -> str:  # noqa: ANN401 - whatever the file says
    name = thing.__name__ if isinstance(thing, type) else type(thing).__name__
    return f"The file calls a {name}, which no model of ours needs: save it with joblib.dump."


def _refuse_fields(dtype: np.dtype[Any], state: tuple[Any, ...]) -> None:
    """Accept the state of a plain number in this machine's byte order, and set nothing.

    numpy believes the flags of a dtype's state: one that hides objects behind numbers ends in a
    read of arbitrary memory.
    """
    _version, byte_order, *fields = state
    if fields[:3] != [None, None, None] or dtype.newbyteorder(byte_order) != dtype:
        _numeric(None)
