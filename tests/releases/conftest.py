"""The present code beside the last release: halves of both, and records of the last one.

Whatever runs is a real process on 127.0.0.1. What is expensive is made once a session: the services
of both releases, and for each kind of database one filled record, which tests copy.
"""

import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from evaluation_api.record.schema import HEAD
from tests import tiers
from tests.clients import MARIA
from tests.releases.databases import copied, new_database
from tests.releases.filling import Filled, fill, on
from tests.releases.serving import SECONDS, WAITING, client, command, serving
from tests.services import (
    ENVIRONMENT,
    PROJECT,
    Server,
    evaluation_server,
    eventually,
    model_server,
    worker_server,
)

NOW, BEFORE = "now", "before"


@pytest.fixture(scope="session")
def release() -> Iterator[Path]:
    """Check out the last release, for as long as the session."""
    commit = tiers.last_release()
    assert commit, "a test that asks for the last release must be marked `release`"
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        _unpack(commit, Path(name))
        assert _unmet_requirements(Path(name)) == [], "it needs an environment of its own"
        yield Path(name)


def _unpack(commit: str, folder: Path) -> None:
    """Write a commit's files to a folder; git keeps no note of it, as it would of a worktree."""
    git = ["git", "archive", commit]
    packed = subprocess.run(git, cwd=PROJECT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def _unmet_requirements(project: Path) -> list[str]:
    """Return what a checkout cannot do without, by its *.in, and this environment does not have.

    What its lock files name is not asked for: those differ from release to release.
    """
    needed = [
        Requirement(line)
        for group in ("api", "model")
        for line in (project / f"requirements/{group}.in").read_text().splitlines()
        if re.match(r"\w", line)
    ]
    return [str(one) for one in needed if not one.specifier.contains(version(one.name))]


@pytest.fixture(scope="session")
def store(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the BentoML home that an update leaves on a laptop: both releases have imported."""
    home = tmp_path_factory.mktemp("store")
    environment = {**ENVIRONMENT, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    for project in (release, PROJECT):
        importing = [sys.executable, "-m", "model_store", "import"]
        subprocess.run(importing, cwd=project, env=environment, check=True, timeout=SECONDS)
    return home


@dataclass(frozen=True)
class Halves:
    """Services of both releases. evaluations: by their own release and that of their model service.

    waiting: what each evaluation service had accepted before its model service ever answered.
    """

    models: dict[str, Server]
    evaluations: dict[tuple[str, str], Server]
    waiting: dict[tuple[str, str], str]


@pytest.fixture(scope="session")
def halves(
    release: Path, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Halves]:
    """Start every half of either release before every other, the model services last."""
    projects = {NOW: PROJECT, BEFORE: release}
    tag = (PROJECT / "model_store" / "production").read_text().split()[0]
    models = {
        NOW: model_server(store),
        BEFORE: model_server(store, project=release, CREDIT_CARD_MODEL_TAG=tag),
    }
    evaluations = {
        (age, model_age): evaluation_server(tmp_path_factory.mktemp("half"), model.url, project)
        for age, project in projects.items()
        for model_age, model in models.items()
    }
    workers = [worker_server(evaluations[NOW, age], store) for age in (NOW, BEFORE)]
    with serving(*evaluations.values(), *workers):
        waiting = {pair: _accepted(server) for pair, server in evaluations.items()}
        with serving(*models.values()):
            for server in evaluations.values():
                eventually(partial(_finds_its_model, server), SECONDS)
            yield Halves(models, evaluations, waiting)


def _accepted(server: Server) -> str:
    """Have a service accept a client while its model is away; return where the answer will be."""
    with client(server) as http:
        answer = http.post("/avaliar", json=MARIA, headers=WAITING)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def _finds_its_model(server: Server) -> bool:
    """Tell whether a service has noticed that its model is there: it looks once a second."""
    with client(server) as http:
        return bool(http.get("/health").json()["situacao"] == "ok")


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def filled(
    request: pytest.FixtureRequest,
    release: Path,
    halves: Halves,
    tmp_path_factory: pytest.TempPathFactory,
) -> Filled:
    """Fill a record by the last release, once for each kind of database."""
    folder = tmp_path_factory.mktemp(request.param)
    server = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return fill(new_database(server, folder), folder, release, halves.models[BEFORE])


@pytest.fixture(scope="session")
def migrated(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Bring the tables of a copy of a filled record up to date; return the copy's URL."""
    url = copied(filled.url, tmp_path_factory.mktemp("migrated"))
    ended = command(PROJECT, "migrate", environment=on(url, filled.policy))
    assert (ended.returncode, ended.stdout) == (0, f"The tables are at {HEAD}.\n"), ended.stderr
    return url
