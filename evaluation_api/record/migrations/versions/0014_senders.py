"""Keep who sent a file of clients, for its evaluations and for who reviews them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add a column, without a rewrite of any row."""
    op.add_column("client_files", sa.Column("made_by", sa.String(136)))
