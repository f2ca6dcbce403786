"""The database's clock, by which replicas agree whose own ones differ."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, func


def now(dialect: Dialect) -> Any:  # noqa: ANN401 - a time, or what the database makes one of
    """Return the time of a statement's transaction, for its values and conditions.

    A SQLite file is used on one machine, whose clock is its own.
    """
    if dialect.name == "postgresql":
        return func.now(type_=DateTime(timezone=True))
    return datetime.now(UTC)
