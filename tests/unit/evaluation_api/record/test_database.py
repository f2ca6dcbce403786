"""What the database says, in our words."""

import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, insert, make_url, select

from evaluation_api.decision.errors import RecordBusyError, RecordUnavailableError
from evaluation_api.record import database, deadline, schema
from evaluation_api.record.deadline import Deadline
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.tables import policies
from tests.evaluations import decided_entry
from tests.services import eventually, locked_for


def test_a_no_wait_log_says_that_the_file_is_busy(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}", busy_timeout_seconds=0)
    schema.migrate(engine)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(RecordBusyError):
        EvaluationLog(engine).append([decided_entry()])

    other.close()
    engine.dispose()


def test_who_waits_for_nothing_waits_for_a_new_file_that_another_sets_up(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}", busy_timeout_seconds=0)

    with locked_for(file, seconds=0.3), engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 0

    engine.dispose()


@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_commit_brings_what_is_beside_a_file_to_it_or_leaves_that_to_others(
    tmp_path: Path, *, checkpoints: bool
) -> None:
    file = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}", checkpoints=checkpoints)
    schema.migrate(engine)
    other = sqlite3.connect(file)
    other.execute("PRAGMA wal_autocheckpoint=0")
    other.execute("CREATE TABLE much AS SELECT zeroblob(20000000)")
    before = file.stat().st_size

    EvaluationLog(engine).append([decided_entry()])

    assert (file.stat().st_size > before) == checkpoints
    other.close()
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_who_waits_for_a_file_looks_again_and_again(engine: Engine, url: str) -> None:
    """SQLite's own looks are 0.1 s apart by then, and miss the pauses of whoever writes much."""
    log = EvaluationLog(engine)
    log.append([decided_entry()])  # the record knows the model from now on
    other = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    looks: list[str] = []

    @event.listens_for(engine, "checkout")
    def listen(driver: sqlite3.Connection, *_: object) -> None:
        driver.set_trace_callback(looks.append)

    with ThreadPoolExecutor(1) as thread:
        appending = thread.submit(log.append, [decided_entry()])
        eventually(lambda: looks.count("BEGIN IMMEDIATE") > 50, 20)
        other.execute("ROLLBACK")
        assert appending.result() == [None]
    other.close()


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_our_error(tmp_path: Path) -> None:
    engine = database.connect(f"postgresql+psycopg://nobody@/none?host={tmp_path}")

    with pytest.raises(RecordUnavailableError):
        schema.migrate(engine)
    with pytest.raises(RecordUnavailableError):
        database.require_writable(engine)
    engine.dispose()


@pytest.mark.parametrize("kept", [100, 0])
def test_a_file_that_is_none_of_sqlites_or_not_whole_is_named(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "record.db"
    whole = database.connect(f"sqlite:///{file}")
    schema.migrate(whole)
    whole.dispose()
    file.write_bytes(file.read_bytes()[:kept] + b"nome;saldo;compras\n" * 1000)
    engine = database.connect(f"sqlite:///{file}")

    with pytest.raises(RecordUnavailableError, match=re.escape(str(file))):
        schema.migrate(engine)
    engine.dispose()


@pytest.mark.parametrize("url", ["postgres://db/x", "mysql://db/x", "postgresql+asyncpg://db/x"])
def test_an_address_of_another_kind_is_told_how_ours_begin(url: str) -> None:
    with pytest.raises(RecordUnavailableError, match=r"neither sqlite:/// nor postgresql\+psycopg"):
        database.connect(url)


def test_what_ends_after_its_deadline_is_not_committed(engine: Engine) -> None:
    """Nobody waits for it any longer, and its caller was told that nothing was decided."""
    remember = insert(policies).values(version="late", text="", first_used_at=datetime.now(UTC))

    def late() -> None:
        with database.transaction(engine) as connection:
            connection.execute(remember)
            time.sleep(0.3)

    with pytest.raises(RecordUnavailableError, match="in time"):
        deadline.run(Deadline(time.monotonic() + 0.2), late)
    with engine.connect() as connection:
        assert connection.execute(select(policies)).all() == []
