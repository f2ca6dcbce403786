"""python -m model_store, as the model owner runs it: in a process of its own, on a copy."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import model_store
from model_store import registry
from model_store.__main__ import main
from model_store.features import FEATURES


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the package with nothing published: promoting writes into the package."""
    shutil.copytree(Path(model_store.__file__).parent, tmp_path / "model_store")
    (tmp_path / "model_store" / registry.PRODUCTION_FILE.name).unlink()
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "model_store", *arguments],
        cwd=project,
        env=os.environ | {"BENTOML_HOME": str(project / "bentoml")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_a_csv_to_a_published_version(project: Path, clients: NDArray[np.float64]) -> None:
    with (project / "clients.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[name.upper() for name in FEATURES], *clients.tolist()])

    trained = run(project, "train", "--data", "clients.csv", "--output", "m.pkl", "--report", ".")
    imported = run(project, "import", "m.pkl")
    tag = imported.stdout.split()[0]
    promoted = run(project, "promote", tag)
    listed = run(project, "list")

    for finished in (trained, imported, promoted, listed):
        assert (finished.returncode, finished.stderr) == (0, "")
    assert "reading clients.csv" in trained.stdout
    assert (project / "model-report.svg").stat().st_size > 1000
    assert imported.stdout == f"{tag} imported\n"
    assert listed.stdout == f"{tag}  published\n"


def test_a_version_is_shown_as_json(imported: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", imported]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["tag"] == imported
    assert shown["cluster_sizes"] == [60, 30, 40, 90, 50]
    assert shown["golden_clients"] == 60


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["train", "--data", "nowhere.csv", "--output", "m.pkl"], "Cannot read nowhere.csv"),
        (["import", "nowhere.pkl"], "Cannot read nowhere.pkl: No such file"),
        (["show"], "The store has no"),
        (["show", "latest"], "'latest' is no explicit version"),
        (["promote", "credit_card_clusters:latest"], "is no explicit version"),
        (["promote", "credit_card_clusters:0123456789ab"], "The store has no"),
        (["rollback"], "No version was published before"),
    ],
)
def test_a_refusal_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    reason: str,
    models_home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:

    assert main(arguments) == 2

    stderr = capsys.readouterr().err
    assert reason in stderr
    assert stderr.count("\n") == 1
    assert not models_home.exists()


def test_a_hostile_file_is_refused_and_runs_nothing(project: Path) -> None:
    (project / "hostile.pkl").write_bytes(b"cos\nsystem\n(S'touch it-ran'\ntR.")

    finished = run(project, "import", "hostile.pkl")

    assert finished.returncode == 2
    assert finished.stderr == "The file asks for os.system, which no model of ours needs.\n"
    assert not list(project.rglob("it-ran"))
    assert not (project / "bentoml").exists()
