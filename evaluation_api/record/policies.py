"""Every policy that ever decided here, so that a decision can be explained years later."""

from datetime import UTC, datetime

from sqlalchemy import select

from evaluation_api.decision.domain import UsedPolicy
from evaluation_api.record import chain, database
from evaluation_api.record.rows import in_utc
from evaluation_api.record.tables import policies

_REMEMBER = database.insert_new(policies)


class PolicyLog(database.Keeper):
    """The policies in one database. Every method raises RecordUnavailableError."""

    def remember(self, version: str, source: str) -> None:
        """Keep a policy's text, once a version."""
        values = {"version": version, "text": source, "first_used_at": datetime.now(UTC)}
        with self._writing() as connection:
            connection.execute(_REMEMBER, values)
            chain.note_change(connection, chain.POLICY, version)

    def used(self) -> list[UsedPolicy]:
        """Return every policy that decided here, the newest first."""
        query = select(policies.c.text, policies.c.first_used_at)
        newest_first = query.order_by(policies.c.first_used_at.desc(), policies.c.version)
        with self._transaction() as connection:
            return [
                UsedPolicy(row.text, in_utc(row.first_used_at))
                for row in connection.execute(newest_first)
            ]

    def text(self, version: str) -> str | None:
        """Return the text of a policy that decided here, or None."""
        query = select(policies.c.text).where(policies.c.version == version)
        with self._transaction() as connection:
            return connection.execute(query).scalar_one_or_none()
