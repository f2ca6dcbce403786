"""The processes of one system: started together, measured together, all gone afterwards.

They are found by a mark in their environment, which children inherit: a process group is not
enough, since BentoML's supervisor gives each worker a session of its own.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
READY_DEADLINE_SECONDS = 90.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02
_MARK = "BENCH_SYSTEM"


class NotReadyError(Exception):
    """A program ended, or was not ready in time; its last lines are in the message."""


@dataclass(frozen=True)
class Program:
    """One command to keep, and the addresses (port and path) that answer 200 once it is ready."""

    command: Sequence[str]
    ready: Sequence[tuple[int, str]]
    environment: Mapping[str, str] = field(default_factory=dict)


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


class Processes:
    """Programs started in order, each ready before the next; stopped when the block is left."""

    def __init__(self, programs: Sequence[Program], folder: Path) -> None:
        """Prepare; what the programs print goes to a file in the folder."""
        self._programs = programs
        self._mark = uuid.uuid4().hex
        self._printed = folder / "printed.txt"
        self._started: list[subprocess.Popen[bytes]] = []
        self.seconds_to_ready = 0.0

    def __enter__(self) -> Self:
        """Start all. Raises NotReadyError, after which nothing is left running."""
        begun = time.perf_counter()
        try:
            for program in self._programs:
                self._start(program)
        except BaseException:
            self._stop()
            raise
        self.seconds_to_ready = time.perf_counter() - begun
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Ask them to stop, and kill what does not."""
        self._stop()

    def kill(self) -> None:
        """Kill all at once, as a crash would."""
        for process in self._running():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for started in self._started:
            started.wait()

    def cpu_seconds(self) -> float:
        """Sum user and system time of all that run."""
        return sum(
            process.cpu_times().user + process.cpu_times().system for process in self._running()
        )

    def memory_mb(self, variable: str = _MARK) -> float:
        """Sum their memory in MB; what several share is counted once (PSS), on Linux.

        variable: count only those that have it in their environment.
        """
        return sum(
            _memory(process)
            for process in self._running()
            if variable == _MARK or variable in _environment(process)
        )

    def _start(self, program: Program) -> None:
        environment = {**os.environ, **program.environment, _MARK: self._mark}
        with self._printed.open("ab") as printed:
            started = subprocess.Popen(  # noqa: S603 - the bench's own commands
                program.command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the bench, which then stops them in turn
            )
        self._started.append(started)
        self._await_readiness(program, started)

    def _await_readiness(self, program: Program, started: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_DEADLINE_SECONDS
        while not all(_answers_ok(port, path) for port, path in program.ready):
            if started.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(self._printed.read_text(errors="replace").splitlines()[-15:])
                message = f"{' '.join(program.command)} did not become ready:\n{last}"
                raise NotReadyError(message)
            time.sleep(_POLL_SECONDS)

    def _stop(self) -> None:
        """Ask, then kill; a second Ctrl-C ends the asking."""
        try:
            for started in reversed(self._started):
                started.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.wait(_STOP_SECONDS)
        finally:
            for process in self._running():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            for started in self._started:
                started.wait()

    def _running(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            if _environment(process).get(_MARK) == self._mark:
                yield process


def _environment(process: psutil.Process) -> dict[str, str]:
    """Read a process's environment; an ended one or another user's has none."""
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _memory(process: psutil.Process) -> float:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return float(getattr(memory, "pss", memory.rss)) / 1e6


def _answers_ok(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
