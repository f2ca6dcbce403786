"""The sealer: makes entries of the chain over what was committed, behind those who commit.

One at a time across replicas, in the record's own order (positions.py). What is to be done is
looked up first, and each step is one short transaction, since nobody else can write to a file
meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from evaluation_api.decision import errors
from evaluation_api.decision.domain import Position
from evaluation_api.record import chain, database, deadline, digests, positions
from evaluation_api.record.chain import Head, Link
from evaluation_api.record.pace import Pace
from evaluation_api.record.tables import chain_events, chain_waiting, evaluations, reviews
from evaluation_api.runtime.background import Events, repeat

logger = logging.getLogger(__name__)

_EVENTS: Final = Events("seal_waits", "seal_failed")
#: Between two looks; what was committed is sealed within 2 s.
_TICK_SECONDS: Final = 1.0
#: Between two steps, for those who wait to write.
_PAUSE_SECONDS: Final = 0.005
#: Rows of one entry, of which the digests alone are read: 8 ms in SQLite's own code. What else an
#: entry takes was most of what rows of a file took in entries of 1,024.
_LARGEST_SEAL: Final = 8_192
#: Rows whose digests are made in one transaction, for which they are read and written whole.
_LARGEST_FILL: Final = 1_024
_MOST_EVENTS: Final = 256
_MOST_SINGLY: Final = 128

_IS_NOTED: Final = sa.exists(sa.select(chain_events))
_NEW_REVIEW: Final = reviews.c.digest.is_(None)
#: Evaluations that were sealed as they were received, and are decided now.
_DECIDED: Final = (
    evaluations.c.id.in_(sa.select(chain_waiting.c.evaluation_id)),
    ~evaluations.c.pending,
)

#: Beside the migrations' lock. Who finds it taken leaves the work to its holder.
_TRY: Final = sa.text("SELECT pg_try_advisory_xact_lock(4203383)")
_LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(4203383)")


#: Does one thing in a transaction; tells whether more of it may be left.
_Step = Callable[[sa.Connection], bool]
#: Reads what is to be done, which keeps nobody from writing.
_Look = Callable[[sa.Connection], _Step | None]


class _Unsealed(NamedTuple):
    """Evaluations behind the last sealed one. rows: as _read tells them. to: the last of them.

    head: of the chain that they are to be sealed in. behind: what holds of them and of all later.
    """

    head: Head
    after: Position
    behind: Sequence[sa.ColumnElement[bool]]
    rows: sa.Row[Any]
    to: Position


class Seals(database.Keeper):
    """What is sealed in one database. Every method raises RecordUnavailableError."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self._position = positions.column(engine.dialect, evaluations)
        self._place = positions.place(engine.dialect)
        self._order = (self._position, evaluations.c.id)
        self._pace = Pace(_LARGEST_FILL)
        self._looks: Sequence[_Look] = (
            _when(~chain.IS_HEAD_KEPT, self._begin),
            _when(_IS_NOTED, _add_events),
            self._look_ahead,
            _when(sa.exists().where(_NEW_REVIEW), _seal_reviews),
            _when(sa.exists().where(*_DECIDED), _seal_decided),
        )

    def seal_all(self) -> None:
        """Seal what is committed by now, and whatever comes meanwhile."""
        while self.seal_some():
            pass

    def seal_some(self) -> bool:
        """Do some of each thing that is to be done; tell whether more of it may be left.

        What came meanwhile is left to the next time: an entry for each row that somebody has just
        committed would take the file from them again and again.
        """
        is_behind = False
        for look in self._looks:
            # In the step itself, in which the file is locked, each look waits for the interpreter.
            with self._transaction() as connection:
                step = look(connection)
            if step is None:
                continue
            with self._transaction() as connection:
                if not _is_alone(connection):
                    return False
                is_behind |= step(connection)
        return is_behind

    def _begin(self, connection: sa.Connection) -> bool:
        """Say first what was recorded before there was a chain, and what is lost of one."""
        link = Link(connection)
        lost = link.lost()
        if not link.head.number:
            link.add({"kind": chain.BEGIN, "what": {"recorded_before": self._newest(connection)}})
        if lost is not None:
            link.add({"kind": chain.LOST, "what": {"lost": lost}})
        return False

    def _newest(self, connection: sa.Connection) -> list[object]:
        newest_first = (column.desc() for column in self._order)
        query = sa.select(*self._order).order_by(*newest_first).limit(1)
        newest = connection.execute(query).first()
        number, identity = (0, "") if newest is None else newest
        return [positions.numbering(connection).told(number), identity]

    def _look_ahead(self, connection: sa.Connection) -> _Step | None:
        unsealed = self._unsealed(connection)
        return partial(self._seal, unsealed) if unsealed.rows.total else None

    def _unsealed(self, connection: sa.Connection) -> _Unsealed:
        # The head first: whoever seals meanwhile moves it on, and what is read then is not sealed.
        head, after = chain.head(connection), last_sealed(connection)
        numbering = positions.numbering(connection)
        is_final = positions.is_final(self.engine.dialect, self._position)
        behind = [self._place > numbering.place(after), *is_final]
        place = self._position.label("position"), evaluations.c.id
        known = evaluations.c.digest, evaluations.c.degraded
        some = sa.select(*place, *known).where(*behind).order_by(*self._order)
        found = _read(connection, some.limit(_LARGEST_SEAL))
        to = Position(numbering.told(found.last or 0), found.last_id or "")
        return _Unsealed(head, after, behind, found, to)

    def _seal(self, unsealed: _Unsealed, connection: sa.Connection) -> bool:
        """Seal evaluations, or make digests for those that have none.

        Whoever changed them since notes that, whoever sealed them moved the head, and those that
        waited for the model may be decided since.
        """
        link = Link(connection)
        if link.head != unsealed.head or connection.scalar(sa.select(_IS_NOTED)):
            return True
        if unsealed.rows.waiting:
            unsealed = self._unsealed(connection)
        _, after, behind, found, to = unsealed
        if found.known < found.total:
            self._fill(connection, behind)
            return True
        if found.waiting:
            self._note_waiting(connection, behind, Position(found.last, found.last_id))
        joined = digests.together([bytes.fromhex(found.digests)])
        what = {"count": found.total, "after": list(after), "to": list(to)}
        link.add({"kind": chain.SEAL, "what": {**what, "digests": joined}})
        return bool(found.total == _LARGEST_SEAL)

    def _fill(self, connection: sa.Connection, behind: Sequence[sa.ColumnElement[bool]]) -> None:
        """Make digests of rows whose writer made none: the last release, or before the chain."""
        started = time.perf_counter()
        no_digest = evaluations.c.digest.is_(None)
        unknown = digests.rows_of(connection, evaluations).where(*behind, no_digest)
        some = unknown.order_by(*self._order).limit(self._pace.limit)
        found = connection.execute(some).all()
        _write_digests(connection, evaluations, found)
        self._pace.note(time.perf_counter() - started)

    def _note_waiting(
        self, connection: sa.Connection, behind: Sequence[sa.ColumnElement[bool]], to: Position
    ) -> None:
        """Note which of a slice are known by what was received, and are to be decided."""
        waiting = sa.select(evaluations.c.id).where(
            *behind, self._place <= to, evaluations.c.degraded
        )
        into = sa.insert(chain_waiting).from_select([chain_waiting.c.evaluation_id], waiting)
        connection.execute(into)


def _when(condition: sa.ColumnElement[bool], step: _Step) -> _Look:
    return lambda connection: step if connection.scalar(sa.select(condition)) else None


def _is_alone(connection: sa.Connection) -> bool:
    """Keep other sealers out for this transaction; tell whether none was there before."""
    database.begin_writing(connection)
    return connection.dialect.name != "postgresql" or bool(connection.scalar(_TRY))


def keep_out(connection: sa.Connection) -> None:
    """Have no sealer at work until this transaction ends; one that is ends first."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)


def last_sealed(connection: sa.Connection) -> Position:
    """Return the place of the last evaluation that was sealed."""
    last = chain.last_of(connection, chain.SEAL)
    return Position(0, "") if last is None else Position(*last["what"]["to"])


def _read(connection: sa.Connection, some: sa.Select[Any]) -> sa.Row[Any]:
    """Return how many rows there are, have waited, have digests; those in hexadecimal; the last.

    In one step: each row that Python fetches lets go of the interpreter and then waits for it,
    while the file is locked.
    """
    slice_ = some.subquery("slice")
    position, identity, digest, degraded = slice_.c
    if connection.dialect.name == "postgresql":
        in_order = aggregate_order_by(sa.literal(""), position, identity)
        joined = sa.func.string_agg(sa.func.encode(digest, "hex"), in_order)
        last_first = aggregate_order_by(identity, position.desc(), identity.desc())
        last_id = sa.func.array_agg(last_first, type_=ARRAY(sa.String))[1]
    else:
        joined = sa.func.group_concat(sa.func.hex(digest), "")
        last_id = identity  # of the row with max(): https://www.sqlite.org/lang_select.html#bareagg
    told = {
        "total": sa.func.count(),
        "known": sa.func.count(digest),
        "waiting": sa.func.count().filter(degraded),
        "digests": joined,
        "last": sa.func.max(position),
        "last_id": last_id,
    }
    return connection.execute(sa.select(*(one.label(name) for name, one in told.items()))).one()


def _write_digests(
    connection: sa.Connection, table: sa.Table, found: Sequence[sa.Row[Any]]
) -> list[str]:
    """Give rows salts and digests; return those, in hexadecimal."""
    made = [(digests.salts(1), tuple(row)) for row in found]
    values = [
        {"of": row[0], "salt": salt, "digest": digests.of_values(salt, row)} for salt, row in made
    ]
    if values:
        fill = sa.update(table).where(table.c.id == sa.bindparam("of"))
        connection.execute(
            fill.values(salt=sa.bindparam("salt"), digest=sa.bindparam("digest")), values
        )
    return [one["digest"].hex() for one in values]


def _add_events(connection: sa.Connection) -> bool:
    return Link(connection).add_events(_MOST_EVENTS) == _MOST_EVENTS


def _seal_reviews(connection: sa.Connection) -> bool:
    """Seal reviews, of which there are few, one by one, in the order in which they count."""
    unknown = digests.rows_of(connection, reviews).where(_NEW_REVIEW)
    in_order = unknown.order_by(positions.column(connection.dialect, reviews), reviews.c.id)
    found = connection.execute(in_order.limit(_MOST_SINGLY)).all()
    if found:
        made = _write_digests(connection, reviews, found)
        sealed = [[row[0], digest] for row, digest in zip(found, made, strict=True)]
        Link(connection).add({"kind": chain.REVIEWS, "what": {"reviews": sealed}})
    return len(found) == _MOST_SINGLY


def _seal_decided(connection: sa.Connection) -> bool:
    """Seal as they were decided those that were sealed as they were received.

    Others are not sealed again: somebody put them among these, to have a change of them sealed.
    """
    some = digests.rows_of(connection, evaluations).where(*_DECIDED).order_by(evaluations.c.id)
    rows = connection.execute(some.limit(_MOST_SINGLY)).all()
    before = _known_as_received(connection, rows)
    found = [row for row in rows if row[0] in before]
    if found:
        made = _write_digests(connection, evaluations, found)
        sealed = [[row[0], before[row[0]], digest] for row, digest in zip(found, made, strict=True)]
        Link(connection).add({"kind": chain.DECIDED, "what": {"evaluations": sealed}})
    if rows:
        no_more = chain_waiting.c.evaluation_id.in_([row[0] for row in rows])
        connection.execute(sa.delete(chain_waiting).where(no_more))
    return len(rows) == _MOST_SINGLY


def _known_as_received(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[str, str]:
    """Return, by ids, the digests that rows have of their receipt, in hexadecimal."""
    columns = evaluations.c.id, evaluations.c.salt, evaluations.c.digest
    known = sa.select(*columns).where(evaluations.c.id.in_([row[0] for row in rows]))
    by_id = {row.id: row for row in connection.execute(known)}
    return {
        row[0]: own.digest.hex()
        for row in rows
        if (own := by_id[row[0]]).salt
        and own.digest
        and digests.of_values(own.salt, digests.as_received(tuple(row))) == own.digest
    }


class Sealer(AbstractAsyncContextManager["Sealer"]):
    """Looks once a second whether something is to be sealed; every replica has one."""

    def __init__(self, engine: sa.Engine) -> None:
        self._seals = Seals(engine)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="record-seal")
        self._is_behind = False

    async def __aexit__(self, *exc_info: object) -> None:
        """Let what is under way end."""
        self._thread.shutdown()

    async def run(self) -> None:
        """Seal until cancelled; whatever fails is tried again at the next look."""
        await repeat(self._look, self._pause, errors.EvaluationError, logger, _EVENTS)

    async def _look(self) -> None:
        self._is_behind = False
        seal = partial(deadline.within, deadline.STEP_SECONDS, self._seals.seal_some)
        running = asyncio.get_running_loop().run_in_executor(self._thread, seal)
        self._is_behind = await running

    async def _pause(self) -> None:
        await asyncio.sleep(_PAUSE_SECONDS if self._is_behind else _TICK_SECONDS)
