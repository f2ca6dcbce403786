"""The order of commits, by the database's own count (docs/adr/0006).

A row's position never changes and none is given twice, and whoever has read up to one misses no
earlier row later. On SQLite it is the rowid, which the one writer counts; on PostgreSQL the number
of the transaction, in a column of its own, so that rows of one commit share one, and rows from
before have 0. Where positions are equal, ids say which comes first.
"""

import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from evaluation_api.decision.domain import Position
from evaluation_api.record.tables import evaluations, marks, reviews

#: The mark of what was added on PostgreSQL to the number of a transaction.
OFFSET: Final = "position_offset"
#: The mark of rowids that SQLite gives for a second time, as JSON: [[the first, shift], ...].
_REGIVEN: Final = "regiven_rowids"

_OFFSET_VALUE: Final = f"coalesce((SELECT value::bigint FROM marks WHERE name = '{OFFSET}'), 0)"  # noqa: S608 - a constant
#: Before which number no row of PostgreSQL is still to come.
HORIZON: Final = f"(pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {_OFFSET_VALUE})"
_NEXT: Final = sa.text(
    f"SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, {_OFFSET_VALUE}"
)

_AT: Final = sa.text("SELECT id FROM evaluations WHERE rowid = :row")
_LAST: Final = sa.text(
    "SELECT greatest((SELECT max(position) FROM evaluations), (SELECT max(position) FROM reviews))"
)


def column(dialect: sa.Dialect, table: sa.TableClause) -> sa.ColumnElement[int]:
    """Return what counts the rows of a table in one kind of database."""
    own = "position" if dialect.name == "postgresql" else "rowid"
    return sa.literal_column(f"{table.name}.{own}", sa.BigInteger)


def place(dialect: sa.Dialect, table: sa.TableClause = evaluations) -> sa.Tuple:
    """Return where an evaluation stands, to be compared with a Position."""
    return sa.tuple_(column(dialect, table), table.c.id)


def is_final(dialect: sa.Dialect, position: sa.ColumnElement[int]) -> list[sa.ColumnElement[bool]]:
    """Return the condition that no earlier row can come any more: none where one writes at a time.

    A transaction of PostgreSQL has its number before it commits; from the oldest one that still
    runs on, others are missing.
    """
    horizon: sa.ColumnElement[int] = sa.literal_column(HORIZON, sa.BigInteger)
    return [position < horizon] if dialect.name == "postgresql" else []


class Numbering:
    """Positions as callers are told them, and what the database counts by."""

    def __init__(self, regiven: Sequence[tuple[int, int]]) -> None:
        """Take the rowids from which on others had the number before, and what is added since."""
        self._firsts = [first for first, _ in regiven]
        self._told = [first + shift for first, shift in regiven]
        self._shifts = [0, *(shift for _, shift in regiven)]

    def told(self, counted: int) -> int:
        """Return a row's position."""
        return counted + self._shifts[bisect_right(self._firsts, counted)]

    def place(self, told: Position) -> Position:
        """Return a place as the database counts; behind rows that are gone, before the next."""
        part = bisect_right(self._told, told.number)
        counted = told.number - self._shifts[part]
        if part < len(self._firsts) and counted >= self._firsts[part]:
            return Position(self._firsts[part], "")
        return Position(counted, told.id)


def is_given(connection: sa.Connection, numbering: Numbering, told: Position) -> bool:
    """Tell whether a place may have been given by this record: none that is still to come was.

    On SQLite, which counts each row, neither was one at which another row stands.
    """
    if (limit := upcoming(connection)) is not None:
        return told.number < limit
    if told.number >= numbering.told(newest(connection) + 1):
        return False
    counted = numbering.place(told)
    there = connection.scalar(_AT, {"row": counted.number})
    return there is None or counted.id in {"", there}


def upcoming(connection: sa.Connection) -> int | None:
    """Return before which number every row of PostgreSQL stands; SQLite gives any rowid."""
    if connection.dialect.name != "postgresql":
        return None
    number, offset = connection.execute(_NEXT).one()
    return int(number + offset)


def numbering(connection: sa.Connection) -> Numbering:
    """Read how positions are told."""
    return Numbering(_regiven(connection))


def _regiven(connection: sa.Connection) -> list[tuple[int, int]]:
    query = sa.select(marks.c.value).where(marks.c.name == _REGIVEN)
    return [(first, shift) for first, shift in json.loads(connection.scalar(query) or "[]")]


def note_deleted(connection: sa.Connection, newest_before: int) -> None:
    """Note on SQLite, in the transaction of a deletion, which rowids will be given again.

    newest_before: newest() before it.
    """
    newest_now = newest(connection)
    if newest_now >= newest_before:
        return
    known = _regiven(connection)
    shift = (known[-1][1] if known else 0) + newest_before - newest_now
    kept = [pair for pair in known if pair[0] <= newest_now]
    connection.execute(sa.delete(marks).where(marks.c.name == _REGIVEN))
    value = json.dumps([*kept, (newest_now + 1, shift)])
    connection.execute(sa.insert(marks).values(name=_REGIVEN, value=value))


def newest(connection: sa.Connection) -> int:
    """Return the newest rowid of SQLite's evaluations, 0 where there is none."""
    return int(connection.scalar(sa.text("SELECT coalesce(max(rowid), 0) FROM evaluations")) or 0)


def is_behind(connection: sa.Connection) -> bool:
    """Tell whether rows came to PostgreSQL from a server that had counted further.

    A dump brings the numbers of another server; those of a new one begin at 3.
    """
    limit = upcoming(connection)
    return limit is not None and _last(connection) >= limit


def continue_behind_last(connection: sa.Connection) -> None:
    """Have PostgreSQL count on from the last row."""
    number, _ = connection.execute(_NEXT).one()
    offset = _last(connection) + 1 - number
    connection.execute(sa.delete(marks).where(marks.c.name == OFFSET))
    connection.execute(sa.insert(marks).values(name=OFFSET, value=str(offset)))
    for table in (evaluations, reviews):
        connection.execute(sa.text(count_from(table.name, offset)))


def _last(connection: sa.Connection) -> int:
    return int(connection.scalar(_LAST) or 0)


def count_from(table: str, offset: int) -> str:
    """Return the statement that has rows take the number of their transaction, and an offset."""
    number = f"pg_current_xact_id()::text::bigint + {int(offset)}"
    return f"ALTER TABLE {table} ALTER COLUMN position SET DEFAULT ({number})"
