"""Keep the keys of every POST, so that a repeated review or file is one."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_UUID = sa.String(36)


def upgrade() -> None:
    """Add a table; the last release's replicas go on beside it."""
    op.create_table(
        "posts",
        sa.Column("operation", sa.String(16), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("subject_id", _UUID, nullable=False, index=True),
        sa.Column("made_id", _UUID, nullable=False),
    )
