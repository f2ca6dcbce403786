"""What the chain tells of itself and of single rows: its entries, and events that have none yet.

Whether the rows are so is audit.py's to say.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from sqlalchemy import Connection, select

from evaluation_api.decision.domain import Position
from evaluation_api.record import chain
from evaluation_api.record.chain import Head
from evaluation_api.record.tables import chain_waiting

NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: By how much a row may be older than the seal before its own: a slow transaction, a file's slice
#: that waited, two clocks. What was made to look older than that is told.
LATE: Final = timedelta(minutes=10)
_NO_HEAD: Final = Head(0, chain.NOTHING)
_NOWHERE: Final = Position(0, "")

_Place = tuple[int, str]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Sealed(msgspec.Struct):
    """What a seal says: how many evaluations, between which places, and their digests together."""

    count: int
    after: _Place
    to: _Place
    digests: str


class Seal(msgspec.Struct):
    """An entry over evaluations."""

    number: int
    at: _Time
    what: Sealed


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
_decode_seal = msgspec.json.Decoder(Seal).decode
#: What is read of an entry besides, by its kind.
_WHAT: Final = {
    chain.BEGIN: _Begin,
    chain.SEAL: Sealed,
    chain.DECIDED: _Decided,
    chain.REVIEWS: _Reviewed,
    chain.PURGE: _Purge,
    chain.ERASE: _Erase,
    chain.CORRECT: _Correct,
    chain.POLICY: _Policy,
    chain.LOST: _Lost,
}
#: Of what is none of ours: somebody wrote it by hand. A file takes any value in any column.
UNREADABLE: Final = (
    *(msgspec.MsgspecError, AttributeError, KeyError),
    *(RecursionError, TypeError, ValueError),
)


@dataclass
class Told:
    """What the chain says: its last entry, what is wrong with it, and of single rows, by their ids.

    received, decided: digests of what was sealed twice. purges: by the event's id. erased: digests
    of what was left. corrections: the evaluation, and the one in its place.
    """

    head: Head = _NO_HEAD
    faults: list[str] = field(default_factory=list)
    received: dict[str, bytes] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    reviews: dict[str, str] = field(default_factory=dict)
    #: Of each review, which one it is in their order, and when the entry before its own was made,
    #: or that itself, where the clock was set back since.
    review_places: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    policies: set[str] = field(default_factory=set)
    purges: dict[str, _Purge] = field(default_factory=dict)
    purged_reviews: set[str] = field(default_factory=set)
    erased: dict[str, str] = field(default_factory=dict)
    corrections: set[tuple[str, str]] = field(default_factory=set)
    recorded_before: Position = _NOWHERE
    #: Up to where evaluations are sealed, and which of those as they were received.
    sealed: Position = _NOWHERE
    waiting: set[str] = field(default_factory=set)
    #: When the last entry was made, and the last one of reviews.
    until: datetime = NO_TIME
    reviews_until: datetime = NO_TIME
    #: When the chain began, where something was recorded before it.
    began: datetime = NO_TIME

    def hear(self, entry: _Entry) -> str | None:  # noqa: C901 - a case for each kind
        """Take in an entry, or an event that has none yet; return what it gives away."""
        # Where the clock was set back, what follows goes by it.
        at = max(entry.at, NO_TIME)
        self.until = max(self.until, at) if at > self.until - LATE else at
        if (read := _WHAT.get(entry.kind)) is None:
            return None
        match msgspec.json.decode(entry.what, type=read):
            case _Begin() as begun:
                self.recorded_before = Position(*begun.recorded_before)
                self.began = max(entry.at, NO_TIME) if begun.recorded_before[0] else NO_TIME
            case Sealed() as sealed:
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
        first, earlier = len(self.review_places), min(self.reviews_until, entry.at)
        self.review_places |= {one: (first + at, earlier) for at, one in enumerate(sealed)}
        self.reviews_until = entry.at
        return _again("review", again)

    def _hear_erased(self, erased: _Erase) -> str | None:
        left = erased.left.items()
        again = [one for one, digest in left if self.erased.setdefault(one, digest) != digest]
        return ", ".join(f"{one} was erased again" for one in sorted(again)) or None


def _again(what: str, ids: Iterable[str]) -> str | None:
    """Return what is wrong with an entry that seals what was sealed before."""
    return ", ".join(f"{what} {one} was sealed again" for one in sorted(ids)) or None


def read(connection: Connection, kept: Head | None) -> Told:
    """Follow the chain from its beginning. kept: a head from elsewhere, that must be in it."""
    told = Told()
    heads = _heads(connection, told, kept)
    for row in chain.entries(connection):
        own = Head(row.number, row.hash)
        if fault := _fault(row, told):
            told.faults.append(f"entry {row.number}: {fault}")
        if own.number in heads and heads[own.number] != own.hash:
            told.faults.append(f"entry {row.number}: is another one than the head that was kept")
        told.head = own
    ended = isinstance(told.head.number, int) and told.head.number
    if heads and max(heads) > ended:
        told.faults.append(f"the chain ends at {ended}, before the head that was kept")
    for event in connection.exec_driver_sql("SELECT id, body FROM chain_events ORDER BY id"):
        if not _is_heard(event.body, told):
            told.faults.append(f"event {event.id}: was changed")
    told.waiting.update(connection.execute(select(chain_waiting.c.evaluation_id)).scalars())
    return told


def _is_heard(body: Any, told: Told) -> bool:  # noqa: ANN401 - whatever is stored
    """Hear an event that has no entry yet; tell whether it is one."""
    with suppress(*UNREADABLE):
        event = _decode_entry(body)
        if event.kind not in chain.OWN:
            told.hear(event)
            return True
    return False


def _heads(connection: Connection, told: Told, kept: Head | None) -> dict[int, str]:
    """Return the hashes of entries that are known by other means: what was kept, here or not."""
    heads = [] if kept is None else [kept]
    try:
        own = chain.kept_head(connection)
    except ValueError:
        told.faults.append("the head that the record keeps: was changed")
    else:
        if own is not None:
            heads.append(own)
        elif chain.head(connection).number:
            told.faults.append("the head that the record keeps: is gone")
    return {head.number: head.hash for head in reversed(heads)}


def _fault(row: Any, told: Told) -> str | None:  # noqa: ANN401 - a Row
    """Hear an entry; return what is wrong with it."""
    before = told.head
    try:
        entry = _decode_entry(row.body)
        given_away = told.hear(entry)
        is_own = (entry.number, entry.kind) == (row.number, row.kind)
        is_own &= chain.hash_of(row.body) == row.hash
        is_following = row.number == before.number + 1
    except UNREADABLE:
        return "was changed"
    if not is_own:
        return "was changed"
    if not is_following:
        return f"follows entry {before.number}: what stood between is gone"
    if entry.previous != before.hash:
        return "does not hold the hash of the one before"
    return given_away


def seals(connection: Connection) -> Iterator[Seal]:
    """Yield the seals of evaluations, in their order."""
    for row in chain.entries(connection, chain.SEAL):
        with suppress(*UNREADABLE):  # which was told
            yield _decode_seal(row.body)
