"""The keeper of files of clients: what was sent, what a person wants of it, what came of it.

Synchronous, for threads. Who reads and decides them is a worker in a process of its own
(portfolio/worker.py), which meets the routes in these tables and nowhere else.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from evaluation_api.client_files.client_file import (
    ANSWERABLE,
    STEPS,
    Answers,
    Awaited,
    ClientFile,
    Counts,
    Kind,
    Reading,
    State,
    Step,
)
from evaluation_api.decision import errors
from evaluation_api.decision.domain import IdempotencyKey
from evaluation_api.record import chain, clock, database, posts
from evaluation_api.record.chain import Event
from evaluation_api.record.posts import Operation
from evaluation_api.record.rows import in_utc, is_id
from evaluation_api.record.tables import (
    client_file_parts,
    client_files,
    file_answerers,
    file_starters,
    workers,
)
from evaluation_api.record.tables import posts as keys

#: Who has said nothing for so long works no more.
SILENCE: Final = timedelta(seconds=1.5)
#: A file of which nothing came for so long comes from a sender, or to a service, that is gone.
_BROKEN_OFF: Final = timedelta(minutes=5)
#: Of what any worker may take.
_FREE: Final = {"worker": None, "leased_until": None, "attempts": 0}
_COMPRESSED: Final = frozenset({Kind.FAULTS, Kind.RESULT})

_STARTED: Final = database.insert_new(file_starters)
_ANSWERED: Final = database.insert_new(file_answerers)

encode: Final = msgspec.json.Encoder().encode
_decode_answers: Final = msgspec.json.Decoder(Answers).decode
_decode_reading: Final = msgspec.json.Decoder(Reading).decode
_decode_counts: Final = msgspec.json.Decoder(Counts).decode


class ClientFileLog(database.Keeper):
    """The files in one database. Every method raises RecordUnavailableError."""

    def open(
        self,
        file_id: str,
        name: str,
        answers: Answers,
        *,
        key: str | None = None,
        made_by: str | None = None,
    ) -> str | None:
        """Begin to receive a file; return the one that its Idempotency-Key stands for, if any."""
        with self._writing() as connection:
            _discard_broken_off(connection, self._now() - _BROKEN_OFF)
            if key and (first := _first_file(connection, key, file_id)):
                return first
            row = new_row(file_id, name, State.RECEIVING, self._now(), answers)
            connection.execute(insert(client_files).values(row | {"made_by": made_by}))
        return None

    def store(self, file_id: str, number: int, content: bytes) -> None:
        """Keep a piece of a file, as sent."""
        row = {"file_id": file_id, "kind": Kind.SENT.value, "number": number, "content": content}
        with self._writing() as connection:
            connection.execute(insert(client_file_parts), row)
            connection.execute(_of(file_id).values(changed_at=self._now()))

    def complete(self, file_id: str, sha256: str, fingerprint: str) -> None:
        """Note that a file has come in whole, for a worker to look at.

        fingerprint: what a repeat with its key is known by.
        """
        known = {"state": State.CHECKING.value, "changed_at": self._now(), "sha256": sha256}
        with self._writing() as connection:
            connection.execute(_of(file_id).values(known))
            own = update(keys).where(keys.c.made_id == file_id, keys.c.fingerprint == "")
            connection.execute(own.values(fingerprint=fingerprint))

    def require_same(self, file_id: str, fingerprint: str) -> None:
        """Raise IdempotencyKeyReusedError unless a key's first file was the same."""
        of_file = keys.c.operation == Operation.FILE.value
        query = select(keys.c.fingerprint).where(of_file, keys.c.made_id == file_id)
        with self._transaction() as connection:
            if connection.scalar(query) != fingerprint:
                raise errors.IdempotencyKeyReusedError

    def discard(self, file_id: str) -> None:
        """Leave nothing of a file."""
        with self._writing() as connection:
            _discard(connection, [file_id])

    def find(self, file_id: str) -> ClientFile:
        """Return one file and how far it is. Raises ClientFileNotFoundError."""
        _require_id(file_id)
        with self._transaction() as connection:
            row = connection.execute(_whole().where(client_files.c.id == file_id)).first()
            if row is None:
                raise errors.ClientFileNotFoundError(file_id)
            return to_client_file(row, has_worker=self._count_workers(connection) > 0)

    def latest(self, limit: int) -> tuple[list[ClientFile], int]:
        """Return up to limit files, newest first, and how many workers there are."""
        with self._transaction() as connection:
            count = self._count_workers(connection)
            rows = connection.execute(_whole().order_by(client_files.c.id.desc()).limit(limit))
            return [to_client_file(row, has_worker=count > 0) for row in rows], count

    def step(
        self,
        file_id: str,
        step: Step,
        key: IdempotencyKey | None = None,
        noted: Event | None = None,
    ) -> None:
        """Do what a person asked for, once for each key; what is being looked at starts after that.

        noted: what the chain says of who asks. Raises ClientFileNotFoundError,
        ClientFileStateError, or IdempotencyKeyReusedError.
        """
        leaves, leads_to = STEPS[step]
        move = {"state": leads_to.value, **_FREE}
        later = {"starts_when_ready": True} if step is Step.START else move
        checking = client_files.c.state == State.CHECKING.value
        with self._writing() as connection:
            if self._is_repeated(connection, Operation.STEP, file_id, key):
                return
            if noted is not None:
                chain.note(connection, noted)
                if step is Step.START:
                    connection.execute(_STARTED, {"file_id": file_id, "label": noted.who})
            if step is Step.START and _moved(connection, _of(file_id).where(checking), later):
                return
            self._change(connection, file_id, leaves, {**move, "awaits": None})

    def answer(
        self,
        file_id: str,
        answers: Answers,
        key: IdempotencyKey | None = None,
        noted: Event | None = None,
    ) -> None:
        """Keep what a person chose and have the file looked at again, once for each key.

        noted: as of step. Raises as step does.
        """
        known = {
            "state": State.CHECKING.value,
            "answers": encode(answers).decode(),
            "reading": None,
            **_FREE,
        }
        with self._writing() as connection:
            if self._is_repeated(connection, Operation.ANSWER, file_id, key):
                return
            self._change(connection, file_id, ANSWERABLE, known)
            if noted is not None:
                chain.note(connection, noted)
                connection.execute(_ANSWERED, {"file_id": file_id, "label": noted.who})

    def part(self, file_id: str, kind: Kind, number: int) -> bytes | None:
        """Return a piece of a file, None after the last."""
        query = select(client_file_parts.c.content).where(
            client_file_parts.c.file_id == file_id,
            client_file_parts.c.kind == kind.value,
            client_file_parts.c.number == number,
        )
        with self._transaction() as connection:
            content = connection.scalar(query)
        return zlib.decompress(content) if content and kind in _COMPRESSED else content

    def _is_repeated(
        self, connection: Connection, operation: Operation, file_id: str, key: IdempotencyKey | None
    ) -> bool:
        _require_id(file_id)
        if key is None or not (first := posts.use(connection, operation, key, file_id, file_id)):
            return False
        first.require(key)
        return True

    def _change(
        self, connection: Connection, file_id: str, leaves: frozenset[State], values: dict[str, Any]
    ) -> None:
        """Change a file that is in one of some states. Raises as step does."""
        statement = _of(file_id).where(client_files.c.state.in_([one.value for one in leaves]))
        if _moved(connection, statement, {**values, "changed_at": self._now()}):
            return
        known = connection.execute(_whole().where(client_files.c.id == file_id)).first()
        raise (errors.ClientFileNotFoundError if known is None else errors.ClientFileStateError)(
            file_id
        )

    def _count_workers(self, connection: Connection) -> int:
        now = self._now()  # who was seen much later is gone: a clock was ahead
        at_work = workers.c.seen_at.between(now - SILENCE, now + clock.LONGEST_LEASE)
        return int(connection.scalar(select(func.count()).where(at_work)) or 0)

    def _now(self) -> Any:  # noqa: ANN401 - see clock.now
        return clock.now(self.engine.dialect)


def new_row(
    file_id: str, name: str, state: State, changed_at: datetime, answers: Answers
) -> dict[str, Any]:
    """Return a file of which nothing is known yet, as a row."""
    return {
        "id": file_id,
        "name": name,
        "state": state.value,
        "changed_at": changed_at,
        "answers": encode(answers).decode(),
        "starts_when_ready": False,
        **dict.fromkeys(("attempts", "line_count", "done", "last_line", "decided", "run_from"), 0),
    }


def _require_id(text: str) -> None:
    if not is_id(text):
        raise errors.ClientFileNotFoundError(text)


def _of(file_id: str) -> Any:  # noqa: ANN401 - an Update without values yet
    return update(client_files).where(client_files.c.id == file_id)


def _moved(connection: Connection, statement: Any, values: dict[str, Any]) -> bool:  # noqa: ANN401 - an Update
    return bool(connection.execute(statement.values(values)).rowcount)


def _first_file(connection: Connection, key: str, file_id: str) -> str | None:
    """Return the file that a key stands for; IdempotencyKeyInFlightError until it is whole."""
    unknown = IdempotencyKey(key, "")
    first = posts.use(connection, Operation.FILE, unknown, file_id, file_id)
    if first is not None and not first.fingerprint:
        raise errors.IdempotencyKeyInFlightError
    return None if first is None else first.made_id


def _discard_broken_off(connection: Connection, before: Any) -> None:  # noqa: ANN401 - see clock.now
    query = select(client_files.c.id).where(
        client_files.c.state == State.RECEIVING.value, client_files.c.changed_at < before
    )
    _discard(connection, connection.execute(query).scalars().all())


def _discard(connection: Connection, ids: Sequence[str]) -> None:
    if ids:
        connection.execute(delete(keys).where(keys.c.subject_id.in_(ids)))
        connection.execute(delete(client_file_parts).where(client_file_parts.c.file_id.in_(ids)))
        connection.execute(delete(client_files).where(client_files.c.id.in_(ids)))


def _whole() -> Select[Any]:
    return select(client_files).where(client_files.c.state != State.RECEIVING.value)


def to_client_file(row: Row[Any], *, has_worker: bool = True) -> ClientFile:
    """Return a file as it stands in its table."""
    state = State(row.state)
    is_at_work = state in {State.CHECKING, State.RUNNING}
    awaits = Awaited(row.awaits) if row.awaits and is_at_work else None
    return ClientFile(
        id=row.id,
        name=row.name,
        state=state,
        changed_at=in_utc(row.changed_at),
        sha256=row.sha256,
        answers=_decode_answers(row.answers or "{}"),
        reading=None if row.reading is None else _decode_reading(row.reading),
        line_count=row.line_count,
        done=row.done,
        last_line=row.last_line,
        decided=row.decided,
        counts=_decode_counts(row.counts or "{}"),
        lines_per_second=_rate(row),
        awaits=awaits if has_worker or not is_at_work else Awaited.WORKER,
        refusal=row.refusal,
        starts_when_ready=row.starts_when_ready,
        made_by=row.made_by,
    )


def _rate(row: Row[Any]) -> float | None:
    if row.run_since is None or row.done == row.run_from:
        return None
    seconds = (row.changed_at - row.run_since).total_seconds()
    return (row.done - row.run_from) / seconds if seconds > 0 else None
