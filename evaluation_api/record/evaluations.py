"""The decision record: evaluations, the keys they were asked with, and people's reviews.

Synchronous: for executor.py's threads, for the command line, and for appender.py, who calls it from
the event loop too. Every method raises RecordUnavailableError for whatever the database did not do.
Knows nothing of HTTP, policies or sentences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    bindparam,
    delete,
    insert,
    select,
)

from evaluation_api.access.identity import Identity
from evaluation_api.decision import errors
from evaluation_api.decision.domain import (
    Entry,
    FirstUse,
    IdempotencyKey,
    Outcome,
    Recorded,
    Review,
    sent_key,
)
from evaluation_api.record import chain, database, positions, posts, rows
from evaluation_api.record.chain import Event
from evaluation_api.record.posts import Operation
from evaluation_api.record.rows import MOMENT
from evaluation_api.record.tables import (
    corrections,
    evaluations,
    file_answerers,
    file_starters,
    idempotency_keys,
    policies,
    reviews,
)
from evaluation_api.record.writer import KeyRow, writer_for

_KEY: Final = attrgetter("key")
#: Who used keys first; made once, since that takes longer than to ask.
_FIRST_USES: Final = (
    select(
        idempotency_keys.c.key,
        idempotency_keys.c.evaluation_id,
        idempotency_keys.c.fingerprint,
        evaluations.c.answer,
        evaluations.c.made_by,
    )
    .join(evaluations)
    .where(idempotency_keys.c.key.in_(bindparam("keys", expanding=True)))
)


class EvaluationLog(database.Keeper):
    """The evaluations in one database."""

    def __init__(self, bind: Engine | Connection, *, waits: bool = True) -> None:
        """Take the engine, or a connection of it that is kept.

        waits: to append, for another process that writes to the file.
        """
        super().__init__(bind)
        self._waits = waits
        self._writer = writer_for(self.engine)

    def append(self, entries: Sequence[Entry]) -> list[FirstUse | None]:
        """Write entries in one transaction; return None for each, or what stands in its place.

        That is the evaluation that used the entry's Idempotency-Key first; the entry itself is
        then not written.
        """
        encoded = [self._writer.encode(entry) for entry in entries]
        # In one order everywhere, or two replicas with two common keys wait for each other.
        keys = sorted((_key_row(entry) for entry in entries if entry.idempotency_key), key=_KEY)
        with self._transaction() as connection:
            if self._waits:
                database.begin_writing(connection)
            self._writer.insert(connection, encoded)
            if keys and self._writer.insert_keys(connection, keys) < len(keys):
                losers = _take_back(connection, keys)
                return [losers.get(entry.id) for entry in entries]
        return [None] * len(entries)

    def find(self, evaluation_id: str) -> Recorded:
        """Return one evaluation with its reviews. Raises EvaluationNotFoundError."""
        _require_id(evaluation_id)
        query = select(*rows.RECORDED).where(evaluations.c.id == evaluation_id)
        with self._transaction() as connection:
            row = connection.execute(query).first()
            if row is None:
                raise errors.EvaluationNotFoundError(evaluation_id)
            texts = _policy_texts(connection, [row])
            found = rows.decode(row, _reviews(connection, evaluation_id), texts)
            return replace(
                found,
                corrects=corrected(connection, evaluation_id),
                corrected_by=correction(connection, evaluation_id),
            )

    def find_by_keys(self, keys: Sequence[str]) -> list[FirstUse | None]:
        """Return who used each Idempotency-Key first."""
        with self._transaction() as connection:
            used = _first_uses(connection, keys)
        return [used.get(key) for key in keys]

    def review(
        self,
        review: Review,
        *,
        key: IdempotencyKey | None = None,
        seen: int | None = None,
        not_made_by: Identity | None = None,
        noted: Event | None = None,
    ) -> Review:
        """Add a person's decision; return it, or what its key stood for before.

        seen: how many reviews the reviewer knew of, if they told. not_made_by: whose evaluations
        they may not review, nor those out of a file that this one answered or started. noted: what
        the chain says of it; a review itself has a name alone, of a key or of a person. Raises
        EvaluationNotFoundError, EvaluationPendingError, EvaluationErasedError,
        EvaluationCorrectedError, OwnEvaluationError, UnseenReviewsError, or
        IdempotencyKeyReusedError.
        """
        identity = review.evaluation_id
        _require_id(identity)
        known = select(evaluations.c.pending, evaluations.c.erased_at)
        this = known.where(evaluations.c.id == identity)
        with self._writing() as connection:
            found = connection.execute(this.with_for_update()).first()
            if found is None:
                raise errors.EvaluationNotFoundError(identity)
            if not_made_by and any(map(not_made_by.may_be, _makers(connection, identity))):
                raise errors.OwnEvaluationError(identity)
            there = _reviews(connection, identity)
            if key and (first := posts.use(connection, Operation.REVIEW, key, identity, review.id)):
                made_id = first.require(key)
                return next(one for one in there if one.id == made_id)
            if found.pending:
                raise errors.EvaluationPendingError(identity)
            if found.erased_at is not None:
                raise errors.EvaluationErasedError(identity)
            if correction(connection, identity) is not None:
                raise errors.EvaluationCorrectedError(identity)
            if seen is not None and seen != len(there):
                raise errors.UnseenReviewsError(there)
            connection.execute(insert(reviews).values(asdict(review)))
            if noted is not None:
                chain.note(connection, noted)
        return review

    def decided(self, ids: Sequence[str] | None, chunk: int) -> Iterator[list[Recorded]]:
        """Return decided evaluations, all or those with the given ids, oldest first, in chunks."""
        last = ""
        while True:
            query = select(*rows.RECORDED).where(~evaluations.c.pending, evaluations.c.id > last)
            if ids is not None:
                query = query.where(evaluations.c.id.in_(ids))
            with self._transaction() as connection:
                page = connection.execute(query.order_by(evaluations.c.id).limit(chunk)).all()
                texts = _policy_texts(connection, page)
            if not page:
                return
            last = page[-1].id
            yield [rows.decode(row, (), texts) for row in page]


def _require_id(text: str) -> None:
    if not rows.is_id(text):
        raise errors.EvaluationNotFoundError(text)


def _first_uses(connection: Connection, keys: Sequence[str]) -> dict[str, FirstUse]:
    """Return who used keys first, by key as it is kept.

    The release before kept them as they were sent: such a one is a caller's unless another asked.
    """
    sent = {key: sent_key(key) for key in keys}
    sought = {*keys, *(one for one, _ in sent.values())}
    found = {row.key: row for row in connection.execute(_FIRST_USES, {"keys": list(sought)})}
    uses = {}
    for key, (kept_as_sent, caller) in sent.items():
        earlier = found.get(kept_as_sent)
        is_theirs = earlier is not None and (caller is None or earlier.made_by in (None, caller))
        use = found.get(key) or (earlier if is_theirs else None)
        if use is not None:
            uses[key] = FirstUse(use.evaluation_id, use.fingerprint, use.answer)
    return uses


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
    key = entry.idempotency_key
    sent, caller = sent_key(key.key)
    before = (sent, caller) if caller else ()
    return KeyRow(key.key, key.fingerprint, entry.id, *before)


def _policy_texts(connection: Connection, found: Sequence[Row[Any]]) -> dict[str, str]:
    """Return, by version, the policies of the rows whose answer was not stored."""
    versions = {row.policy_version for row in found if row.prediction is not None}
    if not versions:
        return {}
    query = select(policies.c.version, policies.c.text).where(policies.c.version.in_(versions))
    return {row.version: row.text for row in connection.execute(query)}


def _reviews(connection: Connection, evaluation_id: str) -> tuple[Review, ...]:
    position = positions.column(connection.dialect, reviews)
    of_this = select(reviews).where(reviews.c.evaluation_id == evaluation_id)
    in_order = of_this.order_by(position, reviews.c.id)
    return tuple(
        Review(
            row.id,
            row.evaluation_id,
            Outcome(row.outcome),
            row.justification,
            row.reviewer,
            rows.in_utc(row.reviewed_at),
            row.reason,
        )
        for row in connection.execute(in_order)
    )


def corrected(connection: Connection, evaluation_id: str) -> str | None:
    """Return the evaluation in whose place one stands, if it does in another's."""
    older = select(corrections.c.evaluation_id).where(corrections.c.by_id == evaluation_id)
    return connection.scalar(older)


def correction(connection: Connection, evaluation_id: str) -> str | None:
    """Return the evaluation that stands in the place of one, if another does."""
    newer = select(corrections.c.by_id).where(corrections.c.evaluation_id == evaluation_id)
    return connection.scalar(newer)


def _makers(connection: Connection, evaluation_id: str) -> Iterator[str]:
    """Yield who asked for an evaluation, and who answered and started the file that it is of.

    And the same of those that it corrects: what is told otherwise is one amount, or the name.
    """
    own = select(evaluations.c.made_by).where(evaluations.c.id == evaluation_id)
    if maker := connection.scalar(own):
        yield maker
    begun_then = evaluation_id[:MOMENT]  # with which the ids of a file's evaluations begin
    for had_a_hand in (file_starters, file_answerers):
        of_file = had_a_hand.c.file_id.between(begun_then, begun_then + "g")
        yield from connection.execute(select(had_a_hand.c.label).where(of_file)).scalars()
    if older := corrected(connection, evaluation_id):
        yield from _makers(connection, older)
