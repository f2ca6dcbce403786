"""Every policy that ever decided here, so that a decision can be explained years later."""

from datetime import UTC, datetime

from sqlalchemy import Engine, select, text

from evaluation_api.record import database
from evaluation_api.record.tables import policies

_REMEMBER = text(
    "INSERT INTO policies (version, text, first_used_at)"
    " VALUES (:version, :text, :first_used_at) ON CONFLICT (version) DO NOTHING"
)


class PolicyLog:
    """The policies in one database. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; its tables are database.migrate's business."""
        self._engine = engine

    def remember(self, version: str, source: str) -> None:
        """Keep a policy's text, once a version."""
        values = {"version": version, "text": source, "first_used_at": datetime.now(UTC)}
        with database.transaction(self._engine) as connection:
            connection.execute(_REMEMBER, values)

    def text(self, version: str) -> str | None:
        """Return the text of a policy that decided here, or None."""
        query = select(policies.c.text).where(policies.c.version == version)
        with database.transaction(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none()
