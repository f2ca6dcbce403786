"""Starting and stopping what is measured, with real processes."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.subjects.processes import NotReadyError, Processes, Program, free_ports

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


def program(pids: Path, code: str = SERVER) -> Program:
    (port,) = free_ports(1)
    return Program([sys.executable, "-c", code, str(port), str(pids)], [(port, "/")])


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually_gone(pid: int) -> bool:
    patience = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < patience:
        time.sleep(0.02)
    return not is_running(pid)


def test_a_worker_in_a_session_of_its_own_is_measured_and_stopped_too(tmp_path: Path) -> None:
    with Processes([program(tmp_path / "pids")], tmp_path) as processes:
        server, worker = map(int, (tmp_path / "pids").read_text().split())
        of_one = psutil.Process(server).memory_full_info().pss / 1e6
        assert processes.memory_mb() > of_one * 1.2
        of_the_server = psutil.Process(server).cpu_times().user
        assert 0 < of_the_server <= processes.cpu_seconds()
        assert processes.memory_mb("NO_SUCH_VARIABLE") == 0

    assert eventually_gone(server)
    assert eventually_gone(worker)


def test_an_interrupted_bench_leaves_nothing_running(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Processes([program(tmp_path / "pids")], tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert all(eventually_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_a_program_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    first = program(tmp_path / "pids")
    broken = program(tmp_path / "none", "raise SystemExit('no such model')")

    with (
        pytest.raises(NotReadyError, match="no such model"),
        Processes([first, broken], tmp_path),
    ):
        pass

    assert all(eventually_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20
