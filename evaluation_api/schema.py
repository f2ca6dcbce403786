"""The tables of the decision record. Alembic's migrations make them; this says what they hold."""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

_UUID = String(36)
_WHEN = DateTime(timezone=True)

#: One row an evaluation, in the order of its UUIDv7 id, which is the order of receipt. Pending
#: rows have no decision yet; decided rows never change.
evaluations = Table(
    "evaluations",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("pending", Boolean, nullable=False),
    Column("received_at", _WHEN, nullable=False),
    Column("name", String(120), nullable=False),
    #: The name without case and accents, for searching.
    Column("name_folded", Text, nullable=False),
    Column("balance", Double, nullable=False),
    Column("purchases", Double, nullable=False),
    Column("cash_advance", Double, nullable=False),
    Column("credit_limit", Double, nullable=False),
    Column("payments", Double, nullable=False),
    #: Whether the model was away at receipt, so that the decision came later.
    Column("degraded", Boolean, nullable=False),
    #: While pending: who evaluates it now may keep it until then.
    Column("claimed_until", _WHEN),
    Column("evaluated_at", _WHEN),
    Column("milliseconds", Double),
    Column("cluster", SmallInteger),
    Column("confidence", Double),
    Column("outcome", String(16)),
    Column("model_tag", String(80)),
    Column("model_sha256", String(64)),
    Column("policy_version", String(12)),
    #: The answer as it was given, byte for byte, reasons included.
    Column("answer", Text),
    Index(
        "pending_evaluations",
        "id",
        postgresql_where=text("pending"),
        sqlite_where=text("pending = 1"),
    ),
)

#: Who used an Idempotency-Key first, and for what.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column(
        "evaluation_id",
        _UUID,
        # Checked at the commit: the key goes in first, to see who wins it.
        ForeignKey("evaluations.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
        index=True,
    ),
)

#: What people decided; rows are only ever added.
reviews = Table(
    "reviews",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("evaluation_id", _UUID, ForeignKey("evaluations.id"), nullable=False, index=True),
    Column("outcome", String(16), nullable=False),
    Column("justification", Text, nullable=False),
    Column("reviewer", String(120), nullable=False),
    Column("reviewed_at", _WHEN, nullable=False),
)

#: Every policy that ever decided here, so that a decision can be explained years later.
policies = Table(
    "policies",
    metadata,
    Column("version", String(12), primary_key=True),
    Column("text", Text, nullable=False),
    Column("first_used_at", _WHEN, nullable=False),
)
