"""Keep which files of clients were recorded from a terminal, so that none is recorded twice."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add a table; the last release's replicas go on beside it."""
    op.create_table(
        "recorded_files",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("criteria", sa.Text, nullable=False),
        sa.Column("recorded", sa.BigInteger, nullable=False),
    )
