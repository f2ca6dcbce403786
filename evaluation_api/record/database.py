"""Opens the database that a URL names, and brings its tables up to date.

SQLite and PostgreSQL differ here, and in how rows are written (writer.py).
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError

#: Every migration, oldest first; a test compares them with the folder.
_VERSIONS = ("0001", "0002", "0003", "0004")
HEAD = _VERSIONS[-1]

#: An error's text names the statement that failed, and not the client that it was about.
_HIDE_PARAMETERS: Final = {"hide_parameters": True}
#: An evaluation takes 2 KB with its answer, so that of pages of 4 KB each would hold one, and the
#: file be half as large again; a file that is there keeps its own.
_PAGE_BYTES = 8192
_PRAGMAS = (
    f"page_size={_PAGE_BYTES}",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
)
#: Also makes one transaction of all, or of a slice (let_others_write): a start that is killed
#: halfway leaves nothing half done.
_MIGRATION_LOCK = {
    "postgresql": "SELECT pg_advisory_xact_lock(4203381)",
    "sqlite": "BEGIN IMMEDIATE",
}
#: Who waits for a file looks again every few milliseconds, and is not told when it is free.
_BETWEEN_SLICES_SECONDS: Final = 0.005
_AT: Final = text("SELECT version_num FROM alembic_version")
_MIGRATIONS = Path(__file__).with_name("migrations")

#: What Python did by itself until 3.12, which warns of it.
sqlite3.register_adapter(datetime, lambda moment: moment.isoformat(" "))


def connect(url: str, *, busy_timeout_seconds: float = 5) -> Engine:
    """Make an engine for sqlite:///file or postgresql+psycopg://...; connects when first used.

    busy_timeout_seconds: how long to wait for another process that is writing to the same file;
    with none at all, not for the disk either: checkpoint is then for somebody else to call.
    Raises RecordUnavailableError when the URL names nothing that can be used.
    """
    try:
        if is_file(url):
            return _connect_file(make_url(url), busy_timeout_seconds)
        timeout = {"connect_timeout": 3}
        return create_engine(url, pool_pre_ping=True, connect_args=timeout, **_HIDE_PARAMETERS)
    except (SQLAlchemyError, OSError, ImportError) as exc:
        raise RecordUnavailableError(str(exc)) from exc


def _connect_file(url: URL, busy_timeout_seconds: float) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": busy_timeout_seconds}, **_HIDE_PARAMETERS)
    event.listen(engine, "connect", _configure_sqlite)
    if not busy_timeout_seconds:
        event.listen(engine, "connect", _leave_checkpoints)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Run a block in one transaction.

    Raises RecordBusyError when another process was writing to the file for too long, and
    RecordUnavailableError for anything else that the database did not do.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as exc:
        raise _kind(getattr(exc, "orig", None))(str(exc)) from exc


def is_file(url: str) -> bool:
    """Tell a database that is a file on this machine from one behind a network."""
    return make_url(url).get_backend_name() == "sqlite"


def _kind(error: BaseException | None) -> type[RecordUnavailableError]:
    """Tell a statement that failed because another process was writing to the file."""
    code = getattr(error, "sqlite_errorcode", None)
    is_busy = code is not None and code & 0xFF == sqlite3.SQLITE_BUSY
    return RecordBusyError if is_busy else RecordUnavailableError


def _configure_sqlite(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
    """Let readers and the writer work side by side.

    synchronous=NORMAL survives a killed process; after a power cut the last transactions may be
    gone, whole. Whoever can't accept that sets a PostgreSQL URL.
    """
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _leave_checkpoints(connection: Any, _: object) -> None:  # noqa: ANN401
    """Spare a commit the checkpoint that SQLite hands to one in dozens, and its wait for a disk."""
    connection.execute("PRAGMA wal_autocheckpoint=0").close()


def checkpoint(engine: Engine) -> None:
    """Bring what was written to a SQLite file safely to the disk; hold up no reader or writer.

    Raises RecordUnavailableError.
    """
    with transaction(engine) as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def migrate(engine: Engine) -> None:
    """Bring the tables up to HEAD. Several replicas may do this at once.

    Raises RecordUnavailableError when the database can't be reached, or a newer program made it.
    """
    try:
        version = _version(engine)
        if version not in {None, *_VERSIONS}:
            raise RecordUnavailableError(f"its tables are at {version}, of a newer program")
        while version != HEAD:
            with suppress(OvertakenError):
                _upgrade(engine)
            version = _version(engine)
    except SQLAlchemyError as exc:
        raise RecordUnavailableError(str(exc)) from exc


def _version(engine: Engine) -> str | None:
    """Return the migration the tables are at; None for an empty database."""
    if not inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(_AT).scalar()


def _upgrade(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415 - 10 MB that a start without migrations saves
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.connect() as connection:
        _lock(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _lock(connection: Connection) -> None:
    connection.execute(text(_MIGRATION_LOCK[connection.dialect.name]))


class OvertakenError(Exception):
    """Another process has ended the migration that this one was in the middle of."""


def let_others_write(connection: Connection, version: str) -> None:
    """Commit a slice of a migration, and go on once whoever waited has written.

    version: what the tables are at until the migration ends. Raises OvertakenError.
    """
    connection.commit()
    time.sleep(_BETWEEN_SLICES_SECONDS)
    _lock(connection)
    if connection.execute(_AT).scalar() != version:
        raise OvertakenError
