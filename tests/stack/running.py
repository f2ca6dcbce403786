"""The stack as an operator has it: the Makefile's targets and Docker, in a project of its own."""

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx

from deploy import ports
from deploy.processes import ROOT
from tests.services import eventually

COMMAND_SECONDS = 600

WEB, EVALUATION, MODEL, DB = "web", "client_evaluation_service", "ml_model_service", "db"
WORKER = "client_portfolio_worker"

#: Of the machine: no browser takes it for a secure place, as it does loopback's.
NAME = "cartoes.example"

#: A GET from inside a container, where the images have neither curl nor a network of ours.
GET = (
    "exec 3<>/dev/tcp/127.0.0.1/{port};"
    r" printf 'GET {path} HTTP/1.0\r\nHost: here\r\nAuthorization: {key}\r\n\r\n' >&3; cat <&3"
)


class Stack:
    """One Compose project with its own settings, images and ports."""

    def __init__(self, folder: Path) -> None:
        self.env_file = folder / "stack.env"
        self.project = f"credit-card-test-{os.getpid()}"
        (self.port,) = ports.free(1)
        first = free_ports(20)
        inherited = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL"}}
        self.environment = {
            **inherited,
            "BENTOML_HOME": str(folder / "bentoml"),
            "COMPOSE_PROJECT_NAME": self.project,
            "DOCKER_BUILDKIT": "1",
            "GATEWAY_BURST": "65535",
            "GATEWAY_RATE_PER_SECOND": "100000",
            "IMAGE_PREFIX": "credit-card-test-",
            "MODEL_PORTS": f"{first}-{first + 19}",
            "PUBLIC_URL": self.url,
            "RATE_PER_SECOND": "100000",
            "VERSION": "first",
            "WEB_ADDRESS": "127.0.0.1",
            "WEB_HOST": NAME,
            "WEB_PORT": str(self.port),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def keys(self, *arguments: str) -> str:
        """Run the command in a container of the evaluation service; return what it printed."""
        command = ("python", "-m", "evaluation_api", "keys", *arguments)
        return self.compose("exec", "-T", EVALUATION, *command).strip()

    @functools.cached_property
    def key(self) -> dict[str, str]:
        """What a caller who may do everything sends; made once."""
        roles = ("revisor", "gestor", "auditor", "operador", "integracao")
        made = {"Authorization": f"Bearer {self.keys('create', 'pilha', '--role', *roles)}"}
        eventually(lambda: httpx.get(f"{self.url}/politica", headers=made).is_success)
        return made

    def make(self, *arguments: str, **environment: str) -> str:
        """Run a target; return what it printed."""
        command = ("make", "--no-print-directory", *arguments, f"ENV_FILE={self.env_file}")
        return self.run(*command, **environment)

    def compose(self, *arguments: str) -> str:
        """Run docker compose with the stack's settings; return what it printed."""
        return self.run("docker", "compose", "--env-file", str(self.env_file), *arguments)

    def run(self, *command: str, **environment: str) -> str:
        """Run a command in the project's folder; its output is in the error when it fails."""
        done = self.attempt(*command, **environment)
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def attempt(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder, whatever comes of it."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def containers(self, *services: str) -> list[str]:
        """Return the ids of running containers, of these services or of all."""
        return self.compose("ps", "--quiet", *services).split()

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what Docker knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", container))
        return found[0]

    def is_healthy(self, container: str) -> bool:
        """Tell whether a container runs and its health check succeeds."""
        state = self.inspect(container)["State"]
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")

    def kill(self, container: str) -> None:
        """Kill -9 its first process, as a crash would: `docker kill` would forbid the restart."""
        process = self.inspect(container)["State"]["Pid"]
        killer = ("docker", "run", "--rm", "--pid=host", "--user=0:0")
        image = f"{self.environment['IMAGE_PREFIX']}evaluation:first"
        self.run(*killer, image, "python", "-c", f"import os; os.kill({process}, 9)")

    def predictions(self, container: str) -> float:
        """Return how many calls of /predict a replica of the model service has answered."""
        return self._counted(
            container, 8001, "bentoml_service_request_total", 'endpoint="/predict"'
        )

    def evaluations(self, container: str) -> float:
        """Return how many POST /avaliar a replica of the evaluation service has answered."""
        return self._counted(
            container, 8000, "evaluation_request_seconds_count", 'route="/avaliar"'
        )

    def _counted(self, container: str, port: int, name: str, label: str) -> float:
        script = GET.format(port=port, path="/metrics", key=self.key["Authorization"])
        lines = self.run("docker", "exec", container, "bash", "-c", script).splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith(name) and label in line
        )

    def remove(self, log: Path) -> None:
        """Remove everything of this project, the record too, and keep what it logged."""
        if self.env_file.exists():
            log.write_text(self.compose("logs", "--timestamps"), encoding="utf-8")
            self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def free_ports(count: int) -> int:
    """Find the first of so many free ports, below those that outgoing connections take."""
    return next(
        first
        for first in range(20_000, 30_000, count)
        if all(is_free(port) for port in range(first, first + count))
    )


def is_free(port: int) -> bool:
    try:
        ports.listen_briefly(port)
    except OSError:
        return False
    return True
