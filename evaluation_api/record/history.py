"""What the record tells of many evaluations: its lists, searches, and what came since.

Synchronous, as evaluations.py. Knows nothing of HTTP or sentences.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    false,
    func,
    or_,
    select,
)

from evaluation_api.decision.domain import Position, Search, Summary
from evaluation_api.decision.names import search_words
from evaluation_api.record import database, positions, rows
from evaluation_api.record.tables import evaluations, reviews

#: As pages show it, "3F2A 91BC", without the space.
_PROTOCOL: Final = re.compile(r"[0-9a-f]{8}")

Condition = ColumnElement[bool]


class History:
    """The evaluations in one database, as lists. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; its tables are schema.migrate's business."""
        self._engine = engine
        self._dialect = engine.dialect
        self._position = positions.column(engine.dialect, evaluations)

    def search(self, search: Search) -> list[Summary]:
        """Return up to search.limit evaluations, the last committed first.

        With search.after, the first committed first.
        """
        with database.transaction(self._engine) as connection:
            numbering = positions.numbering(connection)
            place = self._place(connection, search, numbering)
            if search.before_id is not None and place is None:
                return []
            query = self._listed(self._where(search, place), oldest_first=search.after is not None)
            return [
                rows.decode_summary(row, numbering.told(row.position))
                for row in connection.execute(query.limit(search.limit))
            ]

    def _place(
        self, connection: Connection, search: Search, numbering: positions.Numbering
    ) -> Position | None:
        """Return where a page begins; for a cursor whose row was deleted, at the one before it."""
        if search.after is not None:
            return numbering.place(search.after)
        if search.before_id is None:
            return None
        at = select(self._position, evaluations.c.id).where(evaluations.c.id <= search.before_id)
        found = connection.execute(at.order_by(evaluations.c.id.desc()).limit(1)).first()
        return None if found is None else Position(*found)

    def _where(self, search: Search, place: Position | None) -> Sequence[Condition]:
        own, identity = self._position, evaluations.c.id
        conditions = list(_conditions(search))
        if search.after is not None and place is not None:
            is_final = positions.is_final(self._dialect, own)
            return [*conditions, positions.is_after(own, identity, place), *is_final]
        if place is not None:
            conditions.append(positions.is_before(own, identity, place))
            if place.id != search.before_id:
                conditions[-1] = or_(conditions[-1], identity == place.id)
        return conditions

    def _listed(self, conditions: Sequence[Condition], *, oldest_first: bool) -> Select[Any]:
        order = (self._position, evaluations.c.id)
        directed = order if oldest_first else (column.desc() for column in order)
        position = positions.column(self._dialect, reviews)
        of_this = reviews.c.evaluation_id == evaluations.c.id
        last = (
            select(reviews.c.outcome).where(of_this).order_by(position.desc(), reviews.c.id.desc())
        )
        count = select(func.count()).where(of_this)
        return (
            select(
                *rows.LISTED,
                self._position.label("position"),
                last.limit(1).scalar_subquery().label("reviewed"),
                count.scalar_subquery().label("reviews"),
            )
            .where(*conditions)
            .order_by(*directed)
        )


def _conditions(search: Search) -> Iterator[Condition]:
    if search.outcome is not None:
        yield evaluations.c.outcome == search.outcome.value
    if search.cluster is not None:
        yield evaluations.c.cluster == search.cluster
    if search.since is not None:
        yield evaluations.c.id >= rows.first_id(search.since)
    if search.until is not None:
        yield evaluations.c.id < rows.first_id(search.until)
    if search.name is not None:
        yield or_(_is_named(search.name), *_by_protocol(search.name))


def _is_named(text: str) -> Condition:
    """Return whether a name holds every word of a text, in any order; nobody's holds none."""
    words = search_words(text)
    return and_(*map(evaluations.c.name_folded.contains, words)) if words else false()


def _by_protocol(text: str) -> Iterator[Condition]:
    """Yield how an evaluation is found by its id, or by its end, which people tell each other."""
    identity = "".join(text.lower().split())
    if _PROTOCOL.fullmatch(identity):
        yield evaluations.c.id.endswith(identity)
    elif rows.is_id(identity):
        yield evaluations.c.id == identity
