"""Rows of a batch on their way into the table of all evaluations, as each database takes them best.

Spelling a row needs no connection, so that it can be done before the transaction begins: while it
lasts, others wait to write. SQLAlchemy's own way takes longer over a row than the model does.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain
from typing import Final, Protocol

from sqlalchemy import Connection, Engine

from evaluation_api.decision.domain import FEATURES, Evaluation
from evaluation_api.decision.errors import RecordUnavailableError
from evaluation_api.record import database, packing
from evaluation_api.record.evaluations import fold
from evaluation_api.record.tables import DECIDED

_COLUMNS: Final = (
    "id",
    "pending",
    "received_at",
    "name",
    "name_folded",
    *FEATURES,
    "degraded",
    *DECIDED,
    "prediction",
)
_NAMES: Final = ", ".join(_COLUMNS)

#: One evaluation, in the order of _COLUMNS.
Row = tuple[object, ...]


class Inserter(Protocol):
    """Whatever writes many evaluations at once."""

    def row(self, evaluation: Evaluation) -> Row:
        """Spell one evaluation."""

    def insert(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write some, within the connection's transaction. Raises what transactions do."""


def inserter(engine: Engine) -> Inserter:
    """Give what suits a database."""
    return _Copies() if engine.dialect.name == "postgresql" else _Statements(engine)


class _Statements:
    """One statement for a thousand rows.

    Each statement lets go of the interpreter and then waits for it, while the table is locked.
    """

    def __init__(self, engine: Engine) -> None:
        self._spell_time = lru_cache(maxsize=4)(database.time_spelling(engine))  # a chunk has one

    def row(self, evaluation: Evaluation) -> Row:
        return _values(evaluation, self._spell_time(evaluation.evaluated_at))

    def insert(self, connection: Connection, rows: Sequence[Row]) -> None:
        start = 0
        for count in _powers_of_two(len(rows)):
            part = chain.from_iterable(rows[start : start + count])
            connection.exec_driver_sql(_statement(count), tuple(part))
            start += count


def _powers_of_two(total: int) -> Iterator[int]:
    """Cut a number into the fewest, so that the driver keeps a dozen statements and no more."""
    while total:
        largest = 1 << (total.bit_length() - 1)
        yield largest
        total -= largest


@lru_cache(maxsize=16)
def _statement(count: int) -> str:
    one = f"({', '.join('?' * len(_COLUMNS))})"
    return f"INSERT INTO evaluations ({_NAMES}) VALUES {', '.join([one] * count)}"  # noqa: S608 - placeholders only


class _Copies:
    """PostgreSQL's COPY (https://www.postgresql.org/docs/current/sql-copy.html), from CSV.

    Psycopg takes ten times as long to prepare statements of many rows.
    """

    def __init__(self) -> None:
        self._spell_time = lru_cache(maxsize=4)(str)

    def row(self, evaluation: Evaluation) -> Row:
        return _values(evaluation, self._spell_time(evaluation.evaluated_at))

    def insert(self, connection: Connection, rows: Sequence[Row]) -> None:
        spelled = io.StringIO(newline="")
        csv.writer(spelled).writerows(rows)
        try:
            with closing(connection.connection.cursor()) as cursor, cursor.copy(_COPY) as copy:
                copy.write(spelled.getvalue())
        except connection.dialect.loaded_dbapi.Error as exc:
            raise RecordUnavailableError(str(exc)) from exc


#: What is empty stands for NULL, but for a name of which folding leaves nothing.
_COPY: Final = f"COPY evaluations ({_NAMES}) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (name_folded))"


def _values(evaluation: Evaluation, when: object) -> Row:
    """Give the values in the order of _COLUMNS. when: the evaluation's time, as it is written."""
    name, usage = evaluation.applicant.name, evaluation.applicant.usage
    prediction, decision = evaluation.prediction, evaluation.decision
    return (
        evaluation.id,
        False,
        when,
        name,
        fold(name),
        usage.balance,
        usage.purchases,
        usage.cash_advance,
        usage.credit_limit,
        usage.payments,
        False,
        when,
        evaluation.milliseconds,
        prediction.cluster,
        prediction.confidence,
        decision.outcome.value,
        prediction.model.tag,
        prediction.model.sha256,
        decision.policy_version,
        packing.pack(prediction),
    )
