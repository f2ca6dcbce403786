"""Whether the record is what was sealed: compares every row with what the chain tells of it.

One snapshot, nothing written, beside whoever serves. Memory grows with what was decided late,
reviewed, erased or purged, and not with the evaluations that are there.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Table, select, text
from sqlalchemy.exc import DBAPIError

from evaluation_api.decision import errors, policy_file
from evaluation_api.decision.domain import FEATURES, Position
from evaluation_api.decision.names import ERASED
from evaluation_api.operations import chain_reading, remains
from evaluation_api.operations.chain_reading import LATE, NO_TIME, UNREADABLE, Seal, Sealed, Told
from evaluation_api.record import database, digests, positions
from evaluation_api.record.chain import Head
from evaluation_api.record.positions import Numbering
from evaluation_api.record.tables import corrections, evaluations, purged_digests, reviews

#: Rows that the database hands over at once.
_AT_ONCE: Final = 2_000
#: Said of whatever the record's order hangs on.
_COUNTED: Final = "how the record counts its rows: was changed"
_CHANGED: Final = "was changed after it was sealed"
_NOT_ERASED: Final = "is told to be erased, and is not as an erasure leaves it"
_NEVER_ERASED: Final = "stands as erased, and nothing tells of that"
_WAITS: Final = "stands as one that waits, and is decided, or the other way round"
#: Of a row, as digests.selected has it: when it was received and evaluated.
_RECEIVED, _EVALUATED = 1, 10
_UNDECIDED: Final = [None] * (len(digests.COLUMNS) - _EVALUATED)
#: And of a review, which evaluation it is of, its words, which may name a client, and its time.
_REVIEWED, _WORDS, _REVIEWED_AT = 1, 3, 5


@dataclass
class Audit:
    """What was found. erased: evaluations that the chain tells a client was taken out of.

    unsealed: rows that the sealer has not come to. faults: a sentence each.
    """

    head: Head
    faults: list[str]
    evaluations: int = 0
    reviews: int = 0
    purged: int = 0
    erased: int = 0
    unsealed: int = 0


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
        return _verified(engine, kept, str)
    except errors.RecordUnavailableError:
        if engine.dialect.name != "sqlite":
            raise
        return _verified(engine, kept, _any_text)


def _any_text(stored: bytes) -> str:
    """Read what may be no UTF-8, which ends a query otherwise; slower than the driver's own."""
    return stored.decode(errors="replace")


def _verified(engine: Engine, kept: Head | None, read_text: Callable[[bytes], str]) -> Audit:
    with _snapshot(engine, read_text) as connection:
        told = chain_reading.read(connection, kept)
        found = Audit(told.head, told.faults)
        _compare_evaluations(connection, found, told)
        _compare_reviews(connection, found, told)
        _compare_corrections(connection, found, told)
        _compare_policies(connection, found, told)
    return found


@contextmanager
def _snapshot(engine: Engine, read_text: Callable[[bytes], str]) -> Iterator[Connection]:
    """Lend a connection for which nothing changes. read_text: reads what a file holds."""
    if engine.dialect.name == "postgresql":
        own = engine.execution_options(isolation_level="REPEATABLE READ")
        with database.transaction(own) as connection:
            yield connection
        return
    with database.transaction(engine) as connection:
        connection.exec_driver_sql("BEGIN")
        driver: Any = connection.connection.driver_connection
        driver.text_factory = read_text
        try:
            yield connection
        finally:
            driver.text_factory = str


def _as_rows(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def _compare_evaluations(connection: Connection, found: Audit, told: Told) -> None:
    numbering, upcoming = _numbering(connection, found), _upcoming(connection, found)
    rows = heapq.merge(
        _evaluations(connection, found, told, numbering),
        _purged(connection, found, told),
        key=attrgetter("place"),
    )
    latest = _as_rows(told.until - LATE)
    for row in _behind_seals(rows, chain_reading.seals(connection), found, told.recorded_before):
        found.unsealed += 1
        is_left = row.place > told.recorded_before and row.when < latest
        if is_left or (upcoming is not None and row.place.number >= upcoming):
            found.faults.append(
                f"evaluation {row.place.id}: is of {row.when[:16]} UTC and not sealed,"
                f" and the chain went on until {told.until:%Y-%m-%d %H:%M}"
            )


def _behind_seals(
    rows: Iterator[_Row], seals: Iterable[Seal], found: Audit, recorded_before: Position
) -> Iterator[_Row]:
    """Compare rows with seals, both in the record's order; yield those behind the last seal."""
    row, earliest = next(rows, None), ""
    for seal in seals:
        joined, count = sha256(), 0
        # Where the clock was set back since, by the time that its seal has.
        earliest = min(earliest, sealed_at := _as_rows(max(seal.at, NO_TIME) - LATE))
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
        earliest = sealed_at
    if row:
        yield row
        yield from rows


def _seal_fault(sealed: Sealed, there: int, joined: str) -> str | None:
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
    except UNREADABLE:
        found.faults.append(_COUNTED)
        return Numbering([])


def _evaluations(
    connection: Connection, found: Audit, told: Told, numbering: Numbering
) -> Iterator[_Row]:
    """Yield every evaluation in the record's order, each compared with its own digest."""
    more = f"name_folded = '{ERASED}'", "erased_at IS NOT NULL", "pending"
    stream = _rows(connection, evaluations, *more)
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
        if bool(is_pending) is not (values[_EVALUATED:] == _UNDECIDED):
            found.faults.append(f"evaluation {identity}: {_WAITS}")
        when = values[_EVALUATED] or values[_RECEIVED]
        sealed = told.received.get(identity, digest)
        yield _Row(
            place,
            sealed if isinstance(sealed, bytes) else None,
            when if isinstance(when, str) else "",
        )


def _rows(connection: Connection, table: Table, *more: str) -> Iterator[Any]:
    """Yield rows in the record's order: what digests are made of, salt, digest, more, position."""
    position = positions.column(connection.dialect, table)
    stored = text(", ".join(("salt", "digest", *more, str(position))))
    rows = digests.rows_of(connection, table).add_columns(stored)
    in_order = rows.order_by(position, table.c.id)
    # As text, which has nothing bound: what SQLAlchemy looks at in each row took a seventh more.
    yield from connection.execution_options(yield_per=_AT_ONCE).exec_driver_sql(str(in_order))


def _row_fault(values: list[Any], kept: Sequence[Any], place: Position, told: Told) -> str | None:
    """Return what is wrong with a row. kept: its salt and its digest, whatever is stored there."""
    salt, digest = kept
    with suppress(*UNREADABLE):
        if digest is None or _is_same(values, salt, digest, told):
            return None
        if salt is not None and _is_received(values, salt, digest, place, told):
            return None
    return _CHANGED


def _is_taken_out(values: list[Any]) -> bool:
    """Tell whether nothing of a client is left in a row, and what is left of its answer fits it."""
    row = dict(zip(digests.COLUMNS, values, strict=True))
    with suppress(*UNREADABLE):
        is_bare = row["prediction"] is None and not any(row[feature] for feature in FEATURES)
        return remains.fit(row) and is_bare and row["name"] == ERASED
    return False


def _is_same(values: list[Any], salt: bytes | None, digest: bytes, told: Told) -> bool:
    """Tell whether a row is what its digest was made of, and its digest the one that was sealed."""
    identity = values[0]
    if told.decided.get(identity, digest.hex()) != digest.hex():
        return False
    if salt is None:
        return told.erased.get(identity) == digests.of_values(b"", values).hex()
    return digests.of_values(salt, values) == digest


def _is_received(
    values: list[Any], salt: bytes, digest: bytes, place: Position, told: Told
) -> bool:
    """Tell whether a row's digest is that of its receipt, and its decision is not sealed yet."""
    is_unsealed = values[0] in told.waiting or place > told.sealed
    return is_unsealed and digests.of_values(salt, digests.as_received(values)) == digest


def _purged(connection: Connection, found: Audit, told: Told) -> Iterator[_Row]:
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


def _compare_reviews(connection: Connection, found: Audit, told: Told) -> None:
    gone = told.reviews.keys() - told.purged_reviews
    latest: dict[object, int] = {}
    for *values, salt, digest, _position in _rows(connection, reviews):
        identity = values[0]
        found.reviews += 1
        gone.discard(identity)
        place, earlier = told.review_places.get(identity, (None, told.until))
        if digest is None and place is None:
            found.unsealed += 1
        elif fault := _review_fault(values, salt, digest, told):
            found.faults.append(f"review {identity}: {fault}")
        if _is_too_early(values[_REVIEWED_AT], told.began, earlier):
            found.faults.append(
                f"review {identity}: says that it is of {values[_REVIEWED_AT][:16]} UTC,"
                f" and was not there before {earlier:%Y-%m-%d %H:%M}"
            )
        if place is not None:
            if place < latest.get(values[_REVIEWED], place):
                found.faults.append(
                    f"review {identity}: counts after others, and was sealed before them"
                )
            latest[values[_REVIEWED]] = place
    found.faults += [f"review {identity}: is gone" for identity in sorted(gone)]


def _is_too_early(when: object, began: datetime, earlier: datetime) -> bool:
    """Tell whether a review is older than it can be. earlier: when older ones were sealed.

    What was there before the chain is sealed in slices, the oldest first.
    """
    return isinstance(when, str) and _as_rows(began) <= when < _as_rows(
        max(earlier, NO_TIME) - LATE
    )


def _review_fault(values: list[Any], salt: Any, digest: Any, told: Told) -> str | None:  # noqa: ANN401 - whatever is stored
    try:
        if told.reviews.get(values[0]) != digest.hex():
            return "is not what was sealed"
        if not _is_same(values, salt, digest, told):
            return _CHANGED
    except UNREADABLE:
        return _CHANGED
    is_kept = values[0] in told.erased and values[_WORDS] != ERASED
    return _NOT_ERASED if is_kept else None


def _compare_corrections(connection: Connection, found: Audit, told: Told) -> None:
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


def _compare_policies(connection: Connection, found: Audit, told: Told) -> None:
    """Compare the texts of policies with their versions, which are made of them."""
    gone = set(told.policies)
    for version, own_text in connection.exec_driver_sql("SELECT version, text FROM policies"):
        gone.discard(version)
        if policy_file.version_of(str(own_text)) != version:
            found.faults.append(f"policy {version}: its text was changed")
    found.faults += [f"policy {version}: its text is gone" for version in sorted(gone)]
