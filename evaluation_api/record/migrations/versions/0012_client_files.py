"""Keep files of clients as they were sent, for a worker in a process of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_UUID = sa.String(36)
_WHEN = sa.DateTime(timezone=True)
_AT_WORK = sa.text("state IN ('conferindo', 'em_andamento')")


def upgrade() -> None:
    """Add three tables; the last release's replicas go on with their own files beside them."""
    op.create_table(
        "client_files",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("changed_at", _WHEN, nullable=False),
        sa.Column("sha256", sa.String(64), index=True),
        sa.Column("answers", sa.Text),
        sa.Column("starts_when_ready", sa.Boolean, nullable=False),
        sa.Column("worker", _UUID),
        sa.Column("leased_until", _WHEN),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("awaits", sa.String(16)),
        sa.Column("header_sha256", sa.String(64), index=True),
        sa.Column("line_count", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("last_line", sa.Integer, nullable=False),
        sa.Column("decided", sa.Integer, nullable=False),
        sa.Column("run_since", _WHEN),
        sa.Column("run_from", sa.Integer, nullable=False),
        sa.Column("counts", sa.Text),
        sa.Column("refusal", sa.Text),
        sa.Column("reading", sa.Text),
    )
    op.create_index(
        "client_files_at_work",
        "client_files",
        ["id"],
        postgresql_where=_AT_WORK,
        sqlite_where=_AT_WORK,
    )
    op.create_table(
        "client_file_parts",
        sa.Column("file_id", _UUID, sa.ForeignKey("client_files.id"), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "workers",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("seen_at", _WHEN, nullable=False),
    )
