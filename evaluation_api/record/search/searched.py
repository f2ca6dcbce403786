"""What finds evaluations on PostgreSQL: a narrow table behind the record (docs/adr/0006).

It is filled behind the appends, so that none keeps its indexes up, in the order of positions and
only as far as nothing can come in between any more. What is not in it yet is looked at directly. A
trigger keeps it in step with what is decided, erased or deleted, whichever release does so
(migration 0019). It can be emptied at any time, and fills itself again.
"""

import time
from typing import Final

import sqlalchemy as sa

from evaluation_api.record import database, positions, server_indexes
from evaluation_api.record.pace import Pace

searched: Final = sa.table(
    "searched",
    sa.column("position", sa.BigInteger),
    sa.column("id", sa.String),
    sa.column("cluster", sa.SmallInteger),
    sa.column("outcome", sa.String),
    sa.column("name_folded", sa.Text),
)

#: Rows of one transaction at most, and how long it is to take: whoever decides what waited, erases
#: or deletes waits for it, and nobody who appends.
_LARGEST_SLICE: Final = 5_000
_SLICE_SECONDS: Final = 0.1
#: Rows after which plans made before them are wrong: of 300,000 new ones a search took 0.4 s.
_MANY: Final = 50_000
#: One process at a time fills; and nobody changes a row between its look and its commit, which the
#: trigger waits for. It waits for no disk: what a crash takes is filled in again.
_TRY: Final = sa.text("SELECT pg_try_advisory_xact_lock(4203385)")
_BEGIN: Final = sa.text(
    "SELECT pg_advisory_xact_lock(4203384), set_config('synchronous_commit', 'off', true)"
)
#: The last one, and whether it is of this record: one that was put in its place has no such row.
_LAST: Final = sa.text(
    "SELECT position, id, EXISTS (SELECT FROM evaluations WHERE evaluations.id = searched.id)"
    " FROM searched ORDER BY position DESC, id DESC LIMIT 1"
)
_EMPTY: Final = sa.text("TRUNCATE searched")
_COLUMNS: Final = "position, id, cluster, outcome, name_folded"
_ADD: Final = sa.text(
    f"INSERT INTO searched ({_COLUMNS}) SELECT {_COLUMNS} FROM evaluations"  # noqa: S608 - constants
    f" WHERE (position, id) > (:number, :id) AND position < {positions.HORIZON}"
    " ORDER BY position, id LIMIT :limit"
)


class Filler(database.Keeper):
    """Fills the table of one database."""

    def __init__(self, engine: sa.Engine, many: int = _MANY) -> None:
        super().__init__(engine)
        self._many = many
        self._pace = Pace(_LARGEST_SLICE, _SLICE_SECONDS)
        self._added = 0

    def fill_some(self) -> bool:
        """Add a slice of what is not in yet; tell whether there may be more.

        After many rows, have the server know that they are many. Raises RecordUnavailableError.
        """
        begun, limit = time.perf_counter(), self._pace.limit
        with self._transaction() as connection:
            if not connection.scalar(_TRY):
                return False
            count = _add(connection, limit)
        self._added += count
        if count == limit:
            self._pace.note(time.perf_counter() - begun)
            return True
        if self._added >= self._many:
            self._added = 0
            server_indexes.analyze(self.engine)
        return False


def _add(connection: sa.Connection, limit: int) -> int:
    connection.execute(_BEGIN)
    last = connection.execute(_LAST).first()
    if last is not None and not last.exists:
        connection.execute(_EMPTY)
        last = None
    place = {"number": -1, "id": ""} if last is None else {"number": last.position, "id": last.id}
    return connection.execute(_ADD, {**place, "limit": limit}).rowcount
