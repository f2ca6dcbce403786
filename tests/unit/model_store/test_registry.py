"""Versions by content, published one at a time, loaded only as they were imported."""

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from model_store import publications, registry, version
from model_store.errors import (
    CorruptModel,
    InvalidTag,
    ModelNotFound,
    NoClosedForm,
    NotAModel,
    PickleRefused,
    StoreUnusable,
)
from model_store.features import FEATURES
from model_store.pickles import inspection
from model_store.pickles.pickle_file import sha256_of

UNKNOWN = f"{registry.NAME}:0123456789ab"


def brought_in(estimator: object, path: Path) -> str:
    joblib.dump(estimator, path)
    return registry.import_pickle(path, inspection.describe, FEATURES)[0]


def never(content: bytes, **_: object) -> dict[str, Any]:
    pytest.fail(f"{len(content)} bytes were inspected again")


def test_the_version_is_made_of_the_content() -> None:
    assert registry.version_of(b"one") == registry.version_of(b"one") != registry.version_of(b"two")
    assert registry.version_of(b"") == "e3b0c44298fc"


def test_importing_twice_is_the_same_model(imported: str, model_file: Path) -> None:
    assert registry.import_pickle(model_file, never) == (imported, False)
    assert registry.list_versions() == [imported]


def test_a_bento_brings_its_model_and_needs_no_store(
    imported: str, models_home: Path, tmp_path: Path
) -> None:
    bento = tmp_path / "bento"
    shutil.copytree(Path(registry.__file__).parent, bento / "src/model_store")
    shutil.copytree(models_home, bento / "models" / registry.NAME)
    (bento / "bento.yaml").touch()
    load = f"from model_store import registry; print(registry.load({imported!r}).tag)"

    done = subprocess.run(
        [sys.executable, "-c", load],
        cwd=bento / "src",
        env={**os.environ, "BENTOML_HOME": str(tmp_path / "none"), "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (f"{imported}\n", "")


def test_a_copy_that_a_full_disk_ends_is_told_in_one_sentence() -> None:
    """Copying tells of several files at once, and has no words of its own for why."""
    full = "[Errno 28] No space left on device: 'model.pkl'"
    broken_off = shutil.Error([("model.pkl", "there/model.pkl", full)])

    with (
        pytest.raises(StoreUnusable, match=r" is not usable: No space left on device\.$"),
        registry.usable_store(),
    ):
        raise broken_off


def test_an_empty_note_of_the_latest_version_is_written_again(
    models_home: Path, model_file: Path
) -> None:
    models_home.mkdir()
    (models_home / "latest").touch()

    tag, created = registry.import_pickle(model_file, inspection.describe, FEATURES)

    assert created
    assert (models_home / "latest").read_text() == tag.partition(":")[2]


@pytest.mark.parametrize("name", [registry.YAML_NAME, version.NUMBERS_NAME, version.GOLDEN_NAME])
def test_a_version_that_was_damaged_is_imported_again(
    name: str, imported: str, model_file: Path, models_home: Path
) -> None:
    damaged = models_home / imported.partition(":")[2] / name
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b"1", b"2"))

    again = registry.import_pickle(model_file, inspection.describe, FEATURES)

    assert again == (imported, True)
    assert registry.load(imported).tag == imported


def test_what_was_imported_is_loaded(
    imported: str, fitted: Pipeline, clients: NDArray[np.float64], pickled: bytes
) -> None:
    stored = registry.load(imported)

    assert stored.open_estimator().predict(clients).tolist() == fitted.predict(clients).tolist()
    assert stored.centroids is not None
    assert stored.centroids.tolist() == fitted[-1].cluster_centers_.tolist()
    assert stored.sha256.startswith(registry.version_of(pickled))
    assert stored.metadata["cluster_sizes"] == [60, 30, 40, 90, 50]
    assert len(stored.golden.labels) == 60


def test_a_model_without_numbers_is_imported_and_that_is_said(
    models_home: Path,
    tmp_path: Path,
    clients: NDArray[np.float64],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mixture = GaussianMixture(5, random_state=0).fit(clients)
    with caplog.at_level(logging.INFO):
        tag = brought_in(mixture, tmp_path / "m.pkl")

    stored = registry.load(tag)

    assert models_home.is_dir()
    assert stored.numbers is None
    assert stored.open_estimator().predict(clients).tolist() == mixture.predict(clients).tolist()
    with pytest.raises(NoClosedForm, match=r"tried with CREDIT_CARD_MODEL_TAG=.*not published"):
        stored.predict(clients)
    assert "no closed form is known of this model" in caplog.text
    assert "cannot keep the process" not in caplog.text


def test_a_machine_that_cannot_confine_a_file_says_so_in_one_line(
    model_file: Path, models_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def elsewhere(content: bytes, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as describe
        return inspection.describe(content, **options) | {"unconfined": ["memory", "the network"]}

    tag, _ = registry.import_pickle(model_file, elsewhere, FEATURES)

    (line,) = [message for message in caplog.messages if "cannot keep" in message]
    assert "from memory, the network: import only files of people whom you trust" in line
    assert "\n" not in line
    assert "unconfined" not in registry.load(tag).metadata
    assert models_home.is_dir()


def test_another_order_of_columns_is_no_version_that_is_there(
    imported: str, model_file: Path
) -> None:
    assert registry.import_pickle(model_file, never, FEATURES) == (imported, False)

    with pytest.raises(PickleRefused, match="is already there with the columns balance,purchases"):
        registry.import_pickle(model_file, never, FEATURES[::-1])


def test_a_refused_file_leaves_nothing_behind(models_home: Path, tmp_path: Path) -> None:
    joblib.dump(StandardScaler().fit(np.ones((3, 5))), tmp_path / "m.pkl")

    with pytest.raises(NotAModel):
        registry.import_pickle(tmp_path / "m.pkl", inspection.describe)
    with pytest.raises(PickleRefused):
        registry.import_pickle(tmp_path / "nowhere.pkl")

    assert not models_home.exists()
    assert registry.list_versions() == []


def test_two_imports_at_once_both_succeed_and_one_creates(
    models_home: Path, model_file: Path, pickled: bytes
) -> None:
    description = inspection.describe(pickled, FEATURES)
    both_are_inspecting = threading.Barrier(2)

    def inspect(_content: bytes, **_: object) -> dict[str, Any]:
        both_are_inspecting.wait(timeout=30)
        return dict(description)

    with ThreadPoolExecutor(2) as pool:
        imports = [pool.submit(registry.import_pickle, model_file, inspect) for _ in range(2)]
        answers = [done.result(timeout=60) for done in imports]

    assert sorted(created for _, created in answers) == [False, True]
    assert len({tag for tag, _ in answers}) == 1
    assert [path.name for path in models_home.glob("*/")] == [answers[0][0].partition(":")[2]]


@pytest.mark.parametrize("lost", ["model.yaml", version.PICKLE_NAME, version.GOLDEN_NAME])
def test_an_import_that_was_killed_half_way_is_made_again(
    imported: str, model_file: Path, models_home: Path, lost: str
) -> None:
    (models_home / imported.partition(":")[2] / lost).unlink()

    assert registry.list_versions() == []
    assert registry.import_pickle(model_file, inspection.describe, FEATURES) == (imported, True)
    assert registry.load(imported).tag == imported


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        (version.PICKLE_NAME, truncate, "sha256 is"),
        (version.PICKLE_NAME, Path.unlink, "No such file"),
        (version.GOLDEN_NAME, truncate, "golden clients or metadata cannot be read"),
        (version.GOLDEN_NAME, Path.unlink, "No such file"),
        (version.NUMBERS_NAME, truncate, "golden clients or metadata cannot be read"),
        (version.NUMBERS_NAME, Path.unlink, "No such file"),
        ("model.yaml", truncate, "model.yaml cannot be read"),
        ("model.yaml", Path.unlink, "model.yaml cannot be read"),
    ],
)
def test_a_spoilt_version_is_named_with_what_to_run(
    imported: str, models_home: Path, name: str, spoil: Callable[[Path], None], reason: str
) -> None:
    folder = models_home / imported.partition(":")[2]
    if name == "model.yaml" and spoil is truncate:
        (folder / name).write_text("name: [")
    else:
        spoil(folder / name)

    with pytest.raises(CorruptModel, match=reason) as refusal:
        registry.load(imported)
    assert "python -m model_store import" in str(refusal.value)


def edited(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (version.NUMBERS_NAME, "0.", "1."),
        (version.NUMBERS_NAME, '["l2"]', "[]"),
        (version.GOLDEN_NAME, "[", "[ "),
        ("model.yaml", "- 60", "- 61"),
        ("model.yaml", "estimator: Normalizer", "estimator: Another"),
    ],
)
def test_what_was_edited_in_the_store_is_not_loaded(
    imported: str, models_home: Path, name: str, old: str, new: str
) -> None:
    edited(models_home / imported.partition(":")[2] / name, old, new)

    with pytest.raises(CorruptModel, match="are not as imported"):
        registry.load(imported)


def test_what_opened_a_version_is_no_part_of_its_digest(imported: str, models_home: Path) -> None:
    digest = registry.load(imported).digest
    edited(models_home / imported.partition(":")[2] / "model.yaml", "python: ", "python: 4")

    assert registry.load(imported).digest == digest


def imported_by_the_last_release(folder: Path) -> None:
    """Leave of a version what the release before this one wrote."""
    (folder / version.NUMBERS_NAME).unlink()
    recorded = (folder / "model.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in recorded if not line.startswith("  digest:")]
    assert len(kept) == len(recorded) - 1
    (folder / "model.yaml").write_text("\n".join(kept), encoding="utf-8")


def test_a_version_of_the_last_release_is_loaded_and_made_again_by_its_next_import(
    imported: str, models_home: Path, model_file: Path, clients: NDArray[np.float64]
) -> None:
    new = registry.load(imported)
    imported_by_the_last_release(models_home / imported.partition(":")[2])

    old = registry.load(imported)

    assert registry.list_versions() == [imported]
    assert (new.is_sealed, old.is_sealed) == (True, False)
    assert old.digest == new.digest
    assert old.predict(clients).tolist() == new.predict(clients).tolist()
    assert registry.import_pickle(model_file, inspection.describe, FEATURES) == (imported, True)
    assert registry.load(imported).is_sealed


def test_another_file_with_the_same_twelve_digits_is_not_taken_for_it(
    models_home: Path, tmp_path: Path, pickled: bytes
) -> None:
    """Two names of sha256 that begin alike, found among 40 million in a minute."""
    description = inspection.describe(pickled, FEATURES)
    alike = [tmp_path / "one.pkl", tmp_path / "other.pkl"]
    for path, number in zip(alike, (26_495_325, 28_001_315), strict=True):
        path.write_text(f"model {number}", encoding="utf-8")

    told = description | {"sha256": sha256_of(alike[0].read_bytes())}

    tag, _ = registry.import_pickle(alike[0], lambda *_, **__: told)

    assert tag == f"{registry.NAME}:59a058446a23"
    with pytest.raises(PickleRefused, match=f"already there as {tag}"):
        registry.import_pickle(alike[1], never)
    assert models_home.is_dir()


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)),
        "labels: &here [*here]\n",
        "#" * ((1 << 20) + 1),
    ],
    ids=["a billion values", "a list in itself", "a megabyte"],
)
def test_metadata_that_would_take_for_ever_is_not_read(
    imported: str, models_home: Path, text: str
) -> None:
    file = models_home / imported.partition(":")[2] / "model.yaml"
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")

    with pytest.raises(CorruptModel, match="is none of ours"):
        registry.load(imported)


@pytest.mark.parametrize(
    "name", ["model.yaml", version.PICKLE_NAME, version.GOLDEN_NAME, version.NUMBERS_NAME]
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    imported: str, models_home: Path, name: str
) -> None:
    file = models_home / imported.partition(":")[2] / name
    file.unlink()
    os.mkfifo(file)

    with pytest.raises(CorruptModel, match="is a pipe, not a file"):
        registry.load(imported)
    assert registry.list_versions() == ([imported] if name == version.NUMBERS_NAME else [])


def test_another_versions_file_under_this_tag_is_not_loaded(
    imported: str, models_home: Path
) -> None:
    shutil.copytree(
        models_home / imported.partition(":")[2], models_home / UNKNOWN.partition(":")[2]
    )

    with pytest.raises(CorruptModel):
        registry.load(UNKNOWN)


def test_an_unknown_version_is_named_with_what_to_run(imported: str) -> None:
    with pytest.raises(ModelNotFound, match="run `python -m model_store import`"):
        registry.load(UNKNOWN)
    assert imported != UNKNOWN


@pytest.mark.parametrize(
    "tag", ["", "latest", registry.NAME, f"{registry.NAME}:latest", "other:0123456789ab", "a:b:c"]
)
def test_a_tag_without_an_explicit_version_is_refused(
    tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidTag):
        registry.load(tag)
    monkeypatch.setenv(version.TAG_VARIABLE, tag or "latest")
    with pytest.raises(InvalidTag):
        publications.choose()


def test_an_import_that_is_there_already_loads_neither_bentoml_nor_scikit_learn(
    imported: str, models_home: Path, model_file: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from model_store import registry;"
        "print(registry.import_pickle(Path(sys.argv[1])));"
        "print([name for name in ('sklearn', 'joblib', 'bentoml') if name in sys.modules])"
    )

    finished = subprocess.run(
        [sys.executable, "-c", program, str(model_file)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"BENTOML_HOME": str(models_home.parent.parent)},
        cwd=Path(registry.__file__).parent.parent,
    )

    assert finished.stdout.splitlines() == [str((imported, False)), "[]"]
