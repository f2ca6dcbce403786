"""Give a key the room that who sent it takes before it."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Widen two columns, without a rewrite of any row; a file of SQLite's has no widths.

    The last release finds its own keys as before, and no key of a caller who said who they are.
    """
    if op.get_bind().dialect.name == "postgresql":
        for table in ("idempotency_keys", "posts"):
            op.alter_column(table, "key", type_=sa.String(392))
