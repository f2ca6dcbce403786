"""python -m model_store, as the model owner runs it; what publishes, on a copy of the package."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import model_store
from model_store.__main__ import main
from model_store.features import FEATURES


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the package with nothing published: promoting writes into the package."""
    shutil.copytree(Path(model_store.__file__).parent, tmp_path / "model_store")
    for published in ("production", "ledger.jsonl"):
        (tmp_path / "model_store" / published).unlink()
    return tmp_path


#: One process for all three: each would start Python, BentoML and scikit-learn again.
FROM_A_CSV_TO_A_PUBLISHED_VERSION = """
import sys
from model_store import registry
from model_store.__main__ import main

sys.exit(
    main(["train", "--data", "clients.csv", "--output", "m.pkl", "--report", "."])
    or main(["import", "m.pkl"])
    or main(["promote", *registry.list_versions(), "--why", "the first", "--by", "ana"])
)
"""


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=os.environ | {"BENTOML_HOME": str(project / "bentoml"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_a_csv_to_a_published_version(project: Path, clients: NDArray[np.float64]) -> None:
    with (project / "clients.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[name.upper() for name in FEATURES], *clients.tolist()])

    done = run(project, "-c", FROM_A_CSV_TO_A_PUBLISHED_VERSION)
    listed = run(project, "-m", "model_store", "list")

    for finished in (done, listed):
        assert (finished.returncode, finished.stderr) == (0, "")
    tag, says = listed.stdout.rstrip().split("  ", 1)
    assert re.fullmatch(r"published since \S+Z by ana: the first", says)
    assert "reading clients.csv" in done.stdout
    assert f"{tag} imported\n{tag} is published" in done.stdout
    assert (project / "model-report.svg").stat().st_size > 1000


def test_a_plot_that_nothing_could_draw_is_refused_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as `make run` installs it

    trained = ["train", "--data", "clients.csv", "--output", str(tmp_path / "m.pkl")]
    assert main([*trained, "--report", str(tmp_path)]) == 2

    told = capsys.readouterr().err
    assert told == "--report needs matplotlib: make .venv/dev.stamp installs it.\n"


def test_a_version_is_shown_as_json(imported: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", imported]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["tag"] == imported
    assert shown["cluster_sizes"] == [60, 30, 40, 90, 50]
    assert shown["golden_clients"] == 60


WHY = ["--why", "as the test says"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["train", "--data", "nowhere.csv", "--output", "m.pkl"], "Cannot read nowhere.csv"),
        (["train", "--data", "c.csv", "--output", __file__], "is there: name another --output"),
        (["train", "--data", "c.csv", "--output", "/no/where.pkl"], "There is no folder /no"),
        (["import", "nowhere.pkl"], "Cannot read nowhere.pkl: No such file"),
        (["show", "latest"], "'latest' is no explicit version"),
        (["promote", "credit_card_clusters:latest", *WHY], "is no explicit version"),
        (["promote", "credit_card_clusters:0123456789ab", *WHY], "The store has no"),
        (["baseline", "credit_card_clusters:0123456789ab", *WHY], "The store has no"),
        (["rollback", *WHY], "No version was published before"),
    ],
)
def test_a_refusal_is_one_sentence_and_exit_code_2(
    arguments: list[str], reason: str, models_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    assert main(arguments) == 2

    stderr = capsys.readouterr().err
    assert reason in stderr
    assert stderr.count("\n") == 1
    assert not models_home.exists()


def test_a_store_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bentoml").write_text("no folder")

    for command in (["import"], ["show"]):
        refused = run_real(tmp_path, *command)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"The model store {tmp_path}/bentoml/models is not usable")
        assert refused.stderr.count("\n") == 1


def run_real(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this project, with a store in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "model_store", *arguments],
        cwd=Path(model_store.__file__).parents[1],
        env=os.environ | {"BENTOML_HOME": str(folder / "bentoml"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_hostile_file_is_refused_and_runs_nothing(
    tmp_path: Path, models_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile, trace = tmp_path / "hostile.pkl", tmp_path / "it-ran"
    hostile.write_bytes(f"cos\nsystem\n(S'touch {trace}'\ntR.".encode())

    assert main(["import", str(hostile)]) == 2

    refusal = "The file asks for os.system, which no model of ours needs; "
    assert capsys.readouterr().err.startswith(refusal)
    assert not trace.exists()
    assert not models_home.exists()
