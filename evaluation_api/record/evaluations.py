"""The keeper of the decision record: the SQL of evaluations, keys, reviews and policies.

Synchronous: recorder.py calls it from threads, and appends to a file from the event loop; the
command line calls it as it is. Every method raises RecordUnavailableError for whatever the
database did not do. Knows nothing of HTTP, policies or sentences.
"""

import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    func,
    insert,
    select,
    text,
    update,
)

from evaluation_api.decision.domain import (
    FEATURES,
    Applicant,
    CardUsage,
    Entry,
    Model,
    Outcome,
    Recorded,
    Review,
    Search,
    Summary,
    Unspelled,
)
from evaluation_api.decision.errors import EvaluationNotFoundError
from evaluation_api.record import database, packing
from evaluation_api.record.tables import (
    DECIDED,
    batch_chunks,
    batches,
    evaluations,
    idempotency_keys,
    policies,
    reviews,
)

_WIN_KEY = text(
    "INSERT INTO idempotency_keys (key, fingerprint, evaluation_id)"
    " VALUES (:key, :fingerprint, :evaluation_id) ON CONFLICT (key) DO NOTHING"
)
_ID_LENGTH = 36
_REMEMBER_POLICY = text(
    "INSERT INTO policies (version, text, first_used_at)"
    " VALUES (:version, :text, :first_used_at) ON CONFLICT (version) DO NOTHING"
)

_DECIDED = (*DECIDED, "answer")
_COLUMNS = ("id", "received_at", "name", "name_folded", *FEATURES, "degraded", "pending", *_DECIDED)
_UNDECIDED = {"pending": True, **dict.fromkeys(_DECIDED)}


class Older(NamedTuple):
    """How much was received before a time. files: of clients, evaluated or not."""

    evaluations: int
    files: int


class DecisionLog:
    """The record in one database."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; its tables are database.migrate's business."""
        self._engine = engine
        #: The statement that takes rows.
        self.insertion = database.insertion(engine, _COLUMNS)
        self._spell_time = database.time_spelling(engine)

    def append(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        """Write entries in one transaction; give None for each, or what stands in its place.

        That is the evaluation that won the entry's Idempotency-Key before; the entry itself is
        then not written.
        """
        with self._transaction() as connection:
            lost = _win_keys(connection, entries)
            rows = [self.row(entry) for entry in entries if entry.id not in lost]
            if rows:
                connection.exec_driver_sql(self.insertion, rows)
            winners = _winners(connection, list(lost.values())) if lost else {}
        return [winners[lost[entry.id]] if entry.id in lost else None for entry in entries]

    def row(self, entry: Entry) -> dict[str, Any]:
        """Give an entry as the driver takes it; SQLAlchemy's way takes twice as long over it."""
        usage = entry.applicant.usage
        row = {
            "id": entry.id,
            "received_at": self._spell_time(entry.received_at),
            "name": entry.applicant.name,
            "name_folded": fold(entry.applicant.name),
            "balance": usage.balance,
            "purchases": usage.purchases,
            "cash_advance": usage.cash_advance,
            "credit_limit": usage.credit_limit,
            "payments": usage.payments,
            "degraded": entry.degraded,
        }
        if entry.evaluation is None:
            return row | _UNDECIDED
        decided = _decided(entry)
        decided["evaluated_at"] = self._spell_time(entry.evaluation.evaluated_at)
        return row | decided

    def find(self, evaluation_id: str) -> Recorded:
        """Give one evaluation with its reviews. Raises EvaluationNotFoundError."""
        _require_id(evaluation_id)
        with self._transaction() as connection:
            row = connection.execute(_recorded().where(evaluations.c.id == evaluation_id)).first()
            if row is None:
                raise EvaluationNotFoundError(evaluation_id)
            texts = _policy_texts(connection, [row])
            return _to_recorded(row, _reviews(connection, evaluation_id), texts=texts)

    def find_by_key(self, key: str) -> Recorded | None:
        """Give the evaluation that used an Idempotency-Key first, without its reviews."""
        with self._transaction() as connection:
            return _winners(connection, [key]).get(key)

    def search(self, search: Search) -> list[Summary]:
        """Give up to search.limit evaluations, newest first."""
        with self._transaction() as connection:
            return [_to_summary(row) for row in connection.execute(_search(search))]

    def review(self, review: Review) -> None:
        """Add a person's decision. Raises EvaluationNotFoundError."""
        _require_id(review.evaluation_id)
        with self._transaction() as connection:
            known = select(evaluations.c.id).where(evaluations.c.id == review.evaluation_id)
            if connection.execute(known).first() is None:
                raise EvaluationNotFoundError(review.evaluation_id)
            connection.execute(
                insert(reviews).values(
                    id=review.id,
                    evaluation_id=review.evaluation_id,
                    outcome=review.outcome,
                    justification=review.justification,
                    reviewer=review.reviewer,
                    reviewed_at=review.reviewed_at,
                )
            )

    def claim_pending(self, limit: int, lease: timedelta) -> list[Recorded]:
        """Take up to limit pending evaluations, oldest first, for as long as the lease.

        Replicas that claim at once get different ones. Whoever dies lets its lease run out.
        """
        now = datetime.now(UTC)
        free = (
            select(evaluations.c.id)
            .where(evaluations.c.pending)
            .where(func.coalesce(evaluations.c.claimed_until, now) <= now)
            .order_by(evaluations.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claim = (
            update(evaluations)
            .where(evaluations.c.id.in_(free))
            .values(claimed_until=now + lease)
            .returning(*_RECORDED)
        )
        with self._transaction() as connection:
            return sorted(
                (_to_recorded(row, ()) for row in connection.execute(claim)), key=lambda r: r.id
            )

    def settle(self, entries: Sequence[Entry]) -> int:
        """Write the decisions of claimed evaluations; give how many were still pending.

        An evaluation that another replica has settled meanwhile keeps that decision.
        """
        with self._transaction() as connection:
            return sum(
                connection.execute(
                    update(evaluations)
                    .where(evaluations.c.id == entry.id, evaluations.c.pending)
                    .values(**_decided(entry))
                ).rowcount
                for entry in entries
            )

    def count_pending(self) -> int:
        """Give how many evaluations wait for the model."""
        query = select(func.count()).select_from(evaluations).where(evaluations.c.pending)
        with self._transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def remember_policy(self, version: str, source: str) -> None:
        """Keep a policy's text, once a version."""
        values = {"version": version, "text": source, "first_used_at": datetime.now(UTC)}
        with self._transaction() as connection:
            connection.execute(_REMEMBER_POLICY, values)

    def policy_text(self, version: str) -> str | None:
        """Give the text of a policy that decided here, or None."""
        query = select(policies.c.text).where(policies.c.version == version)
        with self._transaction() as connection:
            return connection.execute(query).scalar_one_or_none()

    def decided(self, ids: Sequence[str] | None, chunk: int) -> Iterator[list[Recorded]]:
        """Give decided evaluations, all or those with the given ids, oldest first, in chunks."""
        last = ""
        while True:
            query = _recorded().where(~evaluations.c.pending, evaluations.c.id > last)
            if ids is not None:
                query = query.where(evaluations.c.id.in_(ids))
            with self._transaction() as connection:
                page = connection.execute(query.order_by(evaluations.c.id).limit(chunk)).all()
                texts = _policy_texts(connection, page)
            if not page:
                return
            last = page[-1].id
            yield [_to_recorded(row, (), texts=texts) for row in page]

    def count_older(self, before: datetime) -> Older:
        """Give how much was received before a time."""
        bound = _first_id(before)
        counts = (
            select(func.count()).where(table.c.id < bound) for table in (evaluations, batches)
        )
        with self._transaction() as connection:
            return Older(*(int(connection.execute(count).scalar_one()) for count in counts))

    def purge(self, before: datetime) -> int:
        """Delete evaluations received before a time, and all that is theirs; give how many.

        Files received before it go with their lines, which hold names and amounts.
        """
        bound = _first_id(before)
        with self._transaction() as connection:
            for table in (reviews, idempotency_keys):
                connection.execute(table.delete().where(table.c.evaluation_id < bound))
            connection.execute(batch_chunks.delete().where(batch_chunks.c.batch_id < bound))
            connection.execute(batches.delete().where(batches.c.id < bound))
            return connection.execute(evaluations.delete().where(evaluations.c.id < bound)).rowcount

    def checkpoint(self) -> None:
        """Bring a SQLite file's last transactions safely to the disk."""
        database.checkpoint(self._engine)

    def ping(self) -> None:
        """Raise RecordUnavailableError unless the database answers.

        From a table: SQLite answers "SELECT 1" without a look at its file.
        """
        with self._transaction() as connection:
            connection.execute(select(policies.c.version).limit(1))

    def _transaction(self) -> AbstractContextManager[Connection]:
        return database.transaction(self._engine)


_RECORDED = (
    evaluations.c.id,
    evaluations.c.received_at,
    evaluations.c.name,
    *(evaluations.c[feature] for feature in FEATURES),
    evaluations.c.degraded,
    evaluations.c.answer,
    evaluations.c.model_tag,
    evaluations.c.policy_version,
    evaluations.c.prediction,
    evaluations.c.cluster,
    evaluations.c.confidence,
    evaluations.c.model_sha256,
    evaluations.c.evaluated_at,
    evaluations.c.milliseconds,
)


def _require_id(text: str) -> None:
    """Spare the database what is no id: PostgreSQL takes a NUL for a fault of the statement."""
    if not is_id(text):
        raise EvaluationNotFoundError(text)


def is_id(text: str) -> bool:
    """Tell what may be an id from what can't."""
    return len(text) == _ID_LENGTH and text.isprintable()


def fold(name: str) -> str:
    """Give a name without case and accents, so that "jose" finds "José"."""
    if name.isascii():
        return name.lower()
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def _recorded(*more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    return select(*_RECORDED, *more)


def _win_keys(connection: Connection, entries: Sequence[Entry]) -> dict[str, str]:
    """Insert the entries' keys; give the keys that were lost to an earlier one, by entry id."""
    keyed = {e.idempotency_key.key: e for e in reversed(entries) if e.idempotency_key}
    if not keyed:
        return {}
    # In one order everywhere, or two replicas with two common keys wait for each other for ever.
    connection.execute(_WIN_KEY, [_key_row(keyed[key]) for key in sorted(keyed)])
    owners = select(idempotency_keys.c.key, idempotency_keys.c.evaluation_id)
    rows = connection.execute(owners.where(idempotency_keys.c.key.in_(keyed)))
    won = {row.key: row.evaluation_id for row in rows}
    return {
        entry.id: entry.idempotency_key.key
        for entry in entries
        if entry.idempotency_key and won[entry.idempotency_key.key] != entry.id
    }


def _winners(connection: Connection, keys: Sequence[str]) -> dict[str, Recorded]:
    """Give, by key, the evaluations that used it first, without their reviews."""
    query = _recorded(idempotency_keys.c.key, idempotency_keys.c.fingerprint)
    rows = connection.execute(query.join(idempotency_keys).where(idempotency_keys.c.key.in_(keys)))
    return {row.key: _to_recorded(row, (), row.fingerprint) for row in rows}


def _key_row(entry: Entry) -> dict[str, str]:
    assert entry.idempotency_key  # noqa: S101 - the caller's filter
    key = entry.idempotency_key
    return {"key": key.key, "fingerprint": key.fingerprint, "evaluation_id": entry.id}


def _decided(entry: Entry) -> dict[str, Any]:
    """Give the columns that a decision fills."""
    evaluation = entry.evaluation
    assert evaluation  # noqa: S101 - the callers' filter
    return {
        "pending": False,
        "evaluated_at": evaluation.evaluated_at,
        "milliseconds": evaluation.milliseconds,
        "cluster": evaluation.prediction.cluster,
        "confidence": evaluation.prediction.confidence,
        "outcome": evaluation.decision.outcome.value,
        "model_tag": evaluation.prediction.model.tag,
        "model_sha256": evaluation.prediction.model.sha256,
        "policy_version": evaluation.decision.policy_version,
        "answer": entry.answer,
    }


def _policy_texts(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, str]:
    """Give, by version, the policies of the rows whose answer is still to be spelled."""
    versions = {row.policy_version for row in rows if row.prediction is not None}
    if not versions:
        return {}
    query = select(policies.c.version, policies.c.text).where(policies.c.version.in_(versions))
    return {row.version: row.text for row in connection.execute(query)}


def _unspelled(row: Row[Any], texts: Mapping[str, str]) -> Unspelled:
    model = Model(row.model_tag, row.model_sha256)
    return Unspelled(
        packing.unpack(row.prediction, row.cluster, row.confidence, model),
        texts[row.policy_version],
        database.in_utc(row.evaluated_at),
        row.milliseconds,
    )


def _to_recorded(
    row: Row[Any],
    people: tuple[Review, ...],
    fingerprint: str | None = None,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Recorded:
    usage = CardUsage(*(getattr(row, feature) for feature in FEATURES))
    return Recorded(
        id=row.id,
        received_at=database.in_utc(row.received_at),
        applicant=Applicant(row.name, usage),
        degraded=row.degraded,
        answer=row.answer,
        model_tag=row.model_tag,
        policy_version=row.policy_version,
        reviews=people,
        fingerprint=fingerprint,
        unspelled=None if row.prediction is None else _unspelled(row, texts),
    )


def _reviews(connection: Connection, evaluation_id: str) -> tuple[Review, ...]:
    query = select(reviews).where(reviews.c.evaluation_id == evaluation_id).order_by(reviews.c.id)
    return tuple(
        Review(
            id=row.id,
            evaluation_id=row.evaluation_id,
            outcome=Outcome(row.outcome),
            justification=row.justification,
            reviewer=row.reviewer,
            reviewed_at=database.in_utc(row.reviewed_at),
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
    listed = (
        evaluations.c[name]
        for name in ("id", "received_at", "name", "cluster", "confidence", "outcome")
    )
    query = select(*listed, last.label("reviewed"), count.label("reviews"))
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
        yield evaluations.c.id >= _first_id(search.since)
    if search.until is not None:
        yield evaluations.c.id < _first_id(search.until)
    if search.name is not None:
        yield evaluations.c.name_folded.contains(fold(search.name), autoescape=True)


def _to_summary(row: Row[Any]) -> Summary:
    final = row.reviewed or row.outcome
    return Summary(
        id=row.id,
        received_at=database.in_utc(row.received_at),
        name=row.name,
        cluster=row.cluster,
        confidence=row.confidence,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        final_outcome=None if final is None else Outcome(final),
        reviews=row.reviews,
    )


def _first_id(when: datetime) -> str:
    """Give the smallest UUIDv7 of a time: ids sort by the millisecond they begin with."""
    return str(uuid.UUID(int=max(0, int(when.timestamp() * 1000)) << 80))
