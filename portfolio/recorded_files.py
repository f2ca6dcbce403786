"""Files of clients that are recorded from a terminal: how far each is, so that nobody is twice.

How far it is and the evaluations themselves are written in one transaction, so that a process
killed at any moment leaves the two equal.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select, text, update

from evaluation_api.client_files.client_file import State
from evaluation_api.decision.errors import RecordBusyError
from evaluation_api.record import chain, database
from evaluation_api.record.rows import Values, in_utc
from evaluation_api.record.tables import client_files, recorded_files
from evaluation_api.record.writer import writer_for
from evaluation_api.runtime.identity import new_id

_BEGIN: Final = text(
    "INSERT INTO recorded_files (sha256, number, id, criteria, recorded)"
    " VALUES (:sha256, :number, :id, :criteria, 0) ON CONFLICT DO NOTHING"
)
_WITHOUT_THE_DISK: Final = text("SET LOCAL synchronous_commit = off")
ELSEWHERE: Final = "another process records this file at this moment"


class RecordedFile(NamedTuple):
    """A file by its content. recorded: how many of its clients are, in its order."""

    sha256: str
    number: int
    id: str
    criteria: str
    recorded: int


class RecordedFiles(database.Keeper):
    """The files in one database. Every method raises RecordUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._writer = writer_for(engine)
        self.bind_time = self._writer.bind_time
        self.version = self._writer.versions.number

    def find(self, sha256: str) -> RecordedFile | None:
        """Return how far a file is, as it was begun last."""
        of_this = select(recorded_files).where(recorded_files.c.sha256 == sha256)
        newest_first = of_this.order_by(recorded_files.c.number.desc()).limit(1)
        with self._transaction() as connection:
            row = connection.execute(newest_first).first()
        return None if row is None else RecordedFile(*row)

    def decided_by_worker(self, sha256: str, since: datetime | None = None) -> int:
        """Return how many clients a worker decided of files that were sent with this content.

        since: of files that were worked at later.
        """
        file = client_files.c
        query = select(file.decided, file.changed_at).where(file.sha256 == sha256)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return sum(r.decided for r in rows if since is None or in_utc(r.changed_at) > since)

    def require_at_rest(self, sha256: str) -> None:
        """Raise RecordBusyError while a worker decides a file with this content."""
        file = client_files.c
        at_work = (file.sha256 == sha256) & (file.state == State.RUNNING.value)
        with self._transaction() as connection:
            if connection.scalar(select(file.id).where(at_work).limit(1)) is not None:
                raise RecordBusyError(ELSEWHERE)

    def begin(self, sha256: str, criteria: str, after: RecordedFile | None) -> RecordedFile:
        """Begin a file. after: as it was begun before. Raises RecordBusyError."""
        number = 1 if after is None else after.number + 1
        begun = RecordedFile(sha256, number, new_id(), criteria, 0)
        with self._writing() as connection:
            if not connection.execute(_BEGIN, begun._asdict()).rowcount:
                raise RecordBusyError(ELSEWHERE)
            told = {"file": begun.id, "sha256": sha256, "number": number}
            chain.note(connection, chain.by_terminal("file", **told))
        return begun

    def append(self, file: RecordedFile, encoded: Sequence[Values]) -> RecordedFile:
        """Record a file's next clients, all or none; return how far it is then.

        Raises RecordBusyError where another process has recorded them meanwhile.
        """
        with self._moving_on(file, len(encoded)) as (connection, further):
            self._writer.insert(connection, encoded)
        return further

    def append_copy(self, file: RecordedFile, count: int, encoded: bytes) -> RecordedFile:
        """Do so on a server with n clients as Writer.insert_copy takes them.

        It need not be on the server's disk yet: what a crash takes, it takes of clients and
        pointer alike, and the file goes on from there. See settle.
        """
        with self._moving_on(file, count) as (connection, further):
            connection.execute(_WITHOUT_THE_DISK)
            self._writer.insert_copy(connection, encoded)
        return further

    def settle(self, file: RecordedFile) -> None:
        """Wait until the disk, of a server a standby's, too, has all that was appended before.

        A commit that waits for the disk waits for those before it
        (https://www.postgresql.org/docs/current/wal-async-commit.html).
        """
        if self.engine.dialect.name == "sqlite":
            database.checkpoint(self.engine)
            return
        with self._writing() as connection:
            _move_on(connection, file, file.recorded)

    @contextmanager
    def _moving_on(
        self, file: RecordedFile, count: int
    ) -> Iterator[tuple[Connection, RecordedFile]]:
        further = file._replace(recorded=file.recorded + count)
        with self._writing() as connection:
            if not _move_on(connection, file, further.recorded):
                raise RecordBusyError(ELSEWHERE)
            yield connection, further


def _move_on(connection: Connection, file: RecordedFile, recorded: int) -> bool:
    """Note how far a file is, if it still is where it was; others wait here until the commit."""
    as_it_was = (
        (recorded_files.c.id == file.id)
        & (recorded_files.c.sha256 == file.sha256)
        & (recorded_files.c.recorded == file.recorded)
    )
    moving = update(recorded_files).where(as_it_was).values(recorded=recorded)
    return bool(connection.execute(moving).rowcount)
