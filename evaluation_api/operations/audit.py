"""Whether the record is what was sealed: reads the chain, and every row that it speaks of.

One snapshot, nothing written, beside whoever serves. Memory grows with what was decided late,
reviewed, erased or purged, and not with the evaluations that are there.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from evaluation_api.decision import errors, policy_file
from evaluation_api.decision.domain import FEATURES, Position
from evaluation_api.decision.names import ERASED
from evaluation_api.operations import remains
from evaluation_api.record import chain, database, digests, positions
from evaluation_api.record.chain import Head
from evaluation_api.record.positions import Numbering
from evaluation_api.record.tables import chain_waiting, corrections, purged_digests

#: Rows that the database hands over at once.
_AT_ONCE: Final = 2_000
#: By how much a row may be older than the seal before its own: a slow transaction, a file's slice
#: that waited, two clocks. What was made to look older than that is told.
_LATE: Final = timedelta(minutes=10)
#: Said of whatever the record's order hangs on.
_COUNTED: Final = "how the record counts its rows: was changed"
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGED: Final = "was changed after it was sealed"
_NOT_ERASED: Final = "is told to be erased, and is not as an erasure leaves it"
_NEVER_ERASED: Final = "stands as erased, and nothing tells of that"
_WAITS: Final = "stands as one that waits, and is decided, or the other way round"
#: Of a row, as digests.selected has it: when it was received and evaluated.
_RECEIVED, _EVALUATED = 1, 10
#: And of a review, which evaluation it is of, its words, which may name a client, and its time.
_REVIEWED, _WORDS, _REVIEWED_AT = 1, 3, 5


_Place = tuple[int, str]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Sealed(msgspec.Struct):
    """What a seal says: how many evaluations, between which places, and their digests together."""

    count: int
    after: _Place
    to: _Place
    digests: str


class _Seal(msgspec.Struct):
    """An entry over evaluations."""

    number: int
    at: _Time
    what: _Sealed


class _Begin(msgspec.Struct):
    recorded_before: _Place


class _Decided(msgspec.Struct):
    """Ids, and the digests as received and as decided."""

    evaluations: list[tuple[str, str, str]]


class _Reviewed(msgspec.Struct):
    """Ids, and digests."""

    reviews: list[tuple[str, str]]


class _Purge(msgspec.Struct):
    """What a purge took, put together. ids: none of one before they were told."""

    digests: str
    reviews: list[str]
    ids: str | None = None


class _Erase(msgspec.Struct):
    left: dict[str, str]


class _Correct(msgspec.Struct):
    before: str
    after: str


class _Policy(msgspec.Struct):
    """Which policy decides from there on."""

    after: str


class _Lost(msgspec.Struct):
    """The head that the chain once had, or the id of an event that nobody could read."""

    lost: str


class _Entry(msgspec.Struct):
    """An entry, or an event that has none yet."""

    kind: str
    at: _Time
    what: msgspec.Raw
    id: str = ""
    number: int = 0
    previous: str = ""


_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_seal = msgspec.json.Decoder(_Seal).decode
#: What is read of an entry besides, by its kind.
_WHAT: Final = {
    chain.BEGIN: _Begin,
    chain.SEAL: _Sealed,
    chain.DECIDED: _Decided,
    chain.REVIEWS: _Reviewed,
    chain.PURGE: _Purge,
    chain.ERASE: _Erase,
    chain.CORRECT: _Correct,
    chain.POLICY: _Policy,
    chain.LOST: _Lost,
}
#: Of what is none of ours: somebody wrote it by hand. A file takes any value in any column.
_UNREADABLE: Final = (
    *(msgspec.MsgspecError, AttributeError, KeyError),
    *(RecursionError, TypeError, ValueError),
)


@dataclass
class Audit:
    """What was found. erased: evaluations that the chain tells a client was taken out of.

    unsealed: rows that the sealer has not come to. faults: a sentence each.
    """

    head: Head = field(default_factory=lambda: Head(0, chain.NOTHING))
    evaluations: int = 0
    reviews: int = 0
    purged: int = 0
    erased: int = 0
    unsealed: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class _Told:
    """What the chain says of single rows, by their ids.

    received, decided: digests of what was sealed twice. purges: by the event's id. erased: digests
    of what was left. corrections: the evaluation, and the one in its place.
    """

    received: dict[str, bytes] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    reviews: dict[str, str] = field(default_factory=dict)
    #: Of each review, the number of its entry, and when the one before it was made.
    review_places: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    policies: set[str] = field(default_factory=set)
    purges: dict[str, _Purge] = field(default_factory=dict)
    purged_reviews: set[str] = field(default_factory=set)
    erased: dict[str, str] = field(default_factory=dict)
    corrections: set[tuple[str, str]] = field(default_factory=set)
    recorded_before: Position = field(default_factory=lambda: Position(0, ""))
    #: Up to where evaluations are sealed, and which of those as they were received.
    sealed: Position = field(default_factory=lambda: Position(0, ""))
    waiting: set[str] = field(default_factory=set)
    #: When the last entry was made, and the last one of reviews.
    until: datetime = _NO_TIME
    reviews_until: datetime = _NO_TIME
    #: When the chain began, where something was recorded before it.
    began: datetime = _NO_TIME

    def hear(self, entry: _Entry) -> str | None:  # noqa: C901 - a case for each kind
        """Take in an entry, or an event that has none yet; return what it gives away."""
        self.until = max(self.until, entry.at)
        if (read := _WHAT.get(entry.kind)) is None:
            return None
        match msgspec.json.decode(entry.what, type=read):
            case _Begin() as begun:
                self.recorded_before = Position(*begun.recorded_before)
                self.began = max(entry.at, _NO_TIME) if begun.recorded_before[0] else _NO_TIME
            case _Sealed() as sealed:
                self.sealed = Position(*sealed.to)
            case _Decided() as late:
                return self._hear_decided(late)
            case _Reviewed() as reviewed:
                return self._hear_reviewed(entry, reviewed)
            case _Purge() as purge:
                self.purges[entry.id] = purge
                self.purged_reviews.update(purge.reviews)
            case _Erase() as erased:
                return self._hear_erased(erased)
            case _Correct() as correction:
                self.corrections.add((correction.before, correction.after))
            case _Policy() as policy:
                self.policies.add(policy.after)
            case _Lost() as lost:
                return f"tells that {lost.lost} was in its way, and is lost"
        return None

    def _hear_decided(self, late: _Decided) -> str | None:
        again = self.decided.keys() & {identity for identity, *_ in late.evaluations}
        for identity, received, decided in late.evaluations:
            self.received.setdefault(identity, bytes.fromhex(received))
            self.decided[identity] = decided
        return _again("evaluation", again)

    def _hear_reviewed(self, entry: _Entry, told: _Reviewed) -> str | None:
        sealed = dict(told.reviews)
        again = self.reviews.keys() & sealed.keys()
        self.reviews |= sealed
        self.review_places |= dict.fromkeys(sealed, (entry.number, self.reviews_until))
        self.reviews_until = entry.at
        return _again("review", again)

    def _hear_erased(self, erased: _Erase) -> str | None:
        left = erased.left.items()
        again = [one for one, digest in left if self.erased.setdefault(one, digest) != digest]
        return ", ".join(f"{one} was erased again" for one in sorted(again)) or None


def _again(what: str, ids: Iterable[str]) -> str | None:
    """Return what is wrong with an entry that seals what was sealed before."""
    return ", ".join(f"{what} {one} was sealed again" for one in sorted(ids)) or None


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
    try:
        return _verified(engine, kept)
    except errors.RecordUnavailableError:
        if engine.dialect.name != "sqlite":
            raise
        return _verified(engine, kept, _any_text)


def _any_text(stored: bytes) -> str:
    """Read what may be no UTF-8, which ends a query otherwise; slower than the driver's own."""
    return stored.decode(errors="replace")


def _verified(
    engine: Engine, kept: Head | None, text_factory: Callable[[bytes], str] | None = None
) -> Audit:
    found = Audit()
    with _snapshot(engine) as connection:
        driver: Any = connection.connection.driver_connection
        if text_factory is not None:
            driver.text_factory = text_factory
        try:
            told = _read_chain(connection, found, kept)
            _compare_evaluations(connection, found, told)
            _compare_reviews(connection, found, told)
            _compare_corrections(connection, found, told)
            _compare_policies(connection, found, told)
        finally:
            if text_factory is not None:
                driver.text_factory = str
    return found


def _snapshot(engine: Engine) -> Any:  # noqa: ANN401 - a context manager
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    return database.transaction(engine)


def _read_chain(connection: Connection, found: Audit, kept: Head | None) -> _Told:
    """Follow the chain from its beginning; return what it tells."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
    told, heads = _Told(), _heads(connection, found, kept)
    for row in chain.entries(connection):
        own = Head(row.number, row.hash)
        if fault := _fault(row, found.head, told):
            found.faults.append(f"entry {row.number}: {fault}")
        if own.number in heads and heads[own.number] != own.hash:
            found.faults.append(f"entry {row.number}: is another one than the head that was kept")
        found.head = own
    ended = isinstance(found.head.number, int) and found.head.number
    if heads and max(heads) > ended:
        found.faults.append(f"the chain ends at {ended}, before the head that was kept")
    for event in connection.exec_driver_sql("SELECT id, body FROM chain_events ORDER BY id"):
        if not _is_heard(event.body, told):
            found.faults.append(f"event {event.id}: was changed")
    told.waiting.update(connection.execute(select(chain_waiting.c.evaluation_id)).scalars())
    return told


def _is_heard(body: Any, told: _Told) -> bool:  # noqa: ANN401 - whatever is stored
    """Hear an event that has no entry yet; tell whether it is one."""
    with suppress(*_UNREADABLE):
        event = _decode_entry(body)
        if event.kind not in chain.OWN:
            told.hear(event)
            return True
    return False


def _heads(connection: Connection, found: Audit, kept: Head | None) -> dict[int, str]:
    """Return the hashes of entries that are known by other means: what was kept, here or not."""
    heads = [] if kept is None else [kept]
    try:
        own = chain.kept_head(connection)
    except ValueError:
        found.faults.append("the head that the record keeps: was changed")
    else:
        if own is not None:
            heads.append(own)
        elif chain.head(connection).number:
            found.faults.append("the head that the record keeps: is gone")
    return {head.number: head.hash for head in reversed(heads)}


def _fault(row: Any, before: Head, told: _Told) -> str | None:  # noqa: ANN401 - a Row
    """Hear an entry; return what is wrong with it."""
    try:
        entry = _decode_entry(row.body)
        given_away = told.hear(entry)
        is_own = (entry.number, entry.kind) == (row.number, row.kind)
        is_own &= chain.hash_of(row.body) == row.hash
        is_following = row.number == before.number + 1
    except _UNREADABLE:
        return "was changed"
    if not is_own:
        return "was changed"
    if not is_following:
        return f"follows entry {before.number}: what stood between is gone"
    if entry.previous != before.hash:
        return "does not hold the hash of the one before"
    return given_away


def _seals(connection: Connection) -> Iterator[_Seal]:
    for row in chain.entries(connection, chain.SEAL):
        with suppress(*_UNREADABLE):  # which was told
            yield _decode_seal(row.body)


def _as_rows(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def _compare_evaluations(connection: Connection, found: Audit, told: _Told) -> None:
    numbering, upcoming = _numbering(connection, found), _upcoming(connection, found)
    rows = heapq.merge(
        _evaluations(connection, found, told, numbering),
        _purged(connection, found, told),
        key=attrgetter("place"),
    )
    latest = _as_rows(told.until - _LATE)
    for row in _behind_seals(rows, _seals(connection), found, told.recorded_before):
        found.unsealed += 1
        is_left = row.place > told.recorded_before and row.when < latest
        if is_left or (upcoming is not None and row.place.number >= upcoming):
            found.faults.append(
                f"evaluation {row.place.id}: is of {row.when[:16]} UTC and not sealed,"
                f" and the chain went on until {told.until:%Y-%m-%d %H:%M}"
            )


def _behind_seals(
    rows: Iterator[_Row], seals: Iterable[_Seal], found: Audit, recorded_before: Position
) -> Iterator[_Row]:
    """Compare rows with seals, both in the record's order; yield those behind the last seal."""
    row, earliest = next(rows, None), ""
    for seal in seals:
        joined, count = sha256(), 0
        while row and row.place <= seal.what.to:
            joined.update(row.digest or b"")
            count += 1
            if row.when and row.when < earliest and row.place > recorded_before:
                found.faults.append(
                    f"evaluation {row.place.id}: says that it is of {row.when[:16]} UTC,"
                    f" and was not there before {seal.at:%Y-%m-%d %H:%M}"
                )
            row = next(rows, None)
        if fault := _seal_fault(seal.what, count, joined.hexdigest()):
            where = f"entry {seal.number}, positions {seal.what.after[0]} to {seal.what.to[0]}"
            found.faults.append(f"{where}: {fault}")
        earliest = _as_rows(max(seal.at, _NO_TIME) - _LATE)
    if row:
        yield row
        yield from rows


def _seal_fault(sealed: _Sealed, there: int, joined: str) -> str | None:
    """Return what is wrong with the rows between a seal's places, by how many and their digests."""
    count = sealed.count
    if there < count:
        return f"{count - there} of {count} evaluations are gone"
    if there > count:
        return f"{there - count} evaluations were put among {count}"
    if joined != sealed.digests:
        return f"{count} evaluations are not those, or not in the order, that were sealed"
    return None


def _upcoming(connection: Connection, found: Audit) -> int | None:
    if connection.dialect.name != "postgresql":
        return None
    try:
        with connection.begin_nested():
            return positions.upcoming(connection)
    except DBAPIError:
        found.faults.append(_COUNTED)
        return None


def _numbering(connection: Connection, found: Audit) -> Numbering:
    try:
        return positions.numbering(connection)
    except _UNREADABLE:
        found.faults.append(_COUNTED)
        return Numbering([])


def _evaluations(
    connection: Connection, found: Audit, told: _Told, numbering: Numbering
) -> Iterator[_Row]:
    """Yield every evaluation in the record's order, each compared with its own digest."""
    dialect = connection.dialect.name
    position = "position" if dialect == "postgresql" else "rowid"
    query = (
        f"SELECT {digests.selected(dialect)}, salt, digest,"  # noqa: S608 - names
        f" name_folded = '{ERASED}', erased_at IS NOT NULL, pending, {position} FROM evaluations"
        f" ORDER BY {position}, id"
    )
    stream = connection.execution_options(yield_per=_AT_ONCE).exec_driver_sql(query)
    for *values, salt, digest, is_hidden, is_erased, is_pending, number in stream:
        found.evaluations += 1
        identity = values[0]
        found.erased += identity in told.erased
        place = Position(numbering.told(number), str(identity))
        if fault := _row_fault(values, (salt, digest), place, told):
            found.faults.append(f"evaluation {identity}: {fault}")
        elif identity in told.erased:
            if not (is_erased and is_hidden and _is_taken_out(values)):
                found.faults.append(f"evaluation {identity}: {_NOT_ERASED}")
        elif is_erased:
            found.faults.append(f"evaluation {identity}: {_NEVER_ERASED}")
        if bool(is_pending) is not (values[_EVALUATED] is None):
            found.faults.append(f"evaluation {identity}: {_WAITS}")
        when = values[_EVALUATED] or values[_RECEIVED]
        sealed = told.received.get(identity, digest)
        yield _Row(place, _if_bytes(sealed), when if isinstance(when, str) else "")


def _row_fault(values: list[Any], kept: Sequence[Any], place: Position, told: _Told) -> str | None:
    """Return what is wrong with a row. kept: its salt and its digest, whatever is stored there."""
    salt, digest = kept
    with suppress(*_UNREADABLE):
        if digest is None or _is_same(values, salt, digest, told):
            return None
        if salt is not None and _is_received(values, salt, digest, place, told):
            return None
    return _CHANGED


def _is_taken_out(values: list[Any]) -> bool:
    """Tell whether nothing of a client is left in a row, and what is left of its answer fits it."""
    row = dict(zip(digests.COLUMNS, values, strict=True))
    with suppress(*_UNREADABLE):
        is_bare = row["prediction"] is None and not any(row[feature] for feature in FEATURES)
        return remains.fit(row) and is_bare and row["name"] == ERASED
    return False


def _if_bytes(stored: object) -> bytes | None:
    return stored if isinstance(stored, bytes) else None


def _is_same(values: list[Any], salt: bytes | None, digest: bytes, told: _Told) -> bool:
    """Tell whether a row is what its digest was made of, and its digest the one that was sealed."""
    identity = values[0]
    if told.decided.get(identity, digest.hex()) != digest.hex():
        return False
    if salt is None:
        return told.erased.get(identity) == digests.of_values(b"", values).hex()
    return digests.of_values(salt, values) == digest


def _is_received(
    values: list[Any], salt: bytes, digest: bytes, place: Position, told: _Told
) -> bool:
    """Tell whether a row's digest is that of its receipt, and its decision is not sealed yet."""
    is_unsealed = values[0] in told.waiting or place > told.sealed
    return is_unsealed and digests.of_values(salt, digests.as_received(values)) == digest


def _purged(connection: Connection, found: Audit, told: _Told) -> Iterator[_Row]:
    """Yield what is left of purged evaluations; then compare it with what purges told of them."""
    joined: dict[str, Any] = {event_id: (sha256(), sha256()) for event_id in told.purges}
    query = (
        "SELECT position, evaluation_id, digest, event_id FROM purged_digests"
        " ORDER BY position, evaluation_id"
    )
    stream = connection.execution_options(yield_per=_AT_ONCE).exec_driver_sql(query)
    for position, identity, digest, event_id in stream:
        found.purged += 1
        if not isinstance(position, int) or not isinstance(digest, bytes):
            found.faults.append(f"evaluation {identity}: was changed after it was purged")
            continue
        if event_id in joined:
            of_digests, of_ids = joined[event_id]
            of_digests.update(digest)
            of_ids.update(str(identity).encode())
        else:
            found.faults.append(f"evaluation {identity}: no purge tells that it took it")
        place = Position(position, str(identity))
        yield _Row(place, told.received.get(identity, digest))
    for event_id, purge in told.purges.items():
        of_digests, of_ids = (one.hexdigest() for one in joined[event_id])
        if of_digests != purge.digests or purge.ids not in {None, of_ids}:
            found.faults.append(f"purge {event_id}: what it took is not what it told of")


def _compare_reviews(connection: Connection, found: Audit, told: _Told) -> None:
    gone = told.reviews.keys() - told.purged_reviews
    columns = digests.selected(connection.dialect.name, "reviews")
    position = "position" if connection.dialect.name == "postgresql" else "rowid"
    query = f"SELECT {columns}, salt, digest FROM reviews ORDER BY {position}, id"  # noqa: S608 - names
    stream = connection.execution_options(yield_per=_AT_ONCE).exec_driver_sql(query)
    latest: dict[object, int] = {}
    for *values, salt, digest in stream:
        identity = values[0]
        found.reviews += 1
        gone.discard(identity)
        entry, earlier = told.review_places.get(identity, (None, told.until))
        if digest is None and entry is None:
            found.unsealed += 1
        elif fault := _review_fault(values, salt, digest, told):
            found.faults.append(f"review {identity}: {fault}")
        if _is_too_early(values[_REVIEWED_AT], told.began, earlier):
            found.faults.append(
                f"review {identity}: says that it is of {values[_REVIEWED_AT][:16]} UTC,"
                f" and was not there before {earlier:%Y-%m-%d %H:%M}"
            )
        if entry is not None and entry < latest.setdefault(values[_REVIEWED], entry):
            found.faults.append(f"review {identity}: counts before others, and was sealed later")
    found.faults += [f"review {identity}: is gone" for identity in sorted(gone)]


def _is_too_early(when: object, began: datetime, earlier: datetime) -> bool:
    """Tell whether a review is older than it can be. earlier: when older ones were sealed.

    What was there before the chain is sealed in slices, the oldest first.
    """
    return isinstance(when, str) and _as_rows(began) <= when < _as_rows(
        max(earlier, _NO_TIME) - _LATE
    )


def _review_fault(values: list[Any], salt: Any, digest: Any, told: _Told) -> str | None:  # noqa: ANN401 - whatever is stored
    try:
        if told.reviews.get(values[0]) != digest.hex():
            return "is not what was sealed"
        if not _is_same(values, salt, digest, told):
            return _CHANGED
    except _UNREADABLE:
        return _CHANGED
    is_kept = values[0] in told.erased and values[_WORDS] != ERASED
    return _NOT_ERASED if is_kept else None


def _compare_corrections(connection: Connection, found: Audit, told: _Told) -> None:
    """Compare which evaluation counts in whose place; a purge of either takes that with it."""
    query = select(corrections.c.evaluation_id, corrections.c.by_id)
    kept = {(before, after) for before, after in connection.execute(query)}
    for before, after in sorted(kept - told.corrections, key=str):
        found.faults.append(
            f"evaluation {before}: was not corrected by {after}, which is in its place"
        )
    for before, after in sorted(told.corrections - kept):
        purged = select(purged_digests.c.evaluation_id)
        is_purged = purged_digests.c.evaluation_id.in_((before, after))
        if connection.execute(purged.where(is_purged)).first() is None:
            found.faults.append(f"evaluation {before}: that {after} is in its place is gone")


def _compare_policies(connection: Connection, found: Audit, told: _Told) -> None:
    """Compare the texts of policies with their versions, which are made of them."""
    gone = set(told.policies)
    for version, own_text in connection.exec_driver_sql("SELECT version, text FROM policies"):
        gone.discard(version)
        if policy_file.version_of(str(own_text)) != version:
            found.faults.append(f"policy {version}: its text was changed")
    found.faults += [f"policy {version}: its text is gone" for version in sorted(gone)]
