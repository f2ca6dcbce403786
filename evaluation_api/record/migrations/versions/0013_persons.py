"""Count what was corrected once, show no amounts of who was erased, and why people reviewed."""

from alembic import op

revision = "0013"
down_revision = "0012"

_AMOUNTS = {
    "balance": "saldo_devedor",
    "purchases": "compras",
    "cash_advance": "saques",
    "credit_limit": "limite_de_credito",
    "payments": "pagamentos",
}
#: What counts reviews in the order of their commits: see positions.py.
_POSITION = {"postgresql": "position", "sqlite": "rowid"}

_DECISIONS = """
CREATE VIEW decisoes AS SELECT
    id AS avaliacao,
    received_at AS recebida_em,
    evaluated_at AS decidida_em,
    name AS nome,
    {amounts},
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
FROM evaluations
WHERE outcome IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM corrections WHERE corrections.evaluation_id = evaluations.id
)
"""
_REVIEWS = """
CREATE VIEW revisoes AS SELECT
    id AS revisao,
    evaluation_id AS avaliacao,
    reviewed_at AS revisada_em,
    outcome AS decisao,
    reviewer AS revisor,
    justification AS justificativa,
    reason AS motivo
FROM reviews
"""


def upgrade() -> None:
    """Add two views, or replace those of a program that had made them at 0009."""
    op.execute("DROP VIEW IF EXISTS revisoes")
    op.execute("DROP VIEW IF EXISTS decisoes")
    amounts = ",\n    ".join(
        f"CASE WHEN erased_at IS NULL THEN {column} END AS {name}"
        for column, name in _AMOUNTS.items()
    )
    position = _POSITION[op.get_bind().dialect.name]
    op.execute(_DECISIONS.format(amounts=amounts, position=position))
    op.execute(_REVIEWS)
