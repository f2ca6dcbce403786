"""The chain: entries that say what was sealed and what was done, each with the hash of the last.

Whoever does something notes it beside what it is about (note); the sealer alone makes entries of
that, so that nothing waits for the chain. An entry is canonical JSON (RFC 8785), and its hash the
SHA-256 of it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Text, cast, delete, false, func, insert, select, text

from evaluation_api.access.identity import Identity, of_terminal
from evaluation_api.record import database
from evaluation_api.record.tables import chain, chain_events, marks
from evaluation_api.runtime.identity import new_id

#: What the first entry names as the hash of the one before.
NOTHING: Final = "0" * 64
#: The kinds that the sealer makes by itself.
BEGIN, SEAL, DECIDED, REVIEWS = "begin", "seal", "decided", "reviews"
#: Those of events that audit.py reads.
PURGE, ERASE, CORRECT, POLICY = "purge", "erase", "correct", "policy"
#: What stands in the place of entries that were cut off, or of an event that nobody can read.
LOST: Final = "lost"
#: The kinds that no event may have.
OWN: Final = frozenset({BEGIN, SEAL, DECIDED, REVIEWS, LOST})
#: The mark that names the head once more, so that a chain that was cut off is found.
_HEAD: Final = "chain_head"

_LAST: Final = (
    select(cast(chain.c.number, Text) + ":" + chain.c.hash)
    .order_by(chain.c.number.desc())
    .limit(1)
    .scalar_subquery()
)
_KEPT: Final = select(marks.c.value).where(marks.c.name == _HEAD).scalar_subquery()
#: Where not, it is looked at more closely.
IS_HEAD_KEPT: Final = func.coalesce(_LAST == _KEPT, false())
_PAGE: Final = 5_000
_LONGEST_KIND: Final = 16
_MOST_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Event:
    """What was done: by whom, from which address, about what; no names of clients, no amounts."""

    kind: str
    who: str
    address: str
    what: dict[str, Any]


class Head(NamedTuple):
    """The last entry. Kept elsewhere, it shows whether the chain before it was made anew."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


def canonical(body: dict[str, Any]) -> str:
    """Return JSON as RFC 8785 has it.

    Python's own is that, as far as keys are ASCII and numbers whole and below 2**53, as here.
    """
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def hash_of(body: str) -> str:
    """Return an entry's hash."""
    return sha256(body.encode()).hexdigest()


def moment(when: datetime) -> str:
    """Format a time, in UTC."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def note(connection: Connection, event: Event) -> str:
    """Note what a transaction does, or what was done; an entry follows. Returns the event's id."""
    identity = new_id()
    body = {
        "id": identity,
        "at": moment(datetime.now(UTC)),
        "kind": event.kind,
        "who": event.who,
        "from": event.address,
        "what": event.what,
    }
    connection.execute(insert(chain_events).values(id=identity, body=canonical(body)))
    return identity


_IN_FORCE: Final = text(
    "INSERT INTO marks (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = :value WHERE marks.value <> :value"
)


def note_change(connection: Connection, kind: str, now: str) -> None:
    """Note what is in force from now on, if it was something else before."""
    name = f"in_force_{kind}"
    before = connection.scalar(select(marks.c.value).where(marks.c.name == name))
    if connection.execute(_IN_FORCE, {"name": name, "value": now}).rowcount:
        note(connection, by_terminal(kind, before=before, after=now))


def by_terminal(kind: str, **what: Any) -> Event:  # noqa: ANN401 - any JSON
    """Return what is done by the account that this process runs as."""
    return by(of_terminal(), kind, **what)


def by(asking: Identity, kind: str, **what: Any) -> Event:  # noqa: ANN401 - any JSON
    """Return what somebody does."""
    return Event(kind, asking.label or "", asking.address, what)


def by_known(asking: Identity, kind: str, **what: Any) -> Event | None:  # noqa: ANN401 - any JSON
    """Return what somebody does, or None where nobody has to say who they are."""
    return by(asking, kind, **what) if asking.label else None


class Link:
    """The end of the chain, inside the sealer's transaction."""

    def __init__(self, connection: Connection) -> None:
        """Find the end. Nobody else may add an entry until the transaction ends."""
        self._connection = connection
        self.head = head(connection)

    def add(self, *bodies: dict[str, Any]) -> None:
        """Add entries. bodies: what note writes, or a kind and what was sealed."""
        for body in bodies:
            number = self.head.number + 1
            whole = {"at": moment(datetime.now(UTC)), **body}
            text_ = canonical({**whole, "number": number, "previous": self.head.hash})
            self.head = Head(number, hash_of(text_))
            values = {"number": number, "kind": body["kind"], "hash": self.head.hash, "body": text_}
            self._connection.execute(insert(chain).values(values))
        if bodies:
            self._connection.execute(_IN_FORCE, {"name": _HEAD, "value": str(self.head)})

    def lost(self) -> str | None:
        """Return the head that the record keeps, where the chain does not hold it any more."""
        try:
            kept = kept_head(self._connection)
        except ValueError as exc:
            return str(exc)
        if kept is None:
            return "the head that the record kept" if self.head.number else None
        there = select(chain.c.hash).where(chain.c.number == kept.number)
        return None if self._connection.scalar(there) == kept.hash else str(kept)

    def add_events(self, limit: int) -> int:
        """Make entries of what was noted, oldest first; return of how much."""
        query = select(chain_events).order_by(chain_events.c.id).limit(limit)
        noted = self._connection.execute(query).all()
        self.add(*(_body_of(event) for event in noted))
        ids = [event.id for event in noted]
        if ids:
            self._connection.execute(delete(chain_events).where(chain_events.c.id.in_(ids)))
        return len(ids)


def _body_of(event: Any) -> dict[str, Any]:  # noqa: ANN401 - a Row
    """Return what was noted; of what somebody wrote by hand and nobody can read, that it was there.

    One such event would keep all that follows out of the chain.
    """
    with suppress(msgspec.MsgspecError, RecursionError, TypeError, ValueError):
        body = msgspec.json.decode(event.body, type=dict[str, Any])
        kind = body.get("kind")
        if isinstance(kind, str) and len(kind) <= _LONGEST_KIND and kind not in OWN:
            return body
    return {"kind": LOST, "what": {"lost": f"event {event.id}"}}


def head(connection: Connection) -> Head:
    """Return the last entry; of an empty chain, number 0."""
    query = select(chain.c.number, chain.c.hash).order_by(chain.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return Head(0, NOTHING) if row is None else Head(*row)


def kept_head(connection: Connection) -> Head | None:
    """Return the head as the record names it a second time. Raises ValueError for anything else."""
    kept = connection.scalar(select(marks.c.value).where(marks.c.name == _HEAD))
    return None if kept is None else read_head(str(kept))


def last_of(connection: Connection, kind: str) -> dict[str, Any] | None:
    """Return the last entry of a kind."""
    of_kind = select(chain.c.body).where(chain.c.kind == kind)
    body = connection.scalar(of_kind.order_by(chain.c.number.desc()).limit(1))
    return None if body is None else json.loads(body)


def entries(connection: Connection, *kinds: str) -> Iterator[Any]:
    """Yield the rows of the chain in its order, all or those of some kinds."""
    last = 0
    of_these = chain.c.kind.in_(kinds) if kinds else chain.c.number > 0
    while True:
        query = select(chain).where(chain.c.number > last, of_these).order_by(chain.c.number)
        page: Sequence[Any] = connection.execute(query.limit(_PAGE)).all()
        if not page:
            return
        yield from page
        last = page[-1].number
        if not isinstance(last, int):  # a file keeps any text, too, behind all numbers
            return


class ChainLog(database.Keeper):
    """What is noted in one database. Every method raises RecordUnavailableError."""

    def note(self, events: Sequence[Event]) -> None:
        """Note what was done."""
        with self._writing() as connection:
            for event in events:
                note(connection, event)

    def bodies(self) -> Iterator[str]:
        """Yield every entry as it is hashed, the first one first."""
        with self._transaction() as connection:
            for row in entries(connection):
                yield row.body

    def head(self) -> Head:
        """Return the last entry."""
        with self._transaction() as connection:
            return head(connection)


def read_head(kept: str) -> Head:
    """Read a head as it was kept. Raises ValueError."""
    number, _, own_hash = kept.partition(":")
    is_number = number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS
    if not is_number or len(own_hash) != len(NOTHING):
        raise ValueError(kept)
    return Head(int(number), own_hash)
