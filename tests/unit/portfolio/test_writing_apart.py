"""What is written to a file of SQLite in a process of its own: all of it or nothing."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from sqlalchemy import Engine, create_engine, text

from evaluation_api.decision.errors import RecordUnavailableError
from portfolio import precedence, writing_apart
from portfolio.writing_apart import ColumnsWriter

MOVE = "UPDATE files SET done = 2 WHERE done = 0"
TWO = pa.record_batch({"id": ["a", "b"], "content": [b"1", None]})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'record.db'}")
    with made.begin() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
        connection.execute(text("CREATE TABLE files (done INTEGER)"))
        connection.execute(text("CREATE TABLE parts (id TEXT PRIMARY KEY, content BLOB)"))
        connection.execute(text("INSERT INTO files VALUES (0)"))
    yield made
    made.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[ColumnsWriter]:
    with writing_apart.started(str(engine.url.database)) as started:
        yield started


def written(engine: Engine) -> tuple[int, list[tuple[str, bytes | None]]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, content FROM parts ORDER BY id"))
        return int(connection.scalar(text("SELECT done FROM files"))), list(map(tuple, rows))


def test_rows_are_written_where_the_file_is_as_it_was_and_not_again(
    engine: Engine, writer: ColumnsWriter
) -> None:
    seconds = writer.commit(MOVE, {"parts": TWO})

    assert seconds is not None
    assert seconds > 0
    assert writer.commit(MOVE, {"parts": TWO}) is None
    assert written(engine) == (2, [("a", b"1"), ("b", None)])


def test_what_cannot_be_written_is_an_error_and_leaves_nothing_and_the_next_goes_on(
    engine: Engine, writer: ColumnsWriter
) -> None:
    with pytest.raises(RecordUnavailableError, match="no such table"):
        writer.commit(MOVE, {"parts": TWO, "others": TWO})

    assert written(engine) == (0, [])
    assert writer.commit(MOVE, {"parts": TWO[1:]}) is not None
    assert written(engine) == (2, [("b", None)])


def process_of_writer() -> psutil.Process:
    own = (one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE)
    return next(one for one in own if writing_apart.__name__ in one.cmdline())


def test_a_process_that_has_ended_is_a_record_that_is_away(writer: ColumnsWriter) -> None:
    process = process_of_writer()
    process.kill()
    process.wait()

    with pytest.raises(RecordUnavailableError, match="has ended"):
        writer.commit(MOVE, {"parts": TWO})


def test_what_is_written_beside_the_file_is_brought_to_it_and_does_not_grow_without_end(
    engine: Engine, writer: ColumnsWriter
) -> None:
    content = bytes(1_300_000)
    for number in range(9):  # behind an answer, and before the next
        rows = pa.record_batch({"id": [f"{number}"], "content": [content]})
        assert writer.commit("UPDATE files SET done = done + 1", {"parts": rows}) is not None

    assert Path(str(engine.url.database)).stat().st_size > 7 * len(content)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads stand back together")
def test_who_stands_back_has_what_locks_the_file_stand_in_front(engine: Engine) -> None:
    def stand_back_and_start() -> tuple[int, int]:
        precedence.stand_back()
        with writing_apart.started(str(engine.url.database)):
            return os.getpriority(os.PRIO_PROCESS, 0), process_of_writer().nice()

    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1) as thread:  # which nobody uses afterwards
        own, of_writer = thread.submit(stand_back_and_start).result()

    assert own > before
    assert of_writer == before
