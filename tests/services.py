"""The real services, started on free ports for tests and gone when the tests are over.

The session's pair serves whoever only asks. A test that kills something starts its own.
"""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

PROJECT = Path(__file__).parents[1]
READY_SECONDS = 90
STOP_SECONDS = 20

#: Read once: httpx reads the system's for every call that brings none, which takes ten times as
#: long as the call.
CERTIFICATES = ssl.create_default_context()

#: Byte code is kept even where the caller's Python keeps none: it is half of BentoML's start.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@dataclass
class Server:
    """One service: a process and its helpers, which can be killed and started again."""

    arguments: list[str]
    ready_path: str
    log: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    project: Path = PROJECT
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Server":
        """Start it, without waiting."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=self.project,
                env={**ENVIRONMENT, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def wait_until_ready(self) -> "Server":
        """Return once it answers; fail with what it printed when it ends or takes too long."""
        assert self.process
        process = self.process
        eventually(lambda: process.poll() is not None or self.is_ready(), READY_SECONDS, self.log)
        assert process.poll() is None, self.printed()
        return self

    def is_ready(self) -> bool:
        """Tell whether its readiness address answers 200."""
        with suppress(httpx.HTTPError):
            return httpx.get(self.url + self.ready_path, timeout=2, verify=CERTIFICATES).is_success
        return False

    def kill(self) -> None:
        """Kill it and its helpers at once. BentoML's workers have sessions of their own."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Ask it to stop; whatever is left after a while is killed."""
        family = self._family()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        for process in psutil.wait_procs(family, timeout=1)[1]:
            process.kill()

    def printed(self) -> str:
        """Return everything it has printed."""
        return self.log.read_text(errors="replace")

    def _family(self) -> list[psutil.Process]:
        if self.process is None or self.process.poll() is not None:
            return []
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]


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
        {"BENTOML_HOME": str(own_home), "BENTOML_DO_NOT_TRACK": "True", **environment},
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


def free_port() -> int:
    """Find a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(holds: Callable[[], bool], seconds: float, log: Path | None = None) -> None:
    """Wait until something holds, looking often; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            said = log.read_text(errors="replace") if log else ""
            pytest.fail(f"not within {seconds} s {said}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def bentoml_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a BentoML home that holds the committed model."""
    home = tmp_path_factory.mktemp("bentoml")
    environment = {**ENVIRONMENT, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "model_store", "import"]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, timeout=READY_SECONDS)
    return home


@pytest.fixture(scope="session")
def model_service(bentoml_home: Path) -> Iterator[Server]:
    """Start the model service for the session."""
    server = model_server(bentoml_home)
    try:
        yield server.start().wait_until_ready()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def evaluation_service(
    model_service: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Start the evaluation service for the session, in front of the session's model service."""
    server = evaluation_server(tmp_path_factory.mktemp("evaluation"), model_service.url)
    try:
        yield server.start().wait_until_ready()
    finally:
        server.stop()
