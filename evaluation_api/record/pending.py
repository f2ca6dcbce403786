"""Evaluations that wait for the model: which replica decides which, and their decisions."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Update, func, select, update

from evaluation_api.decision.domain import Entry, Recorded
from evaluation_api.record import clock, database, rows
from evaluation_api.record.tables import evaluations
from evaluation_api.record.versions import Versions


class PendingQueue(database.Keeper):
    """What waits in one database. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._versions = Versions(engine)

    def count(self) -> int:
        """Return how many evaluations wait for the model."""
        query = select(func.count()).select_from(evaluations).where(evaluations.c.pending)
        with self._transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def lease(self, limit: int, duration: timedelta) -> list[Recorded]:
        """Take up to limit of them, oldest first, for a while.

        Replicas that do so at once get different ones. Whoever dies lets its lease run out, by the
        database's clock.
        """
        with self._writing() as connection:
            taking = _taking(limit, duration, clock.now(self.engine.dialect))
            taken = [rows.decode(row) for row in connection.execute(taking)]
        return sorted(taken, key=lambda recorded: recorded.id)

    def commit(self, entries: Sequence[Entry]) -> list[Entry]:
        """Write the decisions of leased evaluations; return those that were still pending.

        An evaluation that another replica has decided meanwhile keeps that decision.
        """
        decisions = [_decision(entry, self._versions.of(entry)) for entry in entries]
        with self._writing() as connection:
            found = [connection.execute(decision).rowcount for decision in decisions]
        return [entry for entry, is_mine in zip(entries, found, strict=True) if is_mine]


def _taking(limit: int, duration: timedelta, now: Any) -> Any:  # noqa: ANN401 - see clock.now
    free = (
        select(evaluations.c.id)
        .where(evaluations.c.pending)
        .where(clock.is_free(evaluations.c.claimed_until, now))
        .order_by(evaluations.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (
        update(evaluations)
        .where(evaluations.c.id.in_(free))
        .values(claimed_until=now + duration)
        .returning(evaluations)
    )


def _decision(entry: Entry, version: int | None) -> Update:
    decided = dict(zip(rows.DECISION_COLUMNS, rows.encode_decision(entry), strict=True))
    waiting = update(evaluations).where(evaluations.c.id == entry.id, evaluations.c.pending)
    return waiting.values(pending=False, **{**decided, **rows.numbered(version)})
