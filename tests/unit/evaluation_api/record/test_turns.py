"""Who waits to write to a file is let in by those who write much."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, make_url

from evaluation_api.record import database, turns
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.tables import marks
from tests.evaluations import decided_entry

_WAITS = (
    "import sys, time; from evaluation_api.record import turns\nwith turns.waiting(sys.argv[1]):"
)
_WAITS_LONG = f"{_WAITS} print('waiting', flush=True); time.sleep(60)"


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "evaluations.db")


@contextmanager
def another_process_waits(file: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _WAITS_LONG, file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "waiting\n"
        try:
            yield process
        finally:
            process.kill()


def test_nobody_is_waited_for_where_nobody_waits(file: str) -> None:
    assert turns.let_in(file, longest_seconds=60) is False


def test_who_waits_is_waited_for_until_they_do_not(file: str) -> None:
    with ThreadPoolExecutor(1) as thread:
        with turns.waiting(file), turns.waiting(file):
            letting_in = thread.submit(turns.let_in, file, longest_seconds=60)
            with pytest.raises(TimeoutError):
                letting_in.result(0.1)
        assert letting_in.result(20) is True


def test_who_waits_is_held_up_by_no_lock_of_somebody_else(file: str) -> None:
    folder = os.open(Path(file).parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(turns.waiting(file).__enter__).result(20)
        assert turns.let_in(file, longest_seconds=0.05) is True
    finally:
        os.close(folder)


def test_who_cannot_open_the_folder_waits_and_writes_all_the_same(file: str) -> None:
    closed = f"{file}/no-folder/evaluations.db"

    with turns.waiting(closed):
        assert turns.let_in(closed) is False


def test_who_waits_without_end_is_not_waited_for_without_end(file: str) -> None:
    with another_process_waits(file):
        assert turns.let_in(file, longest_seconds=0.05) is True


def test_who_is_killed_while_waiting_is_waited_for_no_more(file: str) -> None:
    with another_process_waits(file) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        assert turns.let_in(file, longest_seconds=60) is False


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_of_long_work_that_goes_on_at_once_callers_wait_for_a_slice_or_two(
    engine: Engine, url: str
) -> None:
    file, slices = str(make_url(url).database), 0
    is_over, has_begun = threading.Event(), threading.Event()

    def work() -> None:
        nonlocal slices
        own = database.connect(url)
        while not is_over.wait(0):
            with database.writing(own) as connection:
                connection.execute(insert(marks).values(name=f"{slices}", value=""))
                has_begun.set()
                is_over.wait(0.02)
            slices += 1
            turns.let_in(file)
        own.dispose()

    log, waited = EvaluationLog(engine), []
    log.append([decided_entry()])  # the record knows the model from now on
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work)
        try:
            for _ in range(30):
                has_begun.clear()
                assert has_begun.wait(20)
                before = slices
                log.append([decided_entry()])
                waited.append(slices - before)
        finally:
            is_over.set()
        working.result(20)

    assert max(waited) <= 2
