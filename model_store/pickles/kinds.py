"""Recognises files that are no pickle by how they begin, and says what to do with each.

Nothing is parsed: the first bytes, and words that stand in the file. A leaf: standard library only.
"""

import os
from itertools import islice
from pathlib import Path
from typing import Final

REFIT: Final = "or train anew: python -m model_store train --data CSV --output FILE"
_SAVE: Final = (
    f"load it where it was made and save the scikit-learn model with joblib.dump, {REFIT}"
)
_UNPACK: Final = "unpack it, and import the .pkl or .joblib inside"
_DOWNLOAD: Final = "download the file itself, not the page about it"

#: How a file begins, what it then is, and what to do.
_BEGINNINGS: Final = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file", "run `git lfs pull`"),
    (b"BZh", "compressed with bz2", "unpack it with bunzip2, and import what comes out"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it with unxz, and import what comes out"),
    (b"\x5d\x00\x00", "compressed with lzma", "unpack it with unlzma, and import what comes out"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it with unlz4, and import what comes out"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with unzstd, and import the result"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"PAR1", "a Parquet table: data, not a model", f"train on it as CSV, {REFIT}"),
    (b"ARROW1", "an Arrow table: data, not a model", f"train on it as CSV, {REFIT}"),
    (b"\x93NUMPY", "a numpy array, not a model", _SAVE),
    (b"\x89HDF", "an HDF5 file, as Keras writes it", _SAVE),
    (b"SQLite format 3", "an SQLite database", "name the model's file"),
    (b"%PDF", "a PDF", "name the model's file"),
    (b"\x89PNG", "a picture", "name the model's file"),
    (b"\x7fELF", "a program", "name the model's file"),
    (b"GGUF", "a language model", "name the model's file"),
    (b"tree\nversion", "a LightGBM model, not scikit-learn's", _SAVE),
)
#: Words in a zip, in the order they are looked for: others hold more than one of them.
_ZIPPED: Final = (
    (b"MLmodel", "a zipped MLflow model", "unpack it, and import the model.pkl inside"),
    (b"schema.json", "a skops file", "load it with skops.io.load and save it with joblib.dump"),
    (b"data.pkl", "a PyTorch file, not a scikit-learn model", _SAVE),
    (b"metadata.json", "a Keras file, not a scikit-learn model", _SAVE),
    (b"[Content_Types].xml", "a spreadsheet or document", "name the model's file"),
    (b".npy", "a file of numpy arrays, not a model", _SAVE),
)
_ONNX: Final = (b"onnx", b"skl2onnx", b"ai.onnx")
_SEPARATORS: Final = 4  # of a table with five columns
_CALLED: Final = 257  # where a tar file says that it is one


def of(content: bytes) -> str | None:
    """Say what a file is and what to do, without its name, or None where it may be a pickle."""
    if not content:
        return f"empty: save the model again, {REFIT}"
    for beginning, kind, advice in _BEGINNINGS:
        if content.startswith(beginning):
            return f"{kind}: {advice}"
    if content.startswith(b"PK\x03\x04"):
        return _zipped(content)
    if content[_CALLED:].startswith(b"ustar"):
        return f"a tar archive: {_UNPACK}"
    if content[:1] == b"\x08" and any(word in content for word in _ONNX):
        return f"an ONNX model: {_SAVE}"
    return _text(content)


def _zipped(content: bytes) -> str:
    for word, kind, advice in _ZIPPED:
        if word in content:
            return f"{kind}: {advice}"
    return f"a zip archive: {_UNPACK}"


def _text(content: bytes) -> str | None:
    """Recognise text. A pickle of protocol 0 is text too: it begins as none of these does."""
    start = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return f"a web page: {_DOWNLOAD}"
    if start.startswith(b"<"):
        return f"XML, as PMML is: {_SAVE}"
    if start.startswith((b'{"', b"{ ", b"{\n", b"[{", b"{\r")):
        return f"JSON: {_SAVE}"
    line = start.partition(b"\n")[0]
    if (
        line.isascii()
        and b"\x00" not in line
        and line.count(b",") + line.count(b";") >= _SEPARATORS
    ):
        return (
            "a table of clients, not a model: python -m model_store train --data it --output FILE"
        )
    if start.startswith((b"import ", b"from ", b"#!", b"def ")):
        return "a program: run it, and import the model that it saves"
    return None


def in_folder(path: Path) -> str:
    """Say what a folder is and what to name instead, looking at 1,000 names in it at most."""
    try:
        names = sorted(entry.name for entry in islice(os.scandir(path), 1000))
    except OSError:
        names = []
    pickles = [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]
    kind = "an MLflow model's folder" if "MLmodel" in names else "a folder"
    inside = path / (pickles[0] if pickles else "model.pkl")
    return f"{kind}, not a file: name the pickle inside, such as {inside}"
