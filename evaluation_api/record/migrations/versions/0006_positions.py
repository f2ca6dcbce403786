"""Count rows in the order of their commits; SQLite's rowids do so by themselves."""

import sqlalchemy as sa
from alembic import op

from evaluation_api.record.positions import count_from

revision = "0006"
down_revision = "0005"

_TABLES = ("evaluations", "reviews")


def upgrade() -> None:
    """Add a column that fills itself, 0 in the rows that are there: neither rewrites a row."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _TABLES:
        position = sa.Column("position", sa.BigInteger, nullable=False, server_default="0")
        op.add_column(table, position)
        op.execute(count_from(table, 0))
