"""Deletes what was received before a time, with all that hangs on it, while the service works.

In slices, so that nobody waits long to write; what they free goes back to the disk.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from evaluation_api.client_files.client_file import State
from evaluation_api.decision.domain import Position
from evaluation_api.record import chain, database, digests, positions
from evaluation_api.record.chain import Event
from evaluation_api.record.pace import Pace
from evaluation_api.record.rows import first_id
from evaluation_api.record.sealer import Seals, keep_out, last_sealed
from evaluation_api.record.search import name_index
from evaluation_api.record.tables import (
    batch_chunks,
    batches,
    chain_waiting,
    client_file_parts,
    client_files,
    corrections,
    credentials,
    evaluations,
    file_answerers,
    file_starters,
    idempotency_keys,
    marks,
    posts,
    purged_digests,
    recorded_files,
    reviews,
)

_LARGEST_SLICE: Final = 5_000
#: Of a megabyte each at most.
_CHUNKS: Final = 10
#: Freed pages that go back to the disk at once; each may move another one.
_PAGES: Final = 200

#: The mark of a purge, or an erasure, that has not ended: what it deleted may still be read in the
#: name index, in free pages and in the log.
_NOTE: Final = database.insert_new(marks)
_BEGUN: Final = {"name": "purge_begun", "value": ""}

_VACUUM: Final = text(
    "VACUUM (ANALYZE) evaluations, searched, idempotency_keys, posts, reviews, batch_chunks,"
    " batches, client_file_parts, client_files"
)

#: What hangs on an evaluation, by its id.
_THEIRS: Final = (
    reviews.c.evaluation_id,
    idempotency_keys.c.evaluation_id,
    posts.c.subject_id,
    chain_waiting.c.evaluation_id,
    corrections.c.evaluation_id,
    corrections.c.by_id,
)

#: Deletes up to so many, and returns how many.
_Delete = Callable[[Connection, int], int]


class Older(NamedTuple):
    """How much was received before a time. files: of clients, evaluated or not."""

    evaluations: int
    files: int


def count_older(engine: Engine, before: datetime) -> Older:
    """Return how much was received before a time. Raises RecordUnavailableError."""
    bound = first_id(before)
    tables = (evaluations, batches, client_files)
    counts = (select(func.count()).where(table.c.id < bound) for table in tables)
    with database.transaction(engine) as connection:
        count, earlier, files = (int(connection.scalar(count) or 0) for count in counts)
    return Older(count, earlier + files)


def purge(
    engine: Engine, before: datetime, tell: Callable[[int], object] = lambda _deleted: None
) -> int:
    """Delete evaluations received before a time, and all that is theirs; return how many.

    Files received before it go as they were sent, with their results, and so do keys, links and
    sessions that had run out by then. tell: is told after each slice how many evaluations are
    deleted so far. Each slice leaves an entry in the chain. Raises RecordUnavailableError; what is
    deleted by then stays deleted.
    """
    bound, deleted = first_id(before), 0
    event = chain.by_terminal(chain.PURGE, before=chain.moment(before))
    _stop(engine, bound)
    Seals(engine).seal_all()
    for count in _slices(engine, partial(_delete_evaluations, bound, event)):
        deleted += count
        tell(deleted)
    for key in (
        (batch_chunks.c.batch_id, batch_chunks.c.number),
        (client_file_parts.c.file_id, client_file_parts.c.kind, client_file_parts.c.number),
    ):
        for _ in _slices(engine, partial(_delete_parts, key, bound)):
            pass
    with database.writing(engine) as connection:
        note_begun(connection)
        connection.execute(delete(posts).where(posts.c.subject_id < bound))
        for had_a_hand in (file_starters, file_answerers):
            connection.execute(delete(had_a_hand).where(had_a_hand.c.file_id < bound))
        connection.execute(delete(client_files).where(client_files.c.id < bound))
        connection.execute(delete(batches).where(batches.c.id < bound))
        connection.execute(delete(credentials).where(credentials.c.expires_at < before))
    finish(engine)
    return deleted


def _stop(engine: Engine, bound: str) -> None:
    """Have nobody decide any more out of files up to an id: what they decide is as old as these."""
    going = client_files.c.state.not_in((State.DONE.value, State.REFUSED.value))
    with database.writing(engine) as connection:
        stopping = update(client_files).where(client_files.c.id < bound, going)
        connection.execute(stopping.values(state=State.CANCELLED.value))
        connection.execute(delete(recorded_files).where(recorded_files.c.id < bound))


def note_begun(connection: Connection) -> None:
    """Note that what a transaction deletes is to be wiped: whoever deletes may be broken off."""
    connection.execute(_NOTE, _BEGUN)


def is_unfinished(engine: Engine) -> bool:
    """Tell whether a purge or an erasure was broken off. Raises RecordUnavailableError."""
    with database.transaction(engine) as connection:
        return bool(connection.scalar(select(marks.c.name).where(marks.c.name == _BEGUN["name"])))


def finish(engine: Engine) -> None:
    """Wipe what was deleted, and give its room back. Raises RecordUnavailableError."""
    Seals(engine).seal_all()
    name_index.forget(engine)
    _return_pages(engine)
    with database.writing(engine) as connection:
        connection.execute(delete(marks).where(marks.c.name == _BEGUN["name"]))
    _empty_log(engine)


def _slices(engine: Engine, delete_some: _Delete) -> Iterator[int]:
    """Delete until nothing is left; yield how many each slice deleted."""
    pace = Pace(_LARGEST_SLICE)
    while True:
        started = time.perf_counter()
        with database.writing(engine) as connection:
            count = delete_some(connection, pace.limit)
            if count:
                note_begun(connection)
        if not count:
            return
        pace.note(time.perf_counter() - started)
        yield count
        database.let_in(engine)


def _delete_evaluations(bound: str, event: Event, connection: Connection, limit: int) -> int:
    keep_out(connection)
    oldest = select(evaluations.c.id).where(evaluations.c.id < bound).order_by(evaluations.c.id)
    # Locked before what hangs on them is deleted: a review that is being written is waited for.
    ids = connection.execute(oldest.limit(limit).with_for_update()).scalars().all()
    if not ids:
        return 0
    last = ids[-1]
    _keep_digests(connection, last, event)
    for column in _THEIRS:
        connection.execute(delete(column.table).where(column <= last))
    deleting = delete(evaluations).where(evaluations.c.id <= last)
    if connection.dialect.name != "sqlite":
        return connection.execute(deleting).rowcount
    newest_before = positions.newest(connection)
    count = connection.execute(deleting).rowcount
    positions.note_deleted(connection, newest_before)
    return count


def _keep_digests(connection: Connection, last: str, event: Event) -> None:
    """Keep what the chain knows of evaluations that go, up to an id, and note that they do."""
    position, sealed = positions.column(connection.dialect, evaluations), last_sealed(connection)
    numbering = positions.numbering(connection)
    # Not in the order of positions, by which SQLite would read through the whole table.
    going = select(evaluations.c.id, position.label("position"), evaluations.c.digest)
    known = [
        (Position(numbering.told(row.position), row.id), row.digest)
        for row in connection.execute(going.where(evaluations.c.id <= last))
    ]
    kept = sorted(pair for pair in known if pair[0] <= sealed)
    of_theirs = select(reviews.c.id).where(reviews.c.evaluation_id <= last).order_by(reviews.c.id)
    told = {
        "digests": digests.together(digest for _, digest in kept),
        "ids": digests.together(place.id.encode() for place, _ in kept),
        "evaluations": len(kept),
        "reviews": list(connection.execute(of_theirs).scalars()),
    }
    event_id = chain.note(connection, replace(event, what={**event.what, **told}))
    values = [
        {
            "position": place.number,
            "evaluation_id": place.id,
            "digest": digest,
            "event_id": event_id,
        }
        for place, digest in kept
    ]
    if values:
        connection.execute(insert(purged_digests), values)


def _delete_parts(
    key: tuple[Column[Any], ...], bound: str, connection: Connection, _limit: int
) -> int:
    """Delete some pieces of files; key: of their table, the file's id first."""
    some = select(*key).where(key[0] < bound).limit(_CHUNKS)
    return connection.execute(delete(key[0].table).where(tuple_(*key).in_(some))).rowcount


def _return_pages(engine: Engine) -> None:
    """Give the disk back what is free: SQLite's pages, or what PostgreSQL can of its own.

    A file that was made before it could do so keeps its pages, and fills them again.
    """
    if engine.dialect.name == "postgresql":
        with database.transaction(engine.execution_options(isolation_level="AUTOCOMMIT")) as server:
            server.execute(_VACUUM)
        return
    free = -1
    while free:
        with database.transaction(engine) as connection:
            before, free = free, _free_pages_after_some(connection)
        if free == before:
            break
        database.let_in(engine)


def _empty_log(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        with database.transaction(engine) as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _free_pages_after_some(connection: Connection) -> int:
    driver: Any = connection.connection.driver_connection
    # Each step of it frees one page, and execute takes one step.
    driver.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
    return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
