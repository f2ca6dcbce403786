"""Who used an Idempotency-Key first for a review, a file, or a step or answer of one.

Written in the transaction of what the key is for, so that both stand or neither. Evaluations' keys
have a table of their own, which the last release reads.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from evaluation_api.decision import errors
from evaluation_api.decision.domain import IdempotencyKey
from evaluation_api.record.database import insert_new
from evaluation_api.record.tables import posts

_USE: Final = insert_new(posts)


class Operation(StrEnum):
    """What a key is for; the same key may stand for one of each."""

    REVIEW = "review"
    FILE = "file"
    STEP = "step"
    ANSWER = "answer"


class FirstPost(NamedTuple):
    """What used a key first. made_id: of what it made."""

    fingerprint: str
    made_id: str

    def require(self, key: IdempotencyKey) -> str:
        """Return what it made. Raises IdempotencyKeyReusedError if something else was asked for."""
        if self.fingerprint != key.fingerprint:
            raise errors.IdempotencyKeyReusedError
        return self.made_id


def use(
    connection: Connection, operation: Operation, key: IdempotencyKey, subject: str, made: str
) -> FirstPost | None:
    """Use a key to make something of a subject; return its first use, if it was used before.

    subject, made: ids; a subject that is deleted takes its keys with it.
    """
    values = {"operation": operation.value, "key": key.key, "fingerprint": key.fingerprint}
    if connection.execute(_USE, {**values, "subject_id": subject, "made_id": made}).rowcount:
        return None
    query = select(posts.c.fingerprint, posts.c.made_id).where(
        posts.c.operation == operation.value, posts.c.key == key.key
    )
    found = connection.execute(query).first()
    return None if found is None else FirstPost(*found)
