"""PostgreSQL's indexes that no migration makes: built beside those who write.

A search works without them, as far as its time goes. https://www.postgresql.org/docs/current/pgtrgm.html
"""

import logging
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from evaluation_api.record import database

logger = logging.getLogger(__name__)

INDEXES: Final = {
    "evaluations_in_order": "evaluations (position, id)",
    "searched_by_name": "searched USING gin (name_folded gin_trgm_ops)",
}
#: Beside another lock (schema.py): whoever waited for this one would be waited for by its holder.
_TRY: Final = text("SELECT pg_try_advisory_lock(4203382)")
_DONE: Final = text("SELECT pg_advisory_unlock(4203382)")
_THERE: Final = text(
    "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE indrelid IN ('evaluations'::regclass, 'searched'::regclass)"
)


def build(engine: Engine) -> None:
    """Build what is missing, one process at a time; what cannot be built is said and left."""
    own = engine.execution_options(isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        there = {row.relname: row.indisvalid for row in connection.execute(_THERE)}
        missing = [name for name in INDEXES if not there.get(name)]
        if not missing or not connection.scalar(_TRY):
            return
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '30s'"))
        try:
            for name in missing:
                _try_to_build(connection, name)
        finally:
            connection.execute(_DONE)
            connection.invalidate()


def _try_to_build(connection: Connection, name: str) -> None:
    try:
        if "gin" in INDEXES[name]:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
        connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        connection.execute(text(f"CREATE INDEX CONCURRENTLY {name} ON {INDEXES[name]}"))
    except SQLAlchemyError as exc:
        logger.warning("index_not_changed", extra={"index": name, "reason": str(exc.__cause__)})


def analyze(engine: Engine) -> None:
    """Have the server look at what many new rows are like, on which it plans searches.

    By itself it does so within some minutes. Raises RecordUnavailableError.
    """
    own = engine.execution_options(isolation_level="AUTOCOMMIT")
    with database.translated(engine), own.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("ANALYZE evaluations, searched"))
        connection.invalidate()
