"""What people save, by scikit-learn 1.2 to 1.9, is imported, and answers as where it was made."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.features import FEATURES
from model_store.golden import GoldenClients
from model_store.numbers import Numbers
from model_store.pickles import safe_pickle
from tests.unit.model_store.pickles.conftest import Opener
from tests.unit.model_store.pickles.make_honest_files import ARCHIVE, rows

with zipfile.ZipFile(ARCHIVE) as _archive:
    FILES = {name: _archive.read(name) for name in _archive.namelist() if name != "labels.json"}
    LABELS: dict[str, list[int]] = json.loads(_archive.read("labels.json"))
#: Files that do not say which column is which.
SILENT = ("l2.joblib", "single.joblib.gz", "nested.pkl")


def columns_of(name: str) -> dict[str, Any]:
    return {"columns": FEATURES} if name.endswith(SILENT) else {}


def asked() -> NDArray[np.float64]:
    return np.asarray(rows(4, 25))


def test_they_are_of_every_version() -> None:
    versions = {name.partition("/")[0] for name in FILES}

    assert len(FILES) == 48
    assert {version[:3] for version in versions} == {f"1.{minor}" for minor in range(2, 10)}


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_honest_file_answers_as_where_it_was_made(name: str, opener: Opener) -> None:
    opened = opener.open(FILES[name], **columns_of(name))

    assert opened.description, opened.refusal
    assert opened.description["trained_by"] == {"scikit-learn": name.partition("/")[0]}
    assert sorted(opened.description["columns"]) == sorted(FEATURES)
    assert opened.seconds < 20
    assert opened.megabytes < 300
    told = opened.description.get("numbers")
    assert (told is None) == name.endswith("mixture.joblib")
    if told is None:
        model: Any = safe_pickle.open_model(FILES[name])
    else:
        model = Numbers.from_json(json.loads(json.dumps(told)))
    assert model.predict(asked()).tolist() == LABELS[name]
    golden = GoldenClients.from_json(opened.description["golden"])
    assert model.predict(golden.rows).tolist() == golden.labels.tolist()


@pytest.mark.parametrize("name", sorted(n for n in FILES if n.endswith(SILENT)))
def test_a_file_that_does_not_say_which_column_is_which_is_asked_about(
    name: str, opener: Opener
) -> None:
    refusal = opener.open(FILES[name]).refusal

    assert "does not say in which order" in refusal
    assert f"--columns {','.join(FEATURES)}" in refusal


def test_columns_in_another_order_are_put_right() -> None:
    turned = [name for name in FILES if name.endswith(("named.pkl", "bundle.joblib.z"))]

    for name in turned:
        names = safe_pickle.open_model(FILES[name]).names
        assert names is not None
        assert [column.lower() for column in names] != [*FEATURES]
    assert len(turned) == 16


def test_columns_that_contradict_the_file_are_refused(opener: Opener) -> None:
    refusal = opener.open(FILES["1.2.2/named.pkl"], columns=FEATURES).refusal

    assert "The file names its columns balance, cash_advance, credit_limit" in refusal
    assert "leave out --columns" in refusal


def test_the_archive_is_small() -> None:
    assert Path(ARCHIVE).stat().st_size < 100_000
