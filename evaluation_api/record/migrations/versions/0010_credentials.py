"""Keep what lets somebody in, and who asked for an evaluation."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add a table, and a column that the last release leaves empty: neither rewrites a row."""
    op.add_column("evaluations", sa.Column("made_by", sa.String(136)))
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("roles", sa.String(120), nullable=False),
        sa.Column("made_at", _WHEN, nullable=False),
        sa.Column("expires_at", _WHEN, nullable=False),
        sa.Column("digest", sa.String(64), unique=True),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("used_at", _WHEN),
        sa.Column("revoked_at", _WHEN),
    )
