"""What the last release published goes on with this one, and the way back leads to the last one."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import pytest

from model_store import ledger, registry
from model_store.features import FEATURES
from model_store.pickles.pickle_file import sha256_of
from tests.services import ENVIRONMENT, PROJECT

pytestmark = pytest.mark.release

#: Runs commands in one process: each alone takes longer to start than all it does.
PROGRAM = """
import json, sys
from model_store.__main__ import main

print(json.dumps([main(arguments) for arguments in json.load(sys.stdin)]), file=sys.stderr)
"""
Run = Callable[[Path, Sequence[Sequence[str]]], tuple[list[int], str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs model_store's commands of a release, on one store for both."""

    def run_there(project: Path, asked: Sequence[Sequence[str]]) -> tuple[list[int], str]:
        environment = {"BENTOML_HOME": str(tmp_path / "store"), "BENTOML_DO_NOT_TRACK": "True"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=project,
            env=ENVIRONMENT | environment,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        *said, codes = done.stderr.splitlines()
        return json.loads(codes), "\n".join(said)

    return run_there


def checkout(project: Path, folder: Path) -> Path:
    """Copy a release's half of the model, so that what it publishes is the test's own."""
    shutil.copytree(project / "model_store", folder / "model_store")
    return folder


def production(project: Path) -> Path:
    return project / "model_store" / "production"


def test_what_the_last_release_published_is_published_again_and_taken_back(
    run: Run, release: Path, tmp_path: Path
) -> None:
    """By an owner of a model of their own, who has committed what the last release wrote."""
    before, now = checkout(release, tmp_path / "before"), checkout(PROJECT, tmp_path / "now")
    own = tmp_path / "own.pkl"
    model = joblib.load(registry.DEFAULT_PICKLE)
    model[-1].cluster_centers_ *= 1.0001
    joblib.dump(model, own)
    tag = f"{registry.NAME}:{sha256_of(own.read_bytes())[:12]}"
    shipped = production(now).read_text().split()[0]

    codes, said = run(before, [["import"], ["import", str(own)], ["promote", tag]])
    assert codes == [0, 0, 0], said
    shutil.copy(production(before), production(now))

    columns = ("--columns", ",".join(FEATURES))
    codes, said = run(
        now,
        [
            ["list"],
            ["promote", tag, "--why", "as it was"],
            ["import", str(own), *columns],
            ["promote", tag, "--why", "as it was"],
        ],
    )
    assert codes == [2, 2, 0, 0], said
    assert f"names '{tag}' alone, and no line publishes that: import its file again" in said
    assert f"{tag} was imported by an earlier release" in said
    ledger_now = ledger.Ledger(now / "model_store")
    pin, history = ledger_now.published()
    assert pin
    assert (pin.tag, len(history.entries)) == (tag, 2)
    assert production(now).read_text().split() == [tag, pin.digest, history.head]

    codes, said = run(now, [["rollback", "--why", "it was worse"]])
    assert codes == [0], said
    back, _ = ledger_now.published()
    assert back
    assert back.tag == shipped

    # The release before goes on where it was, on a store that this one has imported into.
    codes, said = run(before, [["list"], ["rollback"], ["promote", tag]])
    assert codes == [0, 0, 0], said
    assert production(before).read_text() == f"{tag}\n"
    shutil.copy(production(now), production(before))
    codes, said = run(before, [["list"]])
    assert codes == [2]
    assert "is no explicit version" in said
