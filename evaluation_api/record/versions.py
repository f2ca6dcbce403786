"""Model and policy of evaluations by number, so that rows need not repeat their names.

The number follows from the names, so that whoever meets a pair gives it the same one, and a line
that a failover lost comes back as it was. Rows keep the names themselves where a program without
numbers may come by, and where another pair has the number.
"""

import time
from hashlib import sha256
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, select

from evaluation_api.decision.domain import Entry
from evaluation_api.record import database
from evaluation_api.record.digests import NAMES
from evaluation_api.record.tables import NUMBERED_SINCE, READABLE_BY, marks, versions

#: model_tag, model_sha256, policy_version: what NAMES are.
Names = tuple[str, str, str]

#: How long a number is taken for known: as long may a failover's loss last.
_SECONDS: Final = 60.0

_encode: Final = msgspec.json.Encoder().encode
_MARK: Final = select(marks.c.value).where(marks.c.name == READABLE_BY)
_LINE: Final = select(*(versions.c[name] for name in NAMES))
_NOTE: Final = database.insert_new(versions)


class Versions:
    """The numbers in one database, each looked up once a minute."""

    def __init__(self, engine: Engine, seconds: float = _SECONDS) -> None:
        self._engine = engine
        self._seconds = seconds
        self._known: dict[Names, int | None] = {}
        self._until = 0.0

    def of(self, entry: Entry) -> int | None:
        """Return the number of what decided an entry, as number does; None while it waits."""
        evaluation = entry.evaluation
        if evaluation is None:
            return None
        model = evaluation.prediction.model
        return self.number((model.tag, model.sha256, evaluation.decision.policy_version))

    def number(self, names: Names) -> int | None:
        """Return the number of model and policy, noted by now; None where rows keep the names.

        Raises RecordUnavailableError.
        """
        now = time.monotonic()
        if now > self._until:
            self._known, self._until = {}, now + self._seconds
        known = self._known
        if names not in known:
            with database.transaction(self._engine, is_asked_for=False) as connection:
                number = _noted(connection, names)
            known[names] = number
        return known[names]


def _noted(connection: Connection, names: Names) -> int | None:
    readable_by = connection.scalar(_MARK)
    if readable_by is None or readable_by < NUMBERED_SINCE:
        return None
    number = number_of(names)
    line = _LINE.where(versions.c.number == number)
    if connection.execute(line).first() is None:
        connection.execute(_NOTE, {"number": number, **dict(zip(NAMES, names, strict=True))})
    return number if tuple(connection.execute(line).one()) == names else None


def number_of(names: Names) -> int:
    """Return what model and policy are numbered by: 31 bits of the SHA-256 of their JSON."""
    return int.from_bytes(sha256(_encode(names)).digest()[:4]) >> 1
