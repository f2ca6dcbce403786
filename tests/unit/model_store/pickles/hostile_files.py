"""Files that mean harm, or are odd: how each is made, and the words that it is refused with.

Made anew by each test; nothing here is ever opened by pickle or joblib.
"""

import copy
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

Edit = Callable[[Pipeline], None]

NAMES = [
    *("os.system", "posix.system", "subprocess.Popen", "subprocess.getoutput", "pty.spawn"),
    *("builtins.eval", "builtins.exec", "builtins.getattr", "builtins.open", "builtins.__import__"),
    *("importlib.import_module", "types.FunctionType", "types.CodeType", "operator.attrgetter"),
    *("functools.partial", "ctypes.CDLL", "socket.socket", "shutil.rmtree", "pathlib.Path"),
    *("pickle.loads", "marshal.loads", "joblib.load", "joblib.numpy_pickle.load", "numpy.load"),
    *("numpy.memmap", "numpy.core.multiarray.fromfile", "numpy.testing._private.utils.runstring"),
    *("sklearn.utils._testing.assert_run_python_script", "sklearn.datasets.fetch_openml"),
    *("sklearn.cluster._kmeans.KMeans.fit", "sklearn.pipeline.Pipeline.__init__"),
    *("pandas.read_pickle", "numpy.random._pickle.__randomstate_ctor", "__main__.Model"),
    *("copyreg._reconstructor", "collections.OrderedDict", "sklearn.ensemble._forest.Forest"),
]


def saved(thing: object) -> bytes:
    """Save as joblib does."""
    file = io.BytesIO()
    joblib.dump(thing, file)
    return file.getvalue()


def called(name: str) -> bytes:
    """Have a name called with a text, as protocol 0 does."""
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n(S'touch it-ran'\ntR.".encode()


KMEANS = b"csklearn.cluster._kmeans\nKMeans\n"

#: Written by hand, opcode by opcode.
OPCODES: dict[str, tuple[bytes, str]] = {
    "INST": (b"(S'x'\nios\nsystem\n.", "calls"),
    "OBJ": (b"(" + KMEANS + b"o.", "calls"),
    "a class called": (KMEANS + b"(tR.", "calls a KMeans"),
    "a class called with an argument": (KMEANS + b"(I9\ntR.", "calls a KMeans"),
    "a new object with arguments": (b"\x80\x04" + KMEANS + b"K\x05\x85\x81.", "calls a KMeans"),
    "NEWOBJ_EX": (b"\x80\x04" + KMEANS + b")}\x92.", "calls"),
    "an extension": (b"\x80\x02\x82\x01.", "calls"),
    "a persistent name": (b"Pname\n.", "damaged, or no pickle"),
    "a buffer from outside": (b"\x80\x05\x97.", "damaged, or no pickle"),
    "a class changed": (KMEANS + b"(dS'predict'\nI1\nsb.", "changes a"),
    "a number changed": (b"I1\n}b.", "changes a int"),
    "a function of ours changed": (b"cnumpy\ndtype\n}b.", "changes a function"),
    "a dtype with fields": (
        b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nN(S'a'\nt(dI8\nI8\nI0\ntb.",
        "other than numbers",
    ),
    "a dtype of objects": (b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.", "not a scikit-learn model"),
    "an array that its bytes do not fill": (
        b"cnumpy._core.numeric\n_frombuffer\n(C\x08"
        + bytes(8)
        + b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I1000000\nI1000000\ntS'C'\ntR.",
        "damaged",
    ),
    "room for 2 GB claimed": (b"\x80\x05\x96" + struct.pack("<Q", 2 << 30) + b"x.", "damaged"),
    "bytes of 8 EB claimed": (b"\x80\x04\x8e" + struct.pack("<Q", 8 << 60) + b"x.", "damaged"),
    "a frame of 8 EB": (b"\x80\x04\x95" + struct.pack("<Q", 8 << 59) + b"x.", "damaged"),
    "a place far away": (b"\x80\x04Nr\xff\xff\xff\xff.", "holds a NoneType"),
    "a number of a million digits": (b"I" + b"9" * 1_000_000 + b"\n.", "damaged"),
    "lists within lists": (b"(" * 20_000 + b"l" * 20_000 + b".", "holds a list"),
    "a key that takes for ever": (
        b"\x80\x04)\x94"
        + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94" for i in range(60))
        + b"0}h\x3cNs.",
        "takes longer to open than any model|damaged",
    ),
    "a state that is no dict": (b"\x80\x04" + KMEANS + b")\x81K\x01b.", "no plain things"),
    "a state with a number for a name": (
        b"\x80\x04" + KMEANS + b")\x81}K\x01K\x01sb.",
        "no plain things",
    ),
    "a dunder": (
        b"\x80\x04" + KMEANS + b")\x81}\x8c\x13__array_interface__}sb.",
        "sets '__array_interface__' of a KMeans",
    ),
    "a class of its own": (
        b"\x80\x04" + KMEANS + b")\x81}\x8c\x09__class__" + KMEANS + b"sb.",
        "sets '__class__'",
    ),
    "text that a terminal obeys": (
        b"c\x1b]0;gone\x07\x1b[2J\nsystem\n.",
        r"asks for \\x1b\]0;gone\\x07\\x1b\[2J\.system",
    ),
    "a name without an end": (b"c" + b"m" * 100_000 + b"\nf\n.", "asks for m{60}"),
    "nothing at its end": (b"\x80\x04N", "damaged"),
    "more after its end": (b"N.N.", "goes on after"),
    "nothing": (b"N.", "holds a NoneType"),
    "text": (b"Vhello\n.", "holds a str"),
}


def centroids(value: Any) -> Edit:  # noqa: ANN401 - whatever
    """Set the centroids."""
    return lambda model: setattr(model[-1], "cluster_centers_", value)


def on_last(name: str, value: Any) -> Edit:  # noqa: ANN401 - whatever
    """Set an attribute of the last step."""
    return lambda model: setattr(model[-1], name, value)


def on_first(name: str, value: Any) -> Edit:  # noqa: ANN401 - whatever
    """Set an attribute of the first step."""
    return lambda model: setattr(model[0], name, value)


def steps(value: Any) -> Edit:  # noqa: ANN401 - whatever
    """Set the steps."""
    return lambda model: setattr(model, "steps", value)


def objects(*things: object) -> NDArray[np.object_]:
    """Return an array of objects."""
    array = np.empty(len(things), dtype=object)
    array[:] = things
    return array


def interfaced() -> Normalizer:
    """Return what numpy would take for an array at any address."""
    estimator = Normalizer()
    vars(estimator)["__array_interface__"] = {
        "data": (0xDEAD0000, False),
        "shape": (1 << 20,),
        "typestr": "<f8",
        "version": 3,
    }
    return estimator


def nested(depth: int, within: Edit) -> Edit:
    """Edit a pipeline that stands in others."""

    def edit(model: Pipeline) -> None:
        within(model)
        for _ in range(depth):
            model.steps = [("within", Pipeline(model.steps))]

    return edit


def itself(model: Pipeline) -> None:
    """Have a pipeline be a step of its own."""
    model.steps = [("itself", model), *model.steps]


def two_sets_of_names(model: Pipeline) -> None:
    """Have two steps name their columns in two ways."""
    for step, names in zip(model, ("abcde", "bacde"), strict=True):
        step.feature_names_in_ = objects(*names)


def twenty_more(model: Pipeline) -> None:
    """Put twenty steps before the others."""
    model.steps = [*[(str(i), Normalizer()) for i in range(20)], *model.steps]


RAISED = np.eye(5)
FAR = np.full((5, 5), 1e300)
NO_NUMBER = np.full((5, 5), np.nan)

#: Edits of a fitted pipeline that is honest otherwise.
ATTRIBUTES: dict[str, tuple[Edit, str]] = {
    "memory read as an attribute": (on_last("labels_", interfaced()), "sets '__array_interface__'"),
    "memory read as centroids": (centroids(interfaced()), "sets '__array_interface__'"),
    "an estimator for centroids": (centroids(Normalizer()), "'cluster_centers_', a Normalizer"),
    "a list for centroids": (centroids([[1.0]]), "'cluster_centers_', a list"),
    "text for centroids": (centroids("x"), r"centroids are \(\), not 5"),
    "one number for centroids": (centroids(1.0), r"centroids are \(\), not 5"),
    "three dimensions": (centroids(np.ones((5, 5, 1))), "'cluster_centers_', a ndarray"),
    "six profiles": (centroids(np.ones((6, 5))), r"centroids are \(6, 5\)"),
    "four amounts": (centroids(np.ones((5, 4))), r"centroids are \(5, 4\)"),
    "no profile": (centroids(np.ones((0, 5))), "'cluster_centers_', a ndarray"),
    "no finite centroids": (centroids(NO_NUMBER), "no finite numbers"),
    "centroids too large": (centroids(FAR), "too large for amounts"),
    "no finite centroids, nested": (nested(2, centroids(NO_NUMBER)), "no finite numbers"),
    "centroids of text": (centroids(np.full((5, 5), "x")), "other than numbers"),
    "centroids of objects": (centroids(objects(1, 2)), "other than numbers"),
    "centroids of dates": (centroids(np.ones((5, 5), "M8[s]")), "other than numbers"),
    "centroids of another machine": (centroids(RAISED.astype(">f8")), "other than numbers"),
    "complex centroids": (centroids(RAISED.astype(complex)), "other than numbers"),
    "a label that takes memory": (on_last("labels_", np.array([20_000_000])), "label 20000000"),
    "a label below": (on_last("labels_", np.array([-1])), "the label -1, outside"),
    "a method": (on_last("predict", np.zeros(3)), "attribute 'predict', a ndarray"),
    "a method that is text": (on_first("transform", "x"), "attribute 'transform', a str"),
    "a method that is an estimator": (on_last("predict", Normalizer()), "attribute 'predict'"),
    "a name with escape codes": (on_last("\x1b[31mred", 1), r"attribute '\\x1b\[31mred', a int"),
    "a name of an attribute without an end": (on_last("n" * 50_000, 1), "attribute 'n{60}'"),
    "a note": (on_last("author", "Ana"), "attribute 'author', a str, that no fit"),
    "a parameter that is a dict": (on_last("init", {"a": 1}), "'init', a dict"),
    "a parameter without an end": (on_last("algorithm", "x" * 201), "'algorithm', a str"),
    "a number without an end": (on_last("random_state", 10**40), "'random_state', a int"),
    "a list without an end": (on_last("tol", [1] * 1001), "'tol', a list"),
    "lists in a list": (on_last("tol", [[1]]), "'tol', a list"),
    "an estimator as a parameter": (on_last("random_state", KMeans()), "'random_state', a KMeans"),
    "no features": (on_first("n_features_in_", None), "never fitted"),
    "a text of features": (on_first("n_features_in_", "5"), "wants 5 features, not the five"),
    "a million features": (on_first("n_features_in_", 1_000_000), "wants 1000000 features"),
    "names that are numbers": (on_first("feature_names_in_", objects(*range(5))), "than numbers"),
    "names that are estimators": (on_first("feature_names_in_", objects(KMeans())), "than numbers"),
    "names without an end": (on_first("feature_names_in_", objects(*"x" * 65)), "than numbers"),
    "a name that is too long": (on_first("feature_names_in_", objects("x" * 201)), "than numbers"),
    "names nobody knows": (on_first("feature_names_in_", objects(*"abcde")), "columns a, b, c, d"),
    "three names": (on_first("feature_names_in_", objects(*"abc")), "names 3 columns of a model"),
    "names a terminal obeys": (
        on_first("feature_names_in_", objects("\x1b[2J", *"bcde")),
        r"columns \\x1b\[2J, b",
    ),
    "two sets of names": (two_sets_of_names, "names its columns twice"),
    "no list of steps": (steps((1, 2)), "steps are no list"),
    "a step without an estimator": (steps([("a", 5)]), "a int for a step"),
    "a step of three": (steps([("a", KMeans(), 1)]), "no name with an estimator"),
    "a step that is a word": (steps([("a", "x")]), "a str for a step"),
    "a step of another kind": (steps([("a", DecisionTreeClassifier())]), "is on no list of ours"),
    "no step": (steps([]), "without k-means at its end"),
    "only a word": (steps([("a", "passthrough")]), "without k-means at its end"),
    "a scaler alone": (steps([("a", Normalizer())]), "without k-means at its end|never fitted"),
    "steps too deep": (nested(5, lambda _: None), "more steps within steps .* into one Pipeline"),
    "too many steps": (twenty_more, "more steps within steps .* into one Pipeline"),
    "a pipeline in itself": (itself, "more steps within steps .* into one Pipeline"),
}


def other_models(clients: NDArray[np.float64]) -> dict[str, tuple[object, str]]:
    """Return models that scikit-learn saved, and that are none of ours."""
    gone = make_pipeline(StandardScaler(), KMeans(5, n_init=1, random_state=0)).fit(clients)
    gone[0].scale_ = np.full(5, np.nan)
    nowhere = make_pipeline(StandardScaler(), KMeans(5, n_init=1, random_state=0)).fit(clients)
    nowhere[0].scale_ = np.zeros(5)
    short = make_pipeline(StandardScaler(), KMeans(5, n_init=1, random_state=0)).fit(clients)
    short[0].mean_ = np.ones(4)
    sixth = GaussianMixture(6, random_state=0).fit(clients)
    spoilt = GaussianMixture(5, random_state=0).fit(clients)
    spoilt.precisions_cholesky_ = np.ones((2, 2))
    fitted = KMeans(5, n_init=1, random_state=0).fit(clients)
    return {
        "a scale that is no number": (gone, "fails when it predicts .*: fit it anew"),
        "a scale of nothing": (nowhere, "fails when it predicts .*: fit it anew"),
        "four means": (short, "fails when it predicts .*: fit it anew"),
        "a sixth label": (sixth, "answers the label 5, outside 0 to 4"),
        "a mixture that does not fit": (spoilt, "fails when it predicts .*: fit it anew"),
        "never fitted": (KMeans(5), "never fitted"),
        "three profiles": (KMeans(3, n_init=1).fit(clients), r"centroids are \(3, 5\)"),
        "four amounts of clients": (KMeans(5, n_init=1).fit(clients[:, :4]), "wants 4 features"),
        "another kind of model": (DecisionTreeClassifier(), "is on no list of ours"),
        "a random state": (KMeans(5, random_state=np.random.RandomState(1)), "random state"),
        "an array": (clients, "holds a ndarray, not a scikit-learn model"),
        "a dict without a model": ({"model": None}, "holds a dict"),
        "two models": ({"scaler": MinMaxScaler(), "model": fitted}, "2 estimators side by side"),
        "features that are no list": ({"m": fitted, "features": 5}, "make it a list of text"),
        "features of five letters": ({"m": fitted, "features": list("abcde")}, "columns a, b, c"),
        "a list in a list": ([[fitted]], "holds a list"),
    }


def zipped(*names: str) -> bytes:
    """Return a zip with empty files of these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return file.getvalue()


def tarred() -> bytes:
    """Return a tar with a model's file in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pkl"))
    return file.getvalue()


def arrays() -> bytes:
    """Return what numpy.save writes."""
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


#: Files that are no pickles.
KINDS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty: save the model again"),
    "a git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "HTML": (b"\n<!DOCTYPE html><html>", "web page: download the file itself"),
    "ONNX": (b"\x08\x09\x12\x08skl2onnx", "an ONNX model: load it where"),
    "skops": (zipped("schema.json", "1.npy"), "skops.io.load and save it with joblib.dump"),
    "MLflow": (zipped("MLmodel", "model.pkl"), "import the model.pkl inside"),
    "PyTorch": (zipped("archive/data.pkl"), "a PyTorch file"),
    "Keras": (zipped("metadata.json", "config.json"), "a Keras file"),
    "a spreadsheet": (zipped("[Content_Types].xml"), "spreadsheet"),
    "arrays": (zipped("a.npy"), "numpy arrays"),
    "an array of numpy's": (arrays(), "a numpy array"),
    "a zip": (zipped("model.pkl"), "a zip archive: unpack it"),
    "a tar": (tarred(), "a tar archive: unpack it"),
    "bz2": (b"BZh91AY&SY", "bunzip2"),
    "xz": (lzma.compress(b"x"), "unxz"),
    "lzma": (lzma.compress(b"x", lzma.FORMAT_ALONE), "unlzma"),
    "lz4": (b"\x04\x22\x4d\x18x", "unlz4"),
    "zstd": (b"\x28\xb5\x2f\xfdx", "unzstd"),
    "Parquet": (b"PAR1x", "a Parquet table: data, not a model"),
    "Arrow": (b"ARROW1x", "an Arrow table"),
    "HDF5": (b"\x89HDF\r\n", "an HDF5 file"),
    "PMML": (b'<?xml version="1.0"?><PMML>', "XML, as PMML is"),
    "JSON": (b'{"learner": 1}', "JSON: load it"),
    "LightGBM": (b"tree\nversion=v4\n", "a LightGBM model"),
    "a CSV": (b"CUST_ID,BALANCE,PURCHASES,PAYMENTS,CREDIT_LIMIT\n", "a table of clients"),
    "a program": (b"import joblib\n", "a program: run it"),
    "a picture": (b"\x89PNG\r\n", "a picture"),
    "a database": (b"SQLite format 3\x00", "an SQLite database"),
    "a PDF": (b"%PDF-1.7", "a PDF"),
    "an executable": (b"\x7fELF", "a program"),
}

SIZES: dict[str, tuple[bytes, str]] = {
    "over the limit": (b"\x80\x04" + bytes(1 << 20), "over 1,048,576 bytes"),
    "a zlib bomb": (
        zlib.compress(bytes(64 << 20)),
        "unpacks to over 1,048,576 bytes, .*: drop `labels_`",
    ),
    "a gzip bomb": (
        gzip.compress(bytes(64 << 20)),
        "unpacks to over 1,048,576 bytes, .*: drop `labels_`",
    ),
    "a program in a gzip": (gzip.compress(b"import os\n"), "a program: run it"),
    "nothing in a gzip": (gzip.compress(b""), "empty: save the model again"),
    "half a gzip": (gzip.compress(b"x" * 1000)[:20], "damaged"),
    "zlib without content": (b"\x78\x9cnonsense", "compressed, but damaged: copy it again"),
}


def hostile(fitted: Pipeline, clients: NDArray[np.float64]) -> dict[str, tuple[bytes, str]]:
    """Return every file by name, with what its refusal says."""
    edited = {}
    for name, (edit, says) in ATTRIBUTES.items():
        model = copy.deepcopy(fitted)
        edit(model)
        edited[name] = (pickle.dumps(model), says)
    others = {name: (saved(model), says) for name, (model, says) in other_models(clients).items()}
    names = {name: (called(name), f"asks for {name[:100]}") for name in NAMES}
    return names | OPCODES | edited | others | KINDS | SIZES
