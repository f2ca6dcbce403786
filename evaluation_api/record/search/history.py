"""What the record tells of many evaluations: its lists, searches, and what came since.

Synchronous, as evaluations.py. Knows nothing of HTTP or sentences.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

import sqlalchemy as sa

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Position, Search, Summary
from evaluation_api.decision.names import search_words
from evaluation_api.record import database, positions, rows
from evaluation_api.record.search import name_index
from evaluation_api.record.search.searched import searched
from evaluation_api.record.tables import corrections, evaluations, reviews

#: As pages show it, "3F2A 91BC", without the space.
_PROTOCOL: Final = re.compile(r"[0-9a-f]{8}")

#: Rows among which what is common is found often enough.
_NEWEST: Final = 5_000
#: And so many times as many in PostgreSQL's narrow table.
_NEAR: Final = 10

Condition = sa.ColumnElement[bool]
#: Whatever has the columns that are searched.
_Named = sa.TableClause | sa.Subquery

_UP_TO: Final = sa.text("SELECT up_to FROM names.indexed")
_PARTS: Final = sa.table("parts", schema="names")
_PART_ROW: Final = sa.literal_column("names.parts.rowid", sa.BigInteger)
_SAME_ROW: Final = sa.text("evaluations.rowid = names.parts.rowid")
_WAITS: Final = sa.text("evaluations.rowid IN (SELECT position FROM names.waiting)")
_MATCH: Final = sa.text("parts MATCH :parts")


class History(database.Keeper):
    """The evaluations in one database, as lists. Every method raises RecordUnavailableError."""

    def __init__(self, engine: sa.Engine, *, indexed: bool = False, newest: int = _NEWEST) -> None:
        """Take the engine.

        indexed: look for what is not new in what is filled behind the appends: SQLite's index of
        names, which its connections know then (name_index.attach), or PostgreSQL's table searched.
        newest: how many rows PostgreSQL looks at directly, at least.
        """
        super().__init__(engine)
        self._indexed = indexed
        self._newest = newest
        self._dialect = engine.dialect
        self._position = positions.column(engine.dialect, evaluations)

    def search(self, search: Search) -> list[Summary]:
        """Return up to search.limit evaluations, the last committed first.

        With search.after, the first committed first. Raises UnknownPlaceError.
        """
        with self._transaction() as connection:
            numbering = positions.numbering(connection)
            if search.after and not positions.is_given(connection, numbering, search.after):
                raise errors.UnknownPlaceError
            place = self._place(connection, search, numbering)
            if search.before_id is not None and place is None:
                return []
            found = self._found(connection, search, place)
            return [rows.decode_summary(row, numbering.told(row.position)) for row in found]

    def _found(
        self, connection: sa.Connection, search: Search, place: Position | None
    ) -> Sequence[sa.Row[Any]]:
        """Return the rows of a search, by an index as far as there is one and it is of use."""
        conditions = self._where(search, place)
        query = self._listed(conditions, oldest_first=search.after is not None).limit(search.limit)
        if not self._indexed or search.after is not None:
            return connection.execute(query).all()
        if self._dialect.name == "postgresql":
            return self._found_on_server(connection, search, place)
        return self._found_in_file(connection, query, search)

    def _found_in_file(
        self, connection: sa.Connection, query: sa.Select[Any], search: Search
    ) -> Sequence[sa.Row[Any]]:
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
        # + hides that rows are sorted.
        chosen = unordered.order_by(sa.text("+evaluations.rowid DESC"))
        return self._listed([self._position.in_(chosen)], oldest_first=False)

    def _found_on_server(
        self, connection: sa.Connection, search: Search, place: Position | None
    ) -> Sequence[sa.Row[Any]]:
        """Return the rows of a search: the newest directly, in which what is common is found.

        And the others by the narrow table, in which every row is that stands before those.
        """
        # Whether it may find nothing among many; by its days alone it is found by ids.
        is_narrowed = any(one is not None for one in (search.name, search.outcome, search.cluster))
        bound = self._bound(connection, place) if is_narrowed else None
        own = positions.place(self._dialect)
        behind = [] if bound is None else [own > bound]
        newest = self._listed([*self._where(search, place), *behind], oldest_first=False)
        found = connection.execute(newest.limit(search.limit)).all()
        if bound is None or len(found) == search.limit:
            return found
        older: Sequence[sa.Row[Any]] = ()
        for chosen in self._chosen(search, place, bound):
            of_these = self._listed([evaluations.c.id.in_(chosen)], oldest_first=False)
            older = connection.execute(of_these.limit(search.limit - len(found))).all()
            if len(found) + len(older) == search.limit:
                break
        return [*found, *older]

    def _bound(self, connection: sa.Connection, before: Position | None) -> Position | None:
        """Return the place up to which the narrow table is asked; None where it has few rows."""
        own = positions.place(self._dialect, searched)
        query = sa.select(*own.clauses).order_by(*(one.desc() for one in own.clauses))
        if before is not None:
            query = query.where(own < before)
        found = connection.execute(query.offset(self._newest).limit(1)).first()
        return None if found is None else Position(*found)

    def _chosen(
        self, search: Search, place: Position | None, bound: Position
    ) -> Iterator[sa.Select[Any]]:
        """Yield the ids that the narrow table finds, the last committed first: some, then all.

        Where a rare name is sought the server, asked for all of them, goes by its index, which has
        no order; asked for the newest it would read through the whole table. So what is common, if
        less so, is sought among more of the newest before: of 100,000 rows by one name
        it took 0.6 s to have the newest.
        """
        cursor = [
            *self._cursor(search, place, searched),
            positions.place(self._dialect, searched) <= bound,
        ]
        if search.name is None:
            yield _newest_ids(searched, [*_conditions(search, searched), *cursor], search.limit)
            return
        every = sa.select(searched).where(*cursor)
        newest_first = every.order_by(*_newest_first(searched))
        near = newest_first.limit(_NEAR * self._newest).subquery("near")
        yield _newest_ids(near, _conditions(search, near), search.limit)
        named = every.where(*_conditions(search, searched)).cte("named").prefix_with("MATERIALIZED")
        yield _newest_ids(named, [], search.limit)

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
        return [*_conditions(search, evaluations), *self._cursor(search, place, evaluations)]

    def _cursor(
        self, search: Search, place: Position | None, table: sa.TableClause
    ) -> Sequence[Condition]:
        own = positions.place(self._dialect, table)
        if place is None:
            return []
        if search.after is not None:
            return [own > place, *positions.is_final(self._dialect, self._position)]
        return [own < place if place.id == search.before_id else own <= place]

    def _listed(self, conditions: Sequence[Condition], *, oldest_first: bool) -> sa.Select[Any]:
        order = (self._position, evaluations.c.id)
        directed = order if oldest_first else (column.desc() for column in order)
        last_first = positions.column(self._dialect, reviews).desc(), reviews.c.id.desc()
        of_this = reviews.c.evaluation_id == evaluations.c.id
        last = sa.select(reviews.c.outcome).where(of_this).order_by(*last_first)
        count = sa.select(sa.func.count()).where(of_this)
        is_corrected = corrections.c.evaluation_id == evaluations.c.id
        newer = sa.select(corrections.c.by_id).where(is_corrected)
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


def _newest_first(table: sa.FromClause) -> list[sa.ColumnElement[Any]]:
    return [table.c.position.desc(), table.c.id.desc()]


def _newest_ids(
    table: sa.FromClause, conditions: Iterable[Condition], limit: int
) -> sa.Select[Any]:
    query = sa.select(table.c.id).where(*conditions)
    return query.order_by(*_newest_first(table)).limit(limit)


def _conditions(search: Search, table: _Named) -> Iterator[Condition]:
    if search.outcome is not None:
        yield table.c.outcome == search.outcome.value
    if search.cluster is not None:
        yield table.c.cluster == search.cluster
    if search.since is not None:
        yield table.c.id >= rows.first_id(search.since)
    if search.until is not None:
        yield table.c.id < rows.first_id(search.until)
    if search.name is not None:
        is_named = _is_named(search.name, table.c.name_folded)
        yield sa.or_(is_named, *by_protocol(search.name, table))


def _is_named(sought: str, name: sa.ColumnElement[str]) -> Condition:
    """Return whether a name holds every word of a text, in any order; nobody's holds none.

    Words that have one letter or two alone are sought at the beginning of a name.
    """
    words = search_words(sought)
    if not words:
        return sa.false()
    held = sa.and_(*map(name.contains, words))
    return held if max(map(len, words)) > 2 else sa.and_(held, sa.or_(*map(name.startswith, words)))  # noqa: PLR2004 - an index has parts of three


def _protocol(sought: str | None) -> str | None:
    """Return the end of an id, if that is what is sought, in whatever pieces it is written."""
    identity = "".join((sought or "").lower().replace("-", " ").split())
    return identity if _PROTOCOL.fullmatch(identity) else None


def by_protocol(sought: str, table: _Named) -> Iterator[Condition]:
    """Yield how an evaluation is found by its id, or by its end, which people tell each other."""
    identity = "".join(sought.lower().split())
    if ended := _protocol(sought):
        yield sa.literal_column(f"substr({table.name}.id, 29)", sa.String).in_([ended])
    elif rows.is_id(identity):
        yield table.c.id == identity
