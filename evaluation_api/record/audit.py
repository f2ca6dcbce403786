"""Whether the record is what was sealed: reads the chain, and every row that it speaks of.

One snapshot, nothing written, beside whoever serves. Memory grows with what was decided late,
reviewed, erased or purged, and not with the evaluations that are there.
"""

import heapq
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, select

from evaluation_api.decision.domain import Position
from evaluation_api.record import chain, database, digests, positions
from evaluation_api.record.chain import Head
from evaluation_api.record.sealer import last_sealed
from evaluation_api.record.tables import chain_events, chain_waiting, corrections, purged_digests

#: Rows that the database hands over at once.
_AT_ONCE: Final = 2_000
#: By how much a row may be older than the seal before its own: a slow transaction, a file's slice
#: that waited, two clocks. What was made to look older than that is told.
_LATE: Final = timedelta(minutes=10)
#: Of a row, as digests.selected has it: when it was received and evaluated.
_RECEIVED, _EVALUATED = 1, 10


class _Sealed(msgspec.Struct):
    """What a seal says: how many evaluations, between which places, and their digests together."""

    count: int
    after: tuple[int, str]
    to: tuple[int, str]
    digests: str


class _Seal(msgspec.Struct):
    """An entry over evaluations."""

    number: int
    at: datetime
    what: _Sealed


_decode = msgspec.json.Decoder().decode
_decode_seal = msgspec.json.Decoder(_Seal).decode
#: Of an entry that is none: somebody wrote it by hand.
_UNREADABLE: Final = (msgspec.DecodeError, KeyError, TypeError, ValueError)


@dataclass
class Audit:
    """What was found. unsealed: rows that the sealer has not come to. faults: a sentence each."""

    head: Head = field(default_factory=lambda: Head(0, chain.NOTHING))
    evaluations: int = 0
    reviews: int = 0
    purged: int = 0
    unsealed: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class _Told:
    """What the chain says of single rows, by their ids.

    received, decided: digests of what was sealed twice. purges: by the event's id, the digests of
    what a purge took, put together. erased: digests of what was left. corrections: the evaluation,
    and the one in its place.
    """

    received: dict[str, bytes] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    reviews: dict[str, str] = field(default_factory=dict)
    purges: dict[str, str] = field(default_factory=dict)
    purged_reviews: set[str] = field(default_factory=set)
    erased: dict[str, str] = field(default_factory=dict)
    corrections: set[tuple[str, str]] = field(default_factory=set)
    recorded_before: Position = field(default_factory=lambda: Position(0, ""))
    #: Up to where evaluations are sealed, and which of those as they were received.
    sealed: Position = field(default_factory=lambda: Position(0, ""))
    waiting: set[str] = field(default_factory=set)

    def hear(self, entry: dict[str, Any]) -> None:
        """Take in an entry, or an event that has none yet."""
        what = entry["what"]
        match entry["kind"]:
            case chain.BEGIN:
                self.recorded_before = Position(*what["recorded_before"])
            case chain.DECIDED:
                for identity, received, decided in what["evaluations"]:
                    self.received.setdefault(identity, bytes.fromhex(received))
                    self.decided[identity] = decided
            case chain.REVIEWS:
                self.reviews.update(what["reviews"])
            case chain.PURGE:
                self.purges[entry["id"]] = what["digests"]
                self.purged_reviews.update(what["reviews"])
            case chain.ERASE:
                self.erased.update(what["left"])
            case chain.CORRECT:
                self.corrections.add((what["before"], what["after"]))


class _Row(NamedTuple):
    """An evaluation in the record's order, or what is left of one that was purged.

    when: when it was evaluated, empty where that says nothing.
    """

    place: Position
    digest: bytes | None
    when: str = ""


def verify(engine: Engine, kept: Head | None = None) -> Audit:
    """Compare the record with the chain. kept: a head from elsewhere, that must be in it.

    Raises RecordUnavailableError.
    """
    found = Audit()
    with _snapshot(engine) as connection:
        told = _read_chain(connection, found, kept)
        _compare_evaluations(connection, found, told)
        _compare_reviews(connection, found, told)
        _compare_corrections(connection, found, told)
    return found


def _snapshot(engine: Engine) -> Any:  # noqa: ANN401 - a context manager
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    return database.transaction(engine)


def _read_chain(connection: Connection, found: Audit, kept: Head | None) -> _Told:
    """Follow the chain from its beginning; return what it tells."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
    told = _Told()
    for row in chain.entries(connection):
        own = Head(row.number, row.hash)
        if fault := _fault(row, found.head, told):
            found.faults.append(f"entry {row.number}: {fault}")
        if kept and kept.number == own.number and kept != own:
            found.faults.append(f"entry {row.number}: is another one than the head that was kept")
        found.head = own
    if kept and kept.number > found.head.number:
        found.faults.append(f"the chain ends at {found.head.number}, before the head that was kept")
    for event in connection.execute(select(chain_events)):
        told.hear(_decode(event.body))
    told.waiting.update(connection.execute(select(chain_waiting.c.evaluation_id)).scalars())
    told.sealed = last_sealed(connection)
    return told


def _fault(row: Any, before: Head, told: _Told) -> str | None:  # noqa: ANN401 - a Row
    """Hear an entry; return what is wrong with it."""
    try:
        entry = _decode(row.body)
        told.hear(entry)
        is_own = (entry["number"], entry["kind"]) == (row.number, row.kind)
        is_next = entry["previous"] == before.hash
        if row.kind == chain.SEAL:
            _decode_seal(row.body)
    except _UNREADABLE:
        return "was changed"
    if not is_own or chain.hash_of(row.body) != row.hash:
        return "was changed"
    if row.number != before.number + 1:
        return f"follows entry {before.number}: what stood between is gone"
    return None if is_next else "does not hold the hash of the one before"


class _Seals:
    """The seals of evaluations in the chain's order, each compared when its last row has passed."""

    def __init__(self, connection: Connection, found: Audit, recorded_before: Position) -> None:
        self._entries = _seals(connection)
        self._found = found
        self._recorded_before = recorded_before
        self._seal: _Seal | None = None
        self._open()

    def _open(self) -> None:
        self._earliest = _earliest(self._seal)
        self._digest, self._count = sha256(), 0
        self._seal = next(self._entries, None)

    def take(self, row: _Row) -> bool:
        """Take the next row; tell whether it was sealed."""
        while self._seal and row.place > self._seal.what.to:
            self._close(self._seal)
        if self._seal is None:
            return False
        self._count += 1
        self._digest.update(row.digest or b"")
        if row.when and row.when < self._earliest and row.place > self._recorded_before:
            self._found.faults.append(
                f"evaluation {row.place.id}: says that it is of {row.when[:16]} UTC,"
                f" and was not there before {self._seal.at:%Y-%m-%d %H:%M}"
            )
        return True

    def close_all(self) -> None:
        """Compare what is left, of which no row is there any more."""
        while self._seal:
            self._close(self._seal)

    def _close(self, seal: _Seal) -> None:
        """Compare what passed with a seal, and go on to the next."""
        if fault := self._fault(seal.what):
            where = f"entry {seal.number}, positions {seal.what.after[0]} to {seal.what.to[0]}"
            self._found.faults.append(f"{where}: {fault}")
        self._open()

    def _fault(self, sealed: _Sealed) -> str | None:
        count = sealed.count
        if self._count < count:
            return f"{count - self._count} of {count} evaluations are gone"
        if self._count > count:
            return f"{self._count - count} evaluations were put among {count}"
        if self._digest.hexdigest() != sealed.digests:
            return f"{count} evaluations are not those, or not in the order, that were sealed"
        return None


def _seals(connection: Connection) -> Iterator[_Seal]:
    for row in chain.entries(connection, chain.SEAL):
        with suppress(msgspec.DecodeError):  # which was told
            yield _decode_seal(row.body)


def _earliest(seal: _Seal | None) -> str:
    """Return, as rows have times, when what follows a seal was evaluated at the earliest."""
    return "" if seal is None else f"{seal.at - _LATE:%Y-%m-%d %H:%M:%S.%f}"


def _compare_evaluations(connection: Connection, found: Audit, told: _Told) -> None:
    seals = _Seals(connection, found, told.recorded_before)
    rows = heapq.merge(
        _evaluations(connection, found, told),
        _purged(connection, found, told),
        key=attrgetter("place"),
    )
    for row in rows:
        found.unsealed += not seals.take(row)
    seals.close_all()


def _evaluations(connection: Connection, found: Audit, told: _Told) -> Iterator[_Row]:
    """Yield every evaluation in the record's order, each compared with its own digest."""
    numbering = positions.numbering(connection)
    dialect = connection.dialect.name
    position = "position" if dialect == "postgresql" else "rowid"
    query = (
        f"SELECT {digests.selected(dialect)}, salt, digest, {position} FROM evaluations"  # noqa: S608 - names
        f" ORDER BY {position}, id"
    )
    stream = connection.execution_options(yield_per=_AT_ONCE).exec_driver_sql(query)
    for *values, salt, digest, number in stream:
        found.evaluations += 1
        identity = values[0]
        place = Position(numbering.told(number), identity)
        if digest is not None and not (
            _is_same(values, salt, digest, told)
            or (salt and _is_received(values, salt, digest, place, told))
        ):
            found.faults.append(f"evaluation {identity}: was changed after it was sealed")
        when = values[_EVALUATED] or values[_RECEIVED]
        yield _Row(place, told.received.get(identity, digest), when)


def _is_same(values: list[Any], salt: bytes | None, digest: bytes, told: _Told) -> bool:
    """Tell whether a row is what its digest was made of, and its digest the one that was sealed."""
    identity = values[0]
    if salt is None:
        return told.erased.get(identity) == digests.of_values(b"", values).hex()
    if told.decided.get(identity, digest.hex()) != digest.hex():
        return False
    return digests.of_values(salt, values) == digest


def _is_received(
    values: list[Any], salt: bytes, digest: bytes, place: Position, told: _Told
) -> bool:
    """Tell whether a row's digest is that of its receipt, and its decision is not sealed yet."""
    is_unsealed = values[0] in told.waiting or place > told.sealed
    return is_unsealed and digests.of_values(salt, digests.as_received(values)) == digest


def _purged(connection: Connection, found: Audit, told: _Told) -> Iterator[_Row]:
    """Yield what is left of purged evaluations; then compare it with what purges told of them."""
    joined: dict[str, Any] = {event_id: sha256() for event_id in told.purges}
    query = select(purged_digests).order_by(
        purged_digests.c.position, purged_digests.c.evaluation_id
    )
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        found.purged += 1
        if row.event_id in joined:
            joined[row.event_id].update(row.digest)
        else:
            found.faults.append(f"evaluation {row.evaluation_id}: no purge tells that it took it")
        digest = told.received.get(row.evaluation_id, row.digest)
        yield _Row(Position(row.position, row.evaluation_id), digest)
    for event_id, sealed in told.purges.items():
        if joined[event_id].hexdigest() != sealed:
            found.faults.append(f"purge {event_id}: what it took is not what it told of")


def _compare_reviews(connection: Connection, found: Audit, told: _Told) -> None:
    gone = told.reviews.keys() - told.purged_reviews
    columns = digests.selected(connection.dialect.name, "reviews")
    query = f"SELECT {columns}, salt, digest FROM reviews ORDER BY id"  # noqa: S608 - names
    stream = connection.execution_options(yield_per=_AT_ONCE).exec_driver_sql(query)
    for *values, salt, digest in stream:
        found.reviews += 1
        identity = values[0]
        gone.discard(identity)
        if digest is None and identity not in told.reviews:
            found.unsealed += 1
        elif digest is None or told.reviews.get(identity) != digest.hex():
            found.faults.append(f"review {identity}: is not what was sealed")
        elif not _is_same(values, salt, digest, told):
            found.faults.append(f"review {identity}: was changed after it was sealed")
    found.faults += [f"review {identity}: is gone" for identity in sorted(gone)]


def _compare_corrections(connection: Connection, found: Audit, told: _Told) -> None:
    """Compare which evaluation counts in whose place; a purge of either takes that with it."""
    query = select(corrections.c.evaluation_id, corrections.c.by_id)
    kept = {(before, after) for before, after in connection.execute(query)}
    for before, after in sorted(kept - told.corrections):
        found.faults.append(
            f"evaluation {before}: was not corrected by {after}, which is in its place"
        )
    for before, after in sorted(told.corrections - kept):
        purged = select(purged_digests.c.evaluation_id)
        is_purged = purged_digests.c.evaluation_id.in_((before, after))
        if connection.execute(purged.where(is_purged)).first() is None:
            found.faults.append(f"evaluation {before}: that {after} is in its place is gone")
