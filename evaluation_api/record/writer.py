"""Writes rows as each database takes them best: one, a group, or a thousand of a client file.

Encoding needs no connection but for a number once a minute (versions.py), and is done before the
transaction begins: while it lasts, others wait to write. Every other method raises what
transactions do.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine

from evaluation_api.decision.domain import Entry
from evaluation_api.record import digests, rows
from evaluation_api.record.rows import BindTime, Values
from evaluation_api.record.versions import Versions


class KeyRow(NamedTuple):
    """A row of the keys' table.

    sent, caller: the key as it was sent and by whom (domain.sent_key), where that is kept with it.
    """

    key: str
    fingerprint: str
    evaluation_id: str
    sent: str | None = None
    caller: str | None = None


_NAMES: Final = ", ".join(rows.COLUMNS)
_INTO_KEYS: Final = "INSERT INTO idempotency_keys (key, fingerprint, evaluation_id)"
#: Unless the same caller used it in the release before, which keeps a key as it is sent; it may not
#: say who that was.
_UNLESS_USED_BEFORE: Final = (
    " WHERE NOT EXISTS (SELECT 1 FROM idempotency_keys used"
    " JOIN evaluations made ON made.id = used.evaluation_id"
    " WHERE used.key = {sent} AND (made.made_by IS NULL OR made.made_by = {caller}))"
    " ON CONFLICT DO NOTHING"
)


class Writer(ABC):
    """What writes to one kind of database."""

    #: Makes of a time what the driver takes.
    bind_time: BindTime

    def __init__(self, engine: Engine) -> None:
        self.versions = Versions(engine)

    def encode(self, entry: Entry) -> Values:
        """Return an entry as insert takes it."""
        return rows.encode(entry, self.bind_time, self.versions.of(entry))

    @abstractmethod
    def insert(self, connection: Connection, encoded: Sequence[Values]) -> None:
        """Write new evaluations."""

    def insert_copy(self, connection: Connection, encoded: bytes) -> None:
        """Write new evaluations, rows.COLUMNS as COPY takes them in binary."""
        raise NotImplementedError

    @abstractmethod
    def insert_keys(self, connection: Connection, keys: Sequence[KeyRow]) -> int:
        """Write the keys that nobody used before; return how many those are."""


def writer_for(engine: Engine) -> Writer:
    """Return what suits a database."""
    is_server = engine.dialect.name == "postgresql"
    return _PostgresWriter(engine) if is_server else _SqliteWriter(engine)


class _SqliteWriter(Writer):
    """One statement for many rows.

    Each statement lets go of the interpreter and then waits for it, while the file is locked.
    """

    bind_time = staticmethod(digests.told)  # what SQLAlchemy makes of a time, sooner

    def insert(self, connection: Connection, encoded: Sequence[Values]) -> None:
        start = 0
        for count in _parts(len(encoded)):
            values = tuple(chain.from_iterable(encoded[start : start + count]))
            connection.exec_driver_sql(_statement(count), values)
            start += count

    def insert_keys(self, connection: Connection, keys: Sequence[KeyRow]) -> int:
        return connection.exec_driver_sql(_INSERT_KEYS_HERE, list(keys)).rowcount


_INSERT_KEYS_HERE: Final = (
    f"{_INTO_KEYS} SELECT ?, ?, ?{_UNLESS_USED_BEFORE.format(sent='?', caller='?')}"
)


#: So many rows, or fewer, have a statement of their own.
_ANY_SIZE: Final = 32
#: A power of two; of more rows a statement has more values than SQLite takes everywhere (32,766).
_MOST_ROWS: Final = 1024


def _parts(total: int) -> Iterator[int]:
    """Cut a number into parts, so that the driver keeps a few dozen statements and no more."""
    while total > _ANY_SIZE:
        largest = min(_MOST_ROWS, 1 << (total.bit_length() - 1))
        yield largest
        total -= largest
    if total:
        yield total


@lru_cache(maxsize=64)
def _statement(count: int) -> str:
    one = f"({', '.join('?' * len(rows.COLUMNS))})"
    return f"INSERT INTO evaluations ({_NAMES}) VALUES {', '.join([one] * count)}"  # noqa: S608 - placeholders only


class _PostgresWriter(Writer):
    """COPY (https://www.postgresql.org/docs/current/sql-copy.html).

    As fast as an INSERT for one row, and three times as fast for a thousand.
    """

    bind_time = staticmethod(lambda time: time)

    def insert(self, connection: Connection, encoded: Sequence[Values]) -> None:
        with closing(connection.connection.cursor()) as cursor, cursor.copy(_COPY) as copy:
            for row in encoded:
                copy.write_row(row)

    def insert_copy(self, connection: Connection, encoded: bytes) -> None:
        with closing(connection.connection.cursor()) as cursor, cursor.copy(_COPY_BINARY) as copy:
            copy.write(encoded)

    def insert_keys(self, connection: Connection, keys: Sequence[KeyRow]) -> int:
        return connection.exec_driver_sql(_INSERT_KEYS, (json.dumps(keys),)).rowcount


_COPY: Final = f"COPY evaluations ({_NAMES}) FROM STDIN"
_COPY_BINARY: Final = f"{_COPY} (FORMAT binary)"
#: From one JSON text: Psycopg takes longer over an array than PostgreSQL does over its rows.
_INSERT_KEYS: Final = (
    f"{_INTO_KEYS} SELECT one ->> 0, one ->> 1, one ->> 2 FROM json_array_elements(%s::json) one"  # noqa: S608 - names only
    f"{_UNLESS_USED_BEFORE.format(sent='one ->> 3', caller='one ->> 4')}"
)
