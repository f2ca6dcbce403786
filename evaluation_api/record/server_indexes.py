"""What finds evaluations on PostgreSQL: built beside those who write, at the start of a release.

A search works without them, as far as its time goes. https://www.postgresql.org/docs/current/pgtrgm.html
"""

import logging
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)

INDEXES: Final = {
    "evaluations_in_order": "(position, id)",
    "evaluations_by_decision": "(outcome, cluster, position, id)",
    "evaluations_by_protocol": "(substr(id, 29))",
    # Its list of what is new is short, so that whoever adds to it when it is full does not wait.
    "evaluations_by_name": "USING gin (name_folded gin_trgm_ops)"
    " WITH (gin_pending_list_limit = 512)",
}
#: Beside another lock (schema.py): whoever waited for this one would be waited for by its holder.
_TRY: Final = text("SELECT pg_try_advisory_lock(4203382)")
_DONE: Final = text("SELECT pg_advisory_unlock(4203382)")
_VALID: Final = text(
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE indisvalid AND indrelid = 'evaluations'::regclass"
)


def build(engine: Engine) -> None:
    """Build what is missing, one process at a time; what cannot be built is said and left."""
    own = engine.execution_options(isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        missing = INDEXES.keys() - connection.execute(_VALID).scalars().all()
        if not missing or not connection.scalar(_TRY):
            return
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '30s'"))
        try:
            for name in sorted(missing):
                _build(connection, name)
        finally:
            connection.execute(_DONE)
            connection.invalidate()


def _build(connection: Connection, name: str) -> None:
    try:
        if "gin" in INDEXES[name]:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
        connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        beside = f"CREATE INDEX CONCURRENTLY {name} ON evaluations {INDEXES[name]}"
        connection.execute(text(beside))
    except SQLAlchemyError as exc:
        logger.warning("index_not_built", extra={"index": name, "reason": str(exc.__cause__)})
