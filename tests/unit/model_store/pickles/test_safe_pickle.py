"""A pickle is a program; only the ones that build a model may run."""

import copy
import gzip
import io
import os
import pickle
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, PowerTransformer, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from model_store.errors import (
    ChecksumMismatch,
    ForbiddenContent,
    PickleRefused,
    PickleTooLarge,
    UnreadablePickle,
)
from model_store.pickles import safe_pickle
from model_store.pickles.opened import steps_of
from model_store.pickles.pickle_file import MAX_BYTES, sha256_of


class Runs:
    """Unpickled carelessly, it calls a function."""

    def __init__(self, function: Any, *arguments: object) -> None:  # noqa: ANN401 - any callable
        self.call = (function, arguments)

    def __reduce__(self) -> Any:  # noqa: ANN401 - as pickle declares it
        """Have pickle write down the call."""
        return self.call


def dumped(thing: object) -> bytes:
    file = io.BytesIO()
    joblib.dump(thing, file)
    return file.getvalue()


def with_attribute(name: str, value: object) -> bytes:
    model = Normalizer()
    setattr(model, name, value)
    return dumped(model)


def object_array(*things: object) -> NDArray[np.object_]:
    array = np.empty(len(things), dtype=object)
    array[:] = things
    return array


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(Normalizer(), KMeans(5, random_state=0)),
        make_pipeline(StandardScaler(), MiniBatchKMeans(5, random_state=0)),
        make_pipeline(RobustScaler(), GaussianMixture(5, random_state=0)),
        make_pipeline(PowerTransformer(), KMeans(5, random_state=0)),
        KMeans(5, random_state=0),
    ],
    ids=lambda model: " + ".join(type(s).__name__ for s in steps_of(model)),
)
@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("library", ["joblib", "pickle"])
def test_models_saved_in_any_usual_way_answer_as_before(
    model: Pipeline, protocol: int, library: str, clients: NDArray[np.float64]
) -> None:
    model.fit(clients)
    file = io.BytesIO()
    {"joblib": joblib, "pickle": pickle}[library].dump(model, file, protocol=protocol)

    opened = safe_pickle.load(file.getvalue())

    assert opened.predict(clients).tolist() == model.predict(clients).tolist()


@pytest.mark.parametrize("compress", ["zlib", "gzip"])
def test_compressed_models_are_read(
    compress: str, fitted: Pipeline, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    joblib.dump(fitted, tmp_path / "m.pkl", compress=(compress, 3))

    opened = safe_pickle.load(tmp_path / "m.pkl")

    assert opened.predict(clients).tolist() == fitted.predict(clients).tolist()


def test_an_array_in_two_places_is_an_array_in_both() -> None:
    shared = np.arange(3.0)
    model = StandardScaler()
    model.mean_, model.var_ = shared, shared

    opened = safe_pickle.load(pickle.dumps(model))

    assert opened.mean_.tolist() == opened.var_.tolist() == [0, 1, 2]


def test_arrays_keep_their_order_and_shape() -> None:
    model = KMeans()
    model.cluster_centers_ = np.asfortranarray(np.arange(6.0).reshape(2, 3))

    for content in (dumped(model), pickle.dumps(model), pickle.dumps(model, protocol=5)):
        assert safe_pickle.load(content).cluster_centers_.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_model_predicts_on_one_thread(fitted: Pipeline) -> None:
    model = copy.deepcopy(fitted)
    model[-1]._n_threads = 8  # noqa: SLF001 - what a large machine's training leaves

    opened = safe_pickle.load(dumped(model))

    assert steps_of(opened)[-1]._n_threads == 1  # noqa: SLF001


@pytest.mark.parametrize(
    "hide",
    [
        lambda bomb: bomb,
        lambda bomb: [bomb],
        object_array,
        lambda bomb: Pipeline([("step", object_array(bomb))]),
        lambda bomb: Pipeline([("step", bomb)]),
    ],
    ids=["bare", "in a list", "in an object array", "array in a pipeline", "as a step"],
)
@pytest.mark.parametrize("dump", [dumped, pickle.dumps], ids=["joblib", "pickle"])
def test_a_hostile_file_runs_nothing(hide: Any, dump: Any, tmp_path: Path) -> None:  # noqa: ANN401
    proof = tmp_path / "it-ran"
    bomb = Runs(os.system, f"touch {proof}")

    with pytest.raises(ForbiddenContent):
        safe_pickle.load(dump(hide(bomb)))

    assert not proof.exists()
    joblib.load(io.BytesIO(dump(hide(bomb))))
    assert proof.exists(), "the file would have run it"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (dumped(Runs(eval, "1")), "asks for builtins.eval"),
        (dumped(OrderedDict()), "asks for collections.OrderedDict"),
        (dumped({"a": 1}), "holds a dict, not a scikit-learn model"),
        (dumped(np.zeros(3)), "holds a ndarray, not a scikit-learn model"),
        (dumped(DecisionTreeClassifier()), "asks for sklearn.tree._classes.DecisionTreeClassifier"),
        (with_attribute("feature_names_in_", object_array(1)), "other than numbers"),
        (with_attribute("x", np.array(["a"])), "something other than numbers"),
        (with_attribute("x", np.zeros(2, dtype=[("a", "f8")])), "something other than numbers"),
        # A class is changed for every later user of it: BUILD on the class itself.
        (b"csklearn.cluster._kmeans\nKMeans\n(dS'predict'\nI1\nsb.", "changes a"),
        # A dtype whose state smuggles fields in behind a plain name.
        (
            b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nN(S'a'\nt(dI8\nI8\nI0\ntb.",
            "something other than numbers",
        ),
    ],
)
def test_what_a_model_does_not_need_is_refused_by_name(content: bytes, reason: str) -> None:
    with pytest.raises(ForbiddenContent, match=reason):
        safe_pickle.load(content)


def test_a_class_is_left_as_it_was(clients: NDArray[np.float64]) -> None:
    with pytest.raises(ForbiddenContent):
        safe_pickle.load(b"csklearn.cluster._kmeans\nKMeans\n(dS'predict'\nI1\nsb.")

    assert len(KMeans(2, n_init=1).fit(clients).predict(clients)) == len(clients)


def test_a_damaged_file_is_called_so_wherever_it_ends(pickled: bytes) -> None:
    for length in range(0, len(pickled) - 1, 7):
        with pytest.raises(PickleRefused):
            safe_pickle.load(pickled[:length])


@pytest.mark.parametrize("content", [b"hello", b"\x78\x9cnonsense", b"\x80\x04\x8e" + b"\xff" * 8])
def test_what_is_no_pickle_is_called_so(content: bytes) -> None:
    with pytest.raises(UnreadablePickle, match="damaged"):
        safe_pickle.load(content)


@pytest.mark.parametrize("pack", [bytes, zlib.compress, gzip.compress])
def test_a_file_too_large_to_be_a_model_is_not_opened(pack: Any) -> None:  # noqa: ANN401
    with pytest.raises(PickleTooLarge, match="more than any model needs"):
        safe_pickle.load(pack(bytes(MAX_BYTES + 1)))


def test_other_bytes_than_the_pinned_ones_are_not_opened(pickled: bytes) -> None:
    assert safe_pickle.load(pickled, expected_sha256=sha256_of(pickled))

    with pytest.raises(ChecksumMismatch, match="not 0000 as recorded"):
        safe_pickle.load(pickled, expected_sha256="0000")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePickle, match=r"Cannot read .*nowhere\.pkl: No such file"):
        safe_pickle.load(tmp_path / "nowhere.pkl")


@pytest.mark.parametrize("version", [b"1.2.2", b"1.8.0"])
def test_which_scikit_learn_saved_a_file_is_told(version: bytes, pickled: bytes) -> None:
    assert safe_pickle.open_model(pickled).saved_by == "1.9.1"

    assert safe_pickle.open_model(pickled.replace(b"1.9.1", version)).saved_by == version.decode()
