"""The keeper of batches: their lines as received, and what became of each.

Synchronous, for threads. Rows of a batch go into the same table as all evaluations. Knows nothing
of CSV, HTTP or sentences.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from evaluation_api.client_files.domain import (
    STEPS,
    Batch,
    Chunk,
    Dialect,
    Ending,
    Fault,
    Line,
    Progress,
    SettledChunk,
    State,
    Step,
    Tally,
    add,
    empty_tally,
)
from evaluation_api.decision.domain import Entry, Evaluation
from evaluation_api.decision.errors import BatchNotFoundError, BatchStateError
from evaluation_api.record import database
from evaluation_api.record.rows import Values, in_utc, is_id
from evaluation_api.record.tables import batch_chunks, batches
from evaluation_api.record.writer import writer_for

#: How far back the rate looks.
_WINDOW = timedelta(seconds=10)

_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder(list[Line]).decode
_decode_endings = msgspec.json.Decoder(list[str | Fault]).decode
_decode_tally = msgspec.json.Decoder(Tally).decode
_decode_dialect = msgspec.json.Decoder(Dialect).decode


class BatchLog:
    """The batches in one database. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; its tables are database.migrate's business."""
        self.engine = engine
        self._writer = writer_for(engine)

    def open(self, batch_id: str, name: str) -> None:
        """Begin to receive a file."""
        row = {
            "id": batch_id,
            "name": name,
            "state": State.RECEIVING.value,
            "changed_at": datetime.now(UTC),
            "line_count": 0,
        }
        with self._transaction() as connection:
            connection.execute(insert(batches), row)

    def store(self, batch_id: str, number: int, lines: Sequence[Line]) -> None:
        """Keep some lines of a file."""
        row = {
            "batch_id": batch_id,
            "number": number,
            "line_count": len(lines),
            "lines": _encode(lines).decode(),
        }
        grown = {
            "line_count": batches.c.line_count + len(lines),
            "changed_at": datetime.now(UTC),
        }
        with self._transaction() as connection:
            connection.execute(insert(batch_chunks), row)
            connection.execute(update(batches).where(batches.c.id == batch_id).values(grown))

    def complete(self, batch_id: str, dialect: Dialect, sample: Sequence[Line]) -> None:
        """Note that a file has come in whole, and how it is written."""
        known = {
            "state": State.READY.value,
            "changed_at": datetime.now(UTC),
            "dialect": _encode(dialect).decode(),
            "sample": _encode(sample).decode(),
        }
        with self._transaction() as connection:
            connection.execute(update(batches).where(batches.c.id == batch_id).values(known))

    def discard(self, batch_id: str) -> None:
        """Leave nothing of a file."""
        with self._transaction() as connection:
            _discard(connection, batch_id)

    def discard_broken_off(self, before: datetime) -> int:
        """Leave nothing of files of which nothing came since a time; give how many."""
        query = select(batches.c.id).where(
            batches.c.state == State.RECEIVING.value, batches.c.changed_at < before
        )
        with self._transaction() as connection:
            broken = connection.execute(query).scalars().all()
            for batch_id in broken:
                _discard(connection, batch_id)
        return len(broken)

    def find(self, batch_id: str) -> Batch:
        """Give one batch and how far it is. Raises BatchNotFoundError."""
        _require_id(batch_id)
        with self._transaction() as connection:
            row = connection.execute(_whole().where(batches.c.id == batch_id)).first()
            if row is None:
                raise BatchNotFoundError(batch_id)
            return _to_batch(row, _progress(connection, batch_id))

    def latest(self, limit: int) -> list[Batch]:
        """Give up to limit batches, newest first, without their tallies."""
        settled = (
            select(func.coalesce(func.sum(batch_chunks.c.line_count), 0))
            .where(batch_chunks.c.batch_id == batches.c.id)
            .where(batch_chunks.c.settled_at.is_not(None))
            .scalar_subquery()
        )
        query = _whole(settled.label("settled")).order_by(batches.c.id.desc()).limit(limit)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [_to_batch(row, Progress(row.settled, empty_tally(), None)) for row in rows]

    def step(self, batch_id: str, step: Step) -> None:
        """Do what a person asked for. Raises BatchNotFoundError or BatchStateError."""
        _require_id(batch_id)
        leaves, leads_to = STEPS[step]
        move = (
            update(batches)
            .where(batches.c.id == batch_id, batches.c.state.in_([state.value for state in leaves]))
            .values(state=leads_to.value, changed_at=datetime.now(UTC))
        )
        with self._transaction() as connection:
            if connection.execute(move).rowcount == 1:
                return
            known = connection.execute(_whole().where(batches.c.id == batch_id)).first()
        raise BatchNotFoundError(batch_id) if known is None else BatchStateError(batch_id)

    def running(self) -> list[str]:
        """Give the batches that are to be evaluated, oldest first."""
        query = select(batches.c.id).where(batches.c.state == State.RUNNING.value)
        with self._transaction() as connection:
            return list(connection.execute(query.order_by(batches.c.id)).scalars())

    def claim(self, lease: timedelta) -> Chunk | None:
        """Take the next chunk of the oldest running batch, for as long as the lease.

        Replicas that claim at once get different ones. Whoever dies lets its lease run out.
        """
        now = datetime.now(UTC)
        key = tuple_(batch_chunks.c.batch_id, batch_chunks.c.number)
        claim = (
            update(batch_chunks)
            .where(key.in_(_free(now)))
            .values(claimed_until=now + lease)
            .returning(batch_chunks.c.batch_id, batch_chunks.c.number, batch_chunks.c.lines)
        )
        with self._transaction() as connection:
            row = connection.execute(claim).first()
            if row is None:
                return None
            query = select(batches.c.dialect).where(batches.c.id == row.batch_id)
            dialect = connection.execute(query).scalar_one()
        return Chunk(row.batch_id, row.number, _decode_dialect(dialect), _decode_lines(row.lines))

    def release(self, chunk: Chunk) -> None:
        """Give a claimed chunk back, for whoever comes next."""
        with self._transaction() as connection:
            connection.execute(_unsettled(chunk).values(claimed_until=None))

    def row(self, evaluation: Evaluation) -> Values:
        """Return an evaluation as settle takes it; asks nothing of the database."""
        applicant, received_at = evaluation.applicant, evaluation.evaluated_at
        return self._writer.encode(Entry(evaluation.id, received_at, applicant, evaluation))

    def settle(self, settled: SettledChunk, rows: Sequence[Values]) -> bool:
        """Record a chunk's evaluations, all or none; tell whether they were.

        rows: its evaluations, encoded. They are not recorded when another replica has settled the
        chunk, or its batch was cancelled meanwhile.
        """
        cancelled = (
            select(batches.c.id)
            .where(batches.c.id == settled.chunk.batch_id)
            .where(batches.c.state == State.CANCELLED.value)
        )
        mark = (
            _unsettled(settled.chunk)
            .where(~exists(cancelled))
            .values(
                settled_at=datetime.now(UTC),
                endings=_encode(settled.endings).decode(),
                tally=_encode(settled.tally).decode(),
            )
        )
        with self._transaction() as connection:
            if connection.execute(mark).rowcount == 0:
                return False
            self._writer.insert(connection, rows)
        return True

    def finish(self) -> int:
        """Note which running batches have nothing left to do; give how many."""
        left = select(batch_chunks.c.number).where(
            batch_chunks.c.batch_id == batches.c.id, batch_chunks.c.settled_at.is_(None)
        )
        done = (
            update(batches)
            .where(batches.c.state == State.RUNNING.value, ~exists(left))
            .values(state=State.DONE.value, changed_at=datetime.now(UTC))
        )
        with self._transaction() as connection:
            return connection.execute(done).rowcount

    def endings(self, batch_id: str, number: int) -> tuple[list[Line], list[Ending]] | None:
        """Give a chunk's lines and how they ended, if they have; None after the last chunk."""
        query = select(batch_chunks.c.lines, batch_chunks.c.endings).where(
            batch_chunks.c.batch_id == batch_id, batch_chunks.c.number == number
        )
        with self._transaction() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return _decode_lines(row.lines), _decode_endings(row.endings or "[]")

    def _transaction(self) -> AbstractContextManager[Connection]:
        return database.transaction(self.engine)


def _require_id(text: str) -> None:
    if not is_id(text):
        raise BatchNotFoundError(text)


def _discard(connection: Connection, batch_id: str) -> None:
    connection.execute(delete(batch_chunks).where(batch_chunks.c.batch_id == batch_id))
    connection.execute(delete(batches).where(batches.c.id == batch_id))


def _free(now: datetime) -> Select[Any]:
    return (
        select(batch_chunks.c.batch_id, batch_chunks.c.number)
        .join(batches)
        .where(
            and_(
                batches.c.state == State.RUNNING.value,
                batch_chunks.c.settled_at.is_(None),
                or_(batch_chunks.c.claimed_until.is_(None), batch_chunks.c.claimed_until <= now),
            )
        )
        .order_by(batch_chunks.c.batch_id, batch_chunks.c.number)
        .limit(1)
        .with_for_update(skip_locked=True, of=batch_chunks)
    )


def _unsettled(chunk: Chunk) -> Any:  # noqa: ANN401 - an Update without values yet
    return update(batch_chunks).where(
        batch_chunks.c.batch_id == chunk.batch_id,
        batch_chunks.c.number == chunk.number,
        batch_chunks.c.settled_at.is_(None),
    )


def _whole(*more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    return select(batches, *more).where(batches.c.state != State.RECEIVING.value)


def _progress(connection: Connection, batch_id: str) -> Progress:
    query = select(
        batch_chunks.c.line_count, batch_chunks.c.settled_at, batch_chunks.c.tally
    ).where(batch_chunks.c.batch_id == batch_id, batch_chunks.c.settled_at.is_not(None))
    rows = connection.execute(query).all()
    total = empty_tally()
    for row in rows:
        add(total, _decode_tally(row.tally))
    times = [(row.settled_at, row.line_count) for row in rows]
    return Progress(sum(count for _, count in times), total, _rate(times))


def _rate(settled: list[tuple[datetime, int]]) -> float | None:
    """Give lines a second, from the first settled chunk of the window to the last."""
    if not settled:
        return None
    last = max(when for when, _ in settled)
    recent = sorted(pair for pair in settled if pair[0] > last - _WINDOW)
    seconds = (last - recent[0][0]).total_seconds()
    return sum(count for _, count in recent[1:]) / seconds if seconds > 0 else None


def _to_batch(row: Row[Any], progress: Progress) -> Batch:
    return Batch(
        id=row.id,
        name=row.name,
        state=State(row.state),
        changed_at=in_utc(row.changed_at),
        dialect=_decode_dialect(row.dialect),
        sample=_decode_lines(row.sample),
        line_count=row.line_count,
        progress=progress,
    )
