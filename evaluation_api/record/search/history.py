"""What the record tells of many evaluations: its lists, searches, and what came since.

Synchronous, as evaluations.py. Knows nothing of HTTP or sentences.
"""

import re
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

import sqlalchemy as sa

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Position, Search, Summary
from evaluation_api.decision.names import search_words
from evaluation_api.record import database, positions, rows
from evaluation_api.record.search import name_index
from evaluation_api.record.tables import corrections, evaluations, reviews

#: As pages show it, "3F2A 91BC", without the space.
_PROTOCOL: Final = re.compile(r"[0-9a-f]{8}")

#: As PostgreSQL's index has it.
_END_OF_ID: Final = sa.literal_column("substr(evaluations.id, 29)", sa.String)
#: Rows among which a common name is found often enough.
_NEWEST: Final = 5_000

Condition = sa.ColumnElement[bool]

_UP_TO: Final = sa.text("SELECT up_to FROM names.indexed")
_PARTS: Final = sa.table("parts", schema="names")
_PART_ROW: Final = sa.literal_column("names.parts.rowid", sa.BigInteger)
_SAME_ROW: Final = sa.text("evaluations.rowid = names.parts.rowid")
_WAITS: Final = sa.text("evaluations.rowid IN (SELECT position FROM names.waiting)")
_MATCH: Final = sa.text("parts MATCH :parts")


class History:
    """The evaluations in one database, as lists. Every method raises RecordUnavailableError."""

    def __init__(self, engine: sa.Engine, *, indexed: bool = False) -> None:
        """Keep the engine; its tables are schema.migrate's business.

        indexed: its connections know a name index (name_index.attach).
        """
        self._engine = engine
        self._indexed = indexed
        self._dialect = engine.dialect
        self._position = positions.column(engine.dialect, evaluations)

    def search(self, search: Search) -> list[Summary]:
        """Return up to search.limit evaluations, the last committed first.

        With search.after, the first committed first. Raises UnknownPlaceError.
        """
        with database.transaction(self._engine) as connection:
            numbering = positions.numbering(connection)
            if search.after and not positions.is_given(connection, numbering, search.after):
                raise errors.UnknownPlaceError
            place = self._place(connection, search, numbering)
            if search.before_id is not None and place is None:
                return []
            query = self._listed(self._where(search, place), oldest_first=search.after is not None)
            found = self._found(connection, query.limit(search.limit), search)
            return [rows.decode_summary(row, numbering.told(row.position)) for row in found]

    def _found(
        self, connection: sa.Connection, query: sa.Select[Any], search: Search
    ) -> Sequence[sa.Row[Any]]:
        """Return the rows of a search, by the index as far as there is one and it is of use."""
        if self._dialect.name == "postgresql" and search.name and search.after is None:
            return self._found_on_server(connection, query, search)
        if not self._indexed or search.after is not None:
            return connection.execute(query).all()
        parts = name_index.expression(search, _protocol(search.name))
        if parts is None:
            is_dated = search.since is not None or search.until is not None
            return connection.execute(self._of_days(query) if is_dated else query).all()
        up_to = connection.scalar(_UP_TO)
        known = query.select_from(_PARTS.join(evaluations, _SAME_ROW)).where(_MATCH)
        of_index = known.where(up_to >= _PART_ROW).order_by(None).order_by(_PART_ROW.desc())
        found = [
            *connection.execute(query.where(self._position > up_to)),
            *connection.execute(query.where(_WAITS)),
            *connection.execute(of_index, {"parts": parts}),
        ]
        return sorted(found, key=attrgetter("position"), reverse=True)[: search.limit]

    def _of_days(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """Have SQLite go by the ids' own index, of which every page holds hundreds of rows."""
        positions_of = query.with_only_columns(self._position).select_from(evaluations)
        unordered = positions_of.correlate(None).order_by(None)
        chosen = unordered.order_by(
            sa.text("+evaluations.rowid DESC")
        )  # + hides that rows are sorted
        return self._listed([self._position.in_(chosen)], oldest_first=False)

    def _found_on_server(
        self, connection: sa.Connection, query: sa.Select[Any], search: Search
    ) -> Sequence[sa.Row[Any]]:
        """Return the rows of a search by name: common ones stand among the newest.

        For rare ones the server, asked for all of them, goes by its index; asked for the newest
        it would read through the whole table.
        """
        identity, order = evaluations.c.id, (self._position.desc(), evaluations.c.id.desc())
        oldest = (
            sa.select(self._position)
            .select_from(evaluations)
            .order_by(*order)
            .offset(_NEWEST)
            .limit(1)
        )
        bound = connection.scalar(oldest)
        found = connection.execute(query if bound is None else query.where(self._position >= bound))
        rows_found = found.all()
        if bound is None or len(rows_found) == search.limit:
            return rows_found
        ids = query.limit(None).order_by(None).with_only_columns(identity).cte("found")
        chosen = sa.select(ids.prefix_with("MATERIALIZED").c.id)
        whole = self._listed([identity.in_(chosen)], oldest_first=False)
        return connection.execute(whole.limit(search.limit)).all()

    def _place(
        self, connection: sa.Connection, search: Search, numbering: positions.Numbering
    ) -> Position | None:
        """Return where a page begins; for a cursor whose row was deleted, at the one before it."""
        if search.after is not None:
            return numbering.place(search.after)
        if search.before_id is None:
            return None
        at = sa.select(self._position, evaluations.c.id).where(evaluations.c.id <= search.before_id)
        found = connection.execute(at.order_by(evaluations.c.id.desc()).limit(1)).first()
        return None if found is None else Position(*found)

    def _where(self, search: Search, place: Position | None) -> Sequence[Condition]:
        own = positions.place(self._dialect)
        conditions = list(_conditions(search))
        if search.after is not None and place is not None:
            is_final = positions.is_final(self._dialect, self._position)
            return [*conditions, own > place, *is_final]
        if place is not None:
            conditions.append(own < place if place.id == search.before_id else own <= place)
        return conditions

    def _listed(self, conditions: Sequence[Condition], *, oldest_first: bool) -> sa.Select[Any]:
        order = (self._position, evaluations.c.id)
        directed = order if oldest_first else (column.desc() for column in order)
        position = positions.column(self._dialect, reviews)
        of_this = reviews.c.evaluation_id == evaluations.c.id
        last = (
            sa.select(reviews.c.outcome)
            .where(of_this)
            .order_by(position.desc(), reviews.c.id.desc())
        )
        count = sa.select(sa.func.count()).where(of_this)
        newer = sa.select(corrections.c.by_id).where(
            corrections.c.evaluation_id == evaluations.c.id
        )
        return (
            sa.select(
                *rows.LISTED,
                self._position.label("position"),
                last.limit(1).scalar_subquery().label("reviewed"),
                count.scalar_subquery().label("reviews"),
                newer.scalar_subquery().label("corrected_by"),
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
        yield sa.or_(_is_named(search.name), *by_protocol(search.name))


def _is_named(sought: str) -> Condition:
    """Return whether a name holds every word of a text, in any order; nobody's holds none.

    Words that have one letter or two alone are sought at the beginning of a name.
    """
    words, name = search_words(sought), evaluations.c.name_folded
    if not words:
        return sa.false()
    held = sa.and_(*map(name.contains, words))
    return held if max(map(len, words)) > 2 else sa.and_(held, sa.or_(*map(name.startswith, words)))  # noqa: PLR2004 - an index has parts of three


def _protocol(sought: str | None) -> str | None:
    """Return the end of an id, if that is what is sought, in whatever pieces it is written."""
    identity = "".join((sought or "").lower().replace("-", " ").split())
    return identity if _PROTOCOL.fullmatch(identity) else None


def by_protocol(sought: str) -> Iterator[Condition]:
    """Yield how an evaluation is found by its id, or by its end, which people tell each other."""
    identity = "".join(sought.lower().split())
    if ended := _protocol(sought):
        yield _END_OF_ID.in_([ended])
    elif rows.is_id(identity):
        yield evaluations.c.id == identity
