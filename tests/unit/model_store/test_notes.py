"""What a training leaves beside its pickle is believed of that pickle alone."""

import json
import logging
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from model_store import golden, notes, registry, training
from model_store.errors import GoldenMismatch, NotAModel, PickleRefused
from model_store.features import FEATURES
from model_store.pickles import inspection
from model_store.pickles.opened import OpenedModel

ABOUT: dict[str, Any] = {"data": {"sha256": "ab" * 32, "clients": "270"}}


@pytest.fixture
def trained(tmp_path: Path, fitted: Pipeline, clients: NDArray[np.float64]) -> Path:
    path = tmp_path / "new.pkl"
    training.save(training.TrainedModel(fitted, clients, ABOUT["data"]), path)
    return path


def test_a_trained_model_is_imported_without_a_question(trained: Path, models_home: Path) -> None:
    tag, created = registry.import_pickle(trained, inspection.describe)

    told = registry.load(tag).metadata
    assert created
    assert models_home.is_dir()
    assert told["columns"] == [*FEATURES]
    assert told["columns_from"] == "the training"
    assert told["origin"] == "new.pkl"
    assert told["data"] == ABOUT["data"]
    assert told["trained_by"]["scikit-learn"] == "1.9.1"
    assert sum(told["reference"]["profile"]["counts"]) == 270


def test_the_file_name_is_no_part_of_the_digest(trained: Path, models_home: Path) -> None:
    tag, _ = registry.import_pickle(trained, inspection.describe)
    digest = registry.load(tag).digest
    for path in (trained, trained.with_suffix(notes.SUFFIX)):
        path.rename(path.with_name(path.name.replace("new", "other")))
    (models_home / tag.partition(":")[2] / "numbers.json").unlink()

    registry.import_pickle(trained.with_name("other.pkl"), inspection.describe)

    assert registry.load(tag).metadata["origin"] == "other.pkl"
    assert registry.load(tag).digest == digest


def test_the_training_versions_answers_are_the_golden_clients(
    trained: Path, models_home: Path, fitted: Pipeline
) -> None:
    answers = json.loads(trained.with_suffix(notes.SUFFIX).read_text())["answers"]
    tag, _ = registry.import_pickle(trained, inspection.describe)
    assert registry.load(tag).golden.to_json() == answers == golden.make(fitted).to_json()

    others = json.loads(answers)
    others["clients"][0][-1] = 4 - others["clients"][0][-1]
    notes.write(trained, notes.TrainingNotes(FEATURES, json.dumps(others)))
    (models_home / tag.partition(":")[2] / "numbers.json").unlink()
    with pytest.raises(GoldenMismatch, match="came out as 0, recorded as 4"):
        registry.import_pickle(trained, inspection.describe)


def test_notes_on_another_file_are_none(trained: Path, models_home: Path, fitted: Pipeline) -> None:
    joblib.dump(fitted, trained, compress=1)

    with pytest.raises(NotAModel, match="does not say in which order"):
        registry.import_pickle(trained, inspection.describe)
    assert not models_home.exists()


def test_columns_that_contradict_the_notes_are_refused(trained: Path, models_home: Path) -> None:
    with pytest.raises(PickleRefused, match="leave out --columns"):
        registry.import_pickle(trained, inspection.describe, FEATURES[::-1])
    assert not models_home.exists()


def test_notes_cannot_say_what_the_numbers_of_a_pickle_are(
    trained: Path, models_home: Path, fitted: Pipeline
) -> None:
    """They would be served in its name: a centroid that is another one, and answers to match."""
    planted = inspection.numbers_of(OpenedModel(fitted))
    assert planted
    planted.centroids[4, 0] += 0.02
    about = {"numbers": planted.as_json(), "golden": golden.make(planted).to_json()}
    notes.write(trained, notes.TrainingNotes(FEATURES, None, about))

    with pytest.raises(PickleRefused, match="not as the training wrote it"):
        registry.import_pickle(trained, inspection.describe)
    assert not models_home.exists()


@pytest.mark.parametrize("name", ["origin", "estimator", "sha256", "columns_from", "features"])
def test_notes_cannot_say_what_a_pickle_says_by_itself(
    trained: Path, models_home: Path, name: str
) -> None:
    told = [*FEATURES] if name == "features" else "ab"
    notes.write(trained, notes.TrainingNotes(FEATURES, None, {name: told}))

    with pytest.raises(PickleRefused, match="not as the training wrote it"):
        registry.import_pickle(trained, inspection.describe)
    assert not models_home.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"columns": ["payments"]},
        {"about": []},
        {"answers": "[]"},
        {"about": {"unheard_of": 1}},
        {"about": {"data": {"sha256": "\x1b"}}},
        {"about": {"reference": {}}},
        {"about": {"cluster_sizes": [1, 2], "numbers": None}},
    ],
)
def test_notes_that_no_training_wrote_are_refused(
    trained: Path, models_home: Path, change: dict[str, Any]
) -> None:
    path = trained.with_suffix(notes.SUFFIX)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises((PickleRefused, NotAModel)):
        registry.import_pickle(trained, inspection.describe)
    assert not models_home.exists()


def test_a_large_training_leaves_its_labels_out_of_the_pickle_and_counts_them(
    tmp_path: Path,
    models_home: Path,
    clients: NDArray[np.float64],
    caplog: pytest.LogCaptureFixture,
) -> None:
    many = np.tile(clients, (400, 1))[: training.MOST_LABELS + 1]
    model = training.TrainedModel(training.fit(many), many)

    with caplog.at_level(logging.INFO):
        training.save(model, tmp_path / "m.pkl")
        tag, _ = registry.import_pickle(tmp_path / "m.pkl", inspection.describe)

    assert (tmp_path / "m.pkl").stat().st_size < 5000
    assert registry.load(tag).metadata["cluster_sizes"] == model.sizes
    assert len(model.labels) == len(many)
    assert models_home.is_dir()
    assert "saved by scikit-learn 1.9.1" in caplog.messages
