"""What finds evaluations in a SQLite record by a part of a name: a file beside it (docs/adr/0006).

It is filled behind the appends, holds no lock of theirs, and can be made again at any time. Of each
decided evaluation it knows the parts of three letters of its name and of the end of its id, its
decision and its profile, in the order of rowids. SQLite's FTS5 keeps them
(https://www.sqlite.org/fts5.html, the trigram tokenizer), without the texts.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, TextClause, event, text

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Outcome, Search
from evaluation_api.decision.names import search_words
from evaluation_api.record import database

#: Rows of one transaction, which holds up nobody but the index itself: of larger ones fewer are
#: merged later. 0.1 s, in SQLite's own code, which lets others work meanwhile.
SLICE: Final = 20_000
#: So many pages of the index are merged at once, while nothing is to be added.
_MERGED_PAGES: Final = 64

#: Twice before a name, so that one letter or two that it begins with are a part of three.
_BEGINNING: Final = "\x02"
_LETTERS: Final = {Outcome.APPROVED: "a", Outcome.MANUAL_REVIEW: "m", Outcome.REFUSED: "r"}

_PARTS: Final = (
    "CREATE VIRTUAL TABLE names.parts USING fts5(told, content='', columnsize=0, detail=none,"
    " tokenize='trigram case_sensitive 1')"
)
#: Of twice as many as by default before they are merged: that was a third of the work.
_MERGE_LATER: Final = "INSERT INTO names.parts(parts, rank) VALUES ('automerge', 8)"
_TABLES: Final = (
    _PARTS,
    _MERGE_LATER,
    # last_id: of the last row, so that a record that was put in this one's place is noticed.
    "CREATE TABLE names.indexed (up_to INTEGER NOT NULL, last_id TEXT NOT NULL)",
    "CREATE TABLE names.waiting (position INTEGER PRIMARY KEY)",
    "INSERT INTO names.indexed VALUES (0, '')",
)
_IS_THERE: Final = text("SELECT 1 FROM names.sqlite_master WHERE name = 'indexed'")
_TOLD: Final = (
    f"'{_BEGINNING * 2}' || name_folded || '\n=' || CASE outcome"
    + "".join(f" WHEN '{outcome}' THEN '{letter}'" for outcome, letter in _LETTERS.items())
    + " END || '=' || cluster || '=\n' || substr(id, -8)"
)
#: Rows never pass through Python, where they took twice as long and kept callers waiting.
_ADD: Final = (
    f"INSERT INTO names.parts(rowid, told) SELECT rowid, {_TOLD} FROM evaluations"  # noqa: S608 - constants
    " WHERE outcome IS NOT NULL AND {} ORDER BY rowid"
)


class _Slice(NamedTuple):
    """Statements for some rows: what tells the last one and their number, and what takes them in.

    limit and to are bound: how many, and the last one.
    """

    end: TextClause
    steps: tuple[TextClause, ...]


_IS_NEW: Final = "rowid > (SELECT up_to FROM names.indexed) AND rowid <= :to"
_NEW: Final = _Slice(
    text(
        "SELECT max(rowid), count(*) FROM (SELECT rowid FROM evaluations"
        " WHERE rowid > (SELECT up_to FROM names.indexed) ORDER BY rowid LIMIT :limit)"
    ),
    (
        text(_ADD.format(_IS_NEW)),
        text(
            "INSERT INTO names.waiting SELECT rowid FROM evaluations"  # noqa: S608 - constants
            f" WHERE outcome IS NULL AND {_IS_NEW}"
        ),
        text(
            "UPDATE names.indexed SET up_to = :to,"
            " last_id = (SELECT id FROM evaluations WHERE rowid = :to)"
        ),
    ),
)
#: Those that were not decided when they were new.
_DECIDED: Final = _Slice(
    text(
        "SELECT max(position), count(*) FROM (SELECT position FROM names.waiting"
        " JOIN evaluations ON evaluations.rowid = position WHERE outcome IS NOT NULL"
        " ORDER BY position LIMIT :limit)"
    ),
    (
        text(_ADD.format("rowid IN (SELECT position FROM names.waiting WHERE position <= :to)")),
        text(
            "DELETE FROM names.waiting WHERE position <= :to AND EXISTS"
            " (SELECT 1 FROM evaluations WHERE rowid = position AND outcome IS NOT NULL)"
        ),
    ),
)
_MERGE: Final = f"INSERT INTO names.parts(parts, rank) VALUES ('merge', {_MERGED_PAGES})"  # noqa: S608


def attach(engine: Engine) -> None:
    """Have every connection of an engine know the index of its record.

    Raises RecordUnavailableError where no such file can be had; repair may, later.
    """
    file = _file(engine)

    def open_beside(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
        connection.execute("ATTACH ? AS names", (str(file),)).close()
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "secure_delete=ON"):
            connection.execute(f"PRAGMA names.{pragma}").close()

    event.listen(engine, "connect", open_beside)
    repair(engine)


def repair(engine: Engine, *, is_corrupt: bool = False) -> None:
    """Make of a file that cannot be used one that can. Raises RecordUnavailableError."""
    engine.dispose()  # what is open does not know the file, or another one of its name
    try:
        if is_corrupt:
            _remove(engine)
        _begin(engine)
    except errors.RecordBusyError:
        raise
    except errors.RecordUnavailableError:
        _remove(engine)
        _begin(engine)


def _remove(engine: Engine) -> None:
    engine.dispose()
    file = _file(engine)
    try:
        for part in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            part.unlink(missing_ok=True)
    except OSError as exc:
        raise errors.RecordUnavailableError(str(exc)) from exc


def _file(engine: Engine) -> Path:
    return Path(f"{engine.url.database}-names")


def _begin(engine: Engine) -> None:
    """Make the tables, unless they are there and of this record."""
    with database.writing(engine) as connection:
        is_there = connection.scalar(_IS_THERE)
        if not (is_there and _is_of_this_record(connection)):
            _make_anew(connection)


def _make_anew(connection: Connection) -> None:
    for table in ("parts", "indexed", "waiting"):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS names.{table}")
    for statement in _TABLES:
        connection.exec_driver_sql(statement)


def _is_of_this_record(connection: Connection) -> bool:
    query = text(
        "SELECT up_to = 0 OR last_id = (SELECT id FROM evaluations WHERE rowid = up_to)"
        " FROM names.indexed"
    )
    return bool(connection.scalar(query))


def index_some(engine: Engine, limit: int = SLICE) -> int:
    """Add a slice of what is not in the index yet; return how many rows that were.

    With none to add, merge what was added. Raises RecordUnavailableError.
    """
    with database.transaction(engine) as connection:
        connection.exec_driver_sql("BEGIN")
        count = sum(_take_in(connection, some, limit) for some in (_DECIDED, _NEW))
        if not count:
            connection.exec_driver_sql(_MERGE)
        return count


def _take_in(connection: Connection, some: _Slice, limit: int) -> int:
    last, count = connection.execute(some.end, {"limit": limit}).one()
    for step in some.steps if count else ():
        connection.execute(step, {"to": last})
    return int(count)


def forget(engine: Engine) -> None:
    """Empty the index of a record from which something was deleted; who serves it fills it again.

    FTS5 keeps what it is told to delete until it is merged away, so that all of it goes.
    """
    if engine.dialect.name != "sqlite" or not _file(engine).exists():
        return
    indexed = database.connect_again(engine)
    attach(indexed)
    with database.writing(indexed) as connection:
        _make_anew(connection)
    with database.transaction(indexed) as connection:
        connection.exec_driver_sql("PRAGMA names.wal_checkpoint(TRUNCATE)")
    indexed.dispose()


def expression(search: Search, protocol: str | None) -> str | None:
    """Return what the index is asked for a search, None where it is of no use.

    protocol: the end of an id that is sought. What is found must be looked at again: parts may
    stand in another order.
    """
    wanted = [f'"={_LETTERS[search.outcome]}="'] if search.outcome else []
    wanted += [f'"={search.cluster}="'] if search.cluster is not None else []
    if search.name is not None:
        named = _named(search_words(search.name))
        ended = f"({_parts(protocol)})" if protocol else ""
        wanted.append(f"({' OR '.join(filter(None, [named, ended]))})" if named or ended else "")
    return " AND ".join(filter(None, wanted)) or None


def _named(words: list[str]) -> str:
    if long := [word for word in words if len(word) > 2]:  # noqa: PLR2004 - parts have three letters
        return f"({' AND '.join(map(_parts, long))})"
    return " OR ".join(f'"{(_BEGINNING * 2 + word)[-3:]}"' for word in words)


def _parts(word: str) -> str:
    return " AND ".join(f'"{word[start : start + 3]}"' for start in range(len(word) - 2))
