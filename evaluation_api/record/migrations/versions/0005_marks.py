"""Mark from which version on programs can read the tables, so that they start on newer ones."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a table of marks, with the first: programs before this one do not look at it."""
    marks = op.create_table(
        "marks",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.bulk_insert(marks, [{"name": "readable_by", "value": revision}])
