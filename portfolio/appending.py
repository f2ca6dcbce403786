"""Writes columns of clients into the record as each database takes them best.

SQLite's file by a driver that takes Arrow's columns, a server by COPY. Each call is a transaction
of its own: the clients, and how far their file is then.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Protocol

import pyarrow as pa
from sqlalchemy import Connection

from evaluation_api.decision.errors import RecordBusyError
from evaluation_api.record import database, turns
from evaluation_api.record.pace import Pace
from evaluation_api.record.tables import evaluations
from evaluation_api.record.writer import Writer
from portfolio import copying, encoding, sqlite_columns
from portfolio.recorded_files import ELSEWHERE, RecordedFile, RecordedFiles
from portfolio.sqlite_columns import Columns

#: Rows of one transaction at most: it lasts up to 50 ms, and others write between two.
_LARGEST_SLICE: Final = 4_096
#: These take 3 ms of work: on a busy machine they last longer, and smaller ones would wait oftener.
_LEAST_SLICE: Final = 256
#: What the driver that takes columns does at a time; elsewhere a slice has a price of its own.
_SHORT_SLICE_SECONDS: Final = 0.005
_MOVE_ON: Final = (
    "UPDATE recorded_files SET recorded = ? WHERE sha256 = ? AND id = ? AND recorded = ?"
)


class Appender(Protocol):
    """Whatever writes a file's next clients. pace: how many of them at a time."""

    pace: Pace

    def append(self, file: RecordedFile, clients: pa.RecordBatch) -> RecordedFile:
        """Record them, all or none; return how far the file is then.

        clients: as encoding.columns. Raises RecordBusyError where another process has recorded
        them meanwhile, and RecordUnavailableError.
        """

    def let_in(self) -> None:
        """Let those write who wait. Raises RecordUnavailableError."""

    def settle(self, file: RecordedFile) -> None:
        """Return once a crash of the machine takes nothing of a file that was appended.

        Raises RecordUnavailableError.
        """


def appender_for(log: RecordedFiles) -> AbstractContextManager[Appender]:
    """Open what writes fastest to the record of a log, which nobody else here uses until it closes.

    See sqlite_columns.
    """
    if takes_columns(log):
        log.engine.dispose()
        return _opened(str(log.engine.url.database))
    return nullcontext(beside(log))


def takes_columns(log: RecordedFiles) -> bool:
    """Tell whether there is a driver that takes columns for the record of a log."""
    return log.engine.dialect.name == "sqlite" and sqlite_columns.is_there()


def beside(log: RecordedFiles) -> Appender:
    """Return what writes by the connections of a log, for who uses them meanwhile."""
    return _Copy(log) if log.engine.dialect.name == "postgresql" else _Rows(log)


class _Rows:
    """Rows, one by one."""

    def __init__(self, log: RecordedFiles) -> None:
        self.pace = Pace(_LARGEST_SLICE, least=_LEAST_SLICE)
        self._log = log

    def append(self, file: RecordedFile, clients: pa.RecordBatch) -> RecordedFile:
        return self._log.append(file, encoding.values(clients))

    def let_in(self) -> None:
        database.let_in(self._log.engine)

    def settle(self, file: RecordedFile) -> None:
        self._log.settle(file)


class _Copy:
    """COPY in binary, which Arrow writes and PostgreSQL reads without a look from Python.

    Nobody waits for a transaction here: a server lets several write at a time.
    """

    def __init__(self, log: RecordedFiles) -> None:
        self.pace = Pace(_LARGEST_SLICE, slice_seconds=None)
        self._log = log

    def append(self, file: RecordedFile, clients: pa.RecordBatch) -> RecordedFile:
        return self._log.append_copy(file, len(clients), copying.of_evaluations(clients))

    def let_in(self) -> None:
        pass

    def settle(self, file: RecordedFile) -> None:
        self._log.settle(file)


def encoded(clients: pa.RecordBatch, *, for_server: bool) -> Callable[[Writer, Connection], None]:
    """Return what writes clients within somebody else's transaction, encoded before it begins."""
    if for_server:
        rows = copying.of_evaluations(clients)
        return lambda writer, connection: writer.insert_copy(connection, rows)
    values = encoding.values(clients)
    return lambda writer, connection: writer.insert(connection, values)


def pace_of_columns(slice_seconds: float = _SHORT_SLICE_SECONDS) -> Pace:
    """Return how many rows the driver that takes columns is to write at a time."""
    return Pace(_LARGEST_SLICE, slice_seconds, _LEAST_SLICE)


class _Columns:
    """Arrow's columns, by sqlite_columns."""

    def __init__(self, columns: Columns, file: str) -> None:
        self.pace = pace_of_columns()
        self._columns = columns
        self._file = file

    def append(self, file: RecordedFile, clients: pa.RecordBatch) -> RecordedFile:
        further = file._replace(recorded=file.recorded + len(clients))
        as_it_was = (further.recorded, file.sha256, file.id, file.recorded)
        if self._columns.commit(_MOVE_ON, as_it_was, {evaluations.name: clients}) is None:
            raise RecordBusyError(ELSEWHERE)
        return further

    def let_in(self) -> None:
        self._columns.checkpoint_in_turn()
        turns.let_in(self._file)

    def settle(self, _: RecordedFile) -> None:
        self._columns.checkpoint()


@contextmanager
def _opened(file: str) -> Iterator[Appender]:
    with sqlite_columns.opened(file) as columns:
        yield _Columns(columns, file)
