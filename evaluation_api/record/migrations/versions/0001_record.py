"""Create the decision record: evaluations, idempotency keys, reviews and policies."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_UUID = sa.String(36)
_WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "evaluations",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("pending", sa.Boolean, nullable=False),
        sa.Column("received_at", _WHEN, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("name_folded", sa.Text, nullable=False),
        sa.Column("balance", sa.Double, nullable=False),
        sa.Column("purchases", sa.Double, nullable=False),
        sa.Column("cash_advance", sa.Double, nullable=False),
        sa.Column("credit_limit", sa.Double, nullable=False),
        sa.Column("payments", sa.Double, nullable=False),
        sa.Column("degraded", sa.Boolean, nullable=False),
        sa.Column("claimed_until", _WHEN),
        sa.Column("evaluated_at", _WHEN),
        sa.Column("milliseconds", sa.Double),
        sa.Column("cluster", sa.SmallInteger),
        sa.Column("confidence", sa.Double),
        sa.Column("outcome", sa.String(16)),
        sa.Column("model_tag", sa.String(80)),
        sa.Column("model_sha256", sa.String(64)),
        sa.Column("policy_version", sa.String(12)),
        sa.Column("answer", sa.Text),
    )
    op.create_index(
        "pending_evaluations",
        "evaluations",
        ["id"],
        postgresql_where=sa.text("pending"),
        sqlite_where=sa.text("pending = 1"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column(
            "evaluation_id",
            _UUID,
            sa.ForeignKey("evaluations.id", deferrable=True, initially="DEFERRED"),
            nullable=False,
        ),
    )
    op.create_index("ix_idempotency_keys_evaluation_id", "idempotency_keys", ["evaluation_id"])
    op.create_table(
        "reviews",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("evaluation_id", _UUID, sa.ForeignKey("evaluations.id"), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("justification", sa.Text, nullable=False),
        sa.Column("reviewer", sa.String(120), nullable=False),
        sa.Column("reviewed_at", _WHEN, nullable=False),
    )
    op.create_index("ix_reviews_evaluation_id", "reviews", ["evaluation_id"])
    op.create_table(
        "policies",
        sa.Column("version", sa.String(12), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("first_used_at", _WHEN, nullable=False),
    )
