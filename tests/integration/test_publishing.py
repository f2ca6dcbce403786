"""Publishing reaches services that run, under load: every answer is whole, and of one model."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import httpx
import joblib
import psutil
import pytest

from model_store import registry
from tests.clients import AMOUNTS
from tests.services import CERTIFICATES, ENVIRONMENT, PROJECT, Server, eventually, model_server

COMMAND_SECONDS = 60
PER_SECOND = 200
CALLERS = 8
WORKERS = 2
#: Measured below a second; here other tests may have the machine.
WITHIN_SECONDS = 20


@dataclass
class Checkout:
    """A copy of the model owner's half, which publishes for the services that are started in it.

    Its store holds what is published, and another version that may be.
    """

    folder: Path
    home: Path
    published: str
    other: str

    def run(self, *arguments: str) -> str:
        """Run a command of the model's owner here, which must end well; return what it printed."""
        finished = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**ENVIRONMENT, "BENTOML_HOME": str(self.home), "BENTOML_DO_NOT_TRACK": "True"},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def do(self, *arguments: str) -> str:
        """Run one of the commands by its name."""
        return self.run("-m", "model_store", *arguments)

    def copied(self, folder: Path) -> "Checkout":
        """Return another like this, in a folder of its own."""
        shutil.copytree(self.folder, folder / "project")
        shutil.copytree(self.home / "models", folder / "home/models")
        return replace(self, folder=folder / "project", home=folder / "home")


IMPORT_BOTH = """
from pathlib import Path
from model_store import publications, registry
from model_store.features import FEATURES
from model_store.pickles import inspection

print(publications.bring_published(inspect=inspection.describe)[0])
print(registry.import_pickle(Path("other.pkl"), inspection.describe, FEATURES)[0])
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Make a checkout once, for tests to copy."""
    folder = tmp_path_factory.mktemp("owner")
    left = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "model_store", folder / "project/model_store", ignore=left)
    for name in ("service.py", ".gitignore"):
        shutil.copy(PROJECT / name, folder / "project")
    (folder / "home/models").mkdir(parents=True)
    pipeline = joblib.load(registry.DEFAULT_PICKLE)
    pipeline.steps[-1][1].cluster_centers_ += 0.001
    joblib.dump(pipeline, folder / "project/other.pkl")
    made = Checkout(folder / "project", folder / "home", "", "")
    published, other = made.run("-c", IMPORT_BOTH).split()
    return replace(made, published=published, other=other)


@pytest.fixture
def owner(prepared: Checkout, tmp_path: Path) -> Checkout:
    """Return a checkout of the test's own."""
    return prepared.copied(tmp_path)


@dataclass
class Load:
    """Asks for predictions at an even pace, from a thread, and keeps what came of each."""

    server: Server
    #: When each answer came, and by which model.
    answers: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    #: By model, how sure it was of one client: every model has a number of its own.
    confidences: dict[str, set[float]] = field(default_factory=dict)
    asked: int = 0
    _is_over: bool = False

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_all()))
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Ask no more, and wait for every answer."""
        self._is_over = True
        self._thread.join(30)

    async def _ask_all(self) -> None:
        limits = httpx.Limits(max_connections=CALLERS)
        async with (
            httpx.AsyncClient(
                base_url=self.server.url, verify=CERTIFICATES, timeout=10, limits=limits
            ) as http,
            asyncio.TaskGroup() as group,
        ):
            started = time.monotonic()
            while not self._is_over:
                group.create_task(self._ask(http, [AMOUNTS] * (1 + self.asked % 5)))
                self.asked += 1
                ahead = self.asked / PER_SECOND - (time.monotonic() - started)
                await asyncio.sleep(max(0.0, ahead))

    async def _ask(self, http: httpx.AsyncClient, clients: list[dict[str, object]]) -> None:
        try:
            answer = (await http.post("/predict", json=clients)).raise_for_status()
        except httpx.HTTPError as exc:
            self.failures.append(repr(exc))
            return
        model, told = answer.headers["x-model-tag"], answer.json()
        self.confidences.setdefault(model, set()).update(one["confidence"] for one in told)
        self.answers.append((time.time(), model))
        if len(told) != len(clients):
            self.failures.append(f"{len(told)} answers to {len(clients)} clients")

    def wait_for(self, count: int) -> None:
        """Return once so many more were answered."""
        wanted = len(self.answers) + count
        eventually(lambda: len(self.answers) >= wanted, 60)

    def latest(self, count: int) -> set[str]:
        """Return the models of the latest answers."""
        return {model for _, model in self.answers[-count:]}

    @property
    def counted(self) -> dict[str, int]:
        """How many answers are from which model."""
        return dict(Counter(model for _, model in self.answers))

    def require_whole(self) -> None:
        """Require that nothing failed, was lost or was mixed."""
        assert self.failures == []
        assert len(self.answers) == self.asked
        assert all(len(told) == 1 for told in self.confidences.values()), self.confidences
        assert len(set.union(*self.confidences.values())) == len(self.confidences)


@pytest.mark.parametrize("workers", [1, 2])
def test_promote_and_rollback_reach_a_service_that_runs_and_nothing_fails(
    owner: Checkout, workers: int
) -> None:
    first, second = owner.published, owner.other
    with model_server(
        owner.home, project=owner.folder, MODEL_SERVICE_WORKERS=str(workers)
    ) as server:
        with Load(server) as load:
            load.wait_for(PER_SECOND)
            owner.do("promote", second, "--why", "the test says so", "--by", "ana")
            seconds = {second: took_over(owner, load, second, first)}
            serving = f"serving {second}, published 2"
            eventually(lambda: server.printed().count(serving) == workers, WITHIN_SECONDS)
            owner.do("rollback", "--why", "the test says so")
            seconds[first] = took_over(owner, load, first, second)
        listed = owner.do("list")
        printed = server.printed()

    load.require_whole()
    sys.stdout.write(f"\n{workers} workers, {load.asked} asked, 0 failed; {load.counted}\n")
    sys.stdout.write(f"seconds from `production` to the last old answer: {seconds}\n")
    assert f"{first}  published since " in listed
    assert f"serves in {workers} process" in listed
    assert printed.count(serving) == workers
    assert " by ana: the test says so" in printed


def took_over(owner: Checkout, load: Load, new: str, old: str) -> float:
    """Wait until a model alone answers; return for how long the old one did."""
    published = (owner.folder / "model_store/production").stat().st_mtime
    eventually(lambda: load.latest(PER_SECOND) == {new}, WITHIN_SECONDS)
    seconds = max(when - published for when, model in load.answers if model == old)
    assert seconds < WITHIN_SECONDS
    return round(seconds, 2)


def test_a_version_that_fails_is_never_served_and_says_why_until_it_is_mended(
    owner: Checkout, prepared: Checkout, tmp_path: Path
) -> None:
    first, second = owner.published, owner.other
    elsewhere = prepared.copied(tmp_path / "elsewhere")
    elsewhere.do("promote", second, "--why", "the test says so")
    shutil.rmtree(owner.home / "models" / second.replace(":", "/"))
    with model_server(owner.home, project=owner.folder, MODEL_SERVICE_WORKERS="2") as server:
        with Load(server) as load:
            load.wait_for(50)
            whole = pull(elsewhere, owner, second)
            eventually(lambda: times_refused(server, first) == WORKERS, WITHIN_SECONDS)
            load.wait_for(PER_SECOND)
        load.require_whole()
        health, metrics, listed = told(server, "health"), told(server, "metrics"), owner.do("list")

        workers_of(server)[0].kill()  # and comes back as the one beside it serves
        eventually(lambda: times_refused(server, first) == WORKERS + 1, COMMAND_SECONDS)
        with Load(server) as later:
            later.wait_for(PER_SECOND)
            assert later.counted.keys() == load.counted.keys() == {first}
            whole.replace(owner.folder / "model_store/published" / whole.name)
            eventually(lambda: later.latest(20) == {second}, 2 * COMMAND_SECONDS)
        later.require_whole()
        whole_again = "credit_card_model_refused 0"  # of a worker that nobody asked, too
        eventually(lambda: whole_again in told(server, "metrics"), WITHIN_SECONDS)

    reason = f"{whole.name} is not opened: it is cut off"
    assert reason in json.loads(health)["refused"]
    assert "credit_card_model_refused 1" in metrics
    assert f'credit_card_model_serving{{model="{first}"}} 1' in metrics
    assert listed.count(reason) == 1


def told(server: Server, path: str) -> str:
    """Return what a service says of itself."""
    return httpx.get(f"{server.url}/{path}", verify=CERTIFICATES).raise_for_status().text


def times_refused(server: Server, tag: str) -> int:
    """Count how often a worker said that an archive is cut off, and it goes on with a version.

    One that looks while files are still arriving says so of what it found then, too.
    """
    said = f"what is published is not served, {tag} goes on"
    return sum(said in line and "is cut off" in line for line in server.printed().splitlines())


def workers_of(server: Server) -> list[psutil.Process]:
    """Return the processes that serve."""
    assert server.running
    family = psutil.Process(server.running.first.pid).children(recursive=True)
    return [one for one in family if "_bentoml_impl.worker" in " ".join(one.cmdline())]


def pull(here: Checkout, there: Checkout, tag: str) -> Path:
    """Bring what was published here there, its archive cut off; return the whole one."""
    archive = here.folder / "model_store/published" / f"{tag.partition(':')[2]}.bentomodel"
    arriving = there.folder / "model_store/published" / archive.name
    arriving.write_bytes(archive.read_bytes()[:-100])
    for name in ("ledger.jsonl", "production"):
        shutil.copy(here.folder / "model_store" / name, there.folder / "model_store" / name)
    return archive


GIT = ["git", "-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "gc.auto=0"]


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder."""
    subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def test_a_pull_publishes_to_a_machine_that_never_saw_the_version(
    prepared: Checkout, tmp_path: Path
) -> None:
    """The last two of the five commands that docs/model.md names, while the other one serves."""
    here = prepared.copied(tmp_path / "here")
    there = replace(here, folder=tmp_path / "there", home=tmp_path / "home")
    (there.home / "models").mkdir(parents=True)
    git(tmp_path, "init", "--quiet", "--bare", "hub")
    git(here.folder, "init", "--quiet")
    git(here.folder, "add", ".gitignore", "service.py", "model_store")
    git(here.folder, "commit", "--quiet", "-m", "As it was")
    git(here.folder, "push", "--quiet", "--set-upstream", str(tmp_path / "hub"), "HEAD:main")
    git(tmp_path, "clone", "--quiet", "--branch", "main", "hub", "there")
    with model_server(there.home, project=there.folder) as server, Load(server) as load:
        load.wait_for(50)
        here.do("promote", here.other, "--why", "the test says so")
        git(here.folder, "add", "model_store")
        git(here.folder, "commit", "--quiet", "-m", "Publish what October taught")
        git(here.folder, "push", "--quiet", str(tmp_path / "hub"), "HEAD:main")

        git(there.folder, "pull", "--quiet")

        eventually(lambda: load.latest(20) == {here.other}, COMMAND_SECONDS)
    load.require_whole()
    assert load.counted.keys() == {here.published, here.other}
