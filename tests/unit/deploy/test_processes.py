"""Programs that are started, stopped and killed with all that they start, as real processes."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy import ports, processes
from deploy.processes import NotReadyError, Program, Running
from tests.services import eventually

SERVER = """
import http.server, os, pathlib, subprocess, sys

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

worker = [sys.executable, "-c", "import time; time.sleep(60)"]
started = subprocess.Popen(worker, start_new_session=True)
pathlib.Path(sys.argv[2]).write_text(f"{os.getpid()} {started.pid}")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
RUNNER = """
import sys
from deploy.processes import Program, Running

sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
Running(Program(sleep)).first.wait()
"""


def program(pids: Path, code: str = SERVER) -> Program:
    (port,) = ports.free(1)
    return Program([sys.executable, "-c", code, str(port), str(pids)], [(port, "/")])


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_gone(pids: Path) -> bool:
    return not any(is_running(int(pid)) for pid in pids.read_text().split())


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_a_stopped_program_takes_the_worker_in_a_session_of_its_own_along(
    pids: Path, log: Path
) -> None:
    with Running(program(pids), log).wait_until_ready() as running:
        assert len(list(running.processes())) == 2

    assert all_gone(pids)


def test_what_was_killed_leaves_no_worker_behind(pids: Path, log: Path) -> None:
    with Running(program(pids), log).wait_until_ready() as running:
        running.kill()

        assert running.has_ended
        assert all_gone(pids)


def test_niceness_counts_and_ctrl_c_is_not_for_what_is_started(pids: Path, log: Path) -> None:
    with Running(program(pids), log) as running:
        assert os.getsid(running.first.pid) == os.getsid(0)
        assert os.getpgid(running.first.pid) == running.first.pid


def test_several_that_do_not_listen_are_killed_after_one_common_while(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "another", "a third")]
    started = [Running(program(file, DEAF + SERVER), tmp_path / "log") for file in files]
    for running in started:
        running.wait_until_ready()

    begun = time.monotonic()
    processes.stop(started, seconds=1)

    assert 1 <= time.monotonic() - begun < 3  # one after the other they would take three
    assert all(all_gone(file) for file in files)


def test_what_a_runner_started_is_told_from_the_runner_and_stopped_with_it(log: Path) -> None:
    with Running(Program([sys.executable, "-c", RUNNER]), log) as running:
        eventually(lambda: len(list(running.processes(of_a_runner=True))) == 1, 10)
        (sleeping,) = running.processes(of_a_runner=True)
        assert {running.first.pid, sleeping.pid} == {one.pid for one in running.processes()}

    assert not is_running(sleeping.pid)


def test_a_program_that_ends_is_reported_with_its_last_words(pids: Path, log: Path) -> None:
    broken = program(pids, "raise SystemExit('no such model')")

    with Running(broken, log) as running, pytest.raises(NotReadyError, match="no such model"):
        running.wait_until_ready()


def test_a_program_that_is_never_ready_is_given_up(pids: Path, log: Path) -> None:
    silent = program(pids, "import time; time.sleep(60)")

    with Running(silent, log) as running, pytest.raises(NotReadyError, match="not become ready"):
        running.wait_until_ready(seconds=0.1)


def test_what_is_printed_without_a_log_is_followed_to_its_end() -> None:
    speaking = Program([sys.executable, "-c", "print('one'); print('two')"])

    with Running(speaking) as running:
        assert list(running.lines()) == [b"one\n", b"two\n"]


def test_what_a_program_is_given_of_its_callers_environment_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONLY_MEANWHILE", "1")
    told = Program([sys.executable, "-c", "import os; print(*os.environ)"], environment={"A": "1"})

    with Running(told, callers={"B": "2"}) as running:
        (printed,) = running.lines()

    assert {b"A", b"B"} < set(printed.split())
    assert b"ONLY_MEANWHILE" not in printed


def test_ports_that_are_left_to_others_are_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_told", set())
    ports.leave(port for port in range(65536) if port // 100 % 2)

    assert not any(port // 100 % 2 for port in ports.free(50))


def test_a_free_port_is_told_once() -> None:
    told = [port for _ in range(60) for port in ports.free(50)]

    assert len(set(told)) == len(told)
