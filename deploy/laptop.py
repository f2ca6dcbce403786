"""Run both services on one machine, without containers: what `make run` starts.

Checks that both ports are free, starts the two services under honcho, says when both are ready and
where, and stops both together. It knows commands, ports and readiness addresses, and must not know
what the services do.

Exit codes: 0 stopped by Ctrl-C or SIGTERM; 1 a service ended by itself or never became ready;
2 nothing was started, for the reason printed.
"""

import http.client
import os
import shlex
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from honcho.manager import KILL_WAIT, Manager

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
HIGHEST_PORT = 65535
READY_DEADLINE_SECONDS = 120.0
POLL_SECONDS = 0.1
MARK = "LAPTOP_SERVICE"


class CannotStartError(Exception):
    """What keeps the services from starting: one sentence, with the way out."""


@dataclass(frozen=True)
class Service:
    """One process to keep: how to start it, and how to know that it is ready."""

    name: str
    command: str
    port: int
    port_variable: str
    ready_path: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where the service listens, as one types it into a browser."""
        return f"http://{HOST}:{self.port}"


def laptop_services(environ: Mapping[str, str]) -> tuple[Service, Service]:
    """Return the model and the evaluation service, on the ports that `environ` asks for.

    Raises CannotStartError when a port is no port, or the same one twice.
    """
    model_port = port_from(environ, "MODEL_PORT", 8001)
    evaluation_port = port_from(environ, "EVALUATION_PORT", 8000)
    if model_port == evaluation_port:
        message = f"MODEL_PORT and EVALUATION_PORT are both {model_port}: give them two ports."
        raise CannotStartError(message)
    model = model_service(model_port)
    return model, evaluation_service(evaluation_port, model.address)


def port_from(environ: Mapping[str, str], variable: str, default: int) -> int:
    """Read a port number; an empty variable means the default."""
    text = environ.get(variable) or str(default)
    if text.isascii() and text.isdigit() and 1 <= int(text) <= HIGHEST_PORT:
        return int(text)
    message = f"{variable} must be a port, a number from 1 to {HIGHEST_PORT}, and is {text!r}."
    raise CannotStartError(message)


def model_service(port: int) -> Service:
    """Return the model service; its model is imported first, which is quick the second time."""
    python = shlex.quote(sys.executable)
    serve = f"{python} -m bentoml serve --host {HOST} --port {port}"
    return Service(
        name="model",
        command=f"{python} -m model_store import && exec {serve}",
        port=port,
        port_variable="MODEL_PORT",
        ready_path="/readyz",
    )


def evaluation_service(port: int, model_url: str) -> Service:
    """Return the evaluation service, told where its model service listens."""
    return Service(
        name="evaluation",
        command=f"exec {shlex.quote(sys.executable)} -m evaluation_api",
        port=port,
        port_variable="EVALUATION_PORT",
        ready_path="/health/ready",
        environment={"EVALUATION_PORT": str(port), "EVALUATION_MODEL_URL": model_url},
    )


def require_free_ports(services: Sequence[Service]) -> None:
    """Raise CannotStartError for the first port that cannot be listened on."""
    for service in services:
        try:
            listen_briefly(service.port)
        except OSError as error:
            message = (
                f"Port {service.port} of the {service.name} service cannot be used "
                f"({(error.strerror or str(error)).lower()}): free it, or choose another: "
                f"make run {service.port_variable}={another_port(service.port)}"
            )
            raise CannotStartError(message) from error


def listen_briefly(port: int) -> None:
    """Listen on a port for a moment, as a server would; raise OSError when that is refused."""
    with socket.socket() as probe:
        # Servers set it too: a port whose last connections are only fading away is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        probe.listen()


def another_port(port: int) -> int:
    """Suggest a port in the 8000s, which need no privilege: 8010 for 8000, 8090 for 80."""
    return 8000 + (port + 10) % 1000


def is_ready(service: Service) -> bool:
    """Tell whether the readiness address answers 200 within a second."""
    connection = http.client.HTTPConnection(HOST, service.port, timeout=1)
    try:
        connection.request("GET", service.ready_path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def kill_marked(mark: str) -> None:
    """Kill every process that carries this mark in its environment.

    A process group is not enough: BentoML's supervisor (circus) puts each worker into a session of
    its own, so that a killed supervisor leaves workers behind that nothing else points to.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                process.kill()


class Supervisor(Manager):  # type: ignore[misc]  # honcho ships no types
    """Honcho's manager, which also watches readiness and leaves no grandchild behind."""

    def __init__(self, services: Sequence[Service]) -> None:
        """Prepare the services; nothing is started before `run`."""
        super().__init__()
        run_id = uuid.uuid4().hex
        self._services = services
        self._marks = {service.name: f"{run_id}/{service.name}" for service in services}
        self._stopping = threading.Event()
        self._ended_alone: list[str] = []
        self._late: list[str] = []
        for service in services:
            self._add(service)

    def _add(self, service: Service) -> None:
        mark = {MARK: self._marks[service.name], "PYTHONUNBUFFERED": "1"}
        environment = {**os.environ, **service.environment, **mark}
        self.add_process(service.name, service.command, env=environment, cwd=str(ROOT))

    def run(self) -> int:
        """Start the services, block until all have stopped, return this program's exit code."""
        # A closed terminal hangs up; honcho knows SIGINT and SIGTERM only.
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            self.loop()
        finally:
            self._kill_what_is_left()
        return self._exit_code()

    def terminate(self) -> None:
        """Ask every service to stop; honcho calls it for a signal and when a service has ended."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._ended_alone = self._ended()
        # Honcho stumbles over a service that it has no process id for yet.
        with suppress(KeyError):
            super().terminate()

    def _watch(self) -> None:
        """Announce readiness, notice a service's end before honcho does, see the stop through.

        Honcho takes a service for running until its output is closed, and a worker that outlives
        its supervisor holds it open.
        """
        self._await_readiness()
        while not self._stopping.wait(POLL_SECONDS):
            if self._ended():
                self.terminate()
        patience = time.monotonic() + KILL_WAIT
        while time.monotonic() < patience:
            self._kill_workers_left_behind()
            time.sleep(POLL_SECONDS)
        self._kill_what_is_left()

    def _await_readiness(self) -> None:
        started = time.monotonic()
        waiting = list(self._services)
        while waiting and not self._stopping.wait(POLL_SECONDS):
            waiting = [service for service in waiting if not is_ready(service)]
            if waiting and time.monotonic() - started > READY_DEADLINE_SECONDS:
                self._late = [service.name for service in waiting]
                self.terminate()
        if not waiting:
            say(f"Ready in {time.monotonic() - started:.1f} s: {self._services[-1].address}")

    def _ended(self) -> list[str]:
        """Name the services whose first process has ended, its helpers alive or not."""
        return [
            name
            for name, process in self._processes.items()
            if "returncode" in process or has_ended(process.get("pid"))
        ]

    def _kill_workers_left_behind(self) -> None:
        for name in self._ended():
            kill_marked(self._marks[name])

    def _kill_what_is_left(self) -> None:
        for mark in self._marks.values():
            kill_marked(mark)

    def _exit_code(self) -> int:
        for name in self._ended_alone:
            say(f"The {name} service ended by itself, so everything was stopped.")
        for name in self._late:
            say(f"The {name} service was not ready within {READY_DEADLINE_SECONDS:.0f} s.")
        return 1 if self._ended_alone or self._late else 0


def has_ended(pid: int | None) -> bool:
    """Tell whether a started process is gone, or only waits for its parent to notice its end."""
    if pid is None:
        return False
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def say(sentence: str) -> None:
    """Print one line at once, whole even beside the services' own."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def main() -> int:
    """Run both services until Ctrl-C."""
    try:
        services = laptop_services(os.environ)
        require_free_ports(services)
    except CannotStartError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return Supervisor(services).run()


if __name__ == "__main__":
    sys.exit(main())
