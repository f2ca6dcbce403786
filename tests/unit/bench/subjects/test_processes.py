"""The programs of a system, measured together, with real processes."""

import sys
from pathlib import Path

import psutil
import pytest

from bench.subjects import processes
from deploy import ports
from deploy.processes import NotReadyError, Program

SERVER = """
import http.server, subprocess, sys

worker = [sys.executable, "-c", "sum(range(2_000_000)); import time; time.sleep(60)"]
print(subprocess.Popen(worker, start_new_session=True).pid, flush=True)

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


@pytest.fixture
def server() -> Program:
    (port,) = ports.free(1)
    return Program([sys.executable, "-c", SERVER, str(port)], [(port, "/")])


def test_the_worker_that_a_program_starts_is_measured_too(server: Program, tmp_path: Path) -> None:
    with processes.started([server], tmp_path) as running:
        worker = psutil.Process(int((tmp_path / "printed.txt").read_text().split()[0]))
        of_the_worker = worker.memory_full_info().pss / 1e6

        assert processes.memory_mb(running) > of_the_worker * 1.2
        assert processes.cpu_seconds(running) > worker.cpu_times().user
        assert processes.memory_mb(running, of_a_runner=True) == 0


def test_an_interrupted_bench_leaves_nothing_running(server: Program, tmp_path: Path) -> None:
    def interrupted() -> None:
        with processes.started([server], tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert not server.is_ready()


def test_what_cannot_all_start_is_stopped_again(server: Program, tmp_path: Path) -> None:
    broken = Program([sys.executable, "-c", "raise SystemExit('no such model')"], [(1, "/")])

    with (
        pytest.raises(NotReadyError, match="no such model"),
        processes.started([server, broken], tmp_path),
    ):
        pass

    assert not server.is_ready()
