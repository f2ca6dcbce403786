"""Writes a SQLite file in a process of its own, by the driver that takes columns.

A worker uses the standard library for all else (see sqlite_columns). A row takes the driver
a fifth of what it takes the standard library, and none of the worker's own time. The process ends
with the one who started it: their pipe does.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from evaluation_api.decision.errors import EvaluationError, RecordUnavailableError
from portfolio import precedence, sqlite_columns
from portfolio.sqlite_columns import Columns

_ROOT: Final = Path(__file__).parents[1]


class Change(NamedTuple):
    """One transaction. move: a statement that changes one row, or nothing is done.

    inserts: by table, the columns of its new rows, as Arrow's stream.
    """

    move: str
    inserts: dict[str, bytes]


class ColumnsWriter:
    """The process, for whoever has it write."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def commit(self, move: str, inserts: dict[str, pa.RecordBatch]) -> float | None:
        """Do what a Change says, all or nothing.

        Returns for how many seconds nobody else could write, None where its move changed no row.
        Raises RecordUnavailableError.
        """
        told = {table: bytes(sqlite_columns.stream(rows)) for table, rows in inserts.items()}
        try:
            self._pipe.send(Change(move, told))
            answer = self._pipe.recv()
        except (EOFError, OSError) as exc:
            raise RecordUnavailableError("the process that writes has ended") from exc
        if isinstance(answer, EvaluationError):
            raise answer
        seconds: float | None = answer
        return seconds


@contextmanager
def started(database: str) -> Iterator[ColumnsWriter]:
    """Start the process for a file of SQLite."""
    ours, theirs = Pipe()
    command = [sys.executable, "-m", __name__, str(theirs.fileno()), str(Path(database).resolve())]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    start = partial(
        subprocess.Popen,
        command,
        stdin=subprocess.DEVNULL,
        env=environment,
        pass_fds=[theirs.fileno()],
    )
    with precedence.in_front(start):
        theirs.close()
        with ours:
            yield ColumnsWriter(ours)


def main(arguments: Sequence[str]) -> None:
    """Commit what is asked for until nobody asks any more."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # they go to the worker, too, whose pipe then ends
    descriptor, database = arguments
    with Connection(int(descriptor)) as asked, sqlite_columns.opened(database) as columns:
        while True:
            try:
                change = asked.recv()
            except EOFError:
                return
            asked.send(_answer(columns, change))
            columns.checkpoint_in_turn()


def _answer(columns: Columns, change: Change) -> float | EvaluationError | None:
    inserts = {
        table: pa.ipc.open_stream(rows).read_next_batch() for table, rows in change.inserts.items()
    }
    try:
        return columns.commit(change.move, (), inserts)
    except RecordUnavailableError as exc:
        return exc


if __name__ == "__main__":
    main(sys.argv[1:])
