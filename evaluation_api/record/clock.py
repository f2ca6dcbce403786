"""The database's clock, by which replicas agree whose own ones differ."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, DateTime, Dialect, func, not_

#: Longer than any lease.
LONGEST_LEASE: Final = timedelta(minutes=1)


def now(dialect: Dialect) -> Any:  # noqa: ANN401 - a time, or what the database makes one of
    """Return the time of a statement's transaction, for its values and conditions.

    A SQLite file is used on one machine, whose clock is its own.
    """
    if dialect.name == "postgresql":
        return func.now(type_=DateTime(timezone=True))
    return datetime.now(UTC)


def is_free(until: Column[Any], now: Any) -> ColumnElement[bool]:  # noqa: ANN401 - see now
    """Return whether nobody holds a lease: there is none, it ran out, or a clock was ahead."""
    return not_(func.coalesce(until, now).between(now + timedelta.resolution, now + LONGEST_LEASE))
