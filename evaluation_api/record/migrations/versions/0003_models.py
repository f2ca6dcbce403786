"""Keep every model that was met, so that an old case keeps the picture of what decided it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a table; the last release's replicas go on beside it."""
    op.create_table(
        "models",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("tag", sa.String(80), nullable=False, index=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("first_met_at", sa.DateTime(timezone=True), nullable=False),
    )
