"""The programs of one system: started together, measured together, all gone afterwards."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from deploy import processes
from deploy.processes import Program, Running


class Processes:
    """Programs started in order, each ready before the next; stopped when the block is left."""

    def __init__(self, programs: Sequence[Program], folder: Path) -> None:
        """Prepare; what the programs print goes to a file in the folder."""
        self._programs = programs
        self._printed = folder / "printed.txt"
        self._running: list[Running] = []
        self.seconds_to_ready = 0.0

    def __enter__(self) -> Self:
        """Start all. Raises NotReadyError, after which nothing is left running."""
        begun = time.perf_counter()
        try:
            for program in self._programs:
                self._running.append(Running(program, self._printed))
                self._running[-1].wait_until_ready()
        except BaseException:
            processes.stop(self._running)
            raise
        self.seconds_to_ready = time.perf_counter() - begun
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Ask them to stop, and kill what does not."""
        processes.stop(self._running)

    def kill(self) -> None:
        """Kill all at once, as a crash would."""
        for running in self._running:
            running.kill()

    def cpu_seconds(self) -> float:
        """Sum user and system time of all that run."""
        seconds = 0.0
        for process in self._all():
            with suppress(psutil.Error):
                times = process.cpu_times()
                seconds += times.user + times.system
        return seconds

    def memory_mb(self, *, of_a_runner: bool = False) -> float:
        """Sum their memory in MB; what several share is counted once (PSS), on Linux.

        of_a_runner: count only what a runner among them has started, and not the runner.
        """
        return sum(_memory(process) for process in self._all(of_a_runner=of_a_runner))

    def _all(self, *, of_a_runner: bool = False) -> Iterator[psutil.Process]:
        for running in self._running:
            yield from running.processes(of_a_runner=of_a_runner)


def _memory(process: psutil.Process) -> float:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return float(getattr(memory, "pss", memory.rss)) / 1e6
