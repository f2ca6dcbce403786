"""Columns into a file of SQLite, by a driver that takes them (adbc-driver-sqlite).

Nobody else in the process may use the file: two libraries of SQLite in one do not see each other's
locks, and the first that closes a file lets go of the other's
(https://www.sqlite.org/howtocorrupt.html, 2.2.1). Knows neither SQLAlchemy nor pandas, so that a
process for it begins at once.
"""

import importlib
import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import pyarrow as pa

from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError

_DRIVER: Final = "adbc_driver_sqlite"
_PRAGMAS: Final = (
    "busy_timeout=5000",
    "cache_size=-16000",  # KiB: a slice's pages and their index; what does not fit is written twice
    "secure_delete=ON",
    "synchronous=NORMAL",
    "wal_autocheckpoint=0",
)
#: What is written between two checkpoints, which hold nobody up.
_CHECKPOINT_BYTES: Final = 10_000_000


def is_there() -> bool:
    """Tell whether the driver is installed."""
    return importlib.util.find_spec(_DRIVER) is not None


def stream(rows: pa.RecordBatch) -> pa.Buffer:
    """Return rows as Arrow's stream, of a slice no more than it holds."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as written:
        written.write_batch(rows)
    return sink.getvalue()


@contextmanager
def opened(database: str) -> Iterator["Columns"]:
    """Open a file of SQLite by the driver that takes columns. Raises RecordUnavailableError."""
    dbapi: Any = importlib.import_module(f"{_DRIVER}.dbapi")
    with (
        _translated(dbapi),
        dbapi.connect(database, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        yield Columns(dbapi, cursor)


@contextmanager
def _translated(dbapi: Any) -> Iterator[None]:  # noqa: ANN401 - the driver's own
    try:
        yield
    except dbapi.Error as exc:
        sentence = str(exc).partition("\n")[0]
        busy = "is locked" in sentence
        raise (RecordBusyError if busy else RecordUnavailableError)(sentence) from exc


class Columns:
    """Writes Arrow's columns, which SQLite's C code binds."""

    def __init__(self, dbapi: Any, cursor: Any) -> None:  # noqa: ANN401 - the driver's own
        self._dbapi, self._cursor = dbapi, cursor
        self._left_beside = 0  # bytes that no checkpoint has brought to the file

    def commit(
        self, move: str, values: Sequence[object], inserts: Mapping[str, pa.RecordBatch]
    ) -> float | None:
        """Change one row and insert others, all or nothing.

        move: changes it, with values. inserts: by table. Returns for how many seconds nobody else
        could write, None where the row is no longer as it was. Raises RecordUnavailableError.
        """
        with _translated(self._dbapi):
            self._cursor.execute("BEGIN IMMEDIATE")
            begun, is_done = time.perf_counter(), False
            try:
                if self._changes_one(move, values):
                    for table, rows in inserts.items():
                        told = _told(rows)
                        self._cursor.executemany(_insert(table, told), told)
                        self._left_beside += told.nbytes
                    self._cursor.execute("COMMIT")
                    is_done = True
            finally:
                if not is_done:
                    with suppress(self._dbapi.Error):  # the first error is the one to tell
                        self._cursor.execute("ROLLBACK")
        return time.perf_counter() - begun if is_done else None

    def _changes_one(self, move: str, values: Sequence[object]) -> bool:
        self._cursor.execute(move, values or None)
        self._cursor.execute("SELECT changes()")
        is_one: bool = self._cursor.fetchone() == (1,)
        return is_one

    def checkpoint_in_turn(self) -> None:
        """Bring to the file what was written beside it, if that has become much."""
        if self._left_beside >= _CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Bring to the file what was written beside it, which holds nobody up."""
        self._left_beside = 0
        with _translated(self._dbapi):
            self._cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._cursor.fetchall()


def _told(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out columns that are null in all rows: they are so unwritten, too, at no cost."""
    some = max(1, len(rows))
    return rows.select([name for name in rows.schema.names if rows[name].null_count < some])


def _insert(table: str, rows: pa.RecordBatch) -> str:
    names = ", ".join(rows.schema.names)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * rows.num_columns)})"  # noqa: S608 - names only
