"""Run both services and the worker on one machine, without containers: what `make run` starts.

Checks settings and ports, imports the model, starts the services and the worker, passes on what
they print, says when all are ready and where, and stops them together. A worker that ends is
started again, and the services stay: a file must not stop them. It knows commands, ports and
readiness addresses, and must not know what the services do.

Exit codes: 0 stopped by Ctrl-C or SIGTERM; 1 a service ended by itself or never became ready, or
the worker was not started; 2 nothing was started, for the reason printed.
"""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile

from deploy import ports, processes
from deploy.ports import HOST, reachable, url_of
from deploy.processes import READY_SECONDS, ROOT, Program, Running

WORKER = "worker"
#: How the worker ends that says why it cannot start: it could not the next time either.
WORKER_REFUSED = 2
RESTART_SECONDS = 1.0
#: Starts in a while: one file ends its worker five times, and each time the next one waits 5 s.
MOST_RESTARTS = 10
RESTARTS_SECONDS = 600.0
MOST_WORKERS = 64
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.1
#: Cyan, yellow and green, as ANSI has them: what each one's lines begin with, at a terminal.
COLOURS = (36, 33, 32)


class CannotStartError(Exception):
    """What keeps the services from starting: one sentence, with the way out."""


@dataclass(frozen=True)
class Service:
    """A program with a name, and where it listens, with the variable that sets its port."""

    name: str
    program: Program
    port: int
    port_variable: str
    host: str = HOST

    @property
    def address(self) -> str:
        """Where the service is reached, as one types it into a browser."""
        return url_of(reachable(self.host), self.port)


def laptop_services(environ: Mapping[str, str]) -> tuple[Service, Service]:
    """Return the model and the evaluation service, on the ports that `environ` asks for.

    Raises CannotStartError when a port is no port, or the same one twice, or for the workers that
    the model service could not have.
    """
    number_from(environ, "MODEL_SERVICE_WORKERS", 1, MOST_WORKERS)
    model_port = port_from(environ, "MODEL_PORT", 8001)
    evaluation_port = port_from(environ, "EVALUATION_PORT", 8000)
    if model_port == evaluation_port:
        message = f"MODEL_PORT and EVALUATION_PORT are both {model_port}: give them two ports."
        raise CannotStartError(message)
    model = model_service(model_port)
    host = environ.get("EVALUATION_HOST") or HOST
    return model, evaluation_service(evaluation_port, model.address, host=host)


def port_from(environ: Mapping[str, str], variable: str, default: int) -> int:
    """Read a port number; an empty variable means the default."""
    stated = {variable: environ[variable]} if environ.get(variable) else {}
    return number_from(stated, variable, default, ports.HIGHEST)


def number_from(environ: Mapping[str, str], variable: str, default: int, highest: int) -> int:
    """Read a number from 1 on."""
    try:
        return ports.number(environ.get(variable, str(default)), highest)
    except ValueError as error:
        raise CannotStartError(f"{variable} {error}.") from error


def can_import_model() -> bool:
    """Bring the model into its store, quickly the second time; it says itself why it cannot."""
    command = [sys.executable, "-m", "model_store", "import"]
    return not subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - our own


def model_service(port: int, python: str = sys.executable) -> Service:
    """Return the model service; its model is to be imported before."""
    command = [python, "-m", "bentoml", "serve", "--host", HOST, "--port", str(port)]
    environment = {"BENTOML_DO_NOT_TRACK": "True", "PYTHONUNBUFFERED": "1"}
    program = Program(command, [(port, "/readyz")], environment)
    return Service("model", program, port, "MODEL_PORT")


def evaluation_service(
    port: int, model_url: str, python: str = sys.executable, host: str = HOST
) -> Service:
    """Return the evaluation service, told where its model service listens."""
    environment = {
        "EVALUATION_HOST": host,
        "EVALUATION_PORT": str(port),
        "EVALUATION_MODEL_URL": model_url,
        "PYTHONUNBUFFERED": "1",
    }
    command, ready = [python, "-m", "evaluation_api"], [(port, "/health/ready")]
    program = Program(command, ready, environment, host=reachable(host))
    return Service("evaluation", program, port, "EVALUATION_PORT", host)


def worker_program() -> Program:
    """Return the worker that decides files of clients; it listens nowhere."""
    environment = {"BENTOML_DO_NOT_TRACK": "True", "PYTHONUNBUFFERED": "1"}
    return Program([sys.executable, "-m", "portfolio", "worker"], (), environment)


def require_free_ports(services: Sequence[Service]) -> None:
    """Raise CannotStartError for the first port that cannot be listened on."""
    for service in services:
        try:
            ports.listen_briefly(service.port, service.host)
        except OSError as error:
            raise CannotStartError(_why_not(service, error)) from error


def _why_not(service: Service, error: OSError) -> str:
    """Say why a service cannot listen: its host is none of this machine's, or its port is taken."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"EVALUATION_HOST is no address of this machine: {service.host}"
    return (
        f"Port {service.port} of the {service.name} service cannot be used "
        f"({(error.strerror or str(error)).lower()}): free it, or choose another: "
        f"make run {service.port_variable}={ports.another(service.port)}"
    )


class Revival:
    """When a worker that has ended is started again: after a pause, so often in a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._starts: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._ended_at: float | None = None

    @property
    def _is_spent(self) -> bool:
        times = self._starts
        return len(times) == MOST_RESTARTS and self._clock() - times[0] < RESTARTS_SECONDS

    def told(self) -> str | None:
        """Return what there is to say once that it has ended; None afterwards."""
        if self._ended_at is not None:
            return None
        self._ended_at = self._clock()
        if self._is_spent:
            return (
                f"The worker ended {MOST_RESTARTS} times within {RESTARTS_SECONDS / 60:.0f} minutes"
                " and waits: no file of clients is decided; the services go on."
            )
        return "The worker ended by itself and is started again; the services go on."

    def is_due(self) -> bool:
        """Tell whether to start it now; then it counts as started."""
        now = self._clock()
        if self._ended_at is None or now - self._ended_at < RESTART_SECONDS or self._is_spent:
            return False
        self._starts.append(now)
        self._ended_at = None
        return True


class Supervisor:
    """Keeps programs running side by side until one ends, or somebody stops them all."""

    def __init__(self, programs: Mapping[str, Program], address: str, grace_seconds: float) -> None:
        """Prepare; nothing is started before `run`.

        programs: by name. address: told once all are ready. grace_seconds: what a stop may take.
        """
        self._programs = programs
        self._address = address
        self._grace_seconds = grace_seconds
        self._running: dict[str, Running] = {}
        self._relays: list[threading.Thread] = []
        self._revival = Revival()
        self._is_stopping = False

    def run(self) -> int:
        """Start all, block until all have stopped, return this program's exit code."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._on_signal)
        try:
            for name, colour in zip(self._programs, COLOURS, strict=True):
                self._start(name, colour)
            complaints = self._watch()
        finally:
            self._stop()
        for complaint in complaints:
            say(complaint)
        return 1 if complaints else 0

    def _on_signal(self, *_: object) -> None:
        self._is_stopping = True

    def _start(self, name: str, colour: int) -> None:
        self._running[name] = Running(self._programs[name])
        relay = threading.Thread(target=self._relay, args=(name, colour), daemon=True)
        relay.start()
        self._relays.append(relay)

    def _relay(self, name: str, colour: int) -> None:
        """Print what a service prints, each line with the time and the service's name."""
        try:
            for line in self._running[name].lines():
                begin = f"{time.strftime('%H:%M:%S')} {name:<10} | "
                if sys.stdout.isatty():
                    begin = f"\033[{colour}m{begin}\033[0m"
                say(begin + line.decode(errors="replace").rstrip())
        except OSError:  # nobody reads any more
            self._is_stopping = True

    def _watch(self) -> list[str]:
        """Announce readiness; return what there is to complain of once everything has to stop."""
        started = time.monotonic()
        waiting = list(self._programs)
        while not self._is_stopping:
            seconds = time.monotonic() - started
            if complaints := [*self._ended(), *_late(waiting, seconds)]:
                return complaints
            if waiting:
                # In their order: asked before the model is ready, the evaluation service would
                # look for it, and warn that it is away.
                waiting = [*dropwhile(lambda name: self._programs[name].is_ready(), waiting)]
                if not waiting:
                    say(f"Ready in {seconds:.1f} s: {self._address}")
            self._revive()
            time.sleep(POLL_SECONDS)
        return []

    def _ended(self) -> Iterator[str]:
        for name, running in self._running.items():
            if running.has_ended and (name != WORKER or running.first.returncode == WORKER_REFUSED):
                yield f"The {_called(name)} ended by itself, so everything was stopped."

    def _revive(self) -> None:
        """Start the worker again a while after it ended, unless it cannot, or ends all the time."""
        worker = self._running.get(WORKER)
        if worker is None or worker.first.poll() in {None, WORKER_REFUSED}:
            return
        if sentence := self._revival.told():
            say(sentence)
        if self._revival.is_due():
            worker.kill()  # what it left behind
            self._start(WORKER, COLOURS[-1])

    def _stop(self) -> None:
        processes.stop(list(self._running.values()), self._grace_seconds)
        for relay in self._relays:
            relay.join(POLL_SECONDS)


def _late(waiting: Sequence[str], seconds: float) -> Iterator[str]:
    for name in waiting:
        if seconds > READY_SECONDS:
            yield f"The {_called(name)} was not ready within {READY_SECONDS:.0f} s."


def _called(name: str) -> str:
    return name if name == WORKER else f"{name} service"


def say(sentence: str) -> None:
    """Print one line at once, whole even beside the services' own."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def main(grace_seconds: float = GRACE_SECONDS) -> int:
    """Run all until Ctrl-C."""
    try:
        services = laptop_services(os.environ)
        require_free_ports(services)
    except CannotStartError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        if not can_import_model():
            return 2
    except KeyboardInterrupt:
        return 0
    programs = {service.name: service.program for service in services}
    return Supervisor(
        {**programs, WORKER: worker_program()}, services[-1].address, grace_seconds
    ).run()


if __name__ == "__main__":
    sys.exit(main())
