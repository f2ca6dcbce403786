"""The real services, started on free ports for tests and gone when the tests are over.

The session's pair serves whoever only asks. A test that kills something starts its own.
"""

import os
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Self

import pytest

from deploy import ports
from deploy.processes import ROOT, Program, Running

PROJECT = ROOT
READY_SECONDS = 90
STOP_SECONDS = 20

#: Read once: httpx reads the system's for every call that brings none, which takes ten times as
#: long as the call.
CERTIFICATES = ssl.create_default_context()

#: What tests change of it meanwhile (commands.py) is for commands. Byte code is kept even where the
#: caller's Python keeps none: it is half of BentoML's start.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}


@dataclass
class Server:
    """One service on a port, which can be killed and started again."""

    arguments: list[str]
    ready_path: str
    log: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    project: Path = ROOT
    running: Running | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def program(self) -> Program:
        ready = [(self.port, self.ready_path)]
        return Program([sys.executable, *self.arguments], ready, self.environment, self.project)

    def __enter__(self) -> Self:
        """Start it, and return once it answers."""
        try:
            return self.start().wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exc_info: object) -> None:
        """Have it gone: a goodbye takes BentoML two seconds, and nobody looks at it."""
        self.kill()

    def start(self) -> Self:
        self.running = Running(self.program, self.log, ENVIRONMENT)
        return self

    def wait_until_ready(self) -> Self:
        """Return once it answers; fail with what it printed when it ends or takes too long."""
        assert self.running
        self.running.wait_until_ready(READY_SECONDS)
        return self

    def is_ready(self) -> bool:
        """Tell whether its readiness address answers 200."""
        return self.program.is_ready()

    def kill(self) -> None:
        """Kill it and its helpers at once."""
        if self.running:
            self.running.kill()

    def stop(self) -> None:
        """Ask it to stop; whatever is left is killed."""
        if self.running:
            self.running.stop(STOP_SECONDS)

    def printed(self) -> str:
        """Return everything it has printed."""
        return self.log.read_text(errors="replace")


def model_server(
    home: Path, port: int | None = None, project: Path = PROJECT, **environment: str
) -> Server:
    """Prepare a model service that serves the models of a BentoML home.

    project: the checkout whose code it runs.

    It gets a home of its own for the rest: BentoML empties the folder of the metrics in it at every
    start, and with that those of whoever serves from the same home.
    """
    port = port or free_port()
    own_home = home / f"serving-{port}"
    own_home.mkdir(exist_ok=True)
    if not (own_home / "models").exists():
        (own_home / "models").symlink_to(home / "models")
    return Server(
        ["-m", "bentoml", "serve", "--host", "127.0.0.1", "--port", str(port)],
        "/readyz",
        home / f"model-{port}.log",
        port,
        {
            "BENTOML_HOME": str(own_home),
            "BENTOML_DO_NOT_TRACK": "True",
            "TMPDIR": str(own_home),  # what is killed leaves its sockets' folders behind
            **environment,
        },
        project,
    )


def evaluation_server(
    folder: Path, model_url: str, project: Path = PROJECT, **environment: str
) -> Server:
    """Prepare an evaluation service, of a checkout, that records in a SQLite file of its own."""
    port = free_port()
    return Server(
        ["-m", "evaluation_api"],
        "/health/ready",
        folder / f"evaluation-{port}.log",
        port,
        {
            "EVALUATION_PORT": str(port),
            "EVALUATION_MODEL_URL": model_url,
            "EVALUATION_DATABASE_URL": f"sqlite:///{folder / 'evaluations.db'}",
            **environment,
        },
        project,
    )


def worker_server(
    evaluation: Server, home: Path, project: Path = PROJECT, **environment: str
) -> Server:
    """Prepare a worker for the files of a service, with the models of a BentoML home."""
    port = free_port()
    return Server(
        ["-m", "portfolio", "worker"],
        "/health",
        evaluation.log.with_name(f"worker-{port}.log"),
        port,
        {
            **evaluation.environment,
            "BENTOML_HOME": str(home),
            "BENTOML_DO_NOT_TRACK": "True",
            "PORTFOLIO_METRICS_PORT": str(port),
            **environment,
        },
        project,
    )


def free_port() -> int:
    """Find a port that nobody listens on at the moment."""
    return ports.free(1)[0]


def eventually(holds: Callable[[], bool], seconds: float = 60, log: Path | None = None) -> float:
    """Return after how many seconds something holds, looking often; fail when it is too many."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            pytest.fail(f"not within {seconds} s {log.read_text(errors='replace') if log else ''}")
        time.sleep(0.05)
    return time.monotonic() - started


@contextmanager
def locked_for(file: Path, seconds: float) -> Iterator[None]:
    """Have a file of SQLite locked for so long, whatever is done meanwhile."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    ending = Timer(seconds, other.close)
    ending.start()
    try:
        yield
    finally:
        ending.join()


NEEDS = {"bentoml_home", "model_service", "evaluation_service", "worker"}


@dataclass(frozen=True)
class Pair:
    """The session's services, ready, and the BentoML home that the model service serves from."""

    home: Path
    model: Server
    evaluation: Server


def start_pair(home: Path, folder: Path, stack: ExitStack) -> Pair:
    """Import the committed model and start one service after the other; the stack stops them."""
    environment = {**ENVIRONMENT, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "model_store", "import"]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, timeout=READY_SECONDS)
    model = stack.enter_context(model_server(home))
    return Pair(home, model, stack.enter_context(evaluation_server(folder, model.url)))


@pytest.fixture(scope="session")
def worker(evaluation_service: Server, bentoml_home: Path) -> Iterator[Server]:
    """Start a worker for the files of the session's evaluation service."""
    with worker_server(evaluation_service, bentoml_home) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[Pair] | None]:
    """Start the services beside the tests that come before those which ask for them, if any do."""
    if not any(NEEDS & set(getattr(item, "fixturenames", ())) for item in request.session.items):
        yield None
        return
    folders = tmp_path_factory.mktemp("bentoml"), tmp_path_factory.mktemp("evaluation")
    with ExitStack() as stack, ThreadPoolExecutor(1) as thread:
        yield thread.submit(start_pair, *folders, stack)


@pytest.fixture(scope="session")
def bentoml_home(pair: Future[Pair]) -> Path:
    """Return a BentoML home that holds the committed model."""
    return pair.result().home


@pytest.fixture(scope="session")
def model_service(pair: Future[Pair]) -> Server:
    """Return the session's model service."""
    return pair.result().model


@pytest.fixture(scope="session")
def evaluation_service(pair: Future[Pair]) -> Server:
    """Return the session's evaluation service, in front of the session's model service."""
    return pair.result().evaluation
