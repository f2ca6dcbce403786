"""The record on the event loop: what it leaves to a thread."""

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from evaluation_api.record import database, recorder
from evaluation_api.record.evaluations import DecisionLog
from evaluation_api.record.file_log import FileLog
from evaluation_api.record.recorder import Recorder
from tests.evaluations import decided_entry


def count_on_disk(file: Path) -> int:
    """Count what is in the file itself, without the log beside it."""
    alone = shutil.copy(file, file.with_name("alone.db"))
    with sqlite3.connect(alone) as connection:
        count: int = connection.execute("SELECT count(*) FROM evaluations").fetchone()[0]
    connection.close()
    return count


def test_what_was_appended_on_the_loop_reaches_the_file_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_CHECKPOINT_SECONDS", 0.01)
    file = tmp_path / "evaluations.db"
    engines = [database.connect(f"sqlite:///{file}", patience_seconds=s) for s in (5, 0)]
    database.migrate(engines[0])
    engines[0].dispose()  # whoever leaves last brings everything to the file
    log, impatient = DecisionLog(engines[0]), FileLog(engines[1])

    async def scenario() -> None:
        async with Recorder(log, impatient=impatient, max_waiting=9) as record:
            await record.append(decided_entry())
            deadline = time.monotonic() + 10
            while not count_on_disk(file):
                assert time.monotonic() < deadline, "never reached the file"
                await asyncio.sleep(0.01)

    asyncio.run(scenario())
    impatient.close()
    for engine in engines:
        engine.dispose()


def test_no_commit_on_the_loop_waits_for_the_disk(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'evaluations.db'}", patience_seconds=0)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == 0
    engine.dispose()


def test_the_pages_of_a_new_file_hold_several_evaluations(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.db"
    engine = database.connect(f"sqlite:///{file}")
    database.migrate(engine)
    before = file.stat().st_size
    log = DecisionLog(engine)
    log.append([decided_entry() for _ in range(300)])
    log.checkpoint()
    engine.dispose()

    assert (file.stat().st_size - before) / 300 < 4096
