"""Appends by the driver itself: the same rows, the same errors, and never a wait."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation_api.decision.domain import IdempotencyKey
from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError
from evaluation_api.record import database
from evaluation_api.record.evaluations import DecisionLog
from evaluation_api.record.file_log import FileLog
from tests.evaluations import decided_entry, pending_entry

SELECT = "SELECT * FROM evaluations ORDER BY id"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "evaluations.db"


@pytest.fixture
def log(file: Path) -> Iterator[FileLog]:
    engine = database.connect(f"sqlite:///{file}", patience_seconds=0)
    database.migrate(engine)
    log = FileLog(engine)
    yield log
    log.close()
    engine.dispose()


def rows(file: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(SELECT).fetchall()
    finally:
        connection.close()


def test_rows_are_those_that_sqlalchemy_writes(log: FileLog, file: Path, tmp_path: Path) -> None:
    entries = [decided_entry("José da Silva 😀"), pending_entry(), decided_entry()]
    other = tmp_path / "other.db"
    engine = database.connect(f"sqlite:///{other}")
    database.migrate(engine)
    DecisionLog(engine).append(entries)
    engine.dispose()

    assert log.append(entries[:1]) == [None]
    assert log.append(entries[1:]) == [None, None]

    assert rows(file) == rows(other)


def test_the_first_to_use_a_key_stands_in_the_others_place(log: FileLog) -> None:
    key = IdempotencyKey("k", "f")
    first, keyless = decided_entry(key=key), decided_entry()

    assert log.append([first, keyless]) == [None, None]

    winner, none = log.append([decided_entry(key=key), decided_entry()])
    assert winner is not None
    assert (winner.id, none) == (first.id, None)


def test_what_fails_halfway_writes_nothing_and_the_next_is_written(
    log: FileLog, file: Path
) -> None:
    good, next_one = decided_entry(), decided_entry()

    with pytest.raises(RecordUnavailableError) as failed:
        log.append([good, good])

    assert not isinstance(failed.value, RecordBusyError)
    assert rows(file) == []
    log.append([next_one])
    assert [row[0] for row in rows(file)] == [next_one.id]


def test_while_another_process_writes_it_says_so_at_once(log: FileLog, file: Path) -> None:
    entry = decided_entry()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()

    with pytest.raises(RecordBusyError):
        log.append([entry])

    assert time.monotonic() - started < 1
    other.execute("ROLLBACK")
    other.close()
    assert log.append([entry]) == [None]
