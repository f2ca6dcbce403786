"""Keep model and policy of evaluations once for all that have the same, by a number.

The views show either; what was corrected they count once, and of who was erased no amounts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

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
    coalesce(evaluations.policy_version, versions.policy_version) AS politica,
    coalesce(evaluations.model_tag, versions.model_tag) AS modelo,
    coalesce(evaluations.model_sha256, versions.model_sha256) AS modelo_sha256
FROM evaluations LEFT JOIN versions ON versions.number = evaluations.version
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
    """Add a table and a column that may stay empty, without a rewrite of any row, and two views.

    Programs before this one read past both, and do not find the names of a row that has a number.
    So none is written where they may come by (versions.py). The views replace those of programs
    that had made them at 0009 or 0013.
    """
    op.create_table(
        "versions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model_tag", sa.String(80), nullable=False),
        sa.Column("model_sha256", sa.String(64), nullable=False),
        sa.Column("policy_version", sa.String(12), nullable=False),
    )
    op.add_column("evaluations", sa.Column("version", sa.Integer))
    op.execute("DROP VIEW IF EXISTS revisoes")
    op.execute("DROP VIEW IF EXISTS decisoes")
    amounts = ",\n    ".join(
        f"CASE WHEN erased_at IS NULL THEN {column} END AS {name}"
        for column, name in _AMOUNTS.items()
    )
    position = _POSITION[op.get_bind().dialect.name]
    op.execute(_DECISIONS.format(amounts=amounts, position=position))
    op.execute(_REVIEWS)
