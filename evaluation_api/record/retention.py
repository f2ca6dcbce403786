"""Deletes what was received before a time, with all that hangs on it."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, func, select

from evaluation_api.record import database
from evaluation_api.record.rows import first_id
from evaluation_api.record.tables import (
    batch_chunks,
    batches,
    evaluations,
    idempotency_keys,
    reviews,
)


class Older(NamedTuple):
    """How much was received before a time. files: of clients, evaluated or not."""

    evaluations: int
    files: int


def count_older(engine: Engine, before: datetime) -> Older:
    """Return how much was received before a time. Raises RecordUnavailableError."""
    bound = first_id(before)
    counts = (select(func.count()).where(table.c.id < bound) for table in (evaluations, batches))
    with database.transaction(engine) as connection:
        return Older(*(int(connection.execute(count).scalar_one()) for count in counts))


def purge(engine: Engine, before: datetime) -> int:
    """Delete evaluations received before a time, and all that is theirs; return how many.

    Files received before it go with their lines, which hold names and amounts. Raises
    RecordUnavailableError.
    """
    bound = first_id(before)
    with database.transaction(engine) as connection:
        for table in (reviews, idempotency_keys):
            connection.execute(table.delete().where(table.c.evaluation_id < bound))
        connection.execute(batch_chunks.delete().where(batch_chunks.c.batch_id < bound))
        connection.execute(batches.delete().where(batches.c.id < bound))
        return connection.execute(evaluations.delete().where(evaluations.c.id < bound)).rowcount
