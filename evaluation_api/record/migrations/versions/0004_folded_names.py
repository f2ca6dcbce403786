"""Fold the names that are recorded as they are searched for now."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from evaluation_api.decision.names import fold
from evaluation_api.record.schema import let_others_write

revision = "0004"
down_revision = "0003"

#: So many take 20 ms, which is how long others wait to write.
_SLICE: Final = 1000

_evaluations = sa.table("evaluations", sa.column("id"), sa.column("name"), sa.column("name_folded"))
_page = sa.select(_evaluations).order_by(_evaluations.c.id).limit(_SLICE)
_renew = (
    sa.update(_evaluations)
    .where(_evaluations.c.id == sa.bindparam("of"))
    .values(name_folded=sa.bindparam("folded"))
)


def upgrade() -> None:
    """Renew what differs, in slices; the last release's replicas go on beside it.

    What they add after it keeps their folding, which differs in few names. Begins anew when broken
    off, and passes over what is done.
    """
    connection = op.get_bind()
    page = connection.execute(_page).all()
    while page:
        if stale := _stale(page):
            connection.execute(_renew, stale)
        if len(page) < _SLICE:
            return
        let_others_write(connection, down_revision)
        page = connection.execute(_page.where(_evaluations.c.id > page[-1].id)).all()


def _stale(page: Sequence[sa.Row[Any]]) -> list[dict[str, str]]:
    return [
        {"of": row.id, "folded": folded}
        for row in page
        if (folded := fold(row.name)) != row.name_folded
    ]
