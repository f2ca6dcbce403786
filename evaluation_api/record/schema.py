"""Which version the tables are at, who may work on it, and the way to the newest.

Expand, then contract a release later (docs/adr/0006): a migration either adds what programs of the
release before need not know, or takes away what they do not use any more, and then raises the mark.
So a program starts on its successor's tables, and a replica of it that runs goes on.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, select, text, update

from evaluation_api.decision import errors
from evaluation_api.record import database, positions, server_indexes
from evaluation_api.record.tables import NUMBERED_SINCE, READABLE_BY, marks

logger = logging.getLogger(__name__)

#: Every migration, oldest first; a test compares them with the folder.
VERSIONS: Final = tuple(f"{number:04}" for number in range(1, 20))
HEAD: Final = VERSIONS[-1]

#: Also makes one transaction of all, or of a slice (let_others_write): a start that is killed
#: halfway leaves nothing half done.
_MIGRATION_LOCK: Final = {
    "postgresql": "SELECT pg_advisory_xact_lock(4203381)",
    "sqlite": "BEGIN IMMEDIATE",
}
#: Who waits for a file looks again every few milliseconds, and is not told when it is free.
_BETWEEN_SLICES_SECONDS: Final = 0.005
_AT: Final = text("SELECT version_num FROM alembic_version")
MIGRATIONS: Final = Path(__file__).with_name("migrations")


@contextmanager
def opened(url: str, *, may_begin: bool = True) -> Iterator[tuple[Engine, str]]:
    """Open a database for a command, its tables up to date, and tell what they are at.

    may_begin: make a record where there is none: else an address that was mistyped is told, and
    not taken for a record in which nothing is. Raises RecordUnavailableError.
    """
    engine = database.connect(url, may_begin=may_begin)
    try:
        yield engine, migrate(engine, may_begin=may_begin)
    finally:
        engine.dispose()


def migrate(engine: Engine, *, may_begin: bool = True) -> str:
    """Bring the tables up to HEAD; return what they are at. Several replicas may do this at once.

    Tables of a newer program stay as they are, where they are marked as readable by this one.
    may_begin: as opened takes it. Raises RecordUnavailableError when they are not, or the database
    can't be reached.
    """
    with database.translated(engine):
        while (version := _version(engine)) is None or version < HEAD:
            if version is None and not may_begin:
                where = f"{engine.url.database}, {database.NAMED}"
                raise errors.RecordUnavailableError(f"there is no record in {where}")
            with suppress(OvertakenError):
                upgrade(engine, MIGRATIONS)
        if version != HEAD:
            _require_readable(engine, version)
        if engine.dialect.name == "postgresql":
            _count_on(engine)
            server_indexes.build(engine)
    return version


def _version(engine: Engine) -> str | None:
    """Return the migration the tables are at; None for an empty database."""
    if not inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(_AT).scalar()


def _count_on(engine: Engine) -> None:
    with engine.connect() as connection:
        is_behind = positions.is_behind(connection)
    if is_behind:
        with _locked(engine) as connection:
            positions.continue_behind_last(connection)


def _require_readable(engine: Engine, version: str) -> None:
    """Raise RecordUnavailableError unless tables of a newer program may be used by this one."""
    oldest = _mark(engine, READABLE_BY)
    if oldest is None or oldest > HEAD:
        since = "" if oldest is None else f", readable from {oldest} on; this one knows {HEAD}"
        raise errors.RecordUnavailableError(
            f"its tables are at {version}, of a newer program{since}"
        )
    logger.info("tables_are_newer", extra={"tables": version, "known": HEAD})


def _mark(engine: Engine, name: str) -> str | None:
    if not inspect(engine).has_table(marks.name):
        return None
    with engine.connect() as connection:
        return connection.execute(select(marks.c.value).where(marks.c.name == name)).scalar()


def upgrade(engine: Engine, migrations: Path) -> None:
    """Run a folder's migrations that have not been run."""
    from alembic import command  # noqa: PLC0415 - 10 MB that a start without migrations saves
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations))
    with _locked(engine) as connection:
        config.attributes["connection"] = connection
        is_new = not inspect(connection).has_table("alembic_version")
        command.upgrade(config, "head")
        if is_new:  # no program that knows no numbers has it
            readable_by = update(marks).where(marks.c.name == READABLE_BY)
            connection.execute(readable_by.values(value=NUMBERED_SINCE))


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """Run a block in one transaction, or in slices (let_others_write), one process at a time."""
    with engine.connect() as connection:
        _lock(connection)
        yield connection
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
