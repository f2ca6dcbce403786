"""Opens the database that a URL names, and brings its tables up to date.

The only place where SQLite and PostgreSQL differ, but for the way of many rows (batch/bulk.py).
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError
from evaluation_api.record.tables import evaluations

#: Every migration, oldest first; a test compares them with the folder.
_VERSIONS = ("0001", "0002")
HEAD = _VERSIONS[-1]

#: An error's text names the statement that failed, and not the client that it was about.
_DISCREET: Final = {"hide_parameters": True}
#: An evaluation takes 2 KB with its answer, so that of pages of 4 KB each would hold one, and the
#: file be half as large again; a file that is there keeps its own.
_PAGE_BYTES = 8192
_PRAGMAS = (
    f"page_size={_PAGE_BYTES}",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
)
#: Also makes one transaction of all: a start that is killed halfway leaves nothing half done.
_ONE_AT_A_TIME = {
    "postgresql": "SELECT pg_advisory_xact_lock(4203381)",
    "sqlite": "BEGIN IMMEDIATE",
}
_MIGRATIONS = Path(__file__).with_name("migrations")


def connect(url: str, *, patience_seconds: float = 5) -> Engine:
    """Make an engine for sqlite:///file or postgresql+psycopg://...; connects when first used.

    patience_seconds: how long to wait for another process that is writing to the same file;
    with none at all, not for the disk either: checkpoint is then for somebody else to call.
    Raises RecordUnavailableError when the URL names nothing that can be used.
    """
    try:
        if is_file(url):
            return _connect_file(make_url(url), patience_seconds)
        patience = {"connect_timeout": 3}
        return create_engine(url, pool_pre_ping=True, connect_args=patience, **_DISCREET)
    except (SQLAlchemyError, OSError, ImportError) as exc:
        raise RecordUnavailableError(str(exc)) from exc


def _connect_file(url: URL, patience_seconds: float) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": patience_seconds}, **_DISCREET)
    event.listen(engine, "connect", _configure_sqlite)
    if not patience_seconds:
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


def write_directly(
    connection: PoolProxiedConnection, statement: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Run a SQLite driver's own statement for each row, in one transaction. Raises as above."""
    driver = cast("sqlite3.Connection", connection.driver_connection)
    try:
        with driver:
            driver.executemany(statement, rows)
    except sqlite3.Error as exc:
        raise _kind(exc)(str(exc)) from exc


def insertion(engine: Engine, columns: Sequence[str]) -> str:
    """Give the driver's own INSERT of evaluations, which takes each row as a dict by column."""
    name = ":{}" if engine.dialect.name == "sqlite" else "%({})s"
    values = ", ".join(map(name.format, columns))
    return f"INSERT INTO evaluations ({', '.join(columns)}) VALUES ({values})"  # noqa: S608 - names only


def time_spelling(engine: Engine) -> Callable[[datetime], Any]:
    """Give what makes of a time what the driver takes: SQLite has no type for it."""
    kind = evaluations.c.received_at.type.dialect_impl(engine.dialect)
    return kind.bind_processor(engine.dialect) or (lambda time: time)


def in_utc(when: datetime) -> datetime:
    """Give a time that was read: SQLite's have no zone, PostgreSQL's are in its session's."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


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
        if version != HEAD:
            _upgrade(engine)
    except SQLAlchemyError as exc:
        raise RecordUnavailableError(str(exc)) from exc


def _version(engine: Engine) -> str | None:
    """Give the migration the tables are at; None for an empty database."""
    if not inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(engine: Engine) -> None:
    from alembic import command  # noqa: PLC0415 - 10 MB that a start without migrations saves
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        connection.execute(text(_ONE_AT_A_TIME[engine.dialect.name]))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
