"""The decision record: evaluations, the keys they were asked with, and people's reviews.

Synchronous: for executor.py's threads, for the command line, and for appender.py, who calls it from
the event loop too. Every method raises RecordUnavailableError for whatever the database did not do.
Knows nothing of HTTP, policies or sentences.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    or_,
    select,
)

from evaluation_api.decision.domain import (
    Entry,
    FirstUse,
    Outcome,
    Recorded,
    Review,
    Search,
    Summary,
)
from evaluation_api.decision.errors import EvaluationNotFoundError
from evaluation_api.decision.names import search_words
from evaluation_api.record import database, rows
from evaluation_api.record.tables import evaluations, idempotency_keys, policies, reviews
from evaluation_api.record.writer import KeyRow, writer_for

_KEY: Final = attrgetter("key")
#: As pages show it, "3F2A 91BC", without the space.
_PROTOCOL: Final = re.compile(r"[0-9a-f]{8}")
#: Who used keys first; made once, since that takes longer than to ask.
_FIRST_USES: Final = (
    select(
        idempotency_keys.c.key,
        idempotency_keys.c.evaluation_id,
        idempotency_keys.c.fingerprint,
        evaluations.c.answer,
    )
    .join(evaluations)
    .where(idempotency_keys.c.key.in_(bindparam("keys", expanding=True)))
)


class EvaluationLog:
    """The evaluations in one database."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; its tables are schema.migrate's business."""
        self._engine = engine
        self._writer = writer_for(engine)

    def append(self, entries: Sequence[Entry]) -> list[FirstUse | None]:
        """Write entries in one transaction; return None for each, or what stands in its place.

        That is the evaluation that used the entry's Idempotency-Key first; the entry itself is
        then not written.
        """
        encoded = [self._writer.encode(entry) for entry in entries]
        # In one order everywhere, or two replicas with two common keys wait for each other.
        keys = sorted((_key_row(entry) for entry in entries if entry.idempotency_key), key=_KEY)
        with self._transaction() as connection:
            self._writer.insert(connection, encoded)
            if keys and self._writer.insert_keys(connection, keys) < len(keys):
                losers = _take_back(connection, keys)
                return [losers.get(entry.id) for entry in entries]
        return [None] * len(entries)

    def find(self, evaluation_id: str) -> Recorded:
        """Return one evaluation with its reviews. Raises EvaluationNotFoundError."""
        _require_id(evaluation_id)
        query = select(evaluations).where(evaluations.c.id == evaluation_id)
        with self._transaction() as connection:
            row = connection.execute(query).first()
            if row is None:
                raise EvaluationNotFoundError(evaluation_id)
            texts = _policy_texts(connection, [row])
            return rows.decode(row, _reviews(connection, evaluation_id), texts)

    def find_by_keys(self, keys: Sequence[str]) -> list[FirstUse | None]:
        """Return who used each Idempotency-Key first."""
        with self._transaction() as connection:
            used = _first_uses(connection, keys)
        return [used.get(key) for key in keys]

    def search(self, search: Search) -> list[Summary]:
        """Return up to search.limit evaluations, newest first."""
        with self._transaction() as connection:
            return [rows.decode_summary(row) for row in connection.execute(_search(search))]

    def review(self, review: Review) -> None:
        """Add a person's decision. Raises EvaluationNotFoundError."""
        _require_id(review.evaluation_id)
        with self._transaction() as connection:
            known = select(evaluations.c.id).where(evaluations.c.id == review.evaluation_id)
            if connection.execute(known).first() is None:
                raise EvaluationNotFoundError(review.evaluation_id)
            connection.execute(insert(reviews).values(asdict(review)))

    def decided(self, ids: Sequence[str] | None, chunk: int) -> Iterator[list[Recorded]]:
        """Return decided evaluations, all or those with the given ids, oldest first, in chunks."""
        last = ""
        while True:
            query = select(evaluations).where(~evaluations.c.pending, evaluations.c.id > last)
            if ids is not None:
                query = query.where(evaluations.c.id.in_(ids))
            with self._transaction() as connection:
                page = connection.execute(query.order_by(evaluations.c.id).limit(chunk)).all()
                texts = _policy_texts(connection, page)
            if not page:
                return
            last = page[-1].id
            yield [rows.decode(row, (), texts) for row in page]

    def checkpoint(self) -> None:
        """Bring a SQLite file's last transactions safely to the disk."""
        database.checkpoint(self._engine)

    def require_writable(self, *, thoroughly: bool = False) -> None:
        """Raise RecordUnavailableError unless the database can be written: database.py's."""
        database.require_writable(self._engine, thoroughly=thoroughly)

    def _transaction(self) -> AbstractContextManager[Connection]:
        return database.transaction(self._engine)


def _require_id(text: str) -> None:
    if not rows.is_id(text):
        raise EvaluationNotFoundError(text)


def _first_uses(connection: Connection, keys: Sequence[str]) -> dict[str, FirstUse]:
    """Return who used keys first, by key."""
    found = connection.execute(_FIRST_USES, {"keys": keys})
    return {key: FirstUse(*use) for key, *use in found}


def _take_back(connection: Connection, keys: Sequence[KeyRow]) -> dict[str, FirstUse]:
    """Delete what was just written with a key that another used first; return who that was."""
    used = _first_uses(connection, [row.key for row in keys])
    losers = {
        row.evaluation_id: used[row.key] for row in keys if used[row.key].id != row.evaluation_id
    }
    connection.execute(delete(evaluations).where(evaluations.c.id.in_(losers)))
    return losers


def _key_row(entry: Entry) -> KeyRow:
    assert entry.idempotency_key  # noqa: S101 - the caller's filter
    return KeyRow(entry.idempotency_key.key, entry.idempotency_key.fingerprint, entry.id)


def _policy_texts(connection: Connection, found: Sequence[Row[Any]]) -> dict[str, str]:
    """Return, by version, the policies of the rows whose answer was not stored."""
    versions = {row.policy_version for row in found if row.prediction is not None}
    if not versions:
        return {}
    query = select(policies.c.version, policies.c.text).where(policies.c.version.in_(versions))
    return {row.version: row.text for row in connection.execute(query)}


def _reviews(connection: Connection, evaluation_id: str) -> tuple[Review, ...]:
    query = select(reviews).where(reviews.c.evaluation_id == evaluation_id).order_by(reviews.c.id)
    return tuple(
        Review(
            row.id,
            row.evaluation_id,
            Outcome(row.outcome),
            row.justification,
            row.reviewer,
            rows.in_utc(row.reviewed_at),
        )
        for row in connection.execute(query)
    )


def _search(search: Search) -> Select[Any]:
    last = (
        select(reviews.c.outcome)
        .where(reviews.c.evaluation_id == evaluations.c.id)
        .order_by(reviews.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    count = (
        select(func.count()).where(reviews.c.evaluation_id == evaluations.c.id).scalar_subquery()
    )
    query = select(*rows.LISTED, last.label("reviewed"), count.label("reviews"))
    for condition in _conditions(search):
        query = query.where(condition)
    return query.order_by(evaluations.c.id.desc()).limit(search.limit)


def _conditions(search: Search) -> Iterator[ColumnElement[bool]]:
    if search.before_id is not None:
        yield evaluations.c.id < search.before_id
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


def _is_named(text: str) -> ColumnElement[bool]:
    """Return whether a name holds every word of a text, in any order; nobody's holds none."""
    words = search_words(text)
    return and_(*map(evaluations.c.name_folded.contains, words)) if words else false()


def _by_protocol(text: str) -> Iterator[ColumnElement[bool]]:
    """Yield how an evaluation is found by its id, or by its end, which people tell each other."""
    identity = "".join(text.lower().split())
    if _PROTOCOL.fullmatch(identity):
        yield evaluations.c.id.endswith(identity)
    elif rows.is_id(identity):
        yield evaluations.c.id == identity
