"""What an evaluation and a review are known by in the chain: salted SHA-256 digests of their rows.

A digest tells nobody anything without its salt, which goes with the client's erasure. Of an
evaluation it covers every column but what follows from others (pending, name_folded) and what
changes (claimed_until). docs/adr/0008 says how it is made, for whoever checks it by other means.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from evaluation_api.decision.domain import FEATURES

SALT_BYTES: Final = 16
_RECEIVED: Final = 10

#: What many rows have in common, so that they may have it by number (versions.py).
NAMES: Final = ("model_tag", "model_sha256", "policy_version")
#: Of an evaluation, what its digest is made of, in this order, whether by number or not.
COLUMNS: Final = (
    *("id", "received_at", "name", *FEATURES, "degraded", "made_by"),
    *("evaluated_at", "milliseconds", "cluster", "confidence", "outcome"),
    *(*NAMES, "answer", "prediction"),
)
_REVIEW_COLUMNS: Final = (
    *("id", "evaluation_id", "outcome", "justification", "reviewer", "reviewed_at", "reason"),
)

#: One JSON array, floats with the fewest figures that read back as the same.
_encoder: Final = msgspec.json.Encoder()
encode: Final = _encoder.encode
#: The same of n values, a line each.
encode_lines: Final = _encoder.encode_lines


def salts(count: int) -> bytes:
    """Return new salts, one after the other."""
    return os.urandom(SALT_BYTES * count)


def of_values(own_salt: bytes, values: Sequence[object]) -> bytes:
    """Return the digest of a row. values: text, numbers or None, in the order of selected()."""
    return sha256(own_salt + encode(values)).digest()


def of_salted(texts: memoryview, bounds: Sequence[int]) -> list[bytes]:
    """Return the digests of n rows, as of_values does.

    texts: each salt with its row as encode has it. bounds: n + 1 places, of one after the other.
    """
    return [sha256(texts[start:stop]).digest() for start, stop in pairwise(bounds)]


def of_bound(own_salt: bytes, bound: Sequence[Any]) -> bytes:
    """Return the digest of an evaluation that is being written.

    bound: as a driver takes it, in the order of the table up to the prediction.
    """
    identity, _pending, received_at, name, _folded, *rest = bound
    balance, purchases, cash_advance, limit, payments, *rest = rest
    degraded, made_by, evaluated_at, *decided = rest
    return of_values(
        own_salt,
        (
            identity,
            told(received_at),
            name,
            balance + 0.0,  # SQLite keeps no minus before a zero
            purchases + 0.0,
            cash_advance + 0.0,
            limit + 0.0,
            payments + 0.0,
            1 if degraded else 0,
            made_by,
            told(evaluated_at),
            *decided,
        ),
    )


def as_received(values: Sequence[object]) -> Sequence[object]:
    """Return of a row's values those of its receipt, as they were before it was decided."""
    return (*values[:_RECEIVED], *(None,) * (len(values) - _RECEIVED))


def together(digests: Iterable[bytes]) -> str:
    """Return what stands for rows in an entry: the SHA-256 of their digests, or ids, in a row."""
    joined = sha256()
    for digest in digests:
        joined.update(digest)
    return joined.hexdigest()


def told(when: object) -> object:
    """Return a time as SQLite keeps it; SQLite's driver is given it so."""
    if not isinstance(when, datetime):
        return when
    return when.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def selected(dialect: str, table: str = "evaluations") -> str:
    """Return the columns that a digest is made of, as one kind of database is asked for them."""
    columns = COLUMNS if table == "evaluations" else _REVIEW_COLUMNS
    told = {**_BY_NUMBER, **(_ON_SERVER if dialect == "postgresql" else {})}
    return ", ".join(told.get(name, name) for name in columns)


def rows_of(connection: sa.Connection, table: sa.Table) -> sa.Select[Any]:
    """Return what asks a database for rows as digests are made of them."""
    columns = selected(connection.dialect.name, table.name)
    return sa.select(sa.text(columns)).select_from(table)


def by_number(name: str) -> str:
    """Return one of NAMES as databases are asked for it, of rows that have it and that do not."""
    line = "FROM versions WHERE versions.number = evaluations.version"
    return f"coalesce(evaluations.{name}, (SELECT versions.{name} {line}))"


_BY_NUMBER: Final = {name: by_number(name) for name in NAMES}

_ON_SERVER: Final = {
    "degraded": "degraded::int",
    # A minus before a zero is kept there.
    **{feature: f"{feature} + 0" for feature in FEATURES},
    **{
        name: f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        for name in ("received_at", "evaluated_at", "reviewed_at")
    },
}
