"""The keeper of files: their lines as received, and what became of each.

Synchronous, for threads. Rows of a file go into the same table as all evaluations. Knows nothing
of CSV, HTTP or sentences.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
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
    Chunk,
    ClientFile,
    Counts,
    Dialect,
    EvaluatedChunk,
    Fault,
    Line,
    Progress,
    RowResult,
    State,
    Step,
    add,
    no_counts,
)
from evaluation_api.decision.domain import Entry, Evaluation, IdempotencyKey
from evaluation_api.decision.errors import (
    ClientFileNotFoundError,
    ClientFileStateError,
    IdempotencyKeyInFlightError,
    IdempotencyKeyReusedError,
)
from evaluation_api.record import clock, database, posts
from evaluation_api.record.posts import Operation
from evaluation_api.record.rows import Values, in_utc, is_id
from evaluation_api.record.tables import batch_chunks, batches
from evaluation_api.record.tables import posts as keys
from evaluation_api.record.writer import writer_for

#: How far back the rate looks.
_WINDOW = timedelta(seconds=10)

_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder(list[Line]).decode
_decode_row_results = msgspec.json.Decoder(list[str | Fault]).decode
_decode_counts = msgspec.json.Decoder(Counts).decode
_decode_dialect = msgspec.json.Decoder(Dialect).decode


class FileLog:
    """The files in one database. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; its tables are schema.migrate's business."""
        self.engine = engine
        self._writer = writer_for(engine)

    def open(self, file_id: str, name: str, key: str | None = None) -> str | None:
        """Begin to receive a file; return the one that its Idempotency-Key stands for, if any."""
        row = {
            "id": file_id,
            "name": name,
            "state": State.RECEIVING.value,
            "changed_at": self._now(),
            "line_count": 0,
        }
        with self._transaction() as connection:
            database.begin_writing(connection)
            if key and (first := _first_file(connection, key, file_id)):
                return first
            connection.execute(insert(batches).values(row))
        return None

    def store(self, file_id: str, number: int, lines: Sequence[Line]) -> None:
        """Keep some lines of a file."""
        row = {
            "batch_id": file_id,
            "number": number,
            "line_count": len(lines),
            "lines": _encode(lines).decode(),
        }
        grown = {
            "line_count": batches.c.line_count + len(lines),
            "changed_at": self._now(),
        }
        with self._transaction() as connection:
            connection.execute(insert(batch_chunks), row)
            connection.execute(update(batches).where(batches.c.id == file_id).values(grown))

    def complete(
        self, file_id: str, dialect: Dialect, sample: Sequence[Line], fingerprint: str = ""
    ) -> None:
        """Note that a file has come in whole, and how it is written.

        fingerprint: what a repeat with its key is known by.
        """
        known = {
            "state": State.READY.value,
            "changed_at": self._now(),
            "dialect": _encode(dialect).decode(),
            "sample": _encode(sample).decode(),
        }
        with self._transaction() as connection:
            connection.execute(update(batches).where(batches.c.id == file_id).values(known))
            own = update(keys).where(keys.c.made_id == file_id, keys.c.fingerprint == "")
            connection.execute(own.values(fingerprint=fingerprint))

    def require_same(self, file_id: str, fingerprint: str) -> None:
        """Raise IdempotencyKeyReusedError unless a key's first file was the same."""
        of_file = keys.c.operation == Operation.FILE.value
        query = select(keys.c.fingerprint).where(of_file, keys.c.made_id == file_id)
        with self._transaction() as connection:
            if connection.scalar(query) != fingerprint:
                raise IdempotencyKeyReusedError

    def discard(self, file_id: str) -> None:
        """Leave nothing of a file."""
        with self._transaction() as connection:
            _discard(connection, file_id)

    def discard_broken_off(self, silence: timedelta) -> int:
        """Leave nothing of files of which nothing came for so long; return how many."""
        query = select(batches.c.id).where(
            batches.c.state == State.RECEIVING.value, batches.c.changed_at < self._now() - silence
        )
        with self._transaction() as connection:
            broken = connection.execute(query).scalars().all()
            for file_id in broken:
                _discard(connection, file_id)
        return len(broken)

    def find(self, file_id: str) -> ClientFile:
        """Return one file and how far it is. Raises ClientFileNotFoundError."""
        _require_id(file_id)
        with self._transaction() as connection:
            row = connection.execute(_whole().where(batches.c.id == file_id)).first()
            if row is None:
                raise ClientFileNotFoundError(file_id)
            return _to_client_file(row, _progress(connection, file_id))

    def latest(self, limit: int) -> list[ClientFile]:
        """Return up to limit files, newest first, without their counts."""
        committed = (
            select(func.coalesce(func.sum(batch_chunks.c.line_count), 0))
            .where(batch_chunks.c.batch_id == batches.c.id)
            .where(batch_chunks.c.settled_at.is_not(None))
            .scalar_subquery()
        )
        query = _whole(committed.label("committed")).order_by(batches.c.id.desc()).limit(limit)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [_to_client_file(row, Progress(row.committed, no_counts(), None)) for row in rows]

    def step(self, file_id: str, step: Step, key: IdempotencyKey | None = None) -> None:
        """Do what a person asked for, once for each key.

        Raises ClientFileNotFoundError, ClientFileStateError, or IdempotencyKeyReusedError.
        """
        _require_id(file_id)
        leaves, leads_to = STEPS[step]
        move = (
            update(batches)
            .where(batches.c.id == file_id, batches.c.state.in_([state.value for state in leaves]))
            .values(state=leads_to.value, changed_at=self._now())
        )
        with self._transaction() as connection:
            if key and (first := posts.use(connection, Operation.STEP, key, file_id, file_id)):
                first.require(key)
                return
            if connection.execute(move).rowcount == 1:
                return
            known = connection.execute(_whole().where(batches.c.id == file_id)).first()
            kind = ClientFileNotFoundError if known is None else ClientFileStateError
            raise kind(file_id)

    def running(self) -> list[str]:
        """Return the files that are to be evaluated, oldest first."""
        query = select(batches.c.id).where(batches.c.state == State.RUNNING.value)
        with self._transaction() as connection:
            return list(connection.execute(query.order_by(batches.c.id)).scalars())

    def lease(self, duration: timedelta) -> Chunk | None:
        """Lease the next chunk of the oldest running file.

        Replicas that lease at once get different ones. Whoever dies lets its lease run out.
        """
        now = self._now()
        key = tuple_(batch_chunks.c.batch_id, batch_chunks.c.number)
        lease = (
            update(batch_chunks)
            .where(key.in_(_free(now)))
            .values(claimed_until=now + duration)
            .returning(batch_chunks.c.batch_id, batch_chunks.c.number, batch_chunks.c.lines)
        )
        with self._transaction() as connection:
            row = connection.execute(lease).first()
            if row is None:
                return None
            query = select(batches.c.dialect).where(batches.c.id == row.batch_id)
            dialect = connection.execute(query).scalar_one()
        return Chunk(row.batch_id, row.number, _decode_dialect(dialect), _decode_lines(row.lines))

    def release(self, chunk: Chunk) -> None:
        """Put a leased chunk back, for whoever comes next."""
        with self._transaction() as connection:
            connection.execute(_uncommitted(chunk).values(claimed_until=None))

    def row(self, evaluation: Evaluation) -> Values:
        """Return an evaluation as commit takes it; asks nothing of the database."""
        applicant, received_at = evaluation.applicant, evaluation.evaluated_at
        return self._writer.encode(Entry(evaluation.id, received_at, applicant, evaluation))

    def commit(self, evaluated: EvaluatedChunk, rows: Sequence[Values]) -> bool:
        """Record a chunk's evaluations, all or none; tell whether they were.

        rows: its evaluations, encoded. They are not recorded when another replica has committed the
        chunk, or its file was cancelled meanwhile.
        """
        cancelled = (
            select(batches.c.id)
            .where(batches.c.id == evaluated.chunk.file_id)
            .where(batches.c.state == State.CANCELLED.value)
        )
        mark = (
            _uncommitted(evaluated.chunk)
            .where(~exists(cancelled))
            .values(
                settled_at=self._now(),
                endings=_encode(evaluated.row_results).decode(),
                tally=_encode(evaluated.counts).decode(),
            )
        )
        with self._transaction() as connection:
            if connection.execute(mark).rowcount == 0:
                return False
            self._writer.insert(connection, rows)
        return True

    def finish(self) -> int:
        """Note which running files have nothing left to do; return how many."""
        left = select(batch_chunks.c.number).where(
            batch_chunks.c.batch_id == batches.c.id, batch_chunks.c.settled_at.is_(None)
        )
        done = (
            update(batches)
            .where(batches.c.state == State.RUNNING.value, ~exists(left))
            .values(state=State.DONE.value, changed_at=self._now())
        )
        with self._transaction() as connection:
            return connection.execute(done).rowcount

    def row_results(self, file_id: str, number: int) -> tuple[list[Line], list[RowResult]] | None:
        """Return a chunk's lines and how they ended, if they have; None after the last chunk."""
        query = select(batch_chunks.c.lines, batch_chunks.c.endings).where(
            batch_chunks.c.batch_id == file_id, batch_chunks.c.number == number
        )
        with self._transaction() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return _decode_lines(row.lines), _decode_row_results(row.endings or "[]")

    def _now(self) -> Any:  # noqa: ANN401 - see clock.now
        return clock.now(self.engine.dialect)

    def _transaction(self) -> AbstractContextManager[Connection]:
        return database.transaction(self.engine)


def _require_id(text: str) -> None:
    if not is_id(text):
        raise ClientFileNotFoundError(text)


def _first_file(connection: Connection, key: str, file_id: str) -> str | None:
    """Return the file that a key stands for; IdempotencyKeyInFlightError until it is whole."""
    unknown = IdempotencyKey(key, "")
    first = posts.use(connection, Operation.FILE, unknown, file_id, file_id)
    if first is not None and not first.fingerprint:
        raise IdempotencyKeyInFlightError
    return None if first is None else first.made_id


def _discard(connection: Connection, file_id: str) -> None:
    connection.execute(delete(keys).where(keys.c.subject_id == file_id))
    connection.execute(delete(batch_chunks).where(batch_chunks.c.batch_id == file_id))
    connection.execute(delete(batches).where(batches.c.id == file_id))


def _free(now: Any) -> Select[Any]:  # noqa: ANN401 - see clock.now
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


def _uncommitted(chunk: Chunk) -> Any:  # noqa: ANN401 - an Update without values yet
    return update(batch_chunks).where(
        batch_chunks.c.batch_id == chunk.file_id,
        batch_chunks.c.number == chunk.number,
        batch_chunks.c.settled_at.is_(None),
    )


def _whole(*more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    return select(batches, *more).where(batches.c.state != State.RECEIVING.value)


def _progress(connection: Connection, file_id: str) -> Progress:
    query = select(
        batch_chunks.c.line_count, batch_chunks.c.settled_at, batch_chunks.c.tally
    ).where(batch_chunks.c.batch_id == file_id, batch_chunks.c.settled_at.is_not(None))
    rows = connection.execute(query).all()
    total = no_counts()
    for row in rows:
        add(total, _decode_counts(row.tally))
    times = [(row.settled_at, row.line_count) for row in rows]
    return Progress(sum(count for _, count in times), total, _rate(times))


def _rate(committed: list[tuple[datetime, int]]) -> float | None:
    """Return lines a second, from the first committed chunk of the window to the last."""
    if not committed:
        return None
    last = max(when for when, _ in committed)
    recent = sorted(pair for pair in committed if pair[0] > last - _WINDOW)
    seconds = (last - recent[0][0]).total_seconds()
    return sum(count for _, count in recent[1:]) / seconds if seconds > 0 else None


def _to_client_file(row: Row[Any], progress: Progress) -> ClientFile:
    return ClientFile(
        id=row.id,
        name=row.name,
        state=State(row.state),
        changed_at=in_utc(row.changed_at),
        dialect=_decode_dialect(row.dialect),
        sample=_decode_lines(row.sample),
        line_count=row.line_count,
        progress=progress,
    )
