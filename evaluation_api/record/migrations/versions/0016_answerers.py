"""Keep who answered what a file did not say, whom each review of its clients is compared with."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add a table; the last release tells nobody apart who answers."""
    op.create_table(
        "file_answerers",
        sa.Column("file_id", sa.String(36), primary_key=True),
        sa.Column("label", sa.String(136), primary_key=True),
    )
