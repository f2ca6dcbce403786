"""The record in a file of this machine, for the event loop: appends that wait for nobody.

They go to the driver itself: SQLAlchemy takes longer over a transaction of one row than SQLite.
"""

from collections.abc import Sequence

from sqlalchemy import Engine

from evaluation_api.decision.domain import Entry, Recorded
from evaluation_api.record import database
from evaluation_api.record.evaluations import DecisionLog


class FileLog:
    """A decision log beside the one whose file it shares, for one thread."""

    def __init__(self, engine: Engine) -> None:
        """Open a connection for as long as this lives. engine: of database.connect, impatient."""
        self._log = DecisionLog(engine)
        self._connection = engine.raw_connection()

    def close(self) -> None:
        """Give the connection back; nothing more is appended."""
        self._connection.close()

    def append(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        """Do as DecisionLog.append, which takes over where there are Idempotency-Keys.

        Raises RecordBusyError at once while another process writes, or RecordUnavailableError.
        """
        if any(entry.idempotency_key for entry in entries):
            return self._log.append(entries)
        rows = [self._log.row(entry) for entry in entries]
        database.write_directly(self._connection, self._log.insertion, rows)
        return [None] * len(rows)
