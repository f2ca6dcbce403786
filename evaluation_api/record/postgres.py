"""Connections to PostgreSQL that end in time, that a failover leaves, and that a pooler may share.

Apart from database.py, so that whoever records in a file does not load the driver.
"""

from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen

from evaluation_api.record import deadline

#: After these a connection is of no more use: the server is read-only (25006), and was perhaps
#: writable when it was connected to; it shuts down (57P01), has crashed (57P02), or starts (57P03).
_USELESS_AFTER: Final = frozenset({"25006", "57P01", "57P02", "57P03"})
#: For the server to look whether who has left a transaction open is still there: a container that
#: is killed may take its network away before it has said so, and a file's row stays locked
#: meanwhile, by the system's own settings for two hours.
_LOOK_FOR_THE_CLIENT: Final = (
    "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2"
)
_OPTIONS: Final = {
    "connect_timeout": 2,  # libpq's least
    # Who has no deadline would wait two hours for a server whose machine is gone.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


class Connection(psycopg.Connection[Any]):
    """A connection that closes itself where it has no more use: the pool then makes another.

    A server that is stopped, or a network that loses everything, answers nothing at all, and so
    ends no statement by a timeout of its own.
    """

    _is_useless = False

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server, no longer than until this thread's deadline."""
        timeout = deadline.seconds_left() if timeout is None else timeout
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.Error as exc:
            self._is_useless |= exc.sqlstate in _USELESS_AFTER
            if exc.sqlstate is None:  # not the server's: it was not heard of in time, or is gone
                self.pgconn.finish()
            if isinstance(exc, psycopg.errors._WaitTimeout):  # noqa: SLF001 - "convert it", it says
                raise psycopg.OperationalError("no answer in time") from exc
            raise

    def rollback(self) -> None:
        """End the transaction, and the connection with it where that is of no more use."""
        if self._is_useless:
            self.pgconn.finish()
        else:
            super().rollback()


def connect(*args: Any, statement_seconds: float | None, **kwargs: Any) -> Connection:  # noqa: ANN401 - libpq's own
    """Open a connection. statement_seconds: after which the server ends a statement by itself.

    Through a pooler that shares connections between transactions, another statement may be known
    by the name that this one was prepared under, and what is set for a session is set for
    others: neither is done there. A pooler shows by an id of the server's process that is not its
    own.
    """
    deadline.require()
    opened = Connection.connect(*args, autocommit=True, **{**_OPTIONS, **kwargs})
    try:
        _set_up(opened, statement_seconds)
    except BaseException:
        opened.close()
        raise
    return opened


def _set_up(opened: Connection, statement_seconds: float | None) -> None:
    row = opened.execute("SELECT pg_backend_pid()").fetchone()
    if row is None or row[0] != opened.info.backend_pid:
        opened.prepare_threshold = None
    else:
        opened.execute(_LOOK_FOR_THE_CLIENT)
        if statement_seconds is not None:
            opened.execute(f"SET statement_timeout = {1000 * statement_seconds:.0f}")
    opened.autocommit = False
