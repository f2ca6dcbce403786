"""The record as who knows SQL sees it, page by page: the views that a migration makes.

docs/portfolio.md says what each column is.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    DateTime,
    Double,
    Engine,
    Integer,
    Row,
    String,
    TableClause,
    column,
    select,
    table,
)

from evaluation_api.record import database
from evaluation_api.record.rows import first_id

#: Rows read at once: some 5 MB.
_PAGE: Final = 16_384
_WHEN: Final = DateTime(timezone=True)


class View(NamedTuple):
    """A view. key: the column by which it is read, whose values begin with the time."""

    columns: TableClause
    key: str


DECISIONS: Final = View(
    table(
        "decisoes",
        column("avaliacao", String),
        column("recebida_em", _WHEN),
        column("decidida_em", _WHEN),
        column("nome", String),
        column("saldo_devedor", Double),
        column("compras", Double),
        column("saques", Double),
        column("limite_de_credito", Double),
        column("pagamentos", Double),
        column("perfil", Integer),
        column("certeza", Double),
        column("decisao", String),
        column("decisao_final", String),
        column("vezes_revisada", Integer),
        column("politica", String),
        column("modelo", String),
        column("modelo_sha256", String),
    ),
    "avaliacao",
)
REVIEWS: Final = View(
    table(
        "revisoes",
        column("revisao", String),
        column("avaliacao", String),
        column("revisada_em", _WHEN),
        column("decisao", String),
        column("revisor", String),
        column("justificativa", String),
        column("motivo", String),
    ),
    "revisao",
)


def pages(
    engine: Engine, view: View, since: datetime, until: datetime, rows: int = _PAGE
) -> Iterator[Sequence[Row[Any]]]:
    """Yield what was made from a time on until before another, oldest first, so many rows a page.

    Times without a zone are UTC's. Raises RecordUnavailableError.
    """
    key, last = view.columns.c[view.key], ""
    of_these = select(view.columns).where(key >= first_id(since), key < first_id(until))
    while True:
        query = of_these.where(key > last).order_by(key).limit(rows)
        with database.transaction(engine) as connection:
            page = connection.execute(query).all()
        if not page:
            return
        yield page
        last = getattr(page[-1], view.key)
