"""What workers do in the tables of client files: take one, tell how far it is, leave it.

A worker has a file by a lease, which the database's clock ends when nobody renews it. Whatever it
writes asks first whether it still has the file, and whether somebody wants it to stop. Knows
neither pandas nor what is in a file.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    Engine,
    Update,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from evaluation_api.client_files.client_file import (
    Answers,
    Awaited,
    ClientFile,
    Counts,
    Kind,
    Reading,
    State,
)
from evaluation_api.client_files.log import encode, to_client_file
from evaluation_api.decision.errors import EvaluationError
from evaluation_api.record import clock, database
from evaluation_api.record.rows import in_utc
from evaluation_api.record.tables import client_file_parts, client_files, recorded_files, workers
from evaluation_api.record.writer import Writer, writer_for
from evaluation_api.runtime.identity import new_id

#: After a crash others wait so long; renewed every half second.
LEASE: Final = timedelta(seconds=5)
#: A file that ended its worker so often is not tried again.
MOST_ATTEMPTS: Final = 5
#: For how long nobody tries a file again that its worker failed at, which may be the worker's own
#: fault: five times were over within a second. The last time none is left, and it is refused.
PAUSES: Final = (*(timedelta(seconds=seconds) for seconds in (1, 4, 15, 60)), timedelta())
_FORGOTTEN: Final = timedelta(days=1)
_AT_WORK: Final = (State.CHECKING.value, State.RUNNING.value)


class LeaseLostError(EvaluationError):
    """A file is another worker's by now, or somebody has paused or cancelled it."""


_ANSWERED_AS: Final = text(
    "INSERT INTO file_answerers (file_id, label)"
    " SELECT :file_id, label FROM file_answerers WHERE file_id = :last ON CONFLICT DO NOTHING"
)


#: A piece of a file as a row of its table.
Part = dict[str, Any]
#: Takes a statement that moves a file on, and the pieces that are new; see Leases.commit.
Apart = Callable[[str, list[Part]], float | None]


class Chosen(NamedTuple):
    """What holds for a file where it does not say it itself.

    last: the last file with the same columns. What holds of its answers, its answerers have chosen
    here too.
    """

    answers: Answers
    last: str | None = None


class Slice(NamedTuple):
    """Some lines of a result.

    write: writes those that are decided into the record; None where that is done apart. content:
    compressed. keys: of 8 bytes each, of the decided. lines: how many; last_line: the number of the
    last one in the file.
    """

    write: Callable[[Writer, Connection], None] | None
    decided: int
    content: bytes
    keys: bytes
    lines: int
    last_line: int
    counts: Counts


class Waiting(NamedTuple):
    """How many files wait for a worker, and for how long the longest does."""

    files: int
    seconds: float


class Leases(database.Keeper):
    """The files of one database, for one worker. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.worker = new_id()
        self._writer = writer_for(engine)

    @property
    def is_server(self) -> bool:
        """Whether the record is behind a network, and no file."""
        return self.engine.dialect.name == "postgresql"

    def appear(self) -> None:
        """Say that this worker is there, and keep what it has."""
        now = self._now()
        renewal = update(client_files).where(self._own).values(leased_until=now + LEASE)
        with self._writing() as connection:
            known = update(workers).where(workers.c.id == self.worker)
            if not connection.execute(known.values(seen_at=now)).rowcount:
                connection.execute(delete(workers).where(workers.c.seen_at < now - _FORGOTTEN))
                connection.execute(insert(workers).values(id=self.worker, seen_at=now))
            connection.execute(renewal)

    def vanish(self) -> None:
        """Leave all that this worker has to others, at once."""
        left = {"worker": None, "leased_until": None, "attempts": 0}
        with self._writing() as connection:
            connection.execute(update(client_files).where(self._own).values(left))
            connection.execute(delete(workers).where(workers.c.id == self.worker))

    def waiting(self) -> Waiting:
        """Return how many files no worker has."""
        now = self._now()
        query = select(func.count(), func.min(client_files.c.changed_at)).where(
            client_files.c.state.in_(_AT_WORK), self._free(now)
        )
        with self._transaction() as connection:
            count, since = connection.execute(query).one()
            here: Any = now if isinstance(now, datetime) else connection.scalar(select(now))
        seconds = 0.0 if since is None else (in_utc(here) - in_utc(since)).total_seconds()
        return Waiting(count, max(0.0, seconds))

    def take(self, *states: State) -> ClientFile | None:
        """Take the oldest file that is in one of some states and that nobody else has.

        What this worker has already did not end it, and is no further attempt.
        """
        now = self._now()
        files = client_files.c
        free = select(files.id).where(
            files.state.in_([state.value for state in states]), self._free(now)
        )
        with self._transaction() as connection:
            if connection.scalar(free.limit(1)) is None:
                return None
            first = free.order_by(files.id).limit(1).with_for_update(skip_locked=True)
            taking = update(client_files).where(files.id == first.scalar_subquery())
            taken = {
                "worker": self.worker,
                "leased_until": now + LEASE,
                "attempts": files.attempts + case((self._own, 0), else_=1),
                "run_since": now,
                "run_from": files.done,
            }
            row = connection.execute(taking.values(taken).returning(*client_files.c)).first()
        if row is not None and row.attempts > MOST_ATTEMPTS:
            raise TriedOftenError(to_client_file(row))
        return None if row is None else to_client_file(row)

    def leave(self, file: ClientFile) -> None:
        """Give a file back."""
        with self._writing() as connection:
            left = update(client_files).where(self._own, client_files.c.id == file.id)
            connection.execute(left.values(worker=None, leased_until=None))

    def put_off(self, file: ClientFile) -> None:
        """Give a file back, for nobody to take it for a while, longer each time."""
        own = self._own & (client_files.c.id == file.id)
        with self._writing() as connection:
            attempts = connection.scalar(select(client_files.c.attempts).where(own))
            if attempts is not None:
                until = self._now() + PAUSES[max(0, attempts - 1)]
                left = update(client_files).where(own)
                connection.execute(left.values(worker=None, leased_until=until))

    def sent(self, file: ClientFile) -> Iterator[bytes]:
        """Yield what was sent, a piece at a time."""
        number, part = 0, client_file_parts.c
        of_it = select(part.content).where(part.file_id == file.id, part.kind == Kind.SENT.value)
        while True:
            with self._transaction() as connection:
                content = connection.scalar(of_it.where(part.number == number))
            if content is None:
                return
            yield content
            number += 1

    def size(self, file: ClientFile) -> int:
        """Return how many bytes were sent."""
        part = client_file_parts.c
        of_it = (part.file_id == file.id) & (part.kind == Kind.SENT.value)
        query = select(func.sum(func.length(part.content))).where(of_it)
        with self._transaction() as connection:
            return int(connection.scalar(query) or 0)

    def remembered(self, header_sha256: str) -> ClientFile | None:
        """Return the last file with the same columns that was chosen anything for, if enough.

        Who cancels a file of which nothing is decided has not found its choices good.
        """
        files = client_files.c
        unread = [state.value for state in (State.CHECKING, State.ASKING, State.REFUSED)]
        query = (
            select(client_files)
            .where(files.header_sha256 == header_sha256, files.answers != "{}")
            .where(files.state.not_in(unread))
            .where(or_(files.state != State.CANCELLED.value, files.done > 0))
            .order_by(files.id.desc())
            .limit(1)
        )
        with self._transaction() as connection:
            row = connection.execute(query).first()
        return None if row is None else to_client_file(row)

    def keys(self, header_sha256: str, file: ClientFile) -> Iterator[tuple[str, str, bytes]]:
        """Yield keys of clients decided out of other files with the same columns, newest first.

        With each piece of them the file's id and name.
        """
        files, part = client_files.c, client_file_parts.c
        query = (
            select(files.id, files.name, part.content)
            .join(client_file_parts, part.file_id == files.id)
            .where(files.header_sha256 == header_sha256, files.id != file.id)
            .where(part.kind == Kind.KEYS.value)
            .order_by(files.id.desc(), part.number)
        )
        with (
            self._transaction() as connection,
            # Closed by itself: whoever reads them may have seen enough.
            connection.execution_options(stream_results=True).execute(query) as rows,
        ):
            for row in rows:
                yield row.id, row.name, row.content

    def recorded_by_terminal(self, sha256: str) -> int | None:
        """Return how many clients a terminal has recorded out of a file with the same content.

        None where it never began.
        """
        query = select(func.max(recorded_files.c.recorded)).where(recorded_files.c.sha256 == sha256)
        with self._transaction() as connection:
            recorded: int | None = connection.scalar(query)
        return recorded

    def store_faults(self, file: ClientFile, number: int, content: bytes) -> None:
        """Keep a piece of the faulty lines, compressed; the first takes the place of all before."""
        part = client_file_parts.c
        before = (part.file_id == file.id) & (part.kind == Kind.FAULTS.value)
        with self._writing() as connection:
            self._require(connection, file, State.CHECKING)
            if number == 0:
                connection.execute(delete(client_file_parts).where(before))
            if content:
                _insert_parts(connection, file, number, {Kind.FAULTS: content})

    def checked(
        self, file: ClientFile, header_sha256: str, chosen: Chosen, reading: Reading
    ) -> State:
        """Note how a file was understood; return what becomes of it."""
        starts = client_files.c.starts_when_ready  # as it is now: somebody may have begun it
        ready = case((starts, State.RUNNING.value), else_=State.READY.value)
        known = {
            "state": State.ASKING.value if reading.questions else ready,
            "header_sha256": header_sha256,
            "answers": encode(chosen.answers).decode(),
            "reading": encode(reading).decode(),
            "line_count": reading.lines,
        }
        is_taken_over = chosen.answers != file.answers
        return self._end(file, State.CHECKING, known, chosen.last if is_taken_over else None)

    def refuse(self, file: ClientFile, sentence: str) -> None:
        """Note why nothing more is decided of a file."""
        self._end(file, file.state, {"state": State.REFUSED.value, "refusal": sentence})

    def finish(self, file: ClientFile) -> None:
        """Note that every line of a file is in its result."""
        self._end(file, State.RUNNING, {"state": State.DONE.value})

    def _end(
        self,
        file: ClientFile,
        state: State,
        values: dict[str, Any],
        answered_as: str | None = None,
    ) -> State:
        left = {"worker": None, "leased_until": None, "attempts": 0, "awaits": None}
        with self._writing() as connection:
            self._require(connection, file, state)
            if answered_as is not None:
                connection.execute(_ANSWERED_AS, {"file_id": file.id, "last": answered_as})
            ending = update(client_files).where(client_files.c.id == file.id)
            ended = ending.values({**left, **values, "changed_at": self._now()})
            return State(connection.scalar(ended.returning(client_files.c.state)))

    def wait_for(self, file: ClientFile, awaited: Awaited | None) -> None:
        """Note what a file waits for. Raises LeaseLostError."""
        value = None if awaited is None else awaited.value
        with self._writing() as connection:
            self._require(connection, file, file.state)
            waiting = update(client_files).where(client_files.c.id == file.id)
            connection.execute(waiting.values(awaits=value, attempts=0))

    def count_slices(self, file: ClientFile) -> int:
        """Return how many slices of a file's result there are."""
        part = client_file_parts.c
        of_it = (part.file_id == file.id) & (part.kind == Kind.RESULT.value)
        with self._transaction() as connection:
            return int(connection.scalar(select(func.count()).where(of_it)) or 0)

    def commit(
        self, file: ClientFile, number: int, part: Slice, apart: Apart | None = None
    ) -> tuple[ClientFile, float]:
        """Record a slice and its clients, all or none.

        apart: writes it in a process of its own, if there is one. Returns how far the file is then,
        and for how many seconds nobody else could write. Raises LeaseLostError, and nothing is
        recorded, where the file is no longer this worker's, or was paused or cancelled.
        """
        counts = Counts()
        counts.add(file.counts)
        counts.add(part.counts)
        further = replace(
            file,
            done=file.done + part.lines,
            decided=file.decided + part.decided,
            last_line=part.last_line,
            counts=counts,
        )
        now = self._now()
        values = {
            "done": further.done,
            "decided": further.decided,
            "last_line": further.last_line,
            "counts": encode(counts).decode(),
            "changed_at": now,
            "leased_until": now + LEASE,
            "attempts": 0,
            "awaits": None,
        }
        as_it_was = (
            self._own
            & (client_files.c.id == file.id)
            & (client_files.c.state == State.RUNNING.value)
            & (client_files.c.done == file.done)
        )
        moving = update(client_files).where(as_it_was).values(values)
        pieces = _parts(file, number, {Kind.KEYS: part.keys, Kind.RESULT: part.content})
        if apart is None:
            seconds = self._commit(moving, part, pieces)
        else:
            literal = moving.compile(self.engine, compile_kwargs={"literal_binds": True})
            seconds = apart(str(literal), pieces)
        if seconds is None:
            raise LeaseLostError(file.id)
        return further, seconds

    def _commit(self, moving: Update, part: Slice, pieces: list[Part]) -> float | None:
        with self._writing() as connection:
            begun = time.perf_counter()
            if not connection.execute(moving).rowcount:
                return None
            if part.decided and part.write is not None:
                part.write(self._writer, connection)
            connection.execute(insert(client_file_parts), pieces)
        return time.perf_counter() - begun

    @property
    def _own(self) -> Any:  # noqa: ANN401 - a condition
        return client_files.c.worker == self.worker

    def _free(self, now: Any) -> Any:  # noqa: ANN401 - a condition, and see clock.now
        return or_(clock.is_free(client_files.c.leased_until, now), self._own)

    def _require(self, connection: Connection, file: ClientFile, state: State) -> None:
        """Raise LeaseLostError unless a file is this worker's, and stays so until the commit."""
        query = select(client_files.c.id).where(
            self._own, client_files.c.id == file.id, client_files.c.state == state.value
        )
        if connection.scalar(query.with_for_update()) is None:
            raise LeaseLostError(file.id)

    def _now(self) -> Any:  # noqa: ANN401 - see clock.now
        return clock.now(self.engine.dialect)


class TriedOftenError(EvaluationError):
    """A file has ended its worker as often as one may; it is the caller's to refuse."""

    def __init__(self, file: ClientFile) -> None:
        super().__init__(file.id)
        self.file = file


def _insert_parts(
    connection: Connection, file: ClientFile, number: int, pieces: Mapping[Kind, bytes]
) -> None:
    """Keep a piece of each kind, unless it is empty."""
    connection.execute(insert(client_file_parts), _parts(file, number, pieces))


def _parts(file: ClientFile, number: int, pieces: Mapping[Kind, bytes]) -> list[Part]:
    return [
        {"file_id": file.id, "kind": kind.value, "number": number, "content": content}
        for kind, content in pieces.items()
        if content
    ]
