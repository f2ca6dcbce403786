"""Writes columns of clients into the record as each database takes them best.

SQLite's file by a driver that takes Arrow's columns, a server by COPY. Each call is a transaction
of its own: the clients, and how far their file is then.
"""

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Final, Protocol

import pyarrow as pa
from sqlalchemy import Connection

from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError
from evaluation_api.record.pace import Pace
from evaluation_api.record.rows import COLUMNS
from evaluation_api.record.writer import Writer
from portfolio import copying, encoding
from portfolio.recorded_files import ELSEWHERE, RecordedFile, RecordedFiles

_DRIVER: Final = "adbc_driver_sqlite"
_PRAGMAS: Final = (
    "busy_timeout=5000",
    "secure_delete=ON",
    "synchronous=NORMAL",
    "wal_autocheckpoint=0",
)
#: Transactions between two checkpoints, which hold nobody up: some 10 MB.
_CHECKPOINT_EVERY: Final = 8
#: Rows of one transaction at most: it lasts up to 50 ms, and others write between two.
_LARGEST_SLICE: Final = 4_096
#: These take 3 ms of work: on a busy machine they last longer, and smaller ones would wait oftener.
_LEAST_SLICE: Final = 256
#: Who waits for a file looks again every few milliseconds, and is not told when it is free.
_PAUSE_SECONDS: Final = 0.005
_INSERT: Final = (
    f"INSERT INTO evaluations ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - names only
)
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

    def pause(self) -> None:
        """Let others write. Raises RecordUnavailableError."""

    def settle(self, file: RecordedFile) -> None:
        """Return once a crash of the machine takes nothing of a file that was appended.

        Raises RecordUnavailableError.
        """


def appender_for(log: RecordedFiles) -> AbstractContextManager[Appender]:
    """Open what writes fastest to the record of a log, which nobody else here uses until it closes.

    Two libraries of SQLite in one process do not see each other's locks, and the first that closes
    a file lets go of the other's (https://www.sqlite.org/howtocorrupt.html, 2.2.1).
    """
    if log.engine.dialect.name == "sqlite" and importlib.util.find_spec(_DRIVER):
        log.engine.dispose()
        return _opened(str(log.engine.url.database))
    return nullcontext(beside(log))


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

    def pause(self) -> None:
        time.sleep(_PAUSE_SECONDS)

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

    def pause(self) -> None:
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


@contextmanager
def _opened(database: str) -> Iterator[Appender]:
    dbapi: Any = importlib.import_module(f"{_DRIVER}.dbapi")
    with (
        _translated(dbapi),
        dbapi.connect(database, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        yield _Columns(dbapi, cursor)


@contextmanager
def _translated(dbapi: Any) -> Iterator[None]:  # noqa: ANN401 - the driver's own
    try:
        yield
    except dbapi.Error as exc:
        sentence = str(exc).partition("\n")[0]
        busy = "is locked" in sentence
        raise (RecordBusyError if busy else RecordUnavailableError)(sentence) from exc


class _Columns:
    """Arrow's columns, which SQLite's C code binds."""

    def __init__(self, dbapi: Any, cursor: Any) -> None:  # noqa: ANN401 - the driver's own
        self.pace = Pace(_LARGEST_SLICE, least=_LEAST_SLICE)
        self._dbapi, self._cursor = dbapi, cursor
        self._written = 0

    def append(self, file: RecordedFile, clients: pa.RecordBatch) -> RecordedFile:
        further = file._replace(recorded=file.recorded + len(clients))
        with _translated(self._dbapi):
            self._cursor.execute("BEGIN IMMEDIATE")
            try:
                self._move_on(file, further.recorded)
                self._cursor.executemany(_INSERT, clients)
                self._cursor.execute("COMMIT")
            except BaseException:
                with suppress(self._dbapi.Error):  # the first error is the one to tell
                    self._cursor.execute("ROLLBACK")
                raise
        return further

    def _move_on(self, file: RecordedFile, recorded: int) -> None:
        self._cursor.execute(_MOVE_ON, (recorded, file.sha256, file.id, file.recorded))
        self._cursor.execute("SELECT changes()")
        if self._cursor.fetchone() != (1,):
            raise RecordBusyError(ELSEWHERE)

    def pause(self) -> None:
        """Bring to the file what was written beside it, now and then: it holds nobody up."""
        self._written += 1
        if self._written % _CHECKPOINT_EVERY:
            time.sleep(_PAUSE_SECONDS)
        else:
            self._checkpoint()

    def settle(self, _: RecordedFile) -> None:
        self._checkpoint()

    def _checkpoint(self) -> None:
        with _translated(self._dbapi):
            self._cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._cursor.fetchall()
