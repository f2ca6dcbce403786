"""No file runs anything, takes much, or is refused in words that do not help."""

import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from model_store import registry
from model_store.errors import PickleRefused
from model_store.features import FEATURES
from model_store.pickles import inspection, safe_pickle
from tests.unit.model_store.pickles import hostile_files
from tests.unit.model_store.pickles.conftest import Opener
from tests.unit.model_store.pickles.make_honest_files import rows

Files = dict[str, tuple[bytes, str]]


@pytest.fixture(scope="session")
def files(fitted: Pipeline, clients: NDArray[np.float64]) -> Files:
    return hostile_files.hostile(fitted, clients)


NAMES = [
    *hostile_files.NAMES,
    *hostile_files.OPCODES,
    *hostile_files.ATTRIBUTES,
    *hostile_files.other_models(rows(1, 40)),
    *hostile_files.KINDS,
    *hostile_files.SIZES,
]


def test_they_are_many_and_each_is_tried(files: Files) -> None:
    assert list(files) == NAMES
    assert len(NAMES) > 170


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_or_odd_file_is_refused_in_words_that_help(
    name: str, files: Files, opener: Opener
) -> None:
    content, says = files[name]

    opened = opener.open(content)
    if "does not say in which order" in opened.refusal:
        opened = opener.open(content, columns=FEATURES)

    assert opened.description is None
    assert re.search(says, opened.refusal), opened.refusal
    assert opened.refusal.isprintable()
    assert len(opened.refusal) <= 300
    assert opened.seconds < 5
    assert opened.megabytes < 300


@pytest.mark.parametrize("name", ["a dunder", "memory read as centroids"])
def test_what_numpy_would_obey_is_refused_before_numpy_sees_it(name: str, files: Files) -> None:
    """In this process, where reading memory at any address would end it."""
    with pytest.raises(PickleRefused, match="__array_interface__"):
        safe_pickle.open_model(files[name][0])


def folder(path: Path) -> None:
    path.mkdir()


def mlflow(path: Path) -> None:
    path.mkdir()
    for name in ("MLmodel", "conda.yaml", "model.pkl"):
        (path / name).touch()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (os.mkfifo, "is a pipe, not a file"),
        (device, "is a device, not a file"),
        (listening, "socket|No such device"),
        (folder, "is a folder, not a file: name the pickle inside, such as .*/it/model.pkl"),
        (
            mlflow,
            "is an MLflow model's folder, not a file: name the pickle inside, such as .*/model",
        ),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path, "No such file"),
    ],
    ids=["pipe", "device", "socket", "folder", "MLflow", "link to itself", "nothing"],
)
def test_what_is_no_file_is_refused_at_once(
    make: Callable[[Path], object],
    says: str,
    tmp_path: Path,
    models_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "it")
    started = time.monotonic()

    with pytest.raises(PickleRefused, match=says):
        registry.import_pickle(tmp_path / "it", inspection.describe)

    assert time.monotonic() - started < 10
    assert not models_home.exists()


@pytest.mark.parametrize("name", list(hostile_files.KINDS))
def test_another_kind_of_file_is_named_without_a_process(
    name: str, tmp_path: Path, models_home: Path
) -> None:
    content, says = hostile_files.KINDS[name]
    (tmp_path / "m.pkl").write_bytes(content)

    with pytest.raises(PickleRefused, match=says) as refusal:
        registry.import_pickle(tmp_path / "m.pkl", lambda *_, **__: pytest.fail("a process"))

    assert str(refusal.value).startswith(f"{tmp_path / 'm.pkl'} is ")
    assert not models_home.exists()
