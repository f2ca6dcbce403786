"""The programs of one system: started one after the other, and measured together."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from deploy.processes import Program, Running


@contextmanager
def started(programs: Sequence[Program], folder: Path) -> Iterator[list[Running]]:
    """Start programs, each ready before the next; stop all when the block is left, the last first.

    What they print goes to a file in the folder. Raises NotReadyError, after which none runs.
    """
    printed = folder / "printed.txt"
    with ExitStack() as stack:
        yield [stack.enter_context(Running(one, printed)).wait_until_ready() for one in programs]


def cpu_seconds(programs: Sequence[Running]) -> float:
    """Sum user and system time of all that run."""
    seconds = 0.0
    for process in _all(programs):
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def memory_mb(programs: Sequence[Running], *, of_a_runner: bool = False) -> float:
    """Sum their memory in MB; what several share is counted once (PSS), on Linux.

    of_a_runner: count only what a runner among them has started, and not the runner.
    """
    total = 0.0
    for process in _all(programs, of_a_runner=of_a_runner):
        with suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss) / 1e6
    return total


def _all(programs: Sequence[Running], *, of_a_runner: bool = False) -> Iterator[psutil.Process]:
    for running in programs:
        yield from running.processes(of_a_runner=of_a_runner)
