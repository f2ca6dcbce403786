"""Programs started, awaited, followed, stopped and killed, with everything they start themselves.

`make run`, the bench and the tests run what they run with this. The processes of a program are
found by a mark in their environment, which children inherit: a process group is not enough, since
BentoML's supervisor (circus) puts each worker into a session of its own, and a killed supervisor
leaves workers behind that nothing else points to. Knows nothing of what the programs do.
"""

import http.client
import os
import subprocess
import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from deploy.ports import HOST

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 120.0
STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 1.0
_MARK = "STARTED_BY"
_LAST_LINES = 15


class NotReadyError(Exception):
    """A program ended, or was not ready in time; its last lines are in the message."""


@dataclass(frozen=True)
class Program:
    """One command to keep, and the addresses (port and path) that answer 200 once it is ready.

    environment: beside the caller's own. folder: where it runs. host: where it is reached.
    """

    command: Sequence[str]
    ready: Sequence[tuple[int, str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    host: str = HOST

    def is_ready(self) -> bool:
        """Tell whether every address answers 200, each within 1 s."""
        return all(_answers_ok(self.host, port, path) for port, path in self.ready)


class Running:
    """A program that was started, until it and all that it has started is gone.

    It has a process group of its own: Ctrl-C at a terminal is for whoever started it. No session,
    among which Linux shares cores first: niceness counts within one (autogroup, sched(7)).
    """

    def __init__(
        self, program: Program, log: Path | None = None, callers: Mapping[str, str] = os.environ
    ) -> None:
        """Start it. What it prints is added to the log; without a log, `lines` must be read.

        callers: the environment to which the program's is added.
        """
        self._id = uuid.uuid4().hex
        self._program = program
        self._log = log
        mark = "/".join(filter(None, (callers.get(_MARK), self._id)))
        with ExitStack() as stack:
            self.first = subprocess.Popen(  # noqa: S603 - our own commands, no shell
                program.command,
                cwd=program.folder,
                env={**callers, **program.environment, _MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=stack.enter_context(log.open("ab")) if log else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def has_ended(self) -> bool:
        """Whether its first process has ended, its helpers alive or not."""
        return self.first.poll() is not None

    def lines(self) -> Generator[bytes, None, None]:
        """Yield what it prints, until nobody is left who could print, or the caller closes it."""
        if self.first.stdout:
            with self.first.stdout as printed:
                yield from printed

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> Self:
        """Return once it is ready. Raises NotReadyError when it ends before, or takes too long."""
        deadline = time.monotonic() + seconds
        while self.has_ended or not self._program.is_ready():
            if self.has_ended or time.monotonic() > deadline:
                raise NotReadyError(self._last_words())
            time.sleep(_POLL_SECONDS)
        return self

    def processes(self, *, of_a_runner: bool = False) -> Iterator[psutil.Process]:
        """Find all that runs of it; of_a_runner: only what a runner among it has started."""
        for process in psutil.process_iter():
            starters = _environment(process).get(_MARK, "").split("/")
            if self._id in (starters[:-1] if of_a_runner else starters):
                yield process

    def kill(self) -> None:
        """Kill all of it, as a crash would, and return when it is gone."""
        self.first.kill()
        while left := list(self.processes()):
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            time.sleep(_POLL_SECONDS)
        self.first.wait()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to stop; kill what is left when its first process has ended, or after a while."""
        stop([self], seconds)

    def _last_words(self) -> str:
        printed = self._log.read_text(errors="replace").splitlines() if self._log else []
        command = " ".join(self._program.command)
        return "\n".join([f"{command} did not become ready:", *printed[-_LAST_LINES:]])


def stop(programs: Sequence[Running], seconds: float = STOP_SECONDS) -> None:
    """Stop several at once; a second Ctrl-C ends the waiting."""
    deadline = time.monotonic() + seconds
    try:
        for running in programs:
            running.first.terminate()
        for running in programs:
            with suppress(subprocess.TimeoutExpired):
                running.first.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for running in programs:
            running.kill()


def _environment(process: psutil.Process) -> dict[str, str]:
    """Read a process's environment; an ended one or another user's has none."""
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _answers_ok(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
