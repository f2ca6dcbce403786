"""Opens the database that a URL names; schema.py has its tables' versions.

SQLite and PostgreSQL differ here, and in how rows are written (writer.py).
"""

import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from evaluation_api.decision import errors
from evaluation_api.record import deadline, turns
from evaluation_api.record.tables import policies

_NO_PORT: Final = (
    "the port in its address is no number; of a password, / : @ and # are written %2F %3A %40 %23"
)
_DRIVERS: Final = {"sqlite", "postgresql", "postgresql+psycopg"}
_NO_DRIVER: Final = "its address begins with neither sqlite:/// nor postgresql+psycopg://"
#: An error's text names the statement that failed, and not the client that it was about.
_HIDE_PARAMETERS: Final = {"hide_parameters": True}
#: An evaluation takes 2 KB with its answer, so that of pages of 4 KB each would hold one, and the
#: file be half as large again; a file that is there keeps its own.
_PAGE_BYTES = 8192
#: Readers and the writer work side by side. synchronous=NORMAL survives a killed process; after a
#: power cut the last transactions may be gone, whole. Whoever can't accept that sets a PostgreSQL
#: URL.
_PRAGMAS: Final = (
    f"page_size={_PAGE_BYTES}",
    "auto_vacuum=INCREMENTAL",  # of a file that is made; another one keeps what it has
    "secure_delete=ON",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
)
#: Between two looks whether a file is free. SQLite itself waits longer after each, up to 0.1 s.
_LOOK_SECONDS: Final = 0.001
#: For a file to be set up, which another process may be doing, also by who waits for nothing then.
_OPENING_SECONDS: Final = 5
#: For a connection when all are taken; there are more than threads.
_POOL_SECONDS: Final = 1
#: Connections to a server that wait for whoever comes: the one who writes, and four who read.
_KEPT: Final = 5
#: With less room than this a disk is full: what SQLite writes beside the file needs some, too.
_ROOM_BYTES: Final = 2**20
#: What is written to try whether it can be, and taken back.
_FILL: Final = {
    # 64 KB of letters in no order, which the server makes hardly smaller: a table must grow for
    # them. 1 MB took a busy one longer than a look may last, so that who was slow for a moment
    # stayed away for as long as they were busy.
    "postgresql": sa.text(
        "INSERT INTO policies (version, text, first_used_at)"
        " SELECT '~room', string_agg(md5(random()::text), ''), now()"
        " FROM generate_series(1, 2048)"
    ),
    # More than SQLite keeps in memory.
    "sqlite": sa.text(
        "INSERT INTO policies (version, text, first_used_at)"
        " VALUES ('~room', hex(zeroblob(524288)), current_timestamp)"
    ),
}

#: What PostgreSQL says of a commit that is its own, and perhaps no replica's yet: it shuts down
#: (57P01), or another process of it has crashed (57P02).
_SHUT_DOWN: Final = frozenset({"57P01", "57P02"})

#: Who mistyped an address is told where it stands.
NAMED: Final = "which EVALUATION_DATABASE_URL names"
#: What SQLite says of a file without naming it; of these, that it is damaged, or none of its own.
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ABOUT_THE_FILE: Final = _DAMAGED | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
}

#: What Python did by itself until 3.12, which warns of it.
sqlite3.register_adapter(datetime, lambda moment: moment.isoformat(" "))


def connect(
    url: str,
    *,
    busy_timeout_seconds: float = 5,
    checkpoints: bool = True,
    statement_seconds: float | None = None,
    may_begin: bool = True,
) -> sa.Engine:
    """Make an engine for sqlite:///file or postgresql+psycopg://...; connects when first used.

    busy_timeout_seconds: how long to wait for another process that is writing to the same file.
    checkpoints: whether a commit may bring to a file what waits beside it, which takes up to 20 ms
    where another process writes much; if not, checkpoint is for somebody to call.
    statement_seconds: after which a server ends a statement by itself, if it may not take as long
    as it wants. may_begin: make a file that is not there. Raises RecordUnavailableError when the
    URL names nothing that can be used.
    """
    try:
        if make_url(url).drivername not in _DRIVERS:
            raise errors.RecordUnavailableError(_NO_DRIVER)
        if is_file(url):
            return _connect_file(
                make_url(url), busy_timeout_seconds, checkpoints=checkpoints, may_begin=may_begin
            )
        return _connect_server(url, statement_seconds)
    except (SQLAlchemyError, OSError, ImportError) as exc:
        raise errors.RecordUnavailableError(str(exc)) from exc
    except ValueError as exc:  # it quotes what stands where the port should, maybe of a password
        raise errors.RecordUnavailableError(_NO_PORT) from exc


def connect_again(engine: sa.Engine) -> sa.Engine:
    """Make an engine for the same SQLite file, for other uses of it."""
    return connect(engine.url.render_as_string(hide_password=False))


def is_corrupt(error: errors.RecordUnavailableError) -> bool:
    """Tell whether a file that SQLite reads is none of SQLite's, or is damaged."""
    return _file_code(getattr(error.__cause__, "orig", None)) in _DAMAGED


def is_refused(error: errors.RecordUnavailableError) -> bool:
    """Tell rows that a database never takes from a database that takes none now."""
    cause = error.__cause__
    kinds = type(getattr(cause, "orig", None) or cause).__mro__  # of any driver: PEP 249's names
    return any(kind.__name__ in {"IntegrityError", "DataError"} for kind in kinds)


def _file_code(error: BaseException | None) -> int:
    """Return what SQLite's error is about, whatever of it (https://www.sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _connect_file(
    url: URL, busy_timeout_seconds: float, *, checkpoints: bool, may_begin: bool
) -> sa.Engine:
    if url.database in {None, "", ":memory:"}:
        raise errors.RecordUnavailableError("sqlite:/// names no file, and memory keeps nothing")
    file = Path(str(url.database))
    if not (may_begin or file.exists()):
        raise errors.RecordUnavailableError(f"there is no file {file.absolute()}, {NAMED}")
    file.parent.mkdir(parents=True, exist_ok=True)
    timeout = busy_timeout_seconds or _OPENING_SECONDS
    engine = sa.create_engine(url, connect_args={"timeout": timeout}, **_HIDE_PARAMETERS)
    pragmas = [*_PRAGMAS, f"busy_timeout={1000 * busy_timeout_seconds:.0f}"]
    if not checkpoints:
        # Of SQLite's own, one commit in dozens would wait for a disk.
        pragmas.append("wal_autocheckpoint=0")
    sa.event.listen(engine, "connect", partial(_set_up_file, pragmas))
    return engine


def _connect_server(url: str, statement_seconds: float | None) -> sa.Engine:
    from evaluation_api.record import postgres  # noqa: PLC0415 - a driver that a file spares

    def open_connection(_: object, __: object, args: list[Any], options: dict[str, Any]) -> object:
        return postgres.connect(*args, statement_seconds=statement_seconds, **options)

    pool = {"pool_pre_ping": True, "pool_size": _KEPT, "pool_timeout": _POOL_SECONDS}
    engine = sa.create_engine(url, **pool, **_HIDE_PARAMETERS)
    sa.event.listen(engine, "do_connect", open_connection)
    return engine


def fill_pool(engine: sa.Engine) -> None:
    """Open the connections to a server that are kept; a file's take no time.

    One that is made for a caller is a part of their second, and on a busy machine may take all of
    it. A server that has no place for so many lends those that it has.
    """
    if engine.dialect.name == "sqlite":
        return
    with suppress(SQLAlchemyError), ExitStack() as stack:
        for _ in range(_KEPT):
            stack.enter_context(engine.connect())


def insert_new(table: sa.Table) -> sa.TextClause:
    """Return the statement for a row, each column bound by its name, unless its key is there."""
    names = [column.name for column in table.columns]
    row = f"({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
    return sa.text(f"INSERT INTO {table.name} {row} ON CONFLICT DO NOTHING")


class Keeper:
    """Keeps things of one kind in one database; its tables are schema.migrate's business."""

    def __init__(self, bind: sa.Engine | sa.Connection) -> None:
        self.engine = bind.engine
        self._bind = bind

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._bind)

    def _writing(self) -> AbstractContextManager[sa.Connection]:
        return writing(self._bind)


@contextmanager
def translated(engine: sa.Engine) -> Iterator[None]:
    """Raise RecordUnavailableError for what SQLAlchemy raises in a block."""
    try:
        yield
    except SQLAlchemyError as exc:
        raise errors.RecordUnavailableError(_sentence_of(exc, engine)) from exc


@contextmanager
def kept(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Keep a connection for the many short transactions of one thread.

    To lend it and take it back would take half of the time of each. Raises RecordUnavailableError.
    """
    with translated(engine):
        connection = engine.connect()
    with connection:
        yield connection


@contextmanager
def transaction(
    bind: sa.Engine | sa.Connection, *, is_asked_for: bool = True
) -> Iterator[sa.Connection]:
    """Run a block in one transaction, by the thread's deadline: later, nothing is committed.

    bind: an engine, whose connection is lent for it, or one that is kept. is_asked_for: whether the
    caller waits for what it commits, and not for what follows it. Raises RecordBusyError
    when another process was writing to the file for too long, RecordUncertainError when a server
    was not heard of after it was told to commit, and RecordUnavailableError for anything else that
    the database did not do.
    """
    deadline.require()
    is_told = False
    try:
        with bind.begin() as begun:
            yield begun if isinstance(begun, sa.Connection) else begun.connection
            if is_asked_for:
                deadline.begin_commit()
                is_told = True
    except (SQLAlchemyError, _driver_error(bind.engine)) as exc:
        sentence, cause = _sentence_of(exc, bind.engine), getattr(exc, "orig", None) or exc
        if is_told and _is_unheard(cause):
            raise errors.RecordUncertainError(sentence) from exc
        raise _kind(cause)(sentence) from exc


@contextmanager
def writing(bind: sa.Engine | sa.Connection) -> Iterator[sa.Connection]:
    """Run a block in one transaction that may write from its beginning. Raises as transaction."""
    with transaction(bind) as connection:
        begin_writing(connection)
        yield connection


def _sentence_of(exc: Exception, engine: sa.Engine) -> str:
    """Return what an error says in its first line, with the file where SQLite leaves it out.

    What follows the first line is the statement, or a row, with its client.
    """
    sentence, cause = str(exc).partition("\n")[0], getattr(exc, "orig", None) or exc
    return (
        f"{sentence}: {engine.url.database}" if _file_code(cause) in _ABOUT_THE_FILE else sentence
    )


def require_writable(engine: sa.Engine, *, thoroughly: bool = False) -> None:
    """Raise RecordUnavailableError unless the database can be read and written.

    thoroughly: also write, and take it back, which leaves a server something to tidy: a disk may
    have room, and none for us.
    """
    with writing(engine) as connection:
        connection.execute(sa.select(policies.c.version).limit(1))
        # Deletes nothing, and is refused by a server that is read-only.
        connection.execute(sa.delete(policies).where(policies.c.version == ""))
        if thoroughly:
            _write_and_take_back(connection)
    if engine.dialect.name == "sqlite":
        _require_room(str(engine.url.database))


def _write_and_take_back(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        # What is not kept in memory reaches the disk before it is committed.
        connection.exec_driver_sql("PRAGMA cache_size=16")
    connection.execute(_FILL[connection.dialect.name])
    connection.rollback()
    connection.invalidate()


def _require_room(file: str) -> None:
    """Raise RecordUnavailableError when the disk of a SQLite file is full, or gone."""
    try:
        free = shutil.disk_usage(Path(file).parent).free
    except OSError as exc:
        raise errors.RecordUnavailableError(str(exc)) from exc
    if free < _ROOM_BYTES:
        raise errors.RecordUnavailableError(f"database or disk is full: {file}")


def _driver_error(engine: sa.Engine) -> type[Exception]:
    """Return what the driver raises where it is spoken to past SQLAlchemy."""
    driver = engine.dialect.loaded_dbapi
    return driver.Error if driver else SQLAlchemyError


def begin_writing(connection: sa.Connection) -> None:
    """Take a SQLite file's one place to write before reading what is written by.

    Waits as long as the connection may, and is let in between two slices of long work (turns.py).
    """
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.driver_connection
    (milliseconds,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout=0")
    try:
        if not _takes_place(driver):
            give_up = time.monotonic() + milliseconds / 1000
            with turns.waiting(str(connection.engine.url.database)):
                while not _takes_place(driver, or_raises=time.monotonic() >= give_up):
                    time.sleep(_LOOK_SECONDS)
    finally:
        driver.execute(f"PRAGMA busy_timeout={milliseconds}")


def let_in(engine: sa.Engine) -> None:
    """Let those write who wait for a SQLite file (turns.py); a server lets several at a time."""
    if engine.dialect.name == "sqlite":
        turns.let_in(str(engine.url.database))


def _takes_place(driver: Any, *, or_raises: bool = False) -> bool:  # noqa: ANN401 - the driver's own
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as exc:
        if or_raises or _kind(exc) is not errors.RecordBusyError:
            raise
        return False
    return True


def is_file(url: str) -> bool:
    """Tell a database that is a file on this machine from one behind a network."""
    return make_url(url).get_backend_name() == "sqlite"


def _is_unheard(error: BaseException) -> bool:
    """Tell a server that went, or was not heard of any more, from one that says what it did.

    A file's own errors come from this process, which knows.
    """
    return getattr(error, "sqlstate", "") in {None, *_SHUT_DOWN}


def _kind(error: BaseException) -> type[errors.RecordUnavailableError]:
    """Tell a statement that failed because another process was writing to the file."""
    is_busy = _file_code(error) == sqlite3.SQLITE_BUSY
    return errors.RecordBusyError if is_busy else errors.RecordUnavailableError


def _set_up_file(pragmas: Iterable[str], connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").close()


def checkpoint(engine: sa.Engine) -> None:
    """Bring what was written to a SQLite file safely to the disk; hold up no reader or writer.

    Raises RecordUnavailableError.
    """
    with transaction(engine) as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
