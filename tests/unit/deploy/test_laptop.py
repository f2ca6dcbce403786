"""The runner of `make run`, with stand-ins for the services: real processes, ports and signals.

The runner is copied into an empty project whose `bentoml`, `evaluation_api` and `model_store` are a
few lines each, so its real commands run. The model's stand-in keeps its socket in a worker with a
session of its own, as BentoML's supervisor does.
"""

import http.client
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from deploy import laptop, ports
from deploy.processes import Program, Running
from tests.services import eventually

WAIT_SECONDS = 20

ANSWERING = """
import http.server, os, sys

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == READY_PATH else 404)
        self.end_headers()
        self.wfile.write(os.environ.get("EVALUATION_MODEL_URL", "").encode())

http.server.HTTPServer(("127.0.0.1", PORT), Ready).serve_forever()
"""
MODEL_WORKER = 'READY_PATH, PORT = "/readyz", int(__import__("sys").argv[1])' + ANSWERING
MODEL = """
import pathlib, subprocess, sys

assert pathlib.Path("imported").exists()
worker = pathlib.Path(__file__).with_name("worker.py")
port = sys.argv[sys.argv.index("--port") + 1]
subprocess.Popen([sys.executable, worker, port], start_new_session=True).wait()
"""
MODEL_IMPORT = 'import pathlib; pathlib.Path("imported").touch()'
EVALUATION = (
    'READY_PATH, PORT = "/health/ready", int(__import__("os").environ["EVALUATION_PORT"])'
    + ANSWERING
)

#: Listens nowhere.
PORTFOLIO = """
import sys, time

assert sys.argv[1:] == ["worker"]
print("at work", flush=True)
time.sleep(600)
"""

HARDY_LOG = """
    def log_message(self, *_):
        try:
            print("asked", flush=True)
        except OSError:
            pass

    def do_GET"""

#: The runner as `make run` starts it, but for a stop that need not take as long.
RUNNER = "import sys; from deploy import laptop; sys.exit(laptop.main(grace_seconds=0.5))"


class Laptop:
    """A project of stand-ins, and the runner started in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = root / "output"
        self.model_port, self.evaluation_port = ports.free(2)
        self.runner: Running | None = None
        shutil.copytree(Path(laptop.__file__).parent, root / "deploy")
        self.stand_in("bentoml", MODEL)
        (root / "bentoml/worker.py").write_text(MODEL_WORKER)
        self.stand_in("model_store", MODEL_IMPORT)
        self.stand_in("evaluation_api", EVALUATION)
        self.stand_in("portfolio", PORTFOLIO)

    def stand_in(self, package: str, source: str) -> None:
        """Let `python -m package` run this source."""
        (self.root / package).mkdir(exist_ok=True)
        (self.root / package / "__init__.py").touch()
        (self.root / package / "__main__.py").write_text(source)

    def start(
        self, environment: Mapping[str, str] = MappingProxyType({}), *, followed: bool = False
    ) -> Running:
        """Start the runner on two free ports, or on those given; it prints to a file or to us."""
        chosen = {
            "MODEL_PORT": str(self.model_port),
            "EVALUATION_PORT": str(self.evaluation_port),
            **environment,
        }
        program = Program([sys.executable, "-c", RUNNER], environment=chosen, folder=self.root)
        self.runner = Running(program, None if followed else self.output)
        return self.runner

    def start_and_await_readiness(self) -> Running:
        """Start the runner and return it once both stand-ins answer."""
        runner = self.start()
        eventually(lambda: "Ready in" in self.printed() or runner.has_ended, WAIT_SECONDS)
        assert not runner.has_ended, self.printed()
        return runner

    def printed(self) -> str:
        """Return what the runner and its services have printed so far."""
        return self.output.read_text()

    def announced(self) -> list[str]:
        """Return the lines that say it is ready; what services print may stand before and after."""
        return [line for line in self.printed().splitlines() if line.startswith("Ready in")]

    def asked(self) -> list[str]:
        """Return which services were asked and say so, in order, as far as that is printed yet."""
        asked = [line for line in self.printed().splitlines() if '"GET ' in line]
        return [line.split()[1] for line in asked]

    def processes(self) -> list[psutil.Process]:
        """Every process of this project, the runner and the workers that left its session too."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.root) or str(self.root) in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def process_of(self, text: str) -> psutil.Process:
        """Return the process that has this word on its command line."""
        return next(p for p in self.processes() if text in p.cmdline())

    def clean_up(self) -> None:
        """Kill whatever a failed test left behind."""
        for process in self.processes():
            process.kill()
        if self.runner is not None:
            self.runner.first.wait(WAIT_SECONDS)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Laptop]:
    stand_ins = Laptop(tmp_path)
    yield stand_ins
    stand_ins.clean_up()


def test_readiness_of_both_services_is_announced_with_the_address(project: Laptop) -> None:
    project.start_and_await_readiness()

    (announced,) = project.announced()

    assert announced.endswith(f" s: http://127.0.0.1:{project.evaluation_port}")


def test_the_evaluation_service_is_told_where_the_model_service_listens(project: Laptop) -> None:
    project.start_and_await_readiness()
    connection = http.client.HTTPConnection("127.0.0.1", project.evaluation_port, timeout=5)

    connection.request("GET", "/health/ready")

    assert connection.getresponse().read() == f"http://127.0.0.1:{project.model_port}".encode()
    connection.close()


def test_an_address_of_ipv6_is_looked_at_and_announced(project: Laptop) -> None:
    on_ipv6 = EVALUATION.replace(
        'HTTPServer(("127.0.0.1"', 'HTTPServer.address_family = 10; http.server.HTTPServer(("::1"'
    )
    project.stand_in("evaluation_api", on_ipv6)

    project.start({"EVALUATION_HOST": "::1"})
    eventually(lambda: "Ready in" in project.printed(), WAIT_SECONDS)

    (announced,) = project.announced()
    assert announced.endswith(f" s: http://[::1]:{project.evaluation_port}")


def test_the_evaluation_service_is_asked_once_the_model_is_ready(project: Laptop) -> None:
    project.stand_in("bentoml", MODEL.replace("import pathlib", "import time, pathlib", 1))
    slow = project.root / "bentoml/worker.py"
    slow.write_text("import time; time.sleep(1)\n" + MODEL_WORKER)

    project.start_and_await_readiness()

    eventually(lambda: "evaluation" in project.asked(), WAIT_SECONDS)
    assert project.asked() == ["model", "evaluation"]


def test_nothing_is_announced_while_a_service_is_not_ready(project: Laptop) -> None:
    project.stand_in("evaluation_api", EVALUATION.replace("/health/ready", "/elsewhere"))
    project.start()

    asked = '"GET /health/ready HTTP/1.1" 404'
    eventually(lambda: project.printed().count(asked) > 2, WAIT_SECONDS)

    assert "Ready in" not in project.printed()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_everything_with_exit_code_0(
    project: Laptop, signum: signal.Signals
) -> None:
    runner = project.start_and_await_readiness()
    assert len(project.processes()) >= 4

    runner.first.send_signal(signum)

    assert runner.first.wait(WAIT_SECONDS) == 0
    assert project.processes() == []


def test_ctrl_c_at_a_terminal_reaches_the_whole_group_and_still_ends_cleanly(
    project: Laptop,
) -> None:
    runner = project.start_and_await_readiness()

    os.killpg(runner.first.pid, signal.SIGINT)

    assert runner.first.wait(WAIT_SECONDS) == 0
    assert project.processes() == []
    assert "Traceback" not in project.printed()


def test_services_whose_output_nobody_reads_any_more_are_stopped(project: Laptop) -> None:
    project.stand_in("evaluation_api", EVALUATION.replace("    def do_GET", HARDY_LOG))
    runner = project.start(followed=True)
    printed = runner.lines()
    assert any(line.startswith(b"Ready in") for line in printed)
    printed.close()

    connection = http.client.HTTPConnection("127.0.0.1", project.evaluation_port, timeout=5)
    connection.request("GET", "/")  # which is logged
    connection.getresponse().read()
    connection.close()

    runner.first.wait(WAIT_SECONDS)
    assert project.processes() == []


@pytest.mark.parametrize(
    ("module", "name"), [("evaluation_api", "evaluation"), ("bentoml", "model")]
)
def test_a_killed_service_is_named_and_takes_the_other_down(
    project: Laptop, module: str, name: str
) -> None:
    runner = project.start_and_await_readiness()

    project.process_of(module).kill()

    assert runner.first.wait(WAIT_SECONDS) == 1
    assert f"The {name} service ended by itself, so everything was stopped." in project.printed()
    assert project.processes() == []


def test_a_killed_worker_is_started_again_and_the_services_go_on(project: Laptop) -> None:
    runner = project.start_and_await_readiness()
    services = {project.process_of(name).pid for name in ("bentoml", "evaluation_api")}

    project.process_of("portfolio").kill()
    eventually(lambda: project.printed().count("at work") > 1, WAIT_SECONDS)

    assert project.printed().count("The worker ended by itself and is started again") == 1
    assert services == {project.process_of(name).pid for name in ("bentoml", "evaluation_api")}
    assert not runner.has_ended


def test_a_worker_that_cannot_start_stops_the_start(project: Laptop) -> None:
    project.stand_in("portfolio", "raise SystemExit(2)")

    runner = project.start()

    assert runner.first.wait(WAIT_SECONDS) == 1
    assert "The worker ended by itself, so everything was stopped." in project.printed()


def test_a_worker_that_cannot_start_is_not_said_to_be_started_again(project: Laptop) -> None:
    asked = 'open("asked", "w").close(); __import__("time").sleep(1); '
    slow = MODEL_WORKER.replace("self.send_response", f"{asked}self.send_response", 1)
    (project.root / "bentoml/worker.py").write_text(slow)
    project.stand_in(
        "portfolio",
        "import pathlib, time\n"
        "while not pathlib.Path('asked').exists(): time.sleep(0.01)\n"
        "raise SystemExit(2)",
    )

    runner = project.start()

    assert runner.first.wait(WAIT_SECONDS) == 1
    assert "The worker ended by itself, so everything was stopped." in project.printed()
    assert "is started again" not in project.printed()


def test_a_worker_that_always_ends_is_started_so_often_in_a_while() -> None:
    seconds = 0.0
    revival = laptop.Revival(lambda: seconds)

    for _ in range(laptop.MOST_RESTARTS):
        assert "is started again" in (revival.told() or "")
        assert not revival.is_due()
        seconds += laptop.RESTART_SECONDS
        assert revival.is_due()

    assert "and waits" in (revival.told() or "")
    assert revival.told() is None
    seconds += laptop.RESTART_SECONDS
    assert not revival.is_due()
    seconds = laptop.RESTARTS_SECONDS + laptop.RESTART_SECONDS
    assert revival.is_due()


def test_a_model_that_cannot_be_imported_stops_the_start(project: Laptop) -> None:
    project.stand_in("model_store", "raise SystemExit('no such model')")

    runner = project.start()

    assert runner.first.wait(WAIT_SECONDS) == 2
    assert project.printed() == "no such model\n"
    assert project.processes() == []


def test_services_that_ignore_the_signal_are_killed_after_a_while(project: Laptop) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    project.stand_in("bentoml", deaf + MODEL)
    project.stand_in("evaluation_api", deaf + EVALUATION)
    runner = project.start_and_await_readiness()

    runner.first.send_signal(signal.SIGINT)

    assert runner.first.wait(WAIT_SECONDS) == 0
    assert project.processes() == []


@pytest.mark.parametrize(
    ("variable", "name"), [("MODEL_PORT", "model"), ("EVALUATION_PORT", "evaluation")]
)
def test_a_taken_port_is_named_with_the_way_out_before_anything_starts(
    project: Laptop, variable: str, name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        port = other_program.getsockname()[1]
        runner = project.start({variable: str(port)})
        assert runner.first.wait(WAIT_SECONDS) == 2

    assert project.printed() == (
        f"Port {port} of the {name} service cannot be used (address already in use): "
        f"free it, or choose another: make run {variable}={ports.another(port)}\n"
    )
    assert not (project.root / "imported").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "300.1.1.1"])
def test_a_host_that_is_not_of_this_machine_is_not_blamed_on_the_port(host: str) -> None:
    (port,) = ports.free(1)
    elsewhere = laptop.evaluation_service(port, "http://127.0.0.1:8001", host=host)

    with pytest.raises(laptop.CannotStartError, match=f"^EVALUATION_HOST is no .*: {host}$"):
        laptop.require_free_ports([elsewhere])


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "8000.0", "²"])
def test_a_port_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(
        laptop.CannotStartError, match=r"^MODEL_PORT must be a number from 1 to 65535"
    ):
        laptop.laptop_services({"MODEL_PORT": text})


@pytest.mark.parametrize("text", ["", "0", "65", "two"])
def test_workers_that_cannot_be_are_refused_by_name(text: str) -> None:
    with pytest.raises(
        laptop.CannotStartError, match=r"^MODEL_SERVICE_WORKERS must be a number from 1 to 64"
    ):
        laptop.laptop_services({"MODEL_SERVICE_WORKERS": text})


def test_two_services_on_one_port_are_refused() -> None:
    with pytest.raises(laptop.CannotStartError, match="give them two ports"):
        laptop.laptop_services({"MODEL_PORT": "8000"})


def test_the_ports_are_8001_and_8000_unless_told_otherwise() -> None:
    model, evaluation = laptop.laptop_services({"MODEL_PORT": ""})

    assert (model.port, evaluation.port) == (8001, 8000)
