"""PostgreSQL's indexes that no migration makes: built and dropped beside those who write.

A search works without them, as far as its time goes. https://www.postgresql.org/docs/current/pgtrgm.html
"""

import logging
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from evaluation_api.decision import errors
from evaluation_api.record import database

logger = logging.getLogger(__name__)

INDEXES: Final = {
    "evaluations_in_order": "evaluations (position, id)",
    "searched_by_name": "searched USING gin (name_folded gin_trgm_ops)",
}
#: What stood where the table searched does now: every COPY and every append kept them up.
OUTDATED: Final = frozenset(
    {"evaluations_by_decision", "evaluations_by_protocol", "evaluations_by_name"}
)
#: Beside another lock (schema.py): whoever waited for this one would be waited for by its holder.
_TRY: Final = text("SELECT pg_try_advisory_lock(4203382)")
_DONE: Final = text("SELECT pg_advisory_unlock(4203382)")
_THERE: Final = text(
    "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE indrelid IN ('evaluations'::regclass, 'searched'::regclass)"
)
#: Names of indexes, and whether each can be used.
_Indexes = Mapping[str, bool]


def build(engine: Engine) -> None:
    """Build what is missing, one process at a time; what cannot be built is said and left."""
    _change(engine, lambda there: {name for name in INDEXES if not there.get(name)}, _build)


def drop_outdated(engine: Engine) -> None:
    """Drop what no search needs any more; what cannot be dropped is said and left.

    Raises RecordUnavailableError.
    """
    try:
        _change(engine, lambda there: OUTDATED & there.keys(), _drop)
    except SQLAlchemyError as exc:
        raise errors.RecordUnavailableError(database.sentence_of(exc, engine)) from exc


def analyze(engine: Engine) -> None:
    """Have the server look at what many new rows are like, on which it plans searches.

    By itself it does so within some minutes. Raises RecordUnavailableError.
    """
    try:
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("ANALYZE evaluations, searched"))
            connection.invalidate()
    except SQLAlchemyError as exc:
        raise errors.RecordUnavailableError(database.sentence_of(exc, engine)) from exc


def _change(
    engine: Engine,
    chosen: Callable[[_Indexes], AbstractSet[str]],
    change: Callable[[Connection, str], None],
) -> None:
    own = engine.execution_options(isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        there = {row.relname: row.indisvalid for row in connection.execute(_THERE)}
        names = sorted(chosen(there))
        if not names or not connection.scalar(_TRY):
            return
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '30s'"))
        try:
            for name in names:
                _try(connection, name, change)
        finally:
            connection.execute(_DONE)
            connection.invalidate()


def _try(connection: Connection, name: str, change: Callable[[Connection, str], None]) -> None:
    try:
        change(connection, name)
    except SQLAlchemyError as exc:
        logger.warning("index_not_changed", extra={"index": name, "reason": str(exc.__cause__)})


def _build(connection: Connection, name: str) -> None:
    if "gin" in INDEXES[name]:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    _drop(connection, name)
    connection.execute(text(f"CREATE INDEX CONCURRENTLY {name} ON {INDEXES[name]}"))


def _drop(connection: Connection, name: str) -> None:
    connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
