"""Add what shows that nothing was changed: salts, digests, and a chain of entries over them."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_UUID = sa.String(36)
_ADDED: Final[dict[str, tuple[sa.Column[Any], ...]]] = {
    "evaluations": (
        sa.Column("salt", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
    ),
    "reviews": (
        sa.Column("reason", sa.String(40)),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary),
    ),
}


def upgrade() -> None:
    """Add columns that may stay empty, and tables: neither rewrites a row.

    The last release's replicas write rows without a digest; the sealer makes theirs, and those of
    the rows that are there, in slices.
    """
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)
    _index()
    op.create_table(
        "chain",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("chain_kinds", "chain", ["kind", "number"])
    op.create_table(
        "chain_events",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table("chain_waiting", sa.Column("evaluation_id", _UUID, primary_key=True))
    op.create_table(
        "corrections",
        sa.Column("evaluation_id", _UUID, sa.ForeignKey("evaluations.id"), primary_key=True),
        sa.Column("by_id", _UUID, sa.ForeignKey("evaluations.id"), nullable=False, unique=True),
    )
    op.create_table(
        "purged_digests",
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("evaluation_id", _UUID, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("event_id", _UUID, nullable=False),
    )


def _index() -> None:
    empty = sa.text("digest IS NULL")
    op.create_index(
        "undigested_reviews", "reviews", ["id"], postgresql_where=empty, sqlite_where=empty
    )
