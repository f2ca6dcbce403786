"""Keep who started a file of clients, whom each review of one of them is compared with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add a table; the last release tells nobody apart who starts a file."""
    op.create_table(
        "file_starters",
        sa.Column("file_id", sa.String(36), primary_key=True),
        sa.Column("label", sa.String(136), primary_key=True),
    )
