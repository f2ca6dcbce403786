"""Keep what PostgreSQL searches for in a narrow table, filled behind those who write."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

#: Whoever fills the table holds this lock alone: between its look at a row and its commit nobody
#: changes one (searched.py).
_RENEW = """
CREATE FUNCTION renew_searched() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4203384);
    IF TG_OP = 'DELETE' THEN
        DELETE FROM searched WHERE id = OLD.id;
    ELSE
        UPDATE searched
        SET id = NEW.id, name_folded = NEW.name_folded, outcome = NEW.outcome, cluster = NEW.cluster
        WHERE id = OLD.id;
    END IF;
    RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER renew_searched
AFTER DELETE OR UPDATE OF id, name_folded, outcome, cluster ON evaluations
FOR EACH ROW EXECUTE FUNCTION renew_searched()
"""


def upgrade() -> None:
    """Add an empty table, which is filled behind those who write, and what keeps it in step.

    A trigger, since programs before this one delete, decide and erase without knowing the table;
    none on insertion, which is what there is most of.
    """
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP TABLE IF EXISTS searched")  # a dump from before was put in its record's place
    op.create_table(
        "searched",
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("cluster", sa.SmallInteger),
        sa.Column("outcome", sa.String(16)),
        sa.Column("name_folded", sa.Text, nullable=False),
    )
    op.create_index("searched_in_order", "searched", ["position", "id"])
    by_decision = ["outcome", "cluster", "position", "id"]
    op.create_index("searched_by_decision", "searched", by_decision)
    op.create_index("searched_by_protocol", "searched", [sa.text("substr(id, 29)")])
    op.execute("DROP FUNCTION IF EXISTS renew_searched CASCADE")
    op.execute(_RENEW)
    op.execute(_TRIGGER)
