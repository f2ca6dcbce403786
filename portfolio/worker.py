"""Decides the files that somebody sends: python -m portfolio worker.

One process, as many as one likes; the record hands each of them different files. pandas and the
model are loaded when the first file comes. Knows neither what is in a file nor how it is decided.

Exit codes: 0 stopped by Ctrl-C or SIGTERM, after the slice at hand; 2 not started, for the reason
printed.
"""

import argparse
import importlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Final, Protocol
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from evaluation_api.client_files.client_file import ClientFile, Counts, State
from evaluation_api.decision import policy_file
from evaluation_api.decision.errors import EvaluationError, PolicyError, RecordUnavailableError
from evaluation_api.record import database, deadline, schema
from evaluation_api.runtime import logs
from evaluation_api.settings import Settings, address, name_unknown, wrong_settings
from portfolio import earlier_files, precedence
from portfolio.files import messages
from portfolio.leases import LEASE, LeaseLostError, Leases, TriedOftenError

logger = logging.getLogger(__name__)

STOPPED: Final = 0
REFUSED: Final = 2

_LOOK_SECONDS: Final = 0.1
#: While the record takes nothing: a file may be read from its beginning to be told so.
_AWAY_SECONDS: Final = 1.0
_APPEAR_SECONDS: Final = 0.5
_CONVERT_SECONDS: Final = 15.0
#: For asking for /metrics or /health, once connected.
_ASKED_SECONDS: Final = 5.0
#: Whose one block takes longer than this does nothing any more.
_STUCK_SECONDS: Final = 120.0
#: Each statement of a transaction waits for the interpreter, by default 5 ms, and others meanwhile.
_SWITCH_SECONDS: Final = 0.0005

LINES: Final = Counter("portfolio_lines", "Lines of files in their results, by how", ["ending"])
FILES: Final = Counter("portfolio_files", "Files that this worker has left, by how", ["state"])
SLICES: Final = Histogram(
    "portfolio_slice_seconds",
    "Transactions that record a slice",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1),
)
WAITING: Final = Gauge("portfolio_waiting_files", "Files that no worker has")
WAITING_SECONDS: Final = Gauge("portfolio_waiting_seconds", "How long the first of them waits")
RECORD_AWAY: Final = Gauge("portfolio_record_away", "1 while the record cannot be reached")


class WorkerSettings(BaseSettings):
    """Each from PORTFOLIO_ and its name in capitals; the others are the evaluation service's."""

    model_config = SettingsConfigDict(env_prefix="PORTFOLIO_", frozen=True)

    model_url: Annotated[str, AfterValidator(lambda url: url and address(url))] = Field(
        "", description="Where the model service is, whose model decides; else BentoML's store"
    )
    metrics_host: str = Field("127.0.0.1", description="Address of /metrics and /health")
    metrics_port: int = Field(0, ge=0, le=65535, description="Their port; 0 for none")


class Work(Protocol):
    """What a worker does with files, in modules that take long to load."""

    def check(self, file: ClientFile) -> State:
        """Look at a file before anything is decided."""

    def decide(self, file: ClientFile) -> None:
        """Decide a file from where it is."""


class StoppedError(Exception):
    """Somebody wants this worker to end."""


class Worker:
    """Works until told to stop; between files it looks ten times a second for another."""

    def __init__(self, leases: Leases, load: Callable[["Worker"], Work]) -> None:
        """Take the parts. load: called when the first file comes."""
        self.leases = leases
        self._load = load
        self._work: Work | None = None
        self._stop = threading.Event()
        self._turned_at = time.monotonic()
        self._is_checking = False
        self._converting_at = 0.0
        #: Which of its two threads do not reach the record.
        self._cut_off: set[str] = set()

    def stop(self, *_: object) -> None:
        """End after the slice at hand."""
        self._stop.set()

    @property
    def is_well(self) -> bool:
        """Tell whether it goes on."""
        return time.monotonic() - self._turned_at < _STUCK_SECONDS

    def run(self) -> None:
        """Work until told to stop."""
        while not self._stop.is_set():
            self._turned_at = time.monotonic()
            worked = False
            try:
                self._convert()
                worked = self.work_once()
            except RecordUnavailableError as exc:
                self._reach(exc)
            else:
                self._reach()
            if not worked:
                self._stop.wait(_AWAY_SECONDS if self._cut_off else _LOOK_SECONDS)

    def _reach(self, failure: RecordUnavailableError | None = None) -> None:
        """Note whether this thread reaches the record; say it once that one of them does not."""
        thread = threading.current_thread().name
        if failure is None:
            self._cut_off.discard(thread)
        else:
            if not self._cut_off:
                logger.warning("record_away", extra={"reason": str(failure)})
            self._cut_off.add(thread)
        RECORD_AWAY.set(bool(self._cut_off))

    def _convert(self) -> None:
        """Take over what the last release received, now and then: its replicas may be at work."""
        if time.monotonic() >= self._converting_at:
            self._converting_at = time.monotonic() + _CONVERT_SECONDS
            earlier_files.convert(self.leases.engine)

    def work_once(self) -> bool:
        """Do what there is to do with one file; tell whether there was one."""
        try:
            file = self.leases.take(State.CHECKING) or self.leases.take(State.RUNNING)
        except TriedOftenError as exc:
            self.leases.refuse(exc.file, messages.NEVER_READ)
            logger.error("client_file_tried_often", extra={"client_file": exc.file.id})  # noqa: TRY400 - no traceback of a worker that is gone
            return True
        if file is None:
            return False
        self._handle(file)
        return True

    def _handle(self, file: ClientFile) -> None:
        started, was_checking = time.monotonic(), self._is_checking
        told = {"client_file": file.id, "state": file.state.value}
        self._is_checking = was_checking or file.state is State.CHECKING
        try:
            state = self._handled(file)
        except (LeaseLostError, StoppedError) as exc:
            with suppress(EvaluationError):
                self.leases.leave(file)
            logger.info("client_file_left", extra={**told, "reason": type(exc).__name__})
            return
        except Exception as exc:
            if isinstance(exc, RecordUnavailableError) and not database.is_refused(exc):
                raise  # not the file's fault
            logger.exception("client_file_failed", extra=told)
            self.leases.put_off(file)
            return
        finally:
            self._is_checking = was_checking
        FILES.labels(state).inc()
        seconds = round(time.monotonic() - started, 2)
        logger.info("client_file_went_on", extra={**told, "to": state, "seconds": seconds})

    def _handled(self, file: ClientFile) -> str:
        if self._work is None:
            self._work = self._load(self)
        if file.state is State.CHECKING:
            return self._work.check(file).value
        self._work.decide(file)
        return State.DONE.value

    def between(self) -> None:
        """Look at files that somebody waits to see, in the middle of another one or while it waits.

        Raises StoppedError.
        """
        self.require_wanted()
        if self._is_checking:
            return
        self._convert()
        with suppress(TriedOftenError):  # work_once refuses it
            while (file := self.leases.take(State.CHECKING)) is not None:
                self._handle(file)

    def require_wanted(self) -> None:
        """Raise StoppedError if somebody wants it to end."""
        self._turned_at = time.monotonic()
        if self._stop.is_set():
            raise StoppedError

    def keep_appearing(self) -> None:
        """Say twice a second that it is there, in a thread of its own.

        A record that says nothing, for which the other thread waits, is noticed here.
        """
        while not self._stop.is_set():
            try:
                deadline.within(LEASE.total_seconds(), self._appear)
            except RecordUnavailableError as exc:
                self._reach(exc)
            else:
                self._reach()
            self._stop.wait(_APPEAR_SECONDS)

    def _appear(self) -> None:
        self.leases.appear()
        waiting = self.leases.waiting()
        WAITING.set(waiting.files)
        WAITING_SECONDS.set(waiting.seconds)


def committed(counts: Counts, seconds: float) -> None:
    """Count a slice."""
    SLICES.observe(seconds)
    LINES.labels("com_erro").inc(counts.faults)
    LINES.labels("repetida").inc(counts.repeated)
    for outcome, count in counts.outcomes.items():
        LINES.labels(outcome).inc(count)


def main(arguments: list[str]) -> int:
    """Work until told to stop, and return the exit code."""
    argparse.ArgumentParser("python -m portfolio worker", description=__doc__).parse_args(arguments)
    try:
        settings, own = Settings(), WorkerSettings()
        logs.configure(settings.log_level, settings.log_format)
        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for 1,024 clients
        name_unknown(Settings, WorkerSettings)
        policy_file.read(settings.policy_path)  # or nothing could be decided
        engine = database.connect(settings.database_url.get_secret_value())
        schema.migrate(engine)
    except ValidationError as exc:
        return _refuse(wrong_settings(exc, Settings, WorkerSettings))
    except RecordUnavailableError as exc:
        return _refuse(f"The database cannot be used: {exc}")
    except (PolicyError, OSError) as exc:
        return _refuse(str(exc))
    sys.setswitchinterval(_SWITCH_SECONDS)
    worker = Worker(Leases(engine), _load)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, worker.stop)
    try:
        with _metrics(own, worker), _appearing(worker):
            precedence.stand_back()  # after these threads, of which one writes to the record
            logger.info("worker_ready", extra={"worker": worker.leases.worker})
            worker.run()
    except OSError as exc:
        return _refuse(f"PORTFOLIO_METRICS_PORT: {exc.strerror}")
    finally:
        engine.dispose()
    return STOPPED


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return REFUSED


def _load(worker: Worker) -> Work:
    work: Work = importlib.import_module("portfolio.work").Files(worker)
    return work


@contextmanager
def _appearing(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.keep_appearing, daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()
        with suppress(RecordUnavailableError):
            worker.leases.vanish()


@contextmanager
def _metrics(settings: WorkerSettings, worker: Worker) -> Iterator[None]:
    """Answer /metrics and /health, where a port is set. Raises OSError."""
    if not settings.metrics_port:
        yield
        return
    metrics: Any = make_wsgi_app()

    def answer(environ: dict[str, Any], start: Any) -> Any:  # noqa: ANN401 - WSGI's own
        if environ["PATH_INFO"] != "/health":
            return metrics(environ, start)
        is_well = worker.is_well
        start("200 OK" if is_well else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"ok\n" if is_well else b"stuck\n"]

    place = settings.metrics_host, settings.metrics_port
    with make_server(*place, answer, ThreadingWSGIServer, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()


class _Handler(WSGIRequestHandler):
    """Logs nobody who looks, and hangs up on who asks nothing."""

    timeout = _ASKED_SECONDS

    def handle(self) -> None:
        """Answer."""
        with suppress(TimeoutError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
