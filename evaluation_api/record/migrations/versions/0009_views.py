"""Show decisions and reviews under the names that people know, to who knows SQL."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

#: What counts reviews in the order of their commits: see positions.py.
_POSITION = {"postgresql": "position", "sqlite": "rowid"}

_DECISIONS = """
CREATE VIEW decisoes AS SELECT
    id AS avaliacao,
    received_at AS recebida_em,
    evaluated_at AS decidida_em,
    name AS nome,
    balance AS saldo_devedor,
    purchases AS compras,
    cash_advance AS saques,
    credit_limit AS limite_de_credito,
    payments AS pagamentos,
    cluster AS perfil,
    confidence AS certeza,
    outcome AS decisao,
    coalesce(
        (
            SELECT reviews.outcome FROM reviews WHERE reviews.evaluation_id = evaluations.id
            ORDER BY reviews.{position} DESC, reviews.id DESC LIMIT 1
        ),
        outcome
    ) AS decisao_final,
    (SELECT count(*) FROM reviews WHERE reviews.evaluation_id = evaluations.id) AS vezes_revisada,
    policy_version AS politica,
    model_tag AS modelo,
    model_sha256 AS modelo_sha256
FROM evaluations WHERE outcome IS NOT NULL
"""
_REVIEWS = """
CREATE VIEW revisoes AS SELECT
    id AS revisao,
    evaluation_id AS avaliacao,
    reviewed_at AS revisada_em,
    outcome AS decisao,
    reviewer AS revisor,
    justification AS justificativa
FROM reviews
"""


def upgrade() -> None:
    """Add two views; the last release's replicas go on beside them."""
    op.execute(_DECISIONS.format(position=_POSITION[op.get_bind().dialect.name]))
    op.execute(_REVIEWS)


def downgrade() -> None:
    """Remove them."""
    op.execute("DROP VIEW revisoes")
    op.execute("DROP VIEW decisoes")
