"""Add batches of clients from CSV files, and evaluations kept without their answer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_UUID = sa.String(36)
_WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add one column to the evaluations, and two tables."""
    op.add_column("evaluations", sa.Column("prediction", sa.Text))
    op.create_table(
        "batches",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("changed_at", _WHEN, nullable=False),
        sa.Column("dialect", sa.Text),
        sa.Column("sample", sa.Text),
        sa.Column("line_count", sa.Integer, nullable=False),
    )
    op.create_table(
        "batch_chunks",
        sa.Column("batch_id", _UUID, sa.ForeignKey("batches.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("line_count", sa.Integer, nullable=False),
        sa.Column("claimed_until", _WHEN),
        sa.Column("settled_at", _WHEN),
        sa.Column("tally", sa.Text),
        # Last, since SQLite reads through 60 KB of text to whatever stands after it.
        sa.Column("lines", sa.Text, nullable=False),
        sa.Column("endings", sa.Text),
    )
    op.create_index(
        "unsettled_chunks",
        "batch_chunks",
        ["batch_id", "number"],
        postgresql_where=sa.text("settled_at IS NULL"),
        sqlite_where=sa.text("settled_at IS NULL"),
    )
